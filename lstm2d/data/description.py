"""dataset.toml: the description of a dataset folder."""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.colors import Color, classes_of, read_labelmap
from lstm2d.data.mapping import IGNORE, ValueMap, read_map
from lstm2d.errors import DataError
from lstm2d.io.classes import MAX_CLASSES, ClassInfo, dataset_name, default_color, wrong_name
from lstm2d.io.parse import SHOWN, BadText, parse_toml, some_of
from lstm2d.io.safe_open import read_text


@dataclass(frozen=True)
class Description:
    """Classes and mask encoding of a dataset folder.

    Parameters
    ----------
    name : str
        Name of the dataset.
    classes : tuple of ClassInfo
        The K classes.
    values : tuple of int
        Mask value of each class; unused if there is a `mapping`.
    ignore : int
        Mask value of ignored pixels.
    images, masks : str
        Names of the two folders, or their paths: relative to the dataset's folder, or absolute.
    mapping : ValueMap, optional
        Class of each mask value, if the classes do not have exactly one value each.
    uncolored : frozenset of int
        Classes with a default colour; colour masks cannot contain them.
    ignore_color : tuple of int, optional
        Colour of ignored pixels in colour masks.
    native : bool, default False
        Whether pixels have a fixed scale (satellite, microscope); images are then not resized to the size of
        the training images.
    folders : tuple of (str, str, str), optional
        For each split its name and its folders of images and masks, instead of `images` and `masks`.
    """

    name: str
    classes: tuple[ClassInfo, ...]
    values: tuple[int, ...]
    ignore: int
    images: str = "images"
    masks: str = "masks"
    mapping: ValueMap | None = None
    uncolored: frozenset[int] = field(default=frozenset(), compare=False)  # to_toml writes all colours
    ignore_color: Color | None = None
    native: bool = False
    folders: tuple[tuple[str, str, str], ...] = ()

    @property
    def meaning(self) -> dict[str, Any]:
        """The mask encoding by the keys of dataset.toml, as JSON types."""
        return {
            "colors": [list(info.color) for info in self.classes],
            "values": list(self.values),
            "ignore": self.ignore,
            "ignore_color": None if self.ignore_color is None else list(self.ignore_color),
            "scale": "native" if self.native else "",
            "map": None
            if self.mapping is None
            else [*map(list, self.mapping.labels), ["others", self.mapping.others]],
        }

    def label_of_color(self) -> list[tuple[Color, int]]:
        """Return the colours used in colour masks, each with its label."""
        found = [(c.color, k) for k, c in enumerate(self.classes) if k not in self.uncolored]
        return found if self.ignore_color is None else [*found, (self.ignore_color, IGNORE)]

    def label_of_value(self) -> NDArray[np.int16]:
        """Return the label of each mask value.

        Returns
        -------
        array of shape (256,), int16
            Class number, 255 for the ignored value, -1 for an undefined value.
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
            Comments after the names of some classes.

        Returns
        -------
        str
            Text that `parse` turns back into an equal description.
        """
        lines = [
            f"name = {_quoted(self.name)}",
            f"ignore = {self.ignore}  # mask value ignored by losses and metrics",
        ]
        if self.ignore_color is not None:
            lines.append(f"ignore_color = {list(self.ignore_color)}  # the same in colour masks")
        for key, folder in (("images", self.images), ("masks", self.masks)):
            if folder != key:
                lines.append(f"{key} = {_quoted(folder)}  # folder")
        if self.native:
            lines.append('scale = "native"  # pixels have a fixed scale: images are not resized')
        for split, images, masks in self.folders:
            lines += ["", f"[folders.{_quoted(split)}]", f"images = {_quoted(images)}"]
            lines.append(f"masks = {_quoted(masks)}")
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
        The parsed description; without classes if the file names folders alone.

    Raises
    ------
    DataError
        If the file cannot be read or is not valid; the message lists all problems.
    """
    try:
        values = parse_toml(read_text(path))
    except BadText as e:
        raise DataError(f"not valid TOML ({e})", where=path, hint="correct this line") from e
    return parse(values, path)


def describe_labelmap(path: Path, folders: Description) -> Description:
    """Return the description of a folder exported by CVAT.

    Parameters
    ----------
    path : Path
        Path of its labelmap.txt.
    folders : Description
        Name and folders of the dataset; without classes.

    Returns
    -------
    Description
        The classes in file order; 255 is ignored. Masks may hold colours or class numbers.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    labelmap = read_labelmap(path)
    return replace(
        folders,
        classes=classes_of(labelmap),
        values=tuple(range(len(labelmap))),
        uncolored=frozenset(k for k, (_, color) in enumerate(labelmap) if color is None),
    )


def with_labelmap(description: Description, path: Path) -> Description:
    """Take missing class colours from CVAT's labelmap.txt.

    Parameters
    ----------
    description : Description
        From dataset.toml.
    path : Path
        Path of labelmap.txt; it need not exist.

    Returns
    -------
    Description
        The same classes, with the colours found.

    Raises
    ------
    DataError
        If the file exists and cannot be read.
    """
    if not description.uncolored or not os.path.lexists(path):
        return description
    colors = {name: color for name, color in read_labelmap(path) if color is not None}
    known = {k for k in description.uncolored if description.classes[k].name in colors}
    classes = tuple(
        ClassInfo(c.name, colors[c.name]) if k in known else c for k, c in enumerate(description.classes)
    )
    return replace(description, classes=classes, uncolored=description.uncolored - known)


