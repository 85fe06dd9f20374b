"""The memory that this process may use, and what it uses."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

_CGROUPS = Path("/sys/fs/cgroup")
_UNKNOWN = 4 << 30
_UNLIMITED = 1 << 60  # bytes; the first version of cgroups writes such numbers


def available(root: Path = _CGROUPS, group: Path = Path("/proc/self/cgroup")) -> int:
    """Return the memory of the machine, or a lower limit of the process, in bytes.

    Parameters
    ----------
    root : Path
        Where control groups are mounted.
    group : Path
        File that names the group of this process.

    Returns
    -------
    int
        The smallest of the machine's memory (4 GiB if the system does not say it), the limits of the control
        group and of the groups around it, and RLIMIT_AS.
    """
    machine = _setting("SC_PHYS_PAGES") * _setting("SC_PAGE_SIZE") or _UNKNOWN
    limits = [*_cgroup_limits(root, group), _UNLIMITED, machine]
    try:
        resource: Any = import_module("resource")
    except ImportError:  # on Windows
        pass
    else:
        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        limits += [soft] if soft != resource.RLIM_INFINITY else []
    return min(limit for limit in limits if limit > 0)


def _setting(name: str) -> int:
    """Return a number of the system; 0 if it does not say it."""
    read: Any = getattr(os, "sysconf", None)  # not on Windows
    try:
        return 0 if read is None else int(read(name))
    except (OSError, ValueError):
        return 0


def _cgroup_limits(root: Path, group: Path) -> list[int]:
    """Return the limits of a control group of version 1 or 2, and of the groups around it."""
    found = []
    try:
        lines = group.read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        _, controllers, place = line.split(":", 2) if line.count(":") >= 2 else ("", "-", "")
        if controllers not in ("", "memory"):
            continue
        base, name = (root / "memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
        folder = base / place.lstrip("/")
        # in a container the name may be that outside of it, while its own group is mounted at the root
        for one in (folder, *folder.parents):
            if not one.is_relative_to(base):
                break
            try:
                text = (one / name).read_text().strip()
            except OSError:
                continue
            if text.isdigit():
                found.append(int(text))
    return found


def resident(status: Path = Path("/proc/self/statm")) -> int:
    """Return the memory of this process in bytes; 0 where the system does not say it.

    Parameters
    ----------
    status : Path
        File with the number of pages.

    Returns
    -------
    int
        Resident pages.
    """
    try:
        return int(status.read_text().split()[1]) * _setting("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def in_words(size: float) -> str:
    """Return a number of bytes as text: "1.5 GB", "300 MB"; decimal units."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.{1 if size < 10 * factor else 0}f} {unit}"
    return f"{size / 1e3:.0f} kB"
