"""The self-test: run cases of every operation and compare with the reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm2d import kernels
from lstm2d.kernels import gpu
from lstm2d.selftest.case import DOCTOR, Array, Case, evaluate, typed
from lstm2d.selftest.cases import CASES

TOLERANCE = 1e-4  # for float32, relative to the largest value


@dataclass(frozen=True)
class Check:
    """Outcome of one operation on one backend.

    Parameters
    ----------
    name : str
        The operation.
    backend : str
        Backend: "cython", "numba", "reference", or a GPU, "cuda:N".
    error : float or None
        Largest difference of result and gradients from the reference, relative to the largest value; None if
        nothing was computed.
    problem : str
        Reason for the failure; "" if it passed.
    """

    name: str
    backend: str
    error: float | None
    problem: str


def timed(devices: Sequence[str], progress: Callable[[int], None]) -> tuple[list[Check], float]:
    """Run the self-test on the CPU backend in use and on every GPU.

    Parameters
    ----------
    devices : sequence of str
        GPUs, "cuda:N".
    progress : callable
        Called after each check with the number of checks done.

    Returns
    -------
    checks : list of Check
        One per case and backend.
    seconds : float
        Time taken.
    """
    start, checks = time.perf_counter(), []
    for case in CASES:
        for check in _checks(case, devices) if DOCTOR in case.users else ():
            checks.append(check)
            progress(len(checks))
    return checks, time.perf_counter() - start


def _checks(case: Case, devices: Sequence[str]) -> Iterator[Check]:
    backend, plain = kernels.chosen(case.family), kernels.available(case.family)[-1]
    with kernels.use(plain):
        expected = evaluate(case, typed(np.float64))
    with kernels.use(backend):
        yield _compared(case, backend.strip("_"), expected, "cpu")
    for device in devices:
        yield _compared(case, device, expected, device)


def _compared(case: Case, backend: str, expected: dict[str, Any], device: str) -> Check:
    def bring(values: Array, changed: bool) -> Any:
        return kernels.to_device(values, device)

    try:
        with gpu.current(device):
            found = {name: kernels.to_host(a) for name, a in evaluate(case, bring).items()}
    except Exception as error:  # the other checks still run
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return Check(case.name, backend, None, text[:300])
    pairs = [(found[name].astype(np.float64), np.asarray(a, np.float64)) for name, a in expected.items()]
    errors = [float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)) for a, b in pairs]
    worst = max(e if np.isfinite(e) else np.inf for e in errors)
    return Check(case.name, backend, worst, "" if worst <= TOLERANCE else "differs from the reference")
