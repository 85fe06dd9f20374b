"""Every operation, computed with every backend and compared with the reference."""

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

TOLERANCE = 1e-4  # of the largest value, float32


@dataclass(frozen=True)
class Check:
    """Outcome of one operation on one backend.

    Parameters
    ----------
    name : str
        The operation.
    backend : str
        Who computed it: "cython", "numba", "numpy", or the GPU, "cuda:N".
    error : float or None
        Largest difference from the plain computation, of result and gradients, relative to the largest
        value; None if nothing was computed.
    problem : str
        Why it failed; "" if it did not.
    """

    name: str
    backend: str
    error: float | None
    problem: str


def run(devices: Sequence[str] = ()) -> Iterator[Check]:
    """Compute the cases of the self-test with every backend of the CPU and on every GPU.

    Parameters
    ----------
    devices : sequence of str
        GPUs, "cuda:N".

    Yields
    ------
    Check
        One for each case and backend.
    """
    for case in (case for case in CASES if DOCTOR in case.users):
        *fast, plain = kernels.available(case.family)
        with kernels.use(plain):
            expected = evaluate(case, typed(np.float64))
        if not fast:
            yield Check(case.name, "cython", None, "it is not compiled: install the package again")
        for backend in fast:
            with kernels.use(backend):
                yield _compared(case, backend.strip("_"), expected, "cpu")
        for device in devices:
            yield _compared(case, device, expected, device)


def timed(devices: Sequence[str], report: Callable[[int], None]) -> tuple[list[Check], float]:
    """Run the self-test.

    Parameters
    ----------
    devices : sequence of str
        GPUs, "cuda:N".
    report : callable
        Called after each check with the number of those done.

    Returns
    -------
    checks : list of Check
        All of them.
    seconds : float
        How long they took.
    """
    start, checks = time.perf_counter(), []
    for check in run(devices):
        checks.append(check)
        report(len(checks))
    return checks, time.perf_counter() - start


def _compared(case: Case, backend: str, expected: dict[str, Any], device: str) -> Check:
    def bring(values: Array, changed: bool) -> Any:
        return kernels.to_device(values, device)

    try:
        with gpu.current(device):
            found = {name: kernels.to_host(a) for name, a in evaluate(case, bring).items()}
    except Exception as error:  # whatever is broken, the other checks are worth having
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return Check(case.name, backend, None, text[:300])
    largest = [np.abs(a).max() for a in expected.values()]
    worst = max(
        float(np.abs(np.subtract(found[name], a, dtype=np.float64)).max() / max(scale, 1e-30))
        for (name, a), scale in zip(expected.items(), largest, strict=True)
    )
    worst = worst if np.isfinite(worst) else np.inf
    return Check(
        case.name, backend, worst, "" if worst <= TOLERANCE else "it differs from the plain computation"
    )
