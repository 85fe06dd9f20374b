"""CPU, BLAS libraries and kernels of this machine."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from lstm2d.kernels import dispatch, isa, threads
from lstm2d.kernels.families import FAMILIES


def cpu() -> dict[str, Any]:
    """Return name and usable cores of the CPU, and the instruction-set level of the compiled kernels.

    Returns
    -------
    dict
        "name", "cores", "instruction_set" (the level in use), "supported" (the highest level), and
        "requested" (the level that `LSTM2D_ISA` holds, or None); see `lstm2d.kernels.isa`.
    """
    facts = _cpuinfo()
    return {
        "name": facts.get("model name") or platform.processor() or platform.machine(),
        "cores": threads.cpus(),
        "instruction_set": isa.level(),
        "supported": isa.supported_level(),
        "requested": isa.requested_level(),
    }


def _cpuinfo() -> dict[str, str]:
    """Return the description of the first processor in Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {name.strip(): text.strip() for name, _, text in (line.partition(":") for line in lines)}


def blas() -> list[dict[str, Any]]:
    """Return the BLAS libraries that NumPy and the kernels call.

    Returns
    -------
    list of dict
        "library", "version", "architecture" and "threads" of each.
    """
    import numpy as np
    import scipy.linalg.cython_blas  # noqa: F401  loads the kernels' library
    from threadpoolctl import ThreadpoolController

    np.ones((2, 2)) @ np.ones((2, 2))  # loads NumPy's
    found = ThreadpoolController().select(user_api="blas").info()
    return [
        {
            "library": lib["internal_api"],
            "version": lib["version"],
            "architecture": lib.get("architecture"),
            "threads": lib["num_threads"],
        }
        for lib in found
    ]


def kernel_sets() -> dict[str, str]:
    """Return the CPU backend of each family of kernels: "cython", "numba" or "reference"."""
    return {family: dispatch.chosen(family).strip("_") for family in FAMILIES}


def backend() -> dict[str, Any]:
    """Return why the kernels are taken from these backends.

    Returns
    -------
    dict
        "requested" (what `LSTM2D_BACKEND` holds, or None), "compiled" (whether the Cython kernels are) and
        "reason" (why they were not compiled at installation, or None).
    """
    return {
        "requested": dispatch.requested(),
        "compiled": dispatch.compiled(),
        "reason": dispatch.why_not_compiled(),
    }
