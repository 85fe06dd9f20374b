"""Numerical kernels: arrays in, arrays out. Backend folders are private."""

from lstm2d.kernels import arena, isa, threads
from lstm2d.kernels.device import (
    ascontiguousarray,
    copy_into,
    device_of,
    empty,
    is_array,
    on_gpu,
    to_device,
    to_host,
    zeros,
)
from lstm2d.kernels.dispatch import available, chosen, pick, use

__all__ = [
    "arena",
    "ascontiguousarray",
    "available",
    "chosen",
    "copy_into",
    "device_of",
    "empty",
    "is_array",
    "isa",
    "on_gpu",
    "pick",
    "threads",
    "to_device",
    "to_host",
    "use",
    "zeros",
]
