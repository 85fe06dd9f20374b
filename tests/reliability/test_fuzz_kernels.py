"""Random calls of every operation: nothing is written beside an array, results are as the reference says.

LSTM2D_FUZZ_CALLS sets the number of calls of each operation, LSTM2D_FUZZ_SEED another series of calls.
"""

import os
import sys
from collections import Counter
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from lstm2d import kernels, no_grad, ops
from lstm2d.kernels import arena
from lstm2d.kernels._cython import grain
from lstm2d.selftest import Case, evaluate, typed
from tests.callers import kernel_threads
from tests.reliability.guard_zones import GuardZones
from tests.reliability.kernel_calls import CALLS, random_call

NUMBER = int(os.environ.get("LSTM2D_FUZZ_CALLS", "24"))
SEED = int(os.environ.get("LSTM2D_FUZZ_SEED", "0"))
REFUSED = (ValueError, TypeError)  # ShapeError is a ValueError


def outcome(case: Case, dtype: type, bring: Any) -> dict[str, Any] | type[Exception]:
    """Return the results, or the type of the error: a call may be refused, but in no other way."""
    # a ReLU of rounded values may switch at 0
    without = no_grad() if dtype is np.float32 and "relu" in case.options.values() else nullcontext()
    try:
        with without:
            return evaluate(case, bring)
    except REFUSED as error:
        return type(error)


def compare(case: Case, dtype: type, found: Any, wanted: Any) -> None:
    """Compare with the reference in float64, up to the error of the case."""
    if isinstance(wanted, type) or isinstance(found, type):
        assert found == wanted
        return
    for name in found:
        a, b = np.asarray(found[name]), np.asarray(wanted[name])
        assert a.shape == b.shape, name
        error = case.error[dtype is np.float64] if b.dtype.kind == "f" else 0
        largest = np.abs(b[np.isfinite(b)]).max(initial=0)
        least = error * largest + 4 * np.finfo(dtype).eps  # what is left of values that cancel out
        with np.errstate(over="ignore"):
            np.testing.assert_allclose(a, b.astype(a.dtype), error, least, err_msg=name)


def check(case: Case, rng: np.random.Generator, patch: pytest.MonkeyPatch) -> bool:
    """Compare one call in both data types; return whether it was refused."""
    for dtype in (np.float32, np.float64):
        guarded = GuardZones(rng, dtype, in_order=case.family == "update")  # their vectors are contiguous
        with patch.context() as p, kernel_threads(int(rng.integers(1, 4))):
            p.setattr(arena, "empty", guarded.empty)
            p.setattr(grain, "GRAIN", int(rng.choice([1, 1 << 15])))  # several threads for small arrays too
            found = outcome(case, dtype, guarded)
        guarded.assert_intact()
        with kernels.use("_reference"):
            wanted = outcome(case, dtype, typed(np.float64))
        compare(case, dtype, found, wanted)
    return isinstance(found, type)


def test_every_operation_is_called() -> None:
    assert set(CALLS) >= set(ops.__all__)


@pytest.mark.parametrize("op", CALLS)
def test_random_calls(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: Counter[bool] = Counter()
    for k in range(NUMBER):
        rng = np.random.default_rng([*op.encode(), SEED, k])
        case = random_call(op, rng)
        try:
            refused[check(case, rng, monkeypatch)] += 1
        except BaseException:
            print(f"LSTM2D_FUZZ_SEED={SEED}, call {k}: {case.name}", file=sys.stderr)
            raise
    assert refused[False] >= NUMBER // 3
