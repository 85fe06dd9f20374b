"""Helpers for tests of the table of cases: arrays as views, and comparison of results."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, kernels
from lstm2d.selftest import CASES, Case, evaluate, typed

SMALL = [case for case in CASES if "gradient" in case.users and all(map(all, case.shapes))]
SEVERAL = [case for case in SMALL if len(case.shapes) > 1]


def parameters(cases: Iterable[Case]) -> list[Any]:
    """Return the parameters of a test of cases; slow ones are marked."""
    return [
        pytest.param(c, id=c.name, marks=[pytest.mark.slow] if sum(map(np.prod, c.products)) > 3e8 else [])
        for c in cases
    ]


def using(user: str) -> list[Any]:
    """Return the parameters of a test of the cases of a user."""
    return parameters(case for case in CASES if user in case.users)


@lru_cache(maxsize=1)
def expected(case: Case) -> dict[str, Any]:
    """Return the results of the reference, in float64."""
    with kernels.use("_reference"):
        return evaluate(case, typed(np.float64))


def view(values: np.ndarray, move: Callable[[np.ndarray], Any] = np.asarray) -> Any:
    """Return values as a view: in Fortran order, reversed along axes, every second value of the last axis."""
    if not values.ndim:
        return move(values)
    shape = (*values.shape[:-1], 2 * values.shape[-1])
    around = np.full(shape[::-1], 77, values.dtype).T
    index = (*(slice(None, None, 1 - 2 * (k % 2)) for k in range(values.ndim - 1)), slice(None, None, -2))
    around[index] = values
    return move(around)[index]


class Arguments:
    """Convert arrays to a data type and to views, and detect changes to them."""

    def __init__(self, dtype: type, move: Callable[[np.ndarray], Any] = np.asarray, *, views: bool = True):
        self.typed, self.move, self.views = typed(dtype), move, views
        self.brought: list[tuple[Any, np.ndarray]] = []

    def __call__(self, values: np.ndarray, changed: bool) -> Any:
        values = self.typed(values, changed)
        if changed:
            return self.move(values)
        brought = view(values, self.move) if self.views else self.move(values)
        if isinstance(brought, np.ndarray) and not kernels.on_gpu(brought):
            brought.setflags(write=False)
        self.brought.append((brought, values))
        return brought

    def assert_unchanged(self) -> None:
        for brought, values in self.brought:
            np.testing.assert_array_equal(kernels.to_host(brought), values, err_msg="an input was changed")


def assert_close(found: dict[str, Any], case: Case, dtype: type, where: str) -> None:
    """Compare with the reference: types, shapes, and values up to the error of the case."""
    wanted = expected(case)
    assert list(found) == list(wanted), where
    for name, b in wanted.items():
        a, error = found[name], case.error[dtype is np.float64]
        assert type(a) is type(b), (where, name)
        if isinstance(b, np.ndarray):
            assert a.dtype == (dtype if b.dtype == np.float64 else b.dtype), (where, name)
            assert a.shape == b.shape, (where, name)
            if b.dtype.kind != "f":
                error = 0.0
        largest = np.abs(b, where=np.isfinite(b), out=np.zeros_like(b, np.float64)).max(initial=0)
        np.testing.assert_allclose(a, b, rtol=error, atol=error * largest, err_msg=f"{where}, {name}")


def bits(found: dict[str, Any]) -> dict[str, bytes]:
    return {name: np.asarray(value).tobytes() for name, value in found.items()}


def check_one_input_alone(case: Case, move: Callable[[np.ndarray], Any]) -> None:
    """Compare the gradient of each input if only that is needed; kept values are used twice."""
    values = case.values()
    grads = []
    for needed in range(-1, len(values.inputs)):  # -1: all of them
        leaves = [Tensor(move(a), requires_grad=needed in (-1, k)) for k, a in enumerate(values.inputs)]
        arrays = {name: move(a.copy()) for name, a in values.arrays.items()}
        y = case.run(*leaves, **arrays, **case.options)
        grad_y = move(np.cos(np.arange(y.data.size, dtype=np.float32)).reshape(y.shape))
        found, repeated = (
            [g if g is None else kernels.to_host(g) for g in y.node.backward(grad_y)] for _ in "ab"
        )
        np.testing.assert_equal(repeated, found)
        assert (found[0] is None) == (needed > 0)
        if case.family not in ("lstm2d", "norm", "rnn"):  # theirs come together
            assert [g is None for g in found[1:]] == [needed not in (-1, k) for k in range(1, len(leaves))]
        grads.append(found)
        if needed >= 0:
            np.testing.assert_array_equal(found[needed], grads[0][needed])
