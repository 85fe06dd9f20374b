"""The header of a safetensors file, checked before anything in it is trusted.

It is parsed here and not by the safetensors package, because that accepts keys that occur twice, unknown
keys and shapes that no array can have, and reads a path or the bytes of a whole file, not an open file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

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
METADATA = "__metadata__"
_MAX_AXES = 8


@dataclass(frozen=True)
class TensorInfo:
    """Type, shape and position of a tensor in a file.

    Parameters
    ----------
    dtype : str
        NumPy's name of the type, little-endian.
    shape : tuple of int
        Sizes of the axes.
    begin, end : int
        First byte, and the one after the last, counted from the beginning of the file.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def broken(reason: str, path: object) -> DataError:
    """Return the error for a damaged file; `reason` names what is wrong."""
    hint = "copy the file again from where it came, or use another one"
    return DataError(f"damaged file ({reason})", where=path, expected="an intact safetensors file", hint=hint)


def canonical(description: Mapping[str, Any]) -> str:
    """Return one line of JSON, in ASCII, that is the same after it is parsed and written once more.

    Raises
    ------
    TypeError, ValueError
        If the description holds a type that JSON does not have, or a number that is not finite.
    """
    return json.dumps(description, allow_nan=False, ensure_ascii=True)


def parse_json(text: str, path: object) -> Json:
    """Parse JSON that may be hostile; no key in it occurs twice, no number is NaN or infinite.

    Raises
    ------
    DataError
        If the text is not such JSON. It names `path`.
    """
    try:
        value: Json = json.loads(
            text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite
        )
    except (ValueError, RecursionError) as e:
        raise broken("a part of its header is no valid JSON", path) from e
    return value


def read_header(file: BinaryIO, size: int, path: object) -> dict[str, Json]:
    """Read the header of a file; the table of tensors in it is not checked yet.

    Parameters
    ----------
    file : BinaryIO
        The file, at its beginning; afterwards at the end of the header.
    size : int
        Size of the whole file in bytes. Nothing larger is allocated.
    path : object
        Its name, for messages.

    Returns
    -------
    dict
        The JSON object of the header.

    Raises
    ------
    DataError
        If the file is shorter than its header, or the header is larger than 16 MiB or no JSON object.
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
        raise broken("its header is no text", path) from e
    if not isinstance(header, dict):
        raise broken("its header is no JSON object", path)
    return header


def check_header(
    header: dict[str, Json], begin: int, size: int, path: object
) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """Check the metadata and the table of tensors.

    Parameters
    ----------
    header : dict
        What `read_header` returned.
    begin : int
        First byte after the header.
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
        If anything in the header contradicts the format or the size of the file.
    """
    metadata = header.get(METADATA, {})
    if not isinstance(metadata, dict):
        raise broken("its metadata are no JSON object", path)
    texts = {k: v for k, v in metadata.items() if isinstance(v, str)}
    if len(texts) != len(metadata):
        raise broken("its metadata are not all text", path)
    tensors = {name: _tensor(name, entry, begin, path) for name, entry in header.items() if name != METADATA}
    position = begin
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
    bound = math.prod(n for n in shape if n) * item  # NumPy limits it where another axis is empty, too
    if offsets[1] - offsets[0] != math.prod(shape) * item or max(shape, default=0) >= 2**31 or bound >= 2**63:
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
