"""Arrays on the host and on GPUs: query, move and create."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lstm2d.kernels import arena

Array = Any  # numpy.ndarray or cupy.ndarray: CuPy ships no types
Value = TypeVar("Value", bound=np.generic)


def on_gpu(array: object) -> bool:
    """Return whether an object is an array on a GPU; CuPy is not imported."""
    return type(array).__module__.partition(".")[0] == "cupy"


def is_array(value: object) -> bool:
    """Return whether an object is an array, on the host or on a GPU."""
    return isinstance(value, np.ndarray) or (on_gpu(value) and hasattr(value, "dtype"))


def device_of(array: Array) -> str:
    """Return the device of an array: "cpu" or "cuda:N"."""
    return f"cuda:{array.device.id}" if on_gpu(array) else "cpu"


def to_device(array: NDArray[Value], device: str) -> NDArray[Value]:
    """Return an array on a device.

    Parameters
    ----------
    array : ndarray
        On the host or on a GPU.
    device : str
        "cpu" or "cuda:N".

    Returns
    -------
    ndarray
        The array itself if it is on the device, else a copy.
    """
    if device == "cpu":
        return to_host(array)
    import cupy

    with cupy.cuda.Device(int(device.partition(":")[2] or 0)):
        moved: NDArray[Value] = cupy.asarray(array)
    return moved


def to_host(array: Array) -> NDArray[Any]:
    """Return an array on the host: the array itself if it is there, else a copy."""
    return np.asarray(array.get() if on_gpu(array) else array)


def empty(shape: tuple[int, ...], dtype: DTypeLike, *, like: Array) -> Array:
    """Return an uninitialised array on the device of another one."""
    if not on_gpu(like):
        return arena.empty(shape, dtype)
    import cupy

    return cupy.empty(shape, dtype)


def zeros(shape: tuple[int, ...], dtype: DTypeLike, *, like: Array) -> Array:
    """Return an array of zeros on the device of another one."""
    if not on_gpu(like):
        return np.zeros(shape, dtype)
    import cupy

    return cupy.zeros(shape, dtype)


def ascontiguousarray(array: NDArray[Value]) -> NDArray[Value]:
    """Return a C-contiguous array on the same device; the array itself if it is contiguous."""
    if not on_gpu(array):
        return np.ascontiguousarray(array)
    import cupy

    copied: NDArray[Value] = cupy.ascontiguousarray(array)
    return copied


def copy_into(array: Array, values: Array) -> None:
    """Copy values from any device into an array on any device, converted to its data type."""
    array[...] = to_device(np.asarray(to_host(values), array.dtype), device_of(array))
