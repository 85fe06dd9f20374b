"""Check the gradients and results of every operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.gradcheck import gradcheck
from lstm2d.kernels.dispatch import CPU_ORDER
from lstm2d.selftest import CASES, Case, evaluate, typed
from lstm2d.selftest.case import BACKENDS, GRADIENT
from lstm2d.tensor import Tensor

REFERENCE = CPU_ORDER[-1]
KINDS = ("gradient", "agreement")  # finite differences; the results of a fast backend and of the reference


@dataclass(frozen=True, slots=True)
class Check:
    """Outcome of one check of one case.

    Parameters
    ----------
    op : str
        The operation.
    case : str
        Name of the case.
    kind : str
        One of `KINDS`.
    backend : str
        Backend that computed it.
    error : float or None
        Largest difference from the reference in float64, relative to the largest value; None for a gradient.
    problem : str
        What is wrong; "" if nothing is.
    """

    op: str
    case: str
    kind: str
    backend: str
    error: float | None
    problem: str


def check_gradients(
    cases: list[Case] | None = None, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Check]:
    """Check all cases of the table, on each CPU backend that computes them.

    In float64 the gradient along random directions is compared with finite differences. Results and gradients
    of the backend in use, in float32 and float64, are compared with those of the reference in float64. Inputs
    are read-only and are compared with what they were.

    Parameters
    ----------
    cases : list of Case, optional
        The cases; by default all of `lstm2d.selftest.CASES`.
    progress : callable, optional
        Called with the number of cases that are done, and of all.

    Returns
    -------
    list of Check
        The outcomes.
    """
    cases = CASES if cases is None else cases
    checks: list[Check] = []
    for done, case in enumerate(cases, 1):
        checks += _checks(case)
        progress(done, len(cases))
    return checks


def _checks(case: Case) -> Iterator[Check]:
    backends = case.backends()
    for backend in backends if GRADIENT in case.users else ():
        with kernels.use(backend):
            problem = _failure(lambda: _finite_differences(case))
        yield Check(case.op, case.name, "gradient", backend.strip("_"), None, problem)
    fast = [backend for backend in backends if backend != REFERENCE]
    if BACKENDS in case.users and fast:
        with kernels.use(REFERENCE):
            expected = evaluate(case, typed(np.float64))
        for backend in fast:
            errors = [0.0]

            def agree(errors: list[float] = errors, expected: dict[str, Any] = expected) -> None:
                for dtype, allowed in zip((np.float32, np.float64), case.error, strict=True):
                    errors.append(_agreement(case, dtype, allowed, expected))

            with kernels.use(backend):
                problem = _failure(agree)
            yield Check(case.op, case.name, "agreement", backend.strip("_"), errors[-1], problem)


def _failure(check: Callable[[], None]) -> str:
    """Return what a check raises, in one line; "" if it passes."""
    try:
        check()
    except Exception as error:  # the other checks still run
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return ""


def _finite_differences(case: Case) -> None:
    values = case.values()
    arrays = {name: typed(np.float64)(a, False) for name, a in values.arrays.items()}

    def f(*tensors: Tensor) -> Tensor:
        result: Tensor = case.run(*tensors, **{name: a.copy() for name, a in arrays.items()}, **case.options)
        return result

    inputs = [a.astype(np.float64) for a in values.inputs]
    gradcheck(f, *inputs, rng=np.random.default_rng([*case.name.encode()]), **case.slope)


def _agreement(case: Case, dtype: type, allowed: float, expected: dict[str, Any]) -> float:
    """Return the largest relative difference; raise AssertionError if it is too large or an input changed."""
    given: list[tuple[NDArray[Any], bytes]] = []

    def bring(values: NDArray[Any], changed: bool) -> NDArray[Any]:
        array: NDArray[Any] = typed(dtype)(values, changed)
        if not changed:
            array.setflags(write=False)
            given.append((array, array.tobytes()))
        return array

    found = evaluate(case, bring)
    if any(array.tobytes() != before for array, before in given):
        raise AssertionError("an input was changed")
    return max((_error(found[name], b, allowed, name) for name, b in expected.items()), default=0.0)


def _error(found: Any, expected: Any, allowed: float, name: str) -> float:
    a, b = np.asarray(found), np.asarray(expected)
    exact = b.dtype.kind != "f"
    largest = np.abs(b, where=np.isfinite(b), out=np.zeros(b.shape, np.float64)).max(initial=0)
    limit = 0.0 if exact else allowed
    np.testing.assert_allclose(a, b, rtol=limit, atol=limit * largest, err_msg=name)
    if exact or largest == 0:
        return 0.0
    finite = np.isfinite(b)
    return float(np.abs(a[finite] - b[finite]).max(initial=0) / largest)
