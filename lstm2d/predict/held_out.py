"""The images that a run held out for validation, listed in its run.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.data.layout import some
from lstm2d.errors import DataError
from lstm2d.io.parse import BadText, parse_json
from lstm2d.io.safe_open import read_text
from lstm2d.predict.fingerprint import Fingerprint

RECORD = "run.json"
HELD_OUT = "held-out"  # name of the split
DIGITS = 32  # hexadecimal digits that are kept of the SHA-256 of an image file


def record_text(run_id: str, held_out: Mapping[str, str]) -> str:
    """Return the text of run.json.

    Parameters
    ----------
    run_id : str
        Name shared by the run folder and its checkpoints.
    held_out : mapping of str to str
        Stem of each held-out image, and the first 32 hexadecimal digits of the SHA-256 of its file.

    Returns
    -------
    str
        One JSON object.
    """
    return json.dumps({"run": run_id, "held_out": dict(held_out)}) + "\n"


def read_record(path: Path) -> dict[str, Any]:
    """Read run.json.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        Its values; empty if it is not a JSON object.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        values = parse_json(read_text(path))
    except BadText:
        return {}
    return values if isinstance(values, dict) else {}


def listed(path: Path) -> dict[str, str] | None:
    """Return the held-out images in run.json.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict of str to str or None
        As for `record_text`; None if the file has no valid list.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    values = read_record(path).get("held_out")
    if not isinstance(values, dict) or not all(isinstance(digest, str) for digest in values.values()):
        return None
    return values


def held_out_samples(model: Path, dataset: DatasetFolder) -> list[Sample]:
    """Return the images that a run held out.

    Parameters
    ----------
    model : Path
        Model file in the folder of a run.
    dataset : DatasetFolder
        The dataset of the run.

    Returns
    -------
    list of Sample
        In the order of the run's validation; not empty.

    Raises
    ------
    DataError
        If the model is not in the folder of a run that lists its held-out images, the run held out none, or
        the images have changed since.
    """
    path = model.parent / RECORD
    hint = "name another split: `split`"
    if not path.is_file():
        raise DataError(
            "no run that lists its held-out images", where=path, expected="a run folder", hint=hint
        )
    images = listed(path)
    if images is None:
        raise DataError(
            "the run does not list its held-out images",
            where=path,
            hint=f"{hint}; or resume the run (`resume`), which adds the list if the data is the same",
        )
    if not images:
        expected = "a run whose dataset has no val split, and `val` above 0"
        raise DataError("the run held out no images", where=model.parent, expected=expected, hint=hint)
    try:
        samples = dataset.named(images)
    except DataError as error:
        raise _changed(f"held-out images: {error.what}", error.where) from error
    other = [
        s.image_path.name for s in samples if Fingerprint.of(s.image_path).sha256[:DIGITS] != images[s.stem]
    ]
    if other:
        raise _changed(f"other contents of {some(other)}", dataset.root)
    return samples


def _changed(what: str, where: object) -> DataError:
    return DataError(
        f"the dataset has changed since the run held images out ({what})",
        where=where,
        expected="the dataset that the run was trained on",
        hint="restore it, or name another split: `split`",
    )
