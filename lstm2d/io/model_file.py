"""Model files: one safetensors file with everything that prediction needs, and nothing that is executed."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError, Lstm2dError
from lstm2d.io.atomic import write_bytes
from lstm2d.io.classes import MAX_CLASSES, ClassInfo
from lstm2d.io.regular import open_regular
from lstm2d.io.safetensors_header import (
    DTYPES,
    Json,
    TensorInfo,
    broken,
    parse_json,
    parse_tensors,
    read_header_bytes,
)

__all__ = ["ClassInfo", "ModelFile", "ModelHeader", "load_model", "read_header", "save_model"]

FORMAT_VERSION = 1
_NAMES = {v: k for k, v in DTYPES.items()}


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A trained model as it is stored.

    Parameters
    ----------
    state : dict of str to array
        Parameters by name; empty where only a file's header was read.
    preset : str
        Name of the preset the run started from.
    config : dict
        Every value of the run's configuration.
    classes : tuple of ClassInfo
        Names and colours, in the order of the class numbers.
    mean, std : tuple of float
        Channel mean and deviation of the training images, 0..255.
    ignore : int
        Label of the pixels that no loss and no metric counts.
    library_version : str
        Version of this library that wrote the file.
    seed : int
        Seed of the run.
    metrics : dict
        Figures at the time of saving.
    trained_on : str
        Which images, in words.
    terms : str
        Terms of use of those images and of the model.
    """

    state: dict[str, NDArray[Any]] = field(repr=False)
    preset: str
    config: dict[str, Any]
    classes: tuple[ClassInfo, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    ignore: int
    library_version: str
    seed: int
    metrics: dict[str, Any]
    trained_on: str
    terms: str


@dataclass(frozen=True)
class ModelHeader:
    """What a model file says before its numbers.

    Parameters
    ----------
    model : ModelFile
        All but the parameters: `state` is empty.
    tensors : dict of str to TensorInfo
        Type and shape of each parameter.
    file_bytes : int
        Size of the file.
    """

    model: ModelFile
    tensors: dict[str, TensorInfo]
    file_bytes: int

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(math.prod(t.shape) for t in self.tensors.values())


def save_model(path: str | os.PathLike[str], model: ModelFile) -> None:
    """Write a model file in one step.

    Parameters
    ----------
    path : str or path
        File to write.
    model : ModelFile
        What to write.

    Raises
    ------
    OutputError
        If the file cannot be written.
    Lstm2dError
        If the model holds what the file cannot: values that are not finite, a type that JSON does not have.
    """
    from safetensors.numpy import save

    # safetensors writes the memory of a transposed array without looking at its strides.
    state = {
        k: np.array(v, dtype=v.dtype.newbyteorder("<"), order="C", copy=None) for k, v in model.state.items()
    }
    for name, values in state.items():
        if values.dtype.str not in _NAMES:
            raise Lstm2dError(f"the model cannot be stored ({values.dtype} values)", where=name)
    description = _to_json(model)
    try:
        text = _canonical(description)
    except (TypeError, ValueError) as e:
        raise Lstm2dError(f"the model cannot be stored ({e})", where=path) from e
    digest = _digest(text, {k: (v.dtype.str, v.shape, v.tobytes()) for k, v in state.items()})
    # One text alone: safetensors writes several in an order that differs from run to run.
    data = save(state, metadata={"lstm2d": _canonical({**description, "sha256": digest})})
    try:
        again = _parse(data, path)
    except DataError as e:
        raise Lstm2dError(f"the model cannot be stored ({e.what})", where=path) from e
    for name, values in state.items():
        if again.state[name].tobytes() != values.tobytes():
            raise Lstm2dError("the model was not stored as it is", where=name)
    write_bytes(path, data)


def load_model(path: str | os.PathLike[str]) -> ModelFile:
    """Read a model file.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    ModelFile
        The model. Its arrays may be changed.

    Raises
    ------
    DataError
        If the file is missing, damaged in whatever way, or not a model file of this library.
    """
    with open_regular(path) as file:
        size = _size(file)
        head = read_header_bytes(file, size, path)  # before the rest: a file of any size may be named
        try:
            return _parse(head + file.read(), path)
        except (OSError, MemoryError) as e:
            raise broken(f"cannot be read: {e}", path) from e


def read_header(path: str | os.PathLike[str]) -> ModelHeader:
    """Read what a model file says about itself, without its parameters.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    ModelHeader
        The description and the parameters' shapes. The checksum covers the parameters too, so it is not
        checked here.

    Raises
    ------
    DataError
        If the file is missing or its header is damaged.
    """
    with open_regular(path) as file:
        size = _size(file)
        head = read_header_bytes(file, size, path)
    tensors, metadata = parse_tensors(head, size, path)
    model, _, _ = _from_metadata(metadata, {}, path)
    return ModelHeader(model, tensors, size)


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _parse(data: bytes, path: object) -> ModelFile:
    tensors, metadata = parse_tensors(data, len(data), path)
    state = {}
    for name, t in tensors.items():
        count = math.prod(t.shape)
        values = np.frombuffer(data, np.dtype(t.dtype), count, t.begin).reshape(t.shape)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise broken(f"parameter {name!r} is not finite", path)
        state[name] = values.astype(values.dtype.newbyteorder("="), copy=True)
    model, text, digest = _from_metadata(metadata, state, path)
    stored = {k: (t.dtype, t.shape, data[t.begin : t.end]) for k, t in tensors.items()}
    if _digest(text, stored) != digest:
        raise broken("its checksum does not fit its contents", path)
    return model


def _digest(text: str, tensors: dict[str, tuple[str, tuple[int, ...], bytes]]) -> str:
    """Return the checksum of all the file says; a length before each part keeps two from running together."""
    digest = hashlib.sha256()
    parts: list[bytes] = [text.encode()]
    for name in sorted(tensors):
        dtype, shape, data = tensors[name]
        parts += [name.encode("utf-8", "surrogatepass"), f"{_NAMES[dtype]}{list(shape)}".encode(), data]
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _canonical(description: Mapping[str, Any]) -> str:
    """Write JSON so that reading and writing it again gives the same text."""
    return json.dumps(description, allow_nan=False, ensure_ascii=True)


def _to_json(model: ModelFile) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "preset": model.preset,
        "config": model.config,
        "classes": [{"name": c.name, "color": [int(v) for v in c.color]} for c in model.classes],
        "mean": [float(v) for v in model.mean],
        "std": [float(v) for v in model.std],
        "ignore": int(model.ignore),
        "library_version": model.library_version,
        "seed": int(model.seed),
        "metrics": model.metrics,
        "trained_on": model.trained_on,
        "terms": model.terms,
    }


