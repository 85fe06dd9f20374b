"""The output folder of a demo: only what a demo has written is deleted by the next one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lstm2d.errors import ConfigError, DataError, OutputError
from lstm2d.io.atomic import make_folder, write_text
from lstm2d.io.parse import BadText, parse_json
from lstm2d.io.safe_open import read_text

MARK = "demo.json"  # marks a folder as written by a demo
FILES = ".demo-files.json"  # the files it wrote, so that nothing else in its folders is deleted
MADE = ("scenes", "run", "labels", "gallery.png", "report.html")


def prepare_folder(root: Path, overwrite: bool) -> Path:
    """Create the output folder, or remove the results of an earlier demo.

    Parameters
    ----------
    root : Path
        The folder.
    overwrite : bool
        Also remove other files from the folders of an earlier demo.

    Returns
    -------
    Path
        The same.

    Raises
    ------
    OutputError
        If the folder is not empty and not from an earlier demo.
    ConfigError
        If there are other files in the folders of an earlier demo, and `overwrite` is not set.
    """
    if os.path.isdir(root) and any(root.iterdir()):
        if _state_of(root) is None:
            raise OutputError(
                "the folder is not empty", where=root, hint="choose a new folder: lstm2d demo -o DIR"
            )
        before = _read_json(root / FILES)
        added = sorted(set(_made_files(root)) - set(before)) if isinstance(before, list) else []
        if added and not overwrite:
            raise ConfigError(
                f"the folders of an earlier demo hold files that it did not write ({len(added)})",
                where=root / added[0],
                hint="choose a new folder: lstm2d demo -o DIR; `overwrite=True` deletes them",
            )
        for name in (FILES, *MADE):
            _remove(root / name)
    make_folder(root)
    write_text(root / MARK, json.dumps({"state": "begun"}) + "\n")
    return root


def _state_of(root: Path) -> str | None:
    """Return the state of a demo in a folder, "begun" or "done"; None if there is none."""
    mark = _read_json(root / MARK)
    state = mark.get("state") if isinstance(mark, dict) else None
    return state if state in ("begun", "done") else None


def _read_json(path: Path) -> Any:
    """Return the JSON value in a file; None if it is missing or not JSON."""
    try:
        return parse_json(read_text(path))
    except (DataError, BadText):
        return None


def _made_files(root: Path) -> list[str]:
    """Return the files in the places where a demo writes, relative to its folder."""
    paths = [path for name in MADE for path in (root / name, *(root / name).rglob("*"))]
    return [path.relative_to(root).as_posix() for path in paths if path.is_symlink() or os.path.isfile(path)]


def _remove(path: Path) -> None:
    """Delete a file, link or folder of an earlier demo; links are not followed."""
    try:
        if os.path.isdir(path) and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot replace an earlier demo ({error.strerror})", where=path) from error


def finish_folder(root: Path, result: Mapping[str, Any]) -> None:
    """Record that a demo is done, and the files that it wrote.

    Parameters
    ----------
    root : Path
        The folder.
    result : mapping
        Written to demo.json.
    """
    write_text(root / FILES, json.dumps(_made_files(root)) + "\n")
    write_text(root / MARK, json.dumps({"state": "done", **result}, indent=2) + "\n")
