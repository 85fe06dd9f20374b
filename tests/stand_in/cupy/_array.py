"""Arrays that can be accessed only as those on a GPU, in guarded memory."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from cupy.cuda import OutOfMemoryError

GUARD = 256  # bytes before and after every array
POISON = 0xFF  # NaN in any floating-point type, -1 in integers

limit = 0  # bytes of all arrays together; 0 for none
_blocks: weakref.WeakValueDictionary[int, np.ndarray] = weakref.WeakValueDictionary()


class Guarded(np.ndarray):
    """Memory of one array with its guards; a class, so that it supports weak references."""


def allocate(shape: Any, dtype: Any) -> np.ndarray:
    """Return poisoned memory between guards."""
    dtype = np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if limit and used() + size > limit:
        raise OutOfMemoryError(
            f"Out of memory allocating {size:,} bytes (allocated so far: {used():,} bytes, limit set to: "
            f"{limit:,} bytes)."
        )
    block = np.full(size + 2 * GUARD, POISON, np.uint8).view(Guarded)
    _blocks[id(block)] = block
    inner = np.frombuffer(block.data, np.uint8, size, GUARD)
    return inner.view(dtype).reshape(shape)


def used() -> int:
    """Return the bytes of all arrays together."""
    return sum(block.nbytes - 2 * GUARD for block in list(_blocks.values()))


def block_of(values: np.ndarray) -> np.ndarray | None:
    """Return the guarded memory that an array is a view of."""
    base = values
    while isinstance(base, np.ndarray) and id(base) not in _blocks:
        base = base.base  # type: ignore[assignment]
    if isinstance(base, memoryview):
        base = base.obj
    return base if isinstance(base, np.ndarray) and id(base) in _blocks else None


def check_guards(values: np.ndarray) -> None:
    """Raise if something was written outside of an array."""
    block = block_of(values)
    if block is None:
        raise AssertionError("an array that was not allocated here")
    plain = np.asarray(block)
    if (plain[:GUARD] != POISON).any() or (plain[-GUARD:] != POISON).any():
        raise AssertionError("a kernel wrote outside an array")


def wrap(value: Any) -> Any:
    """Convert a result of NumPy to what CuPy would return: arrays on the device, also for scalars."""
    if isinstance(value, tuple | list):
        return type(value)(wrap(v) for v in value)
    if not isinstance(value, np.ndarray | np.generic):
        return value
    values = np.asarray(value)
    if block_of(values) is None:
        own = allocate(values.shape, values.dtype)
        own[...] = values
        values = own
    result = ndarray.__new__(ndarray)
    result._values = values
    return result


def unwrap(value: Any) -> Any:
    """Return the values of arrays on the device; raise for NumPy arrays."""
    if isinstance(value, ndarray):
        return value._values
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError(f"numpy.ndarray {value.shape} where an array on the device is expected")
    if isinstance(value, tuple | list):
        return type(value)(unwrap(v) for v in value)
    if isinstance(value, dict):
        return {k: unwrap(v) for k, v in value.items()}
    return value


class _Device:
    id = 0


class _Pointer:
    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


class ndarray(NDArrayOperatorsMixin):
    """Stand-in for an array on a GPU."""

    __array_priority__ = 100
    _values: np.ndarray

    def __init__(self, shape: Any, dtype: Any = float) -> None:
        self._values = allocate(shape, dtype)

    def get(self) -> np.ndarray:
        """Return a copy on the host."""
        return self._values.copy()

    def set(self, values: np.ndarray) -> None:
        """Copy values from the host."""
        if not isinstance(values, np.ndarray) or values.dtype != self.dtype or values.shape != self.shape:
            raise TypeError("set: an array of NumPy of the same type and shape")
        self._values[...] = values

    @property
    def device(self) -> _Device:
        """Return the device."""
        return _Device()

    @property
    def data(self) -> _Pointer:
        """Return the memory."""
        return _Pointer(self._values.ctypes.data)

    @property
    def T(self) -> ndarray:
        """Return the transpose."""
        return wrap(self._values.T)

    @property
    def base(self) -> Any:
        """Return None: the owner of the memory is not known."""
        return None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("ctypes", "tofile", "tobytes"):
            raise AttributeError(name)
        value = getattr(self._values, name)
        if not callable(value) or isinstance(value, type):
            return value
        return lambda *args, **kwargs: wrap(value(*unwrap(args), **unwrap(kwargs)))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("implicit conversion to a NumPy array is not allowed; use .get()")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **kwargs: Any) -> Any:
        if out:
            if not all(isinstance(o, ndarray) for o in out):
                raise TypeError("out must lie on the device")
            getattr(ufunc, method)(*unwrap(inputs), out=unwrap(tuple(out)), **unwrap(kwargs))
            return out[0] if len(out) == 1 else out
        return wrap(getattr(ufunc, method)(*unwrap(inputs), **unwrap(kwargs)))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return wrap(function(*unwrap(args), **unwrap(kwargs)))

    def __getitem__(self, key: Any) -> Any:
        return wrap(self._values[unwrap(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._values[unwrap(key)] = unwrap(value)

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Any:
        return (wrap(v) for v in self._values)

    def __float__(self) -> float:
        return float(self._values)

    def __int__(self) -> int:
        return int(self._values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def __repr__(self) -> str:
        return f"array on the device, shape {self.shape}, {self.dtype}"


ndarray.__module__ = "cupy"
