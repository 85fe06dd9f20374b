"""Compiled kernels, on the threads of OpenMP."""

from contextlib import suppress

with suppress(ModuleNotFoundError):  # where nothing is compiled, no kernel of this folder runs
    from lstm2d.kernels._cython import openmp as openmp
