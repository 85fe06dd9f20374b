"""Read files of class names and colours, in the forms that are in use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lstm2d.data.colors import LABELMAP, Color, read_labelmap
from lstm2d.data.description import read_description
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.classes import MAX_CLASSES, MAX_NAME, ClassInfo, default_color, wrong_name
from lstm2d.io.safe_open import MAX_LIST_BYTES, read_lines

VOID_NAMES = frozenset({
    "void", "ignore", "ignored", "unlabeled", "unlabelled", "unknown", "undefined"
})  # fmt: skip
USUAL_NAMES = (
    "label_colors.txt", LABELMAP, "class_dict.csv", "class_dict_seg.csv", "classes.csv", "colors.txt",
    "colours.txt", "classes.txt", "class_names.txt", "codes.txt", "dataset.toml",
)  # fmt: skip

_NAME = r"(?P<name>.*[^\W\d].*?)"
_INDEX = r"(?P<index>\d{1,3})"
_RGB = r"(?P<r>\d{1,3}) (?P<g>\d{1,3}) (?P<b>\d{1,3})"
_HEX = r"#(?P<hex>[0-9a-fA-F]{6})"
# all lines of a file have the first form that fits all of them
_FORMS = tuple(
    re.compile(form)
    for form in (
        f"{_INDEX} {_NAME} {_RGB}",
        f"{_NAME} {_RGB}",
        f"{_INDEX} {_RGB} {_NAME}",
        f"{_RGB} {_NAME}",
        f"{_INDEX} {_NAME} {_HEX}",
        f"{_NAME} {_HEX}",
        f"{_HEX} {_NAME}",
    )
)
_LONGEST = 2 * MAX_NAME  # characters of a line
_ONLY_NAME = re.compile(_NAME)
_SIGNS = re.compile(r"""[\s,;:=|()\[\]{}"']+""")
_EXPECTED = 'a class per line, such as "road 128 64 128", "128 64 128 road" or "road,128,64,128"'


@dataclass(frozen=True)
class ColorFile:
    """Classes with the numbers and colours that masks have for them.

    Parameters
    ----------
    path : Path
        The file.
    classes : tuple of ClassInfo
        The classes. Lines named void, ignore, unlabelled or unknown are no classes.
    colors : tuple of (Color, int)
        Colours in masks and their labels; 255 for ignored pixels. Empty if the file has only names.
    values : tuple of int
        Label of each mask value 0 to 255; -1 if it has none.
    """

    path: Path
    classes: tuple[ClassInfo, ...]
    colors: tuple[tuple[Color, int], ...]
    values: tuple[int, ...]


def read_color_file(path: Path) -> ColorFile:
    """Read a file of class names and colours.

    Parameters
    ----------
    path : Path
        A dataset.toml; a labelmap.txt of CVAT; or text or CSV with a class per line: name and red, green,
        blue in either order or as #rrggbb, after a mask value or not, or only a name. Without mask values
        the first line has number 0.

    Returns
    -------
    ColorFile
        The classes, in file order.

    Raises
    ------
    DataError
        If the file cannot be read, a line has another form, or a name, colour or mask value appears twice.
    """
    if path.suffix.lower() == ".toml":
        return _of_description(path)
    rows: list[_Row]
    if path.name == LABELMAP:
        rows = [(None, name, color) for name, color in read_labelmap(path)]
    else:
        rows = list(_rows(path))
    return _of_rows(path, rows)


def find_color_file(folder: Path) -> Path | None:
    """Return the file in a folder whose name is usual for such files.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    Path or None
        The first that exists.
    """
    return next((folder / name for name in USUAL_NAMES if (folder / name).is_file()), None)


def _of_description(path: Path) -> ColorFile:
    description = read_description(path)
    if not description.classes:
        raise DataError("this file defines no classes", where=path, expected="tables [[classes]]")
    values = tuple(int(v) for v in description.label_of_value())
    return ColorFile(path, description.classes, tuple(description.label_of_color()), values)


