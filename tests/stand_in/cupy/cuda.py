"""Devices, streams and events of the stand-in."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

MEMORY = 8 << 30  # bytes


class CUDARuntimeError(RuntimeError):
    """Error of the CUDA runtime."""


class OutOfMemoryError(MemoryError):
    """Error if the device has no memory left."""


def _count() -> int:
    n = int(os.environ.get("LSTM2D_STAND_IN_DEVICES", "0"))
    if n == 0:
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
    return n


class Device(AbstractContextManager["Device"]):
    """A device."""

    def __init__(self, number: int | None = None) -> None:
        self.id = number or 0
        self.attributes = {
            "MultiProcessorCount": int(os.environ.get("LSTM2D_STAND_IN_PROCESSORS", "12")),
            "MaxSharedMemoryPerBlockOptin": 64 << 10,
        }
        self.compute_capability = "75"
        self.mem_info = (MEMORY, MEMORY)

    def use(self) -> None:
        """Make it the current one."""

    def synchronize(self) -> None:
        """Do nothing: all calls are synchronous."""

    def __exit__(self, *exc: object) -> None:
        return None


class Stream:
    """A stream."""

    null: Any

    def synchronize(self) -> None:
        """Do nothing: all calls are synchronous."""


Stream.null = Stream()


class Event:
    """A point in time."""

    def record(self, stream: Stream | None = None) -> None:
        """Record the time."""
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        """Do nothing: all calls are synchronous."""


def get_elapsed_time(start: Event, end: Event) -> float:
    """Return the milliseconds between two events."""
    return (end.time - start.time) * 1e3


def get_current_stream() -> Stream:
    """Return the stream."""
    return Stream.null


cublas = SimpleNamespace()
nvrtc = SimpleNamespace(getVersion=lambda: (12, 8))
memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
runtime = SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError,
    getDeviceCount=_count,
    runtimeGetVersion=lambda: 12080,
    driverGetVersion=lambda: 12080,
    getDeviceProperties=lambda number: {
        "name": b"stand-in",
        "totalGlobalMem": MEMORY,
        "major": 7,
        "minor": 5,
        "multiProcessorCount": Device(number).attributes["MultiProcessorCount"],
    },
)
