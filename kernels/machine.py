"""CPU, BLAS and kernels of this machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from lstm2d.kernels.dispatch import available
from lstm2d.kernels.families import FAMILIES

V3 = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}  # as in /proc/cpuinfo
V4 = V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
LEVELS = {"x86-64-v4": V4, "x86-64-v3": V3}  # that kernels are compiled for besides the plain one, best first


def cpu() -> dict[str, Any]:
    """Return name, usable cores and instruction set of the CPU.

    Returns
    -------
    dict
        "name", "cores", and "instruction_set": of those that the kernels are compiled for, the one that is
        chosen when they run; elsewhere than on x86-64 the machine's own.
    """
    facts = _cpuinfo()
    flags, plain = set(facts.get("flags", "").split()), platform.machine().replace("_", "-")
    level = next((name for name, needed in LEVELS.items() if needed <= flags), plain)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = facts.get("model name") or platform.processor() or platform.machine()
    return {"name": name, "cores": cores, "instruction_set": level}


def _cpuinfo() -> dict[str, str]:
    """Return the entries of the first processor in /proc/cpuinfo."""
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
    """Return the backend of each kernel family on the CPU: "cython", "numba" or "numpy"."""
    best = {family: available(family)[0].strip("_") for family in FAMILIES}
    return {family: "numpy" if name == "reference" else name for family, name in best.items()}
