"""Compile loops with Numba, once for all processes of a user, and run them on several threads."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import compiler_lock, event
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import is_jitted
from numpy.typing import DTypeLike, NDArray

from lstm2d.kernels import arena, dispatch, forks
from lstm2d.kernels.threads import get_num_threads
from lstm2d.waits import report

Loop = Callable[..., Any]
GRAIN = 1 << 19  # values per thread: starting a Python thread takes 0.1 ms and more
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_numba_lock: Any = compiler_lock.global_compiler_lock  # held while Numba compiles
_preparing = RLock()  # guards `kernel._compiled`, the files of the cache, and Numba's configuration
forks.hold(_preparing)
forks.hold(_numba_lock)


def part(function: Loop) -> Loop:
    """Compile a function that is called by compiled functions only."""
    compiled: Loop = numba.njit(function, **OPTIONS)
    return compiled


def fused(function: Loop) -> Loop:
    """Compile a part whose products and sums may be rounded once (FMA), as the C compiler does it."""
    compiled: Loop = numba.njit(function, **OPTIONS, fastmath={"contract"})
    return compiled


@part
def row(values, first, n):
    """Return n values of a flat array as an array of their own.

    An index into it that counts from 0 is never negative: a loop over it has no test for that, and
    vectorises.
    """
    return values[first : first + n]


@part
def rows2(values, first, distance, n):
    """Return two rows of n values, `distance` apart."""
    return row(values, first, n), row(values, first + distance, n)


@part
def rows3(values, first, distance, n):
    """Return three rows of n values, `distance` apart."""
    return (*rows2(values, first, distance, n), row(values, first + 2 * distance, n))


@part
def rows4(values, first, distance, n):
    """Return four rows of n values, `distance` apart."""
    return (*rows3(values, first, distance, n), row(values, first + 3 * distance, n))


@part
def rows5(values, first, distance, n):
    """Return five rows of n values, `distance` apart."""
    return (*rows4(values, first, distance, n), row(values, first + 4 * distance, n))


class kernel:
    """Compile a function when it is first called, and keep the result on disk.

    Numba's default cache, next to the sources, does not notice a change in another file, and its files can
    run code: they are stored in a folder that only the user can write to, named by a digest of all sources.
    If one cannot be read or written, the function is compiled without it.

    Parameters
    ----------
    function : callable
        A loop over arrays. Functions that it calls must be decorated by `part`.
    """

    def __init__(self, function: Loop) -> None:
        self.function = function
        self._compiled: Loop | None = None

    def __call__(self, *args: object) -> Any:
        """Run the function, in any number of threads: the first one compiles it, the others wait for that."""
        return (self._compiled or self._prepare())(*(_plain(a) if type(a) is np.ndarray else a for a in args))

    def _prepare(self) -> Loop:
        with _preparing:
            if self._compiled is None:
                self._compiled = _cached(self.function)
            return self._compiled


class _Compilations(event.Listener):
    """Reports how long Numba has been compiling, in all of this process.

    Numba holds its lock meanwhile: one thread at a time calls these methods.
    """

    def __init__(self) -> None:
        self._seconds, self._depth, self._began = 0.0, 0, 0.0

    def on_start(self, event: Any) -> None:
        """Count a function that is compiled, inside of others or not."""
        if self._depth == 0:
            self._began = time.monotonic()
        self._depth += 1
        self._report()

    def on_end(self, event: Any) -> None:
        """Add its time, if no other one is being compiled."""
        self._depth -= 1
        self._report()
        if self._depth == 0:
            self._seconds += time.monotonic() - self._began

    def _report(self) -> None:
        report(_what(), self._seconds + time.monotonic() - self._began)


def _what() -> str:
    """Return what the user is waiting for while Numba compiles."""
    if cache_folder() is None:
        return "Numba compiles kernels, in every process: no folder keeps them (set LSTM2D_CACHE)"
    reason = dispatch.why_not_compiled()
    return f"Numba compiles kernels, once {f'({reason} at installation)' if reason else 'on this machine'}"


event.register("numba:compile", _Compilations())


class _Memory:
    """The memory of a read-only array, which it keeps alive, for an array that may be written to."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.__array_interface__ = dict(array.__array_interface__, data=(array.ctypes.data, False))


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array that may be written to: for a read-only one, Numba would compile a loop again.

    A loop writes to its results alone, which are never read-only.
    """
    return array if array.flags.writeable else np.asarray(_Memory(array))


class _Files(IndexDataCacheFile):
    """The files of a cached function, named by what they hold.

    Numba numbers them. Of two processes that compile at once, both could take the same number, and one would
    then run code for arguments of other types.
    """

    def save(self, key, data):
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        name = f"{self._index_name.removesuffix('.nbi')}.{digest}.nbc"
        self._save_data(name, data)  # before it is listed
        self._save_index(self._load_index() | {key: name})


class _Cache(FunctionCache):
    """Numba's cache of a function, except that no failure to read or write a file is an error."""

    def __init__(self, function):
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # unpickling a damaged file can raise anything; nothing but the cache runs here
            try:
                self.flush()  # a damaged index could not be added to
            except OSError:
                self.disable()
            return None

    def save_overload(self, sig, data):
        with suppress(OSError):  # a full disk
            super().save_overload(sig, data)


