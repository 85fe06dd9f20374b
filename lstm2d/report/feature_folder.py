"""The folder of a photograph's feature maps: its files, and the record of what was written."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError, DataError, OutputError
from lstm2d.io.atomic import make_folder, write_bytes, write_text
from lstm2d.io.images import read_photo
from lstm2d.io.parse import parse_json
from lstm2d.io.replacing import refuse_to_replace
from lstm2d.io.safe_open import read_text
from lstm2d.notes import Notes
from lstm2d.pipeline.preprocess import Size
from lstm2d.predict import Predictor
from lstm2d.predict.layer_maps import LayerMaps
from lstm2d.predict.overwriting import refuse_output_among_inputs
from lstm2d.report.feature_sheets import Row, Subject, draw_layer, draw_overview, overview_row, photo_tile

RECORD, OVERVIEW = "features.json", "overview.png"
WRITER = "lstm2d features"  # marks the record
CHANNELS = 64
_OURS = re.compile(r"\d{2,}-[\w-]+\.(png|npy)|overview\.png", re.ASCII)  # names that a record may list


@dataclass(frozen=True, slots=True)
class Choice:
    """What to write of the feature maps.

    Parameters
    ----------
    layers : tuple of str, default ()
        Names of layers, or patterns with ``*``, ``?`` and ``[..]``; all layers if empty.
    channels : int, default 64
        Largest number of channels on a sheet.
    npy : bool, default False
        Also write the values themselves.
    size : "auto", "native" or float, default "auto"
        As for `lstm2d.predict.Predictor.predict`.
    overwrite : bool, default False
        Also replace files that the record does not list.
    """

    layers: tuple[str, ...] = ()
    channels: int = CHANNELS
    npy: bool = False
    size: Size = "auto"
    overwrite: bool = False


def write_features(
    predictor: Predictor,
    image: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str],
    choice: Choice,
    notes: Notes,
    progress: Callable[[int, int], None],
) -> list[dict[str, Any]]:
    """Draw the feature maps of every layer for a photograph.

    Parameters
    ----------
    predictor : Predictor
        The model.
    image : str or path
        The photograph.
    out : str or path
        The output folder. It gets a sheet per layer, an overview, and a record of these files: the next call
        replaces them, and deletes those that it does not write.
    model : str or path
        Path of the model's file, which is never replaced.
    choice : Choice
        What to write.
    notes : Notes
        Collects notes on what was guessed about the photograph.
    progress : callable
        Gets the numbers of sheets that are written and of all, after each.

    Returns
    -------
    list of dict
        Per layer: "name", "file", "rows", "columns", "channels", and with `npy` "values", the file of these.

    Raises
    ------
    DataError
        If the photograph cannot be read, or is a folder, or activations are not finite.
    ConfigError
        If there is no such layer, or a file would be replaced that is no earlier result.
    OutputError
        If a file cannot be written.
    """
    source, root = Path(image), Path(out)
    if os.path.isdir(source):
        raise DataError("a folder", where=image, expected="an image", hint="name one image")
    photo = read_photo(source, predictor.reading)
    for note in photo.notes:
        notes.add(note, source)
    layers = predictor.layers_of(photo.pixels, choice.size)
    chosen = chosen_layers([layer.name for layer in layers], choice.layers)
    entries = [_entry(layers[k], k + 1, choice.npy) for k in chosen]
    files = [OVERVIEW, *(entry[key] for entry in entries for key in ("file", "values") if key in entry)]
    earlier = _check_folder(root, files, source, Path(model), overwrite=choice.overwrite)
    make_folder(root)
    about = {"written_by": WRITER, "model": predictor.name, "image": str(image), "layers": entries}
    _write_record(root, about, {*earlier, *files})  # first: if this is interrupted, its files are known
    height, width = photo.pixels.shape[:2]
    shape = predictor.preprocessing.network_size(height, width, choice.size)
    subject = Subject(photo_tile(photo.pixels, source.name), shape, predictor.name, predictor.classes)
    rows: list[Row] = []
    for k, entry in zip(chosen, entries, strict=True):
        number = f"layer {k + 1} of {len(layers)}"
        _write_sheet(root / entry["file"], draw_layer(layers[k], subject, number, most=choice.channels))
        if "values" in entry:
            write_bytes(root / entry["values"], _npy(layers[k].values))
        rows.append(overview_row(layers[k], subject))
        progress(len(rows), len(chosen))
    _write_sheet(root / OVERVIEW, draw_overview(rows, subject))
    for name in sorted(earlier - set(files)):
        _delete(root / name)
    _write_record(root, about, set(files))
    return entries


def chosen_layers(names: Sequence[str], patterns: Sequence[str]) -> list[int]:
    """Return the places of the layers that fit one of the patterns.

    Parameters
    ----------
    names : sequence of str
        All layers.
    patterns : sequence of str
        Names or patterns; none for all layers.

    Returns
    -------
    list of int
        In the order of `names`.

    Raises
    ------
    ConfigError
        If a pattern fits no layer.
    """
    for pattern in patterns:
        if not any(_fits(name, pattern) for name in names):
            raise ConfigError("`layers`: no such layer", where=repr(pattern), expected=", ".join(names))
    return [k for k, name in enumerate(names) if not patterns or any(_fits(name, p) for p in patterns)]


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


def _entry(layer: LayerMaps, number: int, npy: bool) -> dict[str, Any]:
    """Return the entry of a layer in the result; `number` counts all layers of the network."""
    stem = f"{number:02d}-{re.sub(r'[^A-Za-z0-9_]+', '-', layer.name).strip('-')}"
    rows, columns, channels = layer.values.shape
    entry = {
        "name": layer.name,
        "file": f"{stem}.png",
        "rows": rows,
        "columns": columns,
        "channels": channels,
    }
    return entry | ({"values": f"{stem}.npy"} if npy else {})


def _check_folder(
    root: Path, files: Sequence[str], source: Path, model: Path, *, overwrite: bool
) -> set[str]:
    """Check that no file of others would be replaced; return the files that are listed by a record."""
    refuse_output_among_inputs([source], map(PurePath, [RECORD, *files]), root)
    record = _record(root)
    earlier = _listed(record)
    known = earlier if record is None else {RECORD, *earlier}
    for name in (RECORD, *files):
        refuse_to_replace(
            root / name, is_ours=lambda path: path.name in known, inputs=(source, model), overwrite=overwrite
        )
    return {name for name in earlier if os.path.lexists(root / name)}


def _record(root: Path) -> Mapping[str, Any] | None:
    """Return the record in a folder; None if there is none."""
    try:
        record = parse_json(read_text(root / RECORD))
    except (DataError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and record.get("written_by") == WRITER else None


def _listed(record: Mapping[str, Any] | None) -> set[str]:
    files = record.get("files") if record is not None else None
    names = files if isinstance(files, list) else []
    return {name for name in names if isinstance(name, str) and _OURS.fullmatch(name)}


def _write_record(root: Path, about: Mapping[str, Any], files: set[str]) -> None:
    write_text(root / RECORD, json.dumps({**about, "files": sorted(files)}, indent=2) + "\n")


def _write_sheet(path: Path, sheet: NDArray[np.uint8]) -> None:
    from PIL import Image

    buffer = io.BytesIO()
    # 25 sheets take 2.1 s and 22 MB; with level 6 3.9 s and 25 MB, with runs alone 1.7 s and 34 MB
    Image.fromarray(sheet).save(buffer, format="PNG", compress_level=3)
    write_bytes(path, buffer.getvalue())


def _npy(values: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values), allow_pickle=False)
    return buffer.getvalue()


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot delete an earlier result ({error.strerror})", where=path) from error
