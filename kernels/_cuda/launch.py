"""Compile the CUDA sources of this folder on first use, and run their kernels."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from math import prod
from typing import Any

import cupy
import numpy as np

THREADS = 256  # of a block, unless the kernel needs another number
WAVES = 32  # blocks per multiprocessor, at most; with more items, threads process several
STATIC_LIMIT = 48 << 10  # bytes of shared memory of a block without a setting

Array = Any  # cupy.ndarray: CuPy ships no types


def launch(family: str, name: str, n: int, *args: Any, real: np.dtype[Any] | None = None) -> None:
    """Run a kernel with a thread for each of `n` items; see `launch_blocks` for the arguments."""
    blocks = min(-(-n // THREADS), WAVES * processors())
    launch_blocks(family, name, blocks, THREADS, *args, real=real)


def launch_blocks(
    family: str,
    name: str,
    blocks: int | tuple[int, ...],
    threads: int,
    *args: Any,
    shared: int = 0,
    real: np.dtype[Any] | None = None,
) -> None:
    """Run a kernel.

    Parameters
    ----------
    family : str
        Source file, without ending.
    name : str
        Function in it.
    blocks : int or tuple of int
        Number of blocks, on up to three axes. If it is 0, nothing is run.
    threads : int
        Threads of a block, at most 1024.
    *args : array, int, float, NumPy scalar or None
        Arguments of the kernel: an array is passed as a pointer, None as a null pointer, an int as `int`, a
        float as `REAL`, a NumPy scalar in its own type. `REAL` is the type of the first floating-point array.
    shared : int, default 0
        Bytes of shared memory per block, at most `shared_limit()`.
    real : data type, optional
        `REAL` for a kernel without floating-point arrays.

    Raises
    ------
    OverflowError
        If an int does not fit into 32 bits.
    TypeError
        If there is no floating-point array, and no `real`.
    ValueError
        If an array is not C-contiguous.
    """
    grid = (blocks,) if isinstance(blocks, int) else blocks
    if prod(grid) == 0:
        return
    arrays = [a for a in args if isinstance(a, cupy.ndarray)]
    if any(not a.flags.c_contiguous for a in arrays):
        raise ValueError(f"{family}.{name}: an array is not C-contiguous")
    dtype = next((a.dtype for a in arrays if a.dtype.kind == "f"), real)
    if dtype is None:
        raise TypeError(f"{family}.{name}: no floating-point array")
    kernel = _kernel(family, name, "float" if dtype == np.float32 else "double")
    if shared > STATIC_LIMIT and kernel.max_dynamic_shared_size_bytes < shared:
        kernel.max_dynamic_shared_size_bytes = shared
    kernel(grid, (threads,), tuple(_argument(a, dtype) for a in args), shared_mem=shared)


def launch_resident(
    family: str, name: str, blocks: int | tuple[int, ...], threads: int, *args: Any, shared: int = 0
) -> None:
    """Run a kernel whose blocks wait for each other: at most as many as there are multiprocessors.

    Each then starts as soon as other kernels have finished, and stays to the end. A cooperative launch would
    guarantee the same, but needs a library that CuPy's packages lack.
    """
    grid = (blocks,) if isinstance(blocks, int) else blocks
    if prod(grid) > processors():
        raise ValueError(f"{family}.{name}: {prod(grid)} blocks on {processors()} multiprocessors")
    launch_blocks(family, name, grid, threads, *args, shared=shared)


def processors() -> int:
    """Return the number of multiprocessors of the current device."""
    return int(cupy.cuda.Device().attributes["MultiProcessorCount"])


def shared_limit() -> int:
    """Return the largest shared memory of a block on the current device, in bytes."""
    return int(cupy.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"])


def contiguous(*arrays: Array) -> tuple[Array, ...]:
    """Return C-contiguous arrays, copied only if needed, which must all be float32 or all float64."""
    dtype = arrays[0].dtype
    if dtype not in (np.float32, np.float64) or any(a.dtype != dtype for a in arrays):
        raise TypeError(f"all float32 or all float64, got {', '.join(str(a.dtype) for a in arrays)}")
    return tuple(cupy.ascontiguousarray(a) for a in arrays)


@cache
def source(family: str) -> str:
    """Return the CUDA source of a family, after common.cu."""
    folder = files(__package__)
    return "\n".join((folder / f"{name}.cu").read_text("utf-8") for name in ("common", family))


@cache
def _module(family: str, real: str) -> Any:
    # one text, not an #include: the key of CuPy's cache of compiled kernels is the text
    return cupy.RawModule(code=source(family), options=("-std=c++17", f"-DREAL={real}"))


@cache
def _kernel(family: str, name: str, real: str) -> Any:
    return _module(family, real).get_function(name)


def _argument(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return an argument in the type that the kernel declares."""
    if value is None:
        return np.uint64(0)
    if isinstance(value, bool | int):
        if not -(2**31) <= value < 2**31:
            raise OverflowError(f"{value} does not fit into an int: the array is too large for this kernel")
        return np.int32(value)
    return dtype.type(value) if isinstance(value, float) else value
