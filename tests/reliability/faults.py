"""A shim that makes the k-th call of the system's file functions fail."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lstm2d.io import atomic

# what the package calls when it writes; reading is included, since what was written is read back
NAMES = (
    "open",
    "write",
    "fsync",
    "read",
    "lseek",
    "ftruncate",
    "close",
    "replace",
    "rename",
    "unlink",
    "mkdir",
    "rmdir",
    "symlink",
)
ERRORS = (errno.EIO, errno.ENOSPC)
SHORT = 0  # in place of an error: a write stops halfway, and the next one finds no space
STEP = int(os.environ.get("LSTM2D_FAULT_STEP", "0"))  # 1: every call fails once; 0: what each test chooses


@dataclass
class Faults:
    """Calls so far, and which of them fails.

    Parameters
    ----------
    failing : int
        Number of the call that fails, from 1; 0 for none.
    error : int
        Its errno, or `SHORT`.
    folders : tuple of Path
        Only calls about files in these folders count, and calls about descriptors of such files.
    """

    failing: int
    error: int
    folders: tuple[Path, ...]
    count: int = 0
    log: list[str] = field(default_factory=list)
    descriptors: set[int] = field(default_factory=set)
    full: bool = False

    def counts(self, name: str, arguments: tuple[Any, ...]) -> bool:
        """Return whether a call is about a file in one of the folders."""
        if name in ("write", "fsync", "read", "lseek", "ftruncate", "close"):
            return arguments[0] in self.descriptors
        paths = [os.fspath(a) for a in arguments if isinstance(a, str | os.PathLike)]
        inside = [str(folder) for folder in self.folders]
        return any(str(path).startswith(folder) for path in paths for folder in inside)

    def call(self, name: str, real: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a function, or fail."""
        if not self.counts(name, arguments):
            return real(*arguments, **options)
        self.count += 1
        self.log.append(name)
        failing = self.count == self.failing
        if name == "close":
            self.descriptors.discard(arguments[0])
            real(*arguments)  # the descriptor is gone even if closing reports an error
        if (failing and self.error == SHORT and name == "write") or (self.full and name == "write"):
            data = memoryview(arguments[1])
            if failing and len(data) > 1:
                self.full = True
                return real(arguments[0], data[: len(data) // 2])
            self.full = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if failing:
            code = self.error or errno.EIO
            raise OSError(code, os.strerror(code))
        if name == "close":
            return None
        result = real(*arguments, **options)
        if name == "open":
            self.descriptors.add(result)
        return result


@contextmanager
def faults(failing: int, error: int, *folders: Path) -> Iterator[Faults]:
    """Make one call fail while the block runs; 0 counts the calls."""
    shim = Faults(failing, error, folders)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic, "_swept", set())  # each attempt makes the same calls
        for name in NAMES:
            real = getattr(os, name)

            def replaced(*arguments: Any, _name: str = name, _real: Any = real, **options: Any) -> Any:
                return shim.call(_name, _real, *arguments, **options)

            patch.setattr(os, name, replaced)
        yield shim


def calls(count: int, at_most: int) -> list[tuple[int, int]]:
    """Return which calls fail and how; the kinds of failure take turns.

    Parameters
    ----------
    count : int
        Calls that an attempt without failure makes.
    at_most : int
        Number of attempts if LSTM2D_FAULT_STEP is not set.
    """
    step, kinds = STEP or max(1, -(-count // at_most)), (*ERRORS, SHORT)
    return [(k, kinds[i % len(kinds)]) for i, k in enumerate(range(1, count + 1, step))]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files in a folder by their relative names."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
