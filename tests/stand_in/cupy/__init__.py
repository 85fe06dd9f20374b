"""A small CuPy for machines without a GPU: it runs CUDA sources on the CPU and is as strict as a device.

Arrays are not converted to NumPy's implicitly, nor mixed with them; kernel arguments are checked against the
declarations, and writes outside of arrays are detected.
"""

from __future__ import annotations

from typing import Any

import numpy as _numpy

from cupy import _array, cuda
from cupy._array import allocate, ndarray, unwrap, wrap
from cupy._kernel import RawKernel, RawModule

__version__ = "13.0.0"
__all__ = ["RawKernel", "RawModule", "cuda", "ndarray"]

_DTYPES = {"float16", "float32", "float64", "int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"}


def empty(shape: Any, dtype: Any = float) -> ndarray:
    """Return an array full of NaN."""
    return wrap(allocate(shape, dtype))


def zeros(shape: Any, dtype: Any = float) -> ndarray:
    """Return an array of zeros."""
    values = allocate(shape, dtype)
    values[...] = 0
    return wrap(values)


def empty_like(a: ndarray, dtype: Any = None) -> ndarray:
    """Return an array full of NaN."""
    return empty(a.shape, dtype or a.dtype)


def asarray(a: Any, dtype: Any = None) -> ndarray:
    """Return an array on the device."""
    if isinstance(a, ndarray):
        return a if dtype is None or a.dtype == dtype else a.astype(dtype)
    return wrap(_numpy.array(a, dtype))


array = asarray


def asnumpy(a: Any) -> _numpy.ndarray:
    """Return an array on the host."""
    return a.get() if isinstance(a, ndarray) else _numpy.asarray(a)


def ascontiguousarray(a: ndarray, dtype: Any = None) -> ndarray:
    """Return a C-contiguous array; itself if it is one."""
    a = asarray(a, dtype)
    return a if a.flags.c_contiguous else wrap(_numpy.ascontiguousarray(a._values))


def argsort(a: ndarray) -> ndarray:
    """Return the indices that sort an array; equal values stay in order, as with CuPy."""
    return wrap(_numpy.argsort(a._values, kind="stable"))


class _Pool:
    def set_limit(self, size: int | None = None) -> None:
        _array.limit = size or 0

    def get_limit(self) -> int:
        return _array.limit

    def used_bytes(self) -> int:
        return _array.used()

    def total_bytes(self) -> int:
        return _array.used()

    def free_all_blocks(self) -> None:
        pass


_pool = _Pool()


def get_default_memory_pool() -> _Pool:
    """Return the pool."""
    return _pool


def __getattr__(name: str) -> Any:
    value = getattr(_numpy, name)
    if name in _DTYPES or not callable(value):
        return value
    return lambda *args, **kwargs: wrap(value(*unwrap(args), **unwrap(kwargs)))