_Row = tuple[int | None, str, Color | None]


def _rows(path: Path) -> Iterator[_Row]:
    """Yield mask value, name and colour of each line."""
    lines = [
        (number, _SIGNS.sub(" ", line).strip())
        for number, line in enumerate(read_lines(path, MAX_LIST_BYTES), start=1)
        if line.strip() and not re.match(r"\s*(//|#(?![0-9a-fA-F]{6}\b))", line)
    ]
    for number, text in lines:
        if len(text) > _LONGEST:
            raise DataError(f"line {number} has {len(text)} characters", where=path, expected=_EXPECTED)
    if len(lines) > MAX_CLASSES + 2:  # a header, and ignored pixels
        raise DataError(f"{len(lines)} classes", where=path, expected=f"1 to {MAX_CLASSES}; {_EXPECTED}")
    if len(lines) > 1 and _is_header(lines[0][1], lines[1][1]):
        del lines[0]
    fits = [sum(form.fullmatch(text) is not None for _, text in lines) for form in _FORMS]
    form = _FORMS[fits.index(max(fits))] if any(fits) else _ONLY_NAME
    for number, text in lines:
        match = form.fullmatch(text)
        if match is None:
            raise DataError(f"line {number} is not a class: {text!r}", where=path, expected=_EXPECTED)
        found = match.groupdict()
        color = None
        if found.get("hex"):
            color = _color(*(int(found["hex"][k : k + 2], 16) for k in (0, 2, 4)))
        elif found.get("r"):
            color = _color(*(int(found[k]) for k in "rgb"))
            if color is None:
                what = f"line {number}: a colour above 255: {text!r}"
                raise DataError(what, where=path, expected="red, green and blue from 0 to 255")
        name = found["name"].strip()
        if reason := wrong_name(name):
            raise DataError(f"line {number}: {reason}", where=path, expected=_EXPECTED)
        yield int(found["index"]) if found.get("index") else None, name, color


def _is_header(first: str, second: str) -> bool:
    """Return whether a CSV starts with the names of its columns."""
    has_color = re.search(rf"\d+ \d+ \d+|{_HEX}", second)
    return first.lower() in ("name", "class", "label") or (
        has_color is not None and not re.search(r"\d", first)
    )


def _color(red: int, green: int, blue: int) -> Color | None:
    return (red, green, blue) if max(red, green, blue) <= 255 else None


def _of_rows(path: Path, rows: list[_Row]) -> ColorFile:
    if not 1 <= len(rows) <= MAX_CLASSES + 1:
        raise DataError(f"{len(rows)} classes", where=path, expected=f"1 to {MAX_CLASSES}; {_EXPECTED}")
    values = [-1] * 256
    values[IGNORE] = IGNORE
    classes: list[ClassInfo] = []
    colors: dict[Color, int] = {}
    seen: set[tuple[type, object]] = set()
    for order, (index, name, color) in enumerate(rows):
        number = order if index is None else index
        label = IGNORE if name.lower() in VOID_NAMES else len(classes)
        for key, shown in ((name, repr(name)), (color, f"the colour {color}"), (number, f"number {number}")):
            if (type(key), key) in seen and key is not None:
                raise DataError(f"{shown} appears twice", where=path, expected="different names and colours")
            seen.add((type(key), key))
        if number > 255:
            raise DataError(f"number {number} of {name!r}", where=path, expected="0 to 255")
        values[number] = label
        if color is not None:
            colors[color] = label
        if label != IGNORE:
            classes.append(ClassInfo(name, color or default_color(label)))
    if not 1 <= len(classes) <= MAX_CLASSES:
        raise DataError(f"{len(classes)} classes", where=path, expected=f"1 to {MAX_CLASSES}; {_EXPECTED}")
    return ColorFile(path, tuple(classes), tuple(colors.items()), tuple(values))