def parse(values: dict[str, Any], path: str | os.PathLike[str]) -> Description:
    """Check the values of a dataset.toml.

    Parameters
    ----------
    values : dict
        Parsed TOML.
    path : str or path
        The file, for messages; its folder is the dataset's.

    Returns
    -------
    Description
        The checked description.

    Raises
    ------
    DataError
        If the values are not valid; the message lists all problems.
    """
    problems: list[str] = []
    known = ("name", "ignore", "ignore_color", "images", "masks", "folders", "scale", "map", "classes")
    _unknown_keys(values, known, "", problems)
    name = values.get("name", dataset_name(Path(path).parent.resolve().name))
    if reason := wrong_name(name):
        problems.append(f"name: {reason}")
    images, masks = (_folder(values.get(key, key), key, problems) for key in ("images", "masks"))
    folders = _split_folders(values, problems)
    scale = values.get("scale", "auto")
    if scale not in ("auto", "native"):
        problems.append('scale: "auto" or "native" is expected')
    tables = values.get("classes", [])
    guessed = _folders_alone(values)
    if not guessed and (not isinstance(tables, list) or not 1 <= len(tables) <= MAX_CLASSES):
        problems.append(f"classes: 1 to {MAX_CLASSES} tables [[classes]] are expected")
        tables = []
    classes, numbers = _classes(tables, problems)
    mapping = None
    if "map" in values:
        if any(isinstance(table, dict) and "value" in table for table in tables):
            problems.append("map: cannot be combined with a value in [[classes]]")
        mapping = read_map(values["map"], [info.name for info in classes], problems)
    taken = numbers if mapping is None else [v for v, label in mapping.labels if label != IGNORE]
    ignore = values.get("ignore", next((v for v in range(255, -1, -1) if v not in taken), 255))
    if not _is_byte(ignore):
        problems.append("ignore: a mask value from 0 to 255 is expected")
    elif ignore in taken:
        label = numbers.index(ignore) if mapping is None else dict(mapping.labels)[ignore]
        problems.append(f"ignore: {ignore} is the mask value of class {classes[label].name!r}")
    ignore_color = values.get("ignore_color")
    if ignore_color is not None and not _is_color(ignore_color):
        problems.append("ignore_color: three numbers from 0 to 255 are expected")
    if problems:
        expected = "name, ignore, and one [[classes]] with name and color per class"
        raise DataError("wrong dataset.toml: " + "; ".join(some_of(problems)), where=path, expected=expected)
    return Description(
        name,
        tuple(classes),
        tuple(numbers),
        ignore,
        images,
        masks,
        mapping,
        frozenset(k for k, table in enumerate(tables) if "color" not in table),
        None if ignore_color is None else (ignore_color[0], ignore_color[1], ignore_color[2]),
        scale == "native",
        folders,
    )


def _folder(folder: Any, key: str, problems: list[str]) -> str:
    if not isinstance(folder, str) or not folder or "\0" in folder:
        problems.append(f"{key}: the name of a folder or its path is expected")
        return ""
    return folder


def _split_folders(values: dict[str, Any], problems: list[str]) -> tuple[tuple[str, str, str], ...]:
    """Return the tables [folders.SPLIT]; a path that the user wrote may lead anywhere."""
    tables = values.get("folders", {})
    if not isinstance(tables, dict) or ("folders" in values and not tables):
        problems.append("folders: a table [folders.SPLIT] with images and masks per split is expected")
        return ()
    if tables and ("images" in values or "masks" in values):
        problems.append("folders: cannot be combined with images and masks for all splits")
    found = []
    for split, table in tables.items():
        here = f"folders.{split}"
        if not split or split.startswith(".") or any(c in split for c in "/\\\0"):
            problems.append(f"{here}: the name of a split is expected, such as train")
        elif not isinstance(table, dict):
            problems.append(f"{here}: a table with images and masks is expected")
        else:
            _unknown_keys(table, ("images", "masks"), f"{here}: ", problems)
            images, masks = (_folder(table.get(k), f"{here}: {k}", problems) for k in ("images", "masks"))
            found.append((split, images, masks))
    return tuple(found)


def _folders_alone(values: dict[str, Any]) -> bool:
    """Return whether the file names folders and nothing about classes, which are then guessed."""
    about_classes = {"classes", "map", "ignore", "ignore_color"} & values.keys()
    return not about_classes and bool({"images", "masks", "folders"} & values.keys())


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
        if reason := wrong_name(name):
            problems.append(f"{here}: name: {reason}")
        elif name in [c.name for c in classes]:
            problems.append(f"{here}: name: {name!r} is taken")
        if not _is_color(color):
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
    for number, key in enumerate(key for key in table if key not in known):
        near = difflib.get_close_matches(key, known, 1) if number < SHOWN else []
        problems.append(f"{here}unknown key {key!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))


def _is_color(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_byte, value))


def _is_byte(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's too, except that TOML wants DEL escaped and has no lone surrogates.
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
