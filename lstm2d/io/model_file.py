"""Model files: one safetensors file with everything that prediction needs, and nothing that is executed."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError, Lstm2dError
from lstm2d.io.atomic import write_bytes
from lstm2d.io.classes import ClassInfo
from lstm2d.io.model_description import (
    FORMAT_VERSION,
    PLAIN_VERSION,
    Imported,
    ModelFile,
    canonical,
    from_metadata,
    to_json,
)
from lstm2d.io.safe_open import open_regular
from lstm2d.io.safetensors_header import (
    DTYPES,
    TensorInfo,
    broken,
    parse_tensors,
    read_header_bytes,
)

__all__ = [
    "ClassInfo",
    "Imported",
    "ModelFile",
    "ModelHeader",
    "half_precision",
    "load_model",
    "model_digest",
    "read_header",
    "save_model",
]

_NAMES = {v: k for k, v in DTYPES.items()}


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


def half_precision(model: ModelFile) -> ModelFile:
    """Round a model's parameters to what `save_model` can store in half the space.

    Parameters
    ----------
    model : ModelFile
        The model.

    Returns
    -------
    ModelFile
        The same with rounded float32 parameters, of which float16 has 11 binary digits. A parameter with
        values beyond 65504, the largest that float16 has, is left as it is.
    """
    state = {}
    for name, values in model.state.items():
        small = _as_half(values) if values.dtype == np.float32 else values
        state[name] = small.astype(values.dtype) if np.isfinite(small).all() else values
    return dataclasses.replace(model, state=state)


def _as_half(values: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # infinity is seen by the caller
        return values.astype(np.float16)


def save_model(path: str | os.PathLike[str], model: ModelFile, *, half: bool = False) -> str:
    """Write a model file in one step.

    Parameters
    ----------
    path : str or path
        File to write.
    model : ModelFile
        What to write.
    half : bool, default False
        Store float32 parameters as float16 where that changes nothing: see `half_precision`.

    Returns
    -------
    str
        SHA-256 of the file.

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
    if half:
        state = {k: _halved(v) for k, v in state.items()}
    for name, values in state.items():
        if values.dtype.str not in _NAMES:
            raise Lstm2dError(f"the model cannot be stored ({values.dtype} values)", where=name)
    smaller = any(v.dtype == np.float16 for v in state.values())
    version = PLAIN_VERSION if model.imported is None and not smaller else FORMAT_VERSION
    description = {"format_version": version, **to_json(model)}
    try:
        text = canonical(description)
    except (TypeError, ValueError) as e:
        raise Lstm2dError(f"the model cannot be stored ({e})", where=path) from e
    digest = _digest(text, {k: (v.dtype.str, v.shape, v.tobytes()) for k, v in state.items()})
    # One text alone: safetensors writes several in an order that differs from run to run.
    data = save(state, metadata={"lstm2d": canonical({**description, "sha256": digest})})
    try:
        again = _parse(data, path)
    except DataError as e:
        raise Lstm2dError(f"the model cannot be stored ({e.what})", where=path) from e
    for name, values in state.items():
        if again.state[name].astype(values.dtype).tobytes() != values.tobytes():
            raise Lstm2dError("the model was not stored as it is", where=name)
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def load_model(path: str | os.PathLike[str]) -> ModelFile:
    """Read a model file.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    ModelFile
        The model. Its arrays may be changed; those stored as float16 come back as float32. Imported layers
        are left to whoever builds the network.

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
    model, _, _ = from_metadata(metadata, {}, path)
    return ModelHeader(model, tensors, size)


def model_digest(model: ModelFile) -> str:
    """Return what tells a model from every other.

    Parameters
    ----------
    model : ModelFile
        With its parameters.

    Returns
    -------
    str
        64 hexadecimal digits over its description and its parameters, however they are stored.
    """
    tensors = {k: (v.dtype.newbyteorder("<").str, v.shape, v.tobytes()) for k, v in model.state.items()}
    return _digest(canonical(to_json(model)), tensors)


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
        dtype = np.dtype(np.float32) if values.dtype == np.float16 else values.dtype.newbyteorder("=")
        state[name] = values.astype(dtype, copy=True)
    model, text, digest = from_metadata(metadata, state, path)
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


def _halved(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values as float16 if that is exact, else as they are."""
    if values.dtype != np.float32:
        return values
    small = _as_half(values)
    return small if np.array_equal(small.astype(np.float32), values) else values
