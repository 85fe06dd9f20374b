"""The instruction-set level of the compiled kernels.

Their functions are compiled for each level of `LEVELS`; all use the same level, which is read once per
process. BLAS (`OPENBLAS_CORETYPE`), NumPy (`NPY_DISABLE_CPU_FEATURES`), Numba (`NUMBA_CPU_NAME`) and the C
library's exp and tanh choose their instructions themselves.
"""

from __future__ import annotations

import logging
import os
import reprlib
from functools import cache

from lstm2d.errors import ConfigError

LEVELS = ("plain", "avx2", "avx512")  # lowest first; a level's number is that of kernels/_cython/levels.h
VARIABLE = "LSTM2D_ISA"


@cache
def level() -> str:
    """Return the level at which the compiled kernels run: `LSTM2D_ISA`, else the highest that is supported.

    A level that is not supported is lowered, and one warning logged. The variable is read at the first call.

    Returns
    -------
    str
        "plain", "avx2" or "avx512".

    Raises
    ------
    ConfigError
        If the variable is not a level.
    """
    highest, wanted = supported_level(), requested_level()
    if wanted is None:
        return highest
    if LEVELS.index(wanted) <= LEVELS.index(highest):
        return wanted
    logging.getLogger(__name__).warning("%s=%s is not supported here, %s is used", VARIABLE, wanted, highest)
    return highest


def requested_level() -> str | None:
    """Return the level that `LSTM2D_ISA` holds; None if it is unset or empty.

    Raises
    ------
    ConfigError
        If it is not a level.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if text and text not in LEVELS:
        raise ConfigError(
            f"environment variable {VARIABLE} is not an instruction-set level",
            where=reprlib.repr(text),
            expected=", ".join(LEVELS),
            hint=f"set {VARIABLE} to one of these, or unset it",
        )
    return text or None


def supported_level() -> str:
    """Return the highest level that the CPU supports and the kernels are compiled for."""
    try:
        from lstm2d.kernels._cython import cpu
    except ImportError:  # nothing is compiled
        return LEVELS[0]
    return LEVELS[cpu.supported_level()]
