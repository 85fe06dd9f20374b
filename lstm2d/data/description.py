"""dataset.toml: what a dataset folder says about itself."""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.mapping import IGNORE, ValueMap, read_map
from lstm2d.errors import DataError
from lstm2d.io.classes import MAX_CLASSES, ClassInfo, default_color
from lstm2d.io.regular import inside, read_text


@dataclass(frozen=True)
class Description:
    """What the masks of a folder mean.

    Parameters
    ----------
    name : str
        Name of the dataset.
    classes : tuple of ClassInfo
        The K classes.
    values : tuple of int
        Mask value of each class; where there is a `mapping`, that says it instead.
    ignore : int
        Mask value of the pixels that nothing counts.
    images, masks : str
        Names of the two folders.
    mapping : ValueMap, optional
        Classes of the mask values, where they are not one value a class.
    native : bool, default False
        Whether pixels have a fixed scale (satellite, microscope): then images are not brought to the size of
        the training images.
    """

    name: str
    classes: tuple[ClassInfo, ...]
    values: tuple[int, ...]
    ignore: int
    images: str = "images"
    masks: str = "masks"
    mapping: ValueMap | None = None
    native: bool = False

    def label_of_value(self) -> NDArray[np.int16]:
        """Return the label of each mask value.

        Returns
        -------
        array of shape (256,), int16
            Class number, 255 for the ignored value, -1 for a value that means nothing.
        """
        table = np.full(256, -1, dtype=np.int16) if self.mapping is None else self.mapping.table()
        table[self.ignore] = IGNORE
        if self.mapping is None:
            table[list(self.values)] = np.arange(len(self.values))
        return table

    def to_toml(self, remarks: dict[int, str] | None = None) -> str:
        """Write the description as dataset.toml.

        Parameters
        ----------
        remarks : dict of int to str, optional
            Comments behind the names of some classes.

        Returns
        -------
        str
            Text that `parse` reads back to an equal description.
        """
        lines = [
            f"name = {_quoted(self.name)}",
            f"ignore = {self.ignore}  # mask value that no loss and no metric counts",
        ]
        for key, folder in (("images", self.images), ("masks", self.masks)):
            if folder != key:
                lines.append(f"{key} = {_quoted(folder)}  # folder")
        if self.native:
            lines.append('scale = "native"  # a pixel has a fixed size: photographs keep theirs')
        if self.mapping is not None:
            lines += ["", *self.mapping.lines([_quoted(info.name) for info in self.classes])]
        for index, (info, value) in enumerate(zip(self.classes, self.values, strict=True)):
            remark = (remarks or {}).get(index)
            lines += ["", "[[classes]]", f"name = {_quoted(info.name)}" + (f"  # {remark}" if remark else "")]
            lines.append(f"color = {list(info.color)}")
            if value != index and self.mapping is None:
                lines.append(f"value = {value}  # in the masks")
        return "\n".join(lines) + "\n"


def read_description(path: str | os.PathLike[str]) -> Description:
    """Read a dataset.toml.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    Description
        What it says.

    Raises
    ------
    DataError
        If it cannot be read or says something that makes no sense; all findings at once.
    """
    import tomllib

    text = read_text(path)
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as e:
        raise DataError(f"this is no valid TOML ({e})", where=path, hint="correct the line named") from e
    return parse(values, path)


def parse(values: dict[str, Any], path: str | os.PathLike[str]) -> Description:
    """Check the values of a dataset.toml.

    Parameters
    ----------
    values : dict
        The values, as TOML gives them.
    path : str or path
        The file, for messages; its folder is the dataset's.

    Returns
    -------
    Description
        What they say.

    Raises
    ------
    DataError
        If they make no sense; all findings at once.
    """
    problems: list[str] = []
    root = Path(path).parent
    _unknown_keys(values, ("name", "ignore", "images", "masks", "scale", "map", "classes"), "", problems)
    name = values.get("name", root.resolve().name or "dataset")
    if not isinstance(name, str) or not name:
        problems.append("name: a text is expected")
    folders = {}
    for key in ("images", "masks"):
        folders[key] = folder = values.get(key, key)
        if not isinstance(folder, str) or not folder:
            problems.append(f"{key}: the name of a folder is expected")
        elif (root / folder).exists() and not inside(root, root / folder):
            problems.append(f"{key}: {folder!r} lies outside the dataset's folder")
    scale = values.get("scale", "auto")
    if scale not in ("auto", "native"):
        problems.append('scale: "auto" or "native" is expected')
    tables = values.get("classes")
    if not isinstance(tables, list) or not 1 <= len(tables) <= MAX_CLASSES:
        problems.append(f"classes: 1 to {MAX_CLASSES} tables [[classes]] are expected")
        tables = []
    classes, numbers = _classes(tables, problems)
    mapping = None
    if "map" in values:
        if any(isinstance(table, dict) and "value" in table for table in tables):
            problems.append("map: it says what mask values mean; then no class has a value of its own")
        mapping = read_map(values["map"], [info.name for info in classes], problems)
    taken = numbers if mapping is None else [v for v, label in mapping.labels if label != IGNORE]
    ignore = values.get("ignore", next((v for v in range(255, -1, -1) if v not in taken), 255))
    if not _is_byte(ignore):
        problems.append("ignore: a mask value from 0 to 255 is expected")
    elif ignore in taken:
        label = numbers.index(ignore) if mapping is None else dict(mapping.labels)[ignore]
        problems.append(f"ignore: {ignore} is the mask value of class {classes[label].name!r}")
    if problems:
        expected = "name, ignore, and one [[classes]] with name and color a class"
        raise DataError("wrong dataset.toml: " + "; ".join(problems), where=path, expected=expected)
    two = (folders["images"], folders["masks"])
    return Description(name, tuple(classes), tuple(numbers), ignore, *two, mapping, scale == "native")


def _classes(tables: list[Any], problems: list[str]) -> tuple[list[ClassInfo], list[int]]:
    classes: list[ClassInfo] = []
    numbers: list[int] = []
    for index, table in enumerate(tables):
        here = f"class {index}"
        if not isinstance(table, dict):
            problems.append(f"{here}: a table [[classes]] is expected")
            continue
        _unknown_keys(table, ("name", "color", "value"), f"{here}: ", problems)
        name, value = table.get("name"), table.get("value", index)
        color = table.get("color", list(default_color(index)))
        if not isinstance(name, str) or not name:
            problems.append(f"{here}: name: a text is expected")
        elif name in [c.name for c in classes]:
            problems.append(f"{here}: name: {name!r} is taken")
        if not isinstance(color, list) or len(color) != 3 or not all(map(_is_byte, color)):
            problems.append(f"{here}: color: three numbers from 0 to 255 are expected")
            color = [0, 0, 0]
        if not _is_byte(value):
            problems.append(f"{here}: value: a mask value from 0 to 255 is expected")
        elif value in numbers:
            problems.append(f"{here}: value: {value} is taken")
        classes.append(ClassInfo(str(name), (color[0], color[1], color[2])))
        numbers.append(value)
    return classes, numbers


def _unknown_keys(table: dict[str, Any], known: tuple[str, ...], here: str, problems: list[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            problems.append(f"{here}unknown key {key!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))


def _is_byte(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's too, except that TOML wants DEL escaped and has no lone surrogates.
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
