"""Files of label hierarchies, in JSON."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from lstm2d.errors import DataError
from lstm2d.hierarchy.hierarchy import Hierarchy
from lstm2d.io.atomic import write_text
from lstm2d.io.safe_open import open_regular, read_text
from lstm2d.io.safetensors_header import parse_json

if TYPE_CHECKING:
    from pydantic import ValidationError

FORMAT = "lstm2d hierarchy"
VERSION = 1

_BEGIN = f'{{\n"format": {json.dumps(FORMAT)},\n'
_EXPECTED = "a file that `lstm2d hierarchy build` wrote"


def save_hierarchy(path: str | os.PathLike[str], hierarchy: Hierarchy) -> None:
    """Write a label hierarchy to a JSON file.

    Parameters
    ----------
    path : str or path
        The file; an existing one is replaced.
    hierarchy : Hierarchy
        What to write. Equal hierarchies give equal bytes.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    content = {"format": FORMAT, "version": VERSION, **asdict(hierarchy)}
    lines = [f"{json.dumps(key)}: {_listed(value)}" for key, value in content.items()]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def load_hierarchy(path: str | os.PathLike[str]) -> Hierarchy:
    """Read a label hierarchy.

    Parameters
    ----------
    path : str or path
        A file that `save_hierarchy` wrote.

    Returns
    -------
    Hierarchy
        The hierarchy.

    Raises
    ------
    DataError
        If the file cannot be read, is damaged or of a newer version, or contradicts itself.
    """
    value = _parsed(path)
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise DataError("this is not a label hierarchy", where=path, expected=_EXPECTED)
    if value.get("version") != VERSION:
        what = f"label hierarchy of version {value.get('version')!r}"
        raise DataError(what, where=path, expected=f"version {VERSION}", hint="use a newer lstm2d")
    hierarchy = _validated({k: v for k, v in value.items() if k not in ("format", "version")}, path)
    problem = _contradiction(hierarchy)
    if problem is not None:
        raise _damaged(problem, path)
    return hierarchy


def is_hierarchy(path: str | os.PathLike[str]) -> bool:
    """Return whether `save_hierarchy` wrote a file, which may be damaged since.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    bool
        False for files of any other kind.

    Raises
    ------
    DataError
        If the file is missing or not readable.
    """
    with open_regular(path) as file:
        return file.read(len(_BEGIN)) == _BEGIN.encode()


def _listed(value: Any) -> str:
    """Return a value as JSON, the items of lists and mappings on lines of their own."""
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {json.dumps(item, allow_nan=False)}" for key, item in value.items()]
        return "{\n " + ",\n ".join(items) + "\n}" if items else "{}"
    if isinstance(value, tuple):
        items = [json.dumps(item, allow_nan=False) for item in value]
        return "[\n " + ",\n ".join(items) + "\n]" if items else "[]"
    return json.dumps(value, allow_nan=False)


def _parsed(path: str | os.PathLike[str]) -> Any:
    try:
        return parse_json(read_text(path), path)
    except DataError as error:
        if error.__cause__ is None or isinstance(error.__cause__, OSError):
            raise
        raise DataError("not valid JSON", where=path, expected=_EXPECTED) from error


def _validated(value: dict[str, Any], path: object) -> Hierarchy:
    from pydantic import TypeAdapter, ValidationError

    names = {item.name for item in fields(Hierarchy)}
    if names != set(value):
        raise _damaged(f"missing or unknown: {', '.join(sorted(names ^ set(value)))}", path)
    try:
        return TypeAdapter(Hierarchy).validate_python(value)
    except ValidationError as error:
        raise _damaged(_first(error), path) from error


def _first(error: ValidationError) -> str:
    item = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, item['loc']))}: {item['msg']}"


def _contradiction(hierarchy: Hierarchy) -> str | None:
    """Return what in a hierarchy contradicts itself; None if nothing does."""
    n_classes, n_groups = len(hierarchy.classes), len(hierarchy.groups)
    numbers = [s.class_number for s in hierarchy.subclasses]
    if len(set(hierarchy.classes)) < n_classes:
        return "two classes have the same name"
    if sorted(set(hierarchy.common)) != list(hierarchy.common) or not set(hierarchy.common) <= set(numbers):
        return "common: sorted numbers of classes are expected"
    if numbers != sorted(numbers) or set(numbers) != set(range(n_classes)):
        return "subclasses: one or more of each class are expected, sorted by class"
    if any(not 0 <= group < n_groups for group in hierarchy.images.values()):
        return "images: numbers of groups are expected"
    if hierarchy.window is not None and (hierarchy.window < 1 or hierarchy.window % 2 == 0):
        return "window: an odd number is expected"
    if any(s.samples < 0 for s in hierarchy.subclasses):
        return "subclasses: numbers of samples are expected"
    for number, name in enumerate(hierarchy.classes):
        problem = _wrong_subclasses(hierarchy, number)
        if problem is not None:
            return f"class {name}: {problem}"
    return None


def _wrong_subclasses(hierarchy: Hierarchy, number: int) -> str | None:
    found = [s for s in hierarchy.subclasses if s.class_number == number]
    if len(found) == 1:
        return None
    if number not in hierarchy.common:
        return "a rare class has one subclass"
    if hierarchy.method == "lc":
        wrong = any(len(s.centre) != len(hierarchy.classes) or s.group is not None for s in found)
        return "each of its subclasses has a centre of one value per class" if wrong else None
    groups = [s.group for s in found]
    known = all(g is not None and 0 <= g < len(hierarchy.groups) for g in groups)
    own = known and len(set(groups)) == len(groups)
    return None if own else "each of its subclasses has a group of its own"


def _damaged(reason: str, path: object) -> DataError:
    hint = "build it again: lstm2d hierarchy build"
    return DataError(f"damaged label hierarchy ({reason})", where=path, expected=_EXPECTED, hint=hint)