def spread(
    loop: kernel, size: int, work: int, *args: object, scratch: tuple[int, DTypeLike] | None = None
) -> None:
    """Run a loop over `size` independent items, on several threads if there is enough work.

    Parameters
    ----------
    loop : kernel
        Called with `args`, the scratch memory of its thread if there is any, the first item and the one after
        the last. Results must not depend on the cuts.
    size : int
        Number of items.
    work : int
        Number of values per item.
    *args : object
        Passed on.
    scratch : tuple of int and dtype, optional
        Length and data type of an array that each thread gets for itself, with any values.
    """
    # read once: another Python thread may change the number, and the scratch memory must suffice
    threads = max(1, min(get_num_threads(), size * work // GRAIN, size))
    memory: list[tuple[NDArray[Any], ...]] = [()] * threads
    if scratch is not None:
        memory = [(array,) for array in arena.empty((threads, scratch[0]), scratch[1])]
    if threads == 1:
        loop(*args, *memory[0], 0, size)
        return
    cuts = [size * k // threads for k in range(threads + 1)]
    loop(*args, *memory[0], 0, 0)  # compiled before the threads start
    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(loop, *args, *memory[k], *cuts[k : k + 2]) for k in range(1, threads)]
        loop(*args, *memory[0], *cuts[:2])
        for other in others:
            other.result()


def _cached(function: Loop) -> Any:
    """Return the compiled function, with Numba's cache in our folder where there can be one."""
    compiled: Any = part(function)
    folder = cache_folder() if is_jitted(compiled) else None
    if folder is not None:
        config: Any = numba.config
        before = config.CACHE_DIR
        config.CACHE_DIR = str(folder)  # read by the constructor, not later
        try:
            compiled._cache = _Cache(function)  # what njit(cache=True) does
        except (OSError, RuntimeError):  # the folder cannot be written to; Numba finds no place
            pass
        finally:
            config.CACHE_DIR = before
    return compiled


def cache_folder() -> Path | None:
    """Return a folder for compiled loops that nobody else can write to; None if there is none.

    Returns
    -------
    Path or None
        Below ``$LSTM2D_CACHE``, or ``lstm2d`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    try:
        folder = _base() / f"numba-{_digest()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except (OSError, RuntimeError):  # not writable; no home folder
        return None
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    private = os.name == "nt" or not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    return folder if mine and private and stat.S_ISDIR(found.st_mode) else None


def _base() -> Path:
    chosen = os.environ.get("LSTM2D_CACHE")
    if chosen:
        return Path(chosen).absolute()
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache") / "lstm2d"


@cache
def _digest() -> str:
    """Return a digest of the sources and of the versions that compile them."""
    parts = [numba.__version__, llvmlite.__version__, np.__version__, sys.version]
    sources = sorted(Path(__file__).parent.glob("*.py"))
    texts = [path.read_bytes() for path in sources]
    return hashlib.sha256(b"\0".join([*(text.encode() for text in parts), *texts])).hexdigest()[:16]
