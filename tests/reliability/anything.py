"""Arrays of every kind: types, shapes, memory layouts, subclasses, with values that are not numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm2d.errors import Lstm2dError

TYPES = (
    "?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "g", ">u2", ">i4", ">f4", ">f8",
    "c8", "c16", "O", "S3", "U3", "M8[s]", "m8[s]", "V3", "u1,f4",
)  # fmt: skip
NUMBERS = tuple(name for name in TYPES if np.dtype(name).kind in "buif")
FLOATS = ("f4", "f8")


class Own(np.ndarray):
    """A subclass without anything of its own."""


def shapes(axes: int = 5, side: int = 6) -> st.SearchStrategy[tuple[int, ...]]:
    """Return shapes, many of them those of an image."""
    sides = st.integers(0, side)
    image = st.tuples(st.integers(1, side), st.integers(1, side))
    channels = st.sampled_from([(), (1,), (3,), (4,), (2,)])
    batch = st.sampled_from([(), (), (1,), (2,)])
    images = st.tuples(batch, image, channels).map(lambda parts: parts[0] + parts[1] + parts[2])
    return st.one_of(images, images, st.lists(sides, max_size=axes).map(tuple))


@st.composite
def arrays(
    draw: st.DrawFn,
    types: tuple[str, ...] = TYPES,
    shape: st.SearchStrategy[tuple[int, ...]] | None = None,
    *,
    wrapped: bool = True,
) -> Any:
    """Draw an array; with `wrapped` also a subclass, a masked array, a list or a buffer."""
    dtype = np.dtype(draw(st.sampled_from(types)))
    sides = draw(shapes() if shape is None else shape)
    values = _laid_out(_filled(dtype, sides, draw), draw)
    return _wrapped(values, draw(st.integers(0, 9))) if wrapped else values


def _filled(dtype: np.dtype[Any], shape: tuple[int, ...], draw: st.DrawFn) -> NDArray[Any]:
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    scale = draw(st.sampled_from([1.0, 1.0, 4.0, 255.0, 300.0, -2.0, 1e9]))
    numbers = np.asarray(rng.random(shape) * scale)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if dtype.kind == "V":
            values = np.zeros(shape, dtype)
        elif dtype.kind in "mM":
            values = np.asarray(numbers.astype(np.int64).astype(dtype))
        else:
            values = np.asarray(numbers.astype(dtype))
    if values.size and dtype.kind in "fc":
        special = draw(st.sampled_from([None, None, np.nan, np.inf, -np.inf, -0.0, 1e-40]))
        if special is not None:
            values.flat[draw(st.integers(0, values.size - 1))] = special
    if values.size and dtype.kind in "iu":
        extreme = draw(st.sampled_from([None, None, np.iinfo(dtype).min, np.iinfo(dtype).max]))
        if extreme is not None:
            values.flat[draw(st.integers(0, values.size - 1))] = extreme
    if values.size and dtype.kind == "O":
        values.flat[0] = draw(st.sampled_from([None, 1, "a", 10**400, 1j, [1], np.zeros(2)]))
    return values


def _laid_out(values: NDArray[Any], draw: st.DrawFn) -> NDArray[Any]:
    """Return the same values, in another layout of the memory."""
    layout = draw(st.integers(0, 7))
    if layout == 1:
        return np.asfortranarray(values)
    if layout == 2 and values.ndim:
        return np.flip(np.flip(values).copy())  # negative strides
    if layout == 3 and values.ndim:
        return np.repeat(values, 2, axis=-1)[..., ::2]
    if layout == 4:
        values.flags.writeable = False
    if layout == 5 and values.ndim and values.shape[0]:
        return np.broadcast_to(values[:1], values.shape)  # a stride of 0
    if layout == 6 and values.dtype.kind not in "O":
        moved = np.frombuffer(bytearray(b"\0" + values.tobytes()), np.uint8)[1:]  # not aligned
        return moved.view(values.dtype).reshape(values.shape) if values.size else values
    return values


def _wrapped(values: NDArray[Any], how: int) -> Any:
    if how == 1:
        return np.ma.masked_array(values)
    if how == 2:
        mask = np.zeros(values.shape, np.bool_)
        mask.flat[:1] = True
        return np.ma.masked_array(values, mask)
    if how == 3:
        return values.view(Own)
    if how == 4:
        return values.tolist()
    if (
        how == 5
        and values.dtype.kind in "uif"
        and values.dtype.isnative
        and values.flags.c_contiguous
        and values.size
    ):
        return memoryview(values)
    return values


def own_error(error: Exception) -> bool:
    """Return whether an error is one of the library that says what is wrong."""
    return isinstance(error, Lstm2dError) and len(str(error)) > 5


def kept(value: Any) -> Any:
    """Return what tells whether a value has changed."""
    if isinstance(value, np.ndarray):
        plain = np.asarray(value)
        content = repr(plain.tolist()) if plain.dtype.hasobject else plain.tobytes()
        mask = np.ma.getmaskarray(value).tobytes() if isinstance(value, np.ma.MaskedArray) else b""
        return plain.shape, plain.strides, plain.dtype, plain.flags.writeable, content, mask
    return bytes(value) if isinstance(value, memoryview) else repr(value)
