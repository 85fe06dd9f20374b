"""Compile loops with Numba, once for all processes of a user, and run them on several threads."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import compiler_lock

from lstm2d.kernels import forks
from lstm2d.kernels.threads import get_num_threads

Loop = Callable[..., Any]
GRAIN = 1 << 19  # values a thread should have to itself: starting a Python thread costs 0.1 ms and more
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_numba_lock: Any = compiler_lock.global_compiler_lock  # held while Numba compiles
_preparing = RLock()  # guards `kernel._compiled`, the files of the cache, and Numba's configuration
forks.hold(_preparing)
forks.hold(_numba_lock)


def part(function: Loop) -> Loop:
    """Compile a function that only compiled functions call."""
    compiled: Loop = numba.njit(function, **OPTIONS)
    return compiled


class kernel:
    """Compile a function when it is first called, and keep the result on disk.

    Numba's own cache beside the sources does not see a change in another file, and its files can run code:
    so they lie in a folder that only the user can write to, and that is named by a digest of all sources.
    Whatever is wrong with these files, the function is compiled without them.

    Parameters
    ----------
    function : callable
        A loop over arrays. What it calls must be decorated by `part`.
    """

    def __init__(self, function: Loop) -> None:
        self.function = function
        self._compiled: Loop | None = None
        self._cached = True

    def __call__(self, *args: object) -> Any:
        """Run the function, in any number of threads: the first one compiles it, the others wait for that."""
        compiled = self._compiled or self._prepare()
        try:
            return compiled(*args)
        except Exception:  # a damaged cache, a full disk; what is wrong with the function comes again
            return self._prepare_without_cache(compiled)(*args)

    def _prepare(self) -> Loop:
        with _preparing:
            if self._compiled is None:
                self._compiled = _cached(self.function)
            return self._compiled

    def _prepare_without_cache(self, failed: Loop) -> Loop:
        """Return another one than the one that failed; another thread may have replaced it already."""
        with _preparing:
            if self._compiled is failed and self._cached:
                clear_cache()
                self._compiled, self._cached = part(self.function), False
            assert self._compiled is not None
            return self._compiled


def spread(loop: kernel, size: int, work: int, *args: object) -> None:
    """Run a loop over `size` independent items, on several threads where that is worth it.

    Parameters
    ----------
    loop : kernel
        Called with `args`, and the first item and the one behind the last. No result may depend on the cut.
    size : int
        Number of items.
    work : int
        Number of values that each item takes.
    *args : object
        Passed on.
    """
    threads = max(1, min(get_num_threads(), size * work // GRAIN, size))
    if threads == 1:
        loop(*args, 0, size)
        return
    cuts = [size * k // threads for k in range(threads + 1)]
    loop(*args, 0, 0)  # compiled before the threads start
    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(loop, *args, *cuts[k : k + 2]) for k in range(1, threads)]
        loop(*args, *cuts[:2])
        for other in others:
            other.result()


def _cached(function: Loop) -> Loop:
    """Return the compiled function, with Numba's cache in our folder where there can be one."""
    folder = cache_folder()
    if folder is None:
        return part(function)
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder)  # looked at while the function is decorated, not later
    try:
        compiled: Loop = numba.njit(function, cache=True, **OPTIONS)
    except Exception:  # no place for the cache after all
        return part(function)
    finally:
        config.CACHE_DIR = before
    return compiled


def cache_folder() -> Path | None:
    """Return a folder for compiled loops that nobody else can write to; None where there is none.

    Returns
    -------
    Path or None
        Below ``$LSTM2D_CACHE``, or ``lstm2d`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    try:
        folder = _base() / f"numba-{_digest()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except (OSError, RuntimeError):  # nothing can be written there; no home
        return None
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    private = os.name == "nt" or not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    return folder if mine and private and stat.S_ISDIR(found.st_mode) else None


def clear_cache() -> None:
    """Remove the compiled loops of this version."""
    folder = cache_folder()
    for path in sorted(folder.rglob("*.nb[ci]")) if folder is not None else ():
        try:
            path.unlink(missing_ok=True)
        except OSError:  # then they stay
            return


def _base() -> Path:
    chosen = os.environ.get("LSTM2D_CACHE")
    if chosen:
        return Path(chosen).absolute()
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache") / "lstm2d"


@cache
def _digest() -> str:
    """Return a name for the sources and for whatever compiles them."""
    parts = [numba.__version__, llvmlite.__version__, np.__version__, sys.version]
    sources = sorted(Path(__file__).parent.glob("*.py"))
    texts = [path.read_bytes() for path in sources]
    return hashlib.sha256(b"\0".join([*(text.encode() for text in parts), *texts])).hexdigest()[:16]