def _from_metadata(
    metadata: dict[str, str], state: dict[str, NDArray[Any]], path: object
) -> tuple[ModelFile, str, Json]:
    """Return the model, the text that the checksum covers, and the checksum."""
    text = metadata.get("lstm2d")
    if text is None:
        raise DataError(
            "this safetensors file is no lstm2d model", where=path, expected="a file written by lstm2d train"
        )
    value = parse_json(text, path)
    if not isinstance(value, dict):
        raise broken("its description is no JSON object", path)
    digest = value.pop("sha256", None)
    version = value.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        what = f"model file of version {version}"
        raise DataError(
            what, where=path, expected=f"{FORMAT_VERSION} or lower", hint="install a newer lstm2d"
        )
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise broken("it has no format version", path)
    take = _Fields(value, path)
    model = ModelFile(
        state=state,
        preset=take.text("preset"),
        config=take.table("config"),
        classes=take.classes(),
        mean=take.numbers("mean", positive=False),
        std=take.numbers("std", positive=True),
        ignore=take.integer("ignore", 0, 255),
        library_version=take.text("library_version"),
        seed=take.integer("seed", 0, 2**63 - 1),
        metrics=take.table("metrics"),
        trained_on=take.text("trained_on"),
        terms=take.text("terms"),
    )
    if len(model.mean) != len(model.std):
        raise broken("it has a mean and a deviation of different lengths", path)
    return model, _canonical(value), digest


class _Fields:
    """Typed access to the description: whatever is missing or of another kind is one DataError."""

    def __init__(self, values: dict[str, Json], path: object) -> None:
        self._values, self._path = values, path

    def _fail(self, key: str) -> DataError:
        return broken(f"its description lacks {key!r} or has a wrong value there", self._path)

    def text(self, key: str) -> str:
        value = self._values.get(key)
        if not isinstance(value, str):
            raise self._fail(key)
        return value

    def table(self, key: str) -> dict[str, Any]:
        value = self._values.get(key)
        if not isinstance(value, dict):
            raise self._fail(key)
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        value = self._values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._fail(key)
        return value

    def numbers(self, key: str, *, positive: bool) -> tuple[float, ...]:
        value = self._values.get(key)
        if not isinstance(value, list) or not value:
            raise self._fail(key)
        numbers = []
        for v in value:
            if not isinstance(v, int | float) or isinstance(v, bool) or abs(v) > 1e9 or (positive and v <= 0):
                raise self._fail(key)
            numbers.append(float(v))
        return tuple(numbers)

    def classes(self) -> tuple[ClassInfo, ...]:
        value = self._values.get("classes")
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_CLASSES:
            raise self._fail("classes")
        return tuple(self._class(v) for v in value)

    def _class(self, value: Json) -> ClassInfo:
        name = value.get("name") if isinstance(value, dict) else None
        color = value.get("color") if isinstance(value, dict) else None
        if not isinstance(name, str) or not name or not isinstance(color, list) or len(color) != 3:
            raise self._fail("classes")
        channels = [c for c in color if isinstance(c, int) and not isinstance(c, bool) and 0 <= c <= 255]
        if len(channels) != 3:
            raise self._fail("classes")
        return ClassInfo(name, (channels[0], channels[1], channels[2]))
