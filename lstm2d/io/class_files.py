"""What the numbers in a folder of label images mean: classes.json for programs, legend.png for people."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstm2d.errors import ConfigError
from lstm2d.io.atomic import write_bytes
from lstm2d.io.classes import ClassInfo
from lstm2d.io.legend import SOFTWARE, encode_legend
from lstm2d.io.safe_open import read_text

CLASSES_FILE = "classes.json"
LEGEND_FILE = "legend.png"
FORMAT = "lstm2d classes 1"
_HINT = "choose another folder, or move the file away"


@dataclass(frozen=True)
class ClassTable:
    """The classes of one model, as classes.json has them.

    Parameters
    ----------
    model : str
        Name of the model.
    classes : tuple of ClassInfo
        Label 0 is the first.
    ignore : int
        The value of pixels without a class.
    """

    model: str
    classes: tuple[ClassInfo, ...]
    ignore: int


def is_reserved(name: str) -> bool:
    """Say whether the program itself writes a file of this name into an output folder.

    Parameters
    ----------
    name : str
        Name of a file directly in the output folder.

    Returns
    -------
    bool
        True for classes.json, legend.png and predictions*.csv, in upper or lower case.
    """
    folded = name.casefold()
    record = folded.startswith("predictions") and folded.endswith(".csv")
    return record or folded in (CLASSES_FILE, LEGEND_FILE)


def write_class_files(folder: str | os.PathLike[str], table: ClassTable, *, overwrite: bool = False) -> None:
    """Write classes.json and legend.png.

    Parameters
    ----------
    folder : str or path
        An output folder that exists.
    table : ClassTable
        The classes of the label images to come.
    overwrite : bool, default False
        Replace files of these names that something else wrote.

    Raises
    ------
    ConfigError
        If such a file is there; nothing is written.
    OutputError
        If a file cannot be written.

    Notes
    -----
    The tables of earlier models stay in classes.json, under "earlier": label images that those models wrote
    into the folder keep their meaning. legend.png shows the newest model only.
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
    # half a surrogate pair, which UTF-8 cannot hold, becomes the escape that JSON has for it
    write_bytes(classes_path, text.encode("utf-8", "backslashreplace"))
    write_bytes(legend_path, encode_legend(table.classes))


def read_class_files(folder: str | os.PathLike[str]) -> list[ClassTable]:
    """Return the tables of classes of an output folder, that of the newest model first.

    Parameters
    ----------
    folder : str or path
        The folder.

    Returns
    -------
    list of ClassTable
        Empty where there is no classes.json, or none that `write_class_files` wrote.
    """
    return list(_old_tables(Path(folder, CLASSES_FILE)) or ())


def own_class_files(folder: str | os.PathLike[str]) -> list[str]:
    """Return the names of those files in a folder that `write_class_files` wrote."""
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
    """Return the tables of a file, None if it is not there or not one of ours."""
    if not path.is_file():
        return None
    with suppress(Exception):  # whatever a file of another program makes of the lines below
        content = json.loads(read_text(path))
        if content["format"] == FORMAT:
            return [_table(entry) for entry in (content, *content["earlier"])]
    return None


def _table(entry: dict[str, Any]) -> ClassTable:
    classes = (ClassInfo(info["name"], tuple(info["color"])) for info in entry["classes"])
    return ClassTable(str(entry["model"]), tuple(classes), int(entry["ignore"]))


def _is_own_legend(path: Path) -> bool:
    from PIL import Image

    with suppress(Exception), Image.open(path, formats=["PNG"]) as image:  # no picture, or a broken one
        return bool(image.info.get("Software") == SOFTWARE)
    return False
