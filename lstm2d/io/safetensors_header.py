"""Read and validate the header of a safetensors file.

The safetensors package is not used for this: it accepts duplicate and unknown keys and impossible shapes, and
it reads paths or bytes, not open files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

from lstm2d.errors import DataError
from lstm2d.io import parse

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

MAX_HEADER_BYTES = 16 * 2**20
DTYPES = {
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "I8": "|i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "|u1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
}
METADATA = "__metadata__"
_MAX_AXES = 8


@dataclass(frozen=True)
class TensorInfo:
    """Type, shape and position of a tensor in a file.

    Parameters
    ----------
    dtype : str
        NumPy type string, little-endian.
    shape : tuple of int
        Sizes of the axes.
    begin, end : int
        Offsets of the first byte and after the last byte, from the beginning of the file.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def broken(reason: str, path: object) -> DataError:
    """Return the error for a damaged file, with a reason."""
    hint = "copy the file again from its source, or use another one"
    return DataError(f"damaged file ({reason})", where=path, expected="an intact safetensors file", hint=hint)


def canonical(description: Mapping[str, Any]) -> str:
    """Return one line of ASCII JSON that stays the same when parsed and written again.

    Raises
    ------
    TypeError, ValueError
        If the description holds a type that JSON does not have, or a non-finite number.
    """
    return json.dumps(description, allow_nan=False, ensure_ascii=True)


def parse_json(text: str, path: object) -> Json:
    """Parse untrusted JSON, without duplicate keys, NaN or infinity.

    Raises
    ------
    DataError
        If the text is not such JSON.
    """
    try:
        value: Json = parse.parse_json(
            text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite
        )
    except ValueError as e:
        raise broken("its header is not valid JSON", path) from e
    return value


def read_header(file: BinaryIO, size: int, path: object) -> dict[str, Json]:
    """Read the header of a file, without checking its table of tensors.

    Parameters
    ----------
    file : BinaryIO
        The file, at its beginning; it is left at the end of the header.
    size : int
        Size of the file in bytes; limits what is allocated.
    path : object
        Its name, for messages.

    Returns
    -------
    dict
        The JSON object of the header.

    Raises
    ------
    DataError
        If the file is shorter than its header, or the header exceeds 16 MiB or is not a JSON object.
    """
    try:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or not 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
            raise broken("its header's length is wrong", path)
        text = file.read(length)
    except OSError as e:
        raise broken(f"cannot be read: {e}", path) from e
    if len(text) != length:
        raise broken("it ends within the header", path)
    try:
        header = parse_json(text.decode(), path)
    except UnicodeDecodeError as e:
        raise broken("its header is not UTF-8", path) from e
    if not isinstance(header, dict):
        raise broken("its header is not a JSON object", path)
    return header


def check_header(
    header: dict[str, Json], begin: int, size: int, path: object
) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """Check the metadata and the table of tensors.

    Parameters
    ----------
    header : dict
        From `read_header`.
    begin : int
        First byte after the header.
    size : int
        Size of the whole file in bytes.
    path : object
        Its name, for messages.

    Returns
    -------
    tensors : dict of str to TensorInfo
        They cover the file after the header without gaps or overlaps.
    metadata : dict of str to str
        The metadata.

    Raises
    ------
    DataError
        If anything in the header contradicts the format or the size of the file.
    """
    metadata = header.get(METADATA, {})
    if not isinstance(metadata, dict):
        raise broken("its metadata is not a JSON object", path)
    texts = {k: v for k, v in metadata.items() if isinstance(v, str)}
    if len(texts) != len(metadata):
        raise broken("its metadata holds values that are not text", path)
    tensors = {name: _tensor(name, entry, begin, path) for name, entry in header.items() if name != METADATA}
    position = begin
    for t in sorted(tensors.values(), key=lambda t: (t.begin, t.end)):
        if t.begin != position:
            raise broken("its tensors overlap or leave a gap", path)
        position = t.end
    if position != size:
        raise broken("its length does not match its table of tensors", path)
    return tensors, texts


def _tensor(name: str, entry: Json, start: int, path: object) -> TensorInfo:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise broken(f"tensor {name!r} has an invalid description", path)
    dtype = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise broken(f"tensor {name!r} has an unknown type", path)
    shape = _naturals(entry["shape"])
    offsets = _naturals(entry["data_offsets"])
    if shape is None or len(shape) > _MAX_AXES or offsets is None or len(offsets) != 2:
        raise broken(f"tensor {name!r} has an invalid shape or position", path)
    item = int(dtype[2:])
    bound = math.prod(n for n in shape if n) * item  # NumPy limits this product even if another axis is empty
    if offsets[1] - offsets[0] != math.prod(shape) * item or max(shape, default=0) >= 2**31 or bound >= 2**63:
        raise broken(f"the shape of tensor {name!r} does not match its size in bytes", path)
    return TensorInfo(dtype, shape, start + offsets[0], start + offsets[1])


def _naturals(value: Json) -> tuple[int, ...] | None:
    if not isinstance(value, list):
        return None
    numbers = tuple(v for v in value if isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 2**63)
    return numbers if len(numbers) == len(value) else None


def _no_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice")
    return result


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not valid JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value
