"""Check the header of a safetensors file by hand, before anything in it is believed."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from lstm2d.errors import DataError

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
_MAX_AXES = 8


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file.

    Parameters
    ----------
    dtype : str
        NumPy's name of the type, little-endian.
    shape : tuple of int
        Sizes of the axes.
    begin, end : int
        First byte, and the one after the last, counted from the file's beginning.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def broken(reason: str, path: object) -> DataError:
    """Make the error for a damaged file.

    Parameters
    ----------
    reason : str
        What is wrong.
    path : object
        The file.

    Returns
    -------
    DataError
        The error, not raised.
    """
    hint = "copy the file again from where it came, or use another one"
    return DataError(f"damaged file ({reason})", where=path, expected="an intact safetensors file", hint=hint)


def read_header_bytes(file: BinaryIO, size: int, path: object) -> bytes:
    """Read a file's header length and header.

    Parameters
    ----------
    file : BinaryIO
        The file, at its beginning.
    size : int
        Size of the whole file in bytes.
    path : object
        Its name, for messages.

    Returns
    -------
    bytes
        The first bytes of the file, to the end of the header.

    Raises
    ------
    DataError
        If the file is shorter than its header, or the header larger than any model's.
    """
    try:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or not 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
            raise broken("its header's length is wrong", path)
        head = start + file.read(length)
    except OSError as e:
        raise broken(f"cannot be read: {e}", path) from e
    if len(head) != 8 + length:
        raise broken("it ends within the header", path)
    return head


def parse_json(text: str, path: object) -> Json:
    """Parse JSON that may be hostile.

    Parameters
    ----------
    text : str
        The JSON.
    path : object
        The file it comes from, for messages.

    Returns
    -------
    dict, list, str, int, float, bool or None
        The value. No key occurs twice, no number is NaN or infinite.

    Raises
    ------
    DataError
        If the text is something else.
    """
    try:
        value: Json = json.loads(
            text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite
        )
    except (ValueError, RecursionError) as e:
        raise broken("a part of its header is no valid JSON", path) from e
    return value


def parse_tensors(data: bytes, size: int, path: object) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """Read and check the table of tensors.

    Parameters
    ----------
    data : bytes
        The file's bytes, at least to the end of the header.
    size : int
        Size of the whole file in bytes.
    path : object
        Its name, for messages.

    Returns
    -------
    tensors : dict of str to TensorInfo
        They fill the file after the header without gap or overlap.
    metadata : dict of str to str
        The texts stored with them.

    Raises
    ------
    DataError
        If anything in the header contradicts the format or the file's size.
    """
    if len(data) < 8:
        raise broken("it is too short", path)
    end = 8 + int.from_bytes(data[:8], "little")
    if not 10 <= end <= min(len(data), 8 + MAX_HEADER_BYTES):
        raise broken("its header's length is wrong", path)
    try:
        text = data[8:end].decode()
    except UnicodeDecodeError as e:
        raise broken("its header is no text", path) from e
    header = parse_json(text, path)
    if not isinstance(header, dict):
        raise broken("its header is no JSON object", path)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise broken("its metadata are no JSON object", path)
    texts = {k: v for k, v in metadata.items() if isinstance(v, str)}
    if len(texts) != len(metadata):
        raise broken("its metadata are not all text", path)
    tensors = {name: _tensor(name, entry, end, path) for name, entry in header.items()}
    position = end
    for t in sorted(tensors.values(), key=lambda t: (t.begin, t.end)):
        if t.begin != position:
            raise broken("its tensors overlap or leave a gap", path)
        position = t.end
    if position != size:
        raise broken("its length does not fit its table of tensors", path)
    return tensors, texts


def _tensor(name: str, entry: Json, start: int, path: object) -> TensorInfo:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise broken(f"tensor {name!r} is not described", path)
    dtype = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise broken(f"tensor {name!r} has an unknown type", path)
    shape = _naturals(entry["shape"])
    offsets = _naturals(entry["data_offsets"])
    if shape is None or len(shape) > _MAX_AXES or offsets is None or len(offsets) != 2:
        raise broken(f"tensor {name!r} has a wrong shape or place", path)
    item = int(dtype[2:])
    if offsets[1] - offsets[0] != math.prod(shape) * item or max(shape, default=0) >= 2**31:
        raise broken(f"the shape of tensor {name!r} does not fit its bytes", path)
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
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value
