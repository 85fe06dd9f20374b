"""Compile the CUDA sources of this folder on first use, and run their kernels."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from math import prod
from typing import Any

import cupy
import numpy as np

THREADS = 256  # of a block, where the kernel does not care
WAVES = 32  # blocks a multiprocessor gets in turn at most: beyond that a thread takes several items
STATIC_LIMIT = 48 << 10  # bytes of shared memory that a block may have without asking

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
        Number of blocks, up to three axes. With none, nothing runs.
    threads : int
        Threads of a block, at most 1024.
    *args : array, int, float, NumPy scalar or None
        What the kernel takes: an array as pointer, None as null pointer, an int as `int`, a float as `REAL`,
        a NumPy scalar as what it is. `REAL` is the type of the first floating-point array.
    shared : int, default 0
        Bytes of shared memory of each block, at most `shared_limit`.
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
    """Run a kernel whose blocks wait for each other: no more of them than there are multiprocessors.

    Each then finds room as soon as other kernels have left it, and keeps it to the end. A cooperative launch
    would promise the same, but needs a library that CuPy's packages lack.
    """
    grid = (blocks,) if isinstance(blocks, int) else blocks
    if prod(grid) > processors():
        raise ValueError(f"{family}.{name}: {prod(grid)} blocks on {processors()} multiprocessors")
    launch_blocks(family, name, grid, threads, *args, shared=shared)


def processors() -> int:
    """Return the number of multiprocessors of the current device."""
    return int(cupy.cuda.Device().attributes["MultiProcessorCount"])


def shared_limit() -> int:
    """Return the bytes of shared memory that a block of the current device can have."""
    return int(cupy.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"])


def contiguous(*arrays: Array) -> tuple[Array, ...]:
    """Return the arrays C-contiguous, copied only where they are not; all float32 or all float64."""
    dtype = arrays[0].dtype
    if dtype not in (np.float32, np.float64) or any(a.dtype != dtype for a in arrays):
        raise TypeError(f"all float32 or all float64, got {', '.join(str(a.dtype) for a in arrays)}")
    return tuple(cupy.ascontiguousarray(a) for a in arrays)


@cache
def source(family: str) -> str:
    """Return the CUDA source of a family, with what is common to all in front of it."""
    folder = files(__package__)
    return "\n".join((folder / f"{name}.cu").read_text("utf-8") for name in ("common", family))


@cache
def _module(family: str, real: str) -> Any:
    # one text, not an #include: CuPy's cache of compiled kernels knows a source by its text alone
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
