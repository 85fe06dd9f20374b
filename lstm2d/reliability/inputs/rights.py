"""Give up the right of root to read every file, in this process."""

from __future__ import annotations

import ctypes
import os

from lstm2d.reliability.inputs.case import CannotMakeError

VERSION = 0x20080522  # of Linux capabilities: 64 bits
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def without_rights(command: str) -> None:
    """Make permissions of files count, also for root; a hook of `Place`.

    Parameters
    ----------
    command : str
        The command that follows.

    Raises
    ------
    CannotMakeError
        If that is not possible.
    """
    if os.geteuid() != 0:
        return
    header, data = _Header(VERSION, 0), (_Data * 2)()
    try:
        library = ctypes.CDLL(None)
        failed = library.capget(ctypes.byref(header), data)
        for right in (DAC_OVERRIDE, DAC_READ_SEARCH):
            data[0].effective &= ~(1 << right)
        failed = failed or library.capset(ctypes.byref(header), data)
    except (OSError, AttributeError) as error:
        raise CannotMakeError("root may read everything") from error
    if failed:
        raise CannotMakeError("root may read everything")
