"""Describe the classes of a folder of label images: classes.json for programs, legend.png for people."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstm2d.errors import ConfigError, DataError
from lstm2d.io.atomic import write_bytes
from lstm2d.io.classes import ClassInfo
from lstm2d.io.legend import SOFTWARE, encode_legend
from lstm2d.io.parse import parse_json
from lstm2d.io.safe_open import open_regular, read_text

CLASSES_FILE = "classes.json"
LEGEND_FILE = "legend.png"
FORMAT = "lstm2d classes 1"
_HINT = "choose another folder, or move the file away"


@dataclass(frozen=True)
class ClassTable:
    """The classes of one model, as stored in classes.json.

    Parameters
    ----------
    model : str
        Name of the model.
    classes : tuple of ClassInfo
        In label order, from 0.
    ignore : int
        Value of pixels without a class.
    """

    model: str
    classes: tuple[ClassInfo, ...]
    ignore: int


def is_reserved(name: str) -> bool:
    """Return whether the program itself writes a file of this name to an output folder.

    Parameters
    ----------
    name : str
        File name in the output folder, without sub-folders.

    Returns
    -------
    bool
        True for classes.json, legend.png and predictions*.csv; case is ignored.
    """
    folded = name.casefold()
    record = folded.startswith("predictions") and folded.endswith(".csv")
    return record or folded in (CLASSES_FILE, LEGEND_FILE)


def write_class_files(folder: str | os.PathLike[str], table: ClassTable, *, overwrite: bool = False) -> None:
    """Write classes.json and legend.png.

    Parameters
    ----------
    folder : str or path
        An existing output folder.
    table : ClassTable
        Classes of the label images.
    overwrite : bool, default False
        Replace files of these names that another program wrote.

    Raises
    ------
    ConfigError
        If such a file exists and `overwrite` is not set; nothing is written.
    DataError
        If an existing file cannot be read.
    OutputError
        If a file cannot be written.

    Notes
    -----
    The tables of earlier models are kept in classes.json under "earlier", as the folder may hold label images
    of those models. legend.png shows the newest model only.
    """
    classes_path, legend_path = Path(folder, CLASSES_FILE), Path(folder, LEGEND_FILE)
    earlier = _old_tables(classes_path)
    if not overwrite:
        if earlier is None and os.path.lexists(classes_path):
            raise ConfigError("the name of the table of classes is taken", where=classes_path, hint=_HINT)
        if os.path.lexists(legend_path) and not _is_own_legend(legend_path):
            raise ConfigError("the name of the legend is taken", where=legend_path, hint=_HINT)
    tables = [table, *(old for old in earlier or () if old != table)]
    content = _entry(table) | {"earlier": [_entry(old) for old in tables[1:]]}
    text = json.dumps({"format": FORMAT} | content, indent=1, ensure_ascii=False) + "\n"
    # UTF-8 has no lone surrogates: write them as JSON escapes
    write_bytes(classes_path, text.encode("utf-8", "backslashreplace"))
    write_bytes(legend_path, encode_legend(table.classes))


def read_class_files(folder: str | os.PathLike[str]) -> list[ClassTable]:
    """Return the class tables of an output folder, newest model first.

    Parameters
    ----------
    folder : str or path
        The folder.

    Returns
    -------
    list of ClassTable
        Empty if there is no classes.json written by `write_class_files`.
    """
    with suppress(DataError):
        return list(_old_tables(Path(folder, CLASSES_FILE)) or ())
    return []


def own_class_files(folder: str | os.PathLike[str]) -> list[str]:
    """Return the names of the files in a folder that `write_class_files` wrote."""
    own = [CLASSES_FILE] if read_class_files(folder) else []
    return own + [LEGEND_FILE] * _is_own_legend(Path(folder, LEGEND_FILE))


def _entry(table: ClassTable) -> dict[str, Any]:
    return {
        "model": table.model,
        "ignore": table.ignore,
        "classes": [
            {
                "index": index,
                "name": info.name,
                "color": list(info.color),
                "hex": f"#{bytes(info.color).hex()}",
            }
            for index, info in enumerate(table.classes)
        ],
    }


def _old_tables(path: Path) -> list[ClassTable] | None:
    """Return the tables in a file; None if it is missing or was not written by this program.

    Raises DataError if the system cannot read it: it may be ours.
    """
    if not os.path.isfile(path):
        return None
    try:
        text = read_text(path)
    except DataError as error:
        if isinstance(error.__cause__, OSError):
            raise
        return None
    with suppress(Exception):  # another program's file may cause any exception
        content = parse_json(text)
        if content["format"] == FORMAT:
            return [_table(entry) for entry in (content, *content["earlier"])]
    return None


def _table(entry: dict[str, Any]) -> ClassTable:
    classes = (ClassInfo(info["name"], tuple(info["color"])) for info in entry["classes"])
    return ClassTable(str(entry["model"]), tuple(classes), int(entry["ignore"]))


def _is_own_legend(path: Path) -> bool:
    from PIL import Image

    from lstm2d.io.pillow_samples import quiet_pillow

    with suppress(Exception), quiet_pillow(), open_regular(path) as file:  # not an image, or damaged
        return bool(Image.open(file, formats=["PNG"]).info.get("Software") == SOFTWARE)
    return False
