"""Compiled kernels, on the threads of OpenMP."""

from contextlib import suppress
from importlib import import_module

with suppress(ModuleNotFoundError):  # where nothing is compiled, nothing of this folder runs
    import_module(f"{__name__}.openmp")
