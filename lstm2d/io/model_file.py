"""Model files: safetensors files with everything that prediction needs, and no executable code."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError, Lstm2dError
from lstm2d.io.atomic import write_parts
from lstm2d.io.classes import ClassInfo
from lstm2d.io.model_description import (
    FORMAT_VERSION,
    METADATA_KEY,
    PLAIN_VERSION,
    Imported,
    ModelFile,
    from_metadata,
    to_json,
)
from lstm2d.io.safe_open import open_regular
from lstm2d.io.safetensors_header import TensorInfo, broken, canonical, check_header
from lstm2d.io.safetensors_header import read_header as read_table
from lstm2d.io.tensor_file import DTYPE_NAMES, TensorFile, bytes_of, stored_form, to_parts

__all__ = [
    "ClassInfo",
    "Imported",
    "ModelFile",
    "ModelHeader",
    "half_precision",
    "load_model",
    "model_digest",
    "model_from_bytes",
    "model_to_bytes",
    "read_header",
    "save_model",
]


@dataclass(frozen=True)
class ModelHeader:
    """The description of a model file, without its parameters.

    Parameters
    ----------
    model : ModelFile
        The model without parameters: `state` is empty.
    tensors : dict of str to TensorInfo
        Type, shape and position of each parameter.
    file_bytes : int
        Size of the file in bytes.
    """

    model: ModelFile
    tensors: dict[str, TensorInfo]
    file_bytes: int

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(math.prod(t.shape) for t in self.tensors.values())


def half_precision(model: ModelFile) -> ModelFile:
    """Round parameters to float16, so that `save_model` can store them in half the space.

    Parameters
    ----------
    model : ModelFile
        The model.

    Returns
    -------
    ModelFile
        The model with rounded float32 parameters (11 significant bits). A parameter with values beyond 65504,
        the maximum of float16, is left unchanged.
    """
    state = {}
    for name, values in model.state.items():
        small = _as_half(values) if values.dtype == np.float32 else values
        state[name] = small.astype(values.dtype) if np.isfinite(small).all() else values
    return dataclasses.replace(model, state=state)


def _as_half(values: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # the caller checks for infinity
        return values.astype(np.float16)


def save_model(path: str | os.PathLike[str], model: ModelFile, *, half: bool = False) -> str:
    """Write a model file atomically.

    Parameters
    ----------
    path : str or path
        File to write.
    model : ModelFile
        The model.
    half : bool, default False
        Store float32 parameters as float16 if that is exact, see `half_precision`.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    Lstm2dError
        If the model has values that are not finite, or types that JSON does not have.
    """
    parts = _encoded(model, path, half=half)
    write_parts(path, parts)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def model_to_bytes(model: ModelFile) -> bytes:
    """Encode a model as the bytes of a file.

    Parameters
    ----------
    model : ModelFile
        The model.

    Returns
    -------
    bytes
        What `save_model` would write.

    Raises
    ------
    Lstm2dError
        As `save_model` raises it.
    """
    return b"".join(_encoded(model, model.preset))


def model_from_bytes(data: bytes, source: object) -> ModelFile:
    """Read a model from the bytes of a file; see `load_model`.

    Parameters
    ----------
    data : bytes
        The file.
    source : object
        Its name, for messages.

    Returns
    -------
    ModelFile
        The model.

    Raises
    ------
    DataError
        If it is damaged, or not a model file.
    """
    return _parse(TensorFile(BytesIO(data), source), source)


def _encoded(model: ModelFile, path: object, *, half: bool = False) -> list[bytes | memoryview]:
    """Return the parts of a file; they have been checked as `load_model` would."""
    state = stored_form(model.state)
    if half:
        state = {k: _halved(v) for k, v in state.items()}
    smaller = any(v.dtype == np.float16 for v in state.values())
    version = PLAIN_VERSION if model.imported is None and not smaller else FORMAT_VERSION
    description = {"format_version": version, **to_json(model)}
    try:
        text = canonical(description)
    except (TypeError, ValueError) as e:
        raise Lstm2dError(f"the model cannot be stored ({e})", where=path) from e
    metadata = {METADATA_KEY: canonical({**description, "sha256": _digest(text, state)})}
    parts = to_parts(state, metadata)
    try:
        _check_stored(parts, state, metadata, path)
    except DataError as e:
        raise Lstm2dError(f"the model cannot be stored ({e.what})", where=path) from e
    return parts


def _check_stored(
    parts: Sequence[bytes | memoryview],
    state: Mapping[str, NDArray[Any]],
    metadata: dict[str, str],
    path: object,
) -> None:
    """Raise DataError if `load_model` would refuse a file."""
    size = sum(len(part) for part in parts)
    header = BytesIO(parts[0])
    check_header(read_table(header, size, path), len(parts[0]), size, path)
    for name, values in state.items():
        _refuse_not_finite(name, values, path)
    from_metadata(metadata, dict(state), path)


def load_model(path: str | os.PathLike[str]) -> ModelFile:
    """Read a model file.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    ModelFile
        The model. Its arrays are writable; float16 is converted to float32. Imported layers are not included;
        see `lstm2d.models.restore_imported`.

    Raises
    ------
    DataError
        If the file is missing, damaged, or not a model file.
    """
    with open_regular(path) as file:
        return _parse(TensorFile(file, path), path)


def read_header(path: str | os.PathLike[str]) -> ModelHeader:
    """Read the description of a model file, without its parameters.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    ModelHeader
        The description and the shapes of the parameters. The checksum, which covers the parameters too, is
        not verified.

    Raises
    ------
    DataError
        If the file is missing or its header is damaged.
    """
    with open_regular(path) as file:
        stored = TensorFile(file, path)
    model, _, _ = from_metadata(stored.metadata, {}, path)
    return ModelHeader(model, stored.tensors, stored.size)


def model_digest(model: ModelFile) -> str:
    """Return a checksum that identifies a model.

    Parameters
    ----------
    model : ModelFile
        The model, with its parameters.

    Returns
    -------
    str
        SHA-256 of its description and parameters, 64 hexadecimal digits. It does not depend on how they are
        stored.
    """
    return _digest(canonical(to_json(model)), stored_form(model.state))


def _parse(stored: TensorFile, path: object) -> ModelFile:
    """Read a model; memory holds one array in stored form besides the parameters."""
    model, text, expected = from_metadata(stored.metadata, {}, path)
    digest, state = hashlib.sha256(), {}
    _add(digest, text.encode())
    for name in sorted(stored.tensors):
        values = stored.read(name)
        _refuse_not_finite(name, values, path)
        _add_array(digest, name, values)
        state[name] = _native(values)
    if digest.hexdigest() != expected:
        raise broken("its checksum does not match its contents", path)
    return dataclasses.replace(model, state={name: state[name] for name in stored.tensors})


def _refuse_not_finite(name: str, values: NDArray[Any], path: object) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise broken(f"parameter {name!r} is not finite", path)


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Convert values to native byte order, and float16 to float32."""
    dtype = np.dtype(np.float32) if values.dtype == np.float16 else values.dtype.newbyteorder("=")
    return values.astype(dtype, copy=False)


def _digest(text: str, tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return the checksum of a description and of arrays in stored form."""
    digest = hashlib.sha256()
    _add(digest, text.encode())
    for name, values in sorted(tensors.items()):
        _add_array(digest, name, values)
    return digest.hexdigest()


def _add_array(digest: hashlib._Hash, name: str, values: NDArray[Any]) -> None:
    _add(digest, name.encode("utf-8", "surrogatepass"))
    _add(digest, f"{DTYPE_NAMES[values.dtype.str]}{list(values.shape)}".encode())
    _add(digest, bytes_of(values))


def _add(digest: hashlib._Hash, part: bytes | memoryview) -> None:
    digest.update(len(part).to_bytes(8, "little"))  # separates the parts unambiguously
    digest.update(part)


def _halved(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values as float16 if that is exact, else unchanged."""
    if values.dtype != np.float32:
        return values
    small = _as_half(values)
    return small if np.array_equal(small.astype(np.float32), values) else values
