"""Compare a case or a function on a device with the reference on the host in double precision."""

from types import ModuleType
from typing import Any

import numpy as np

from lstm2d import kernels, no_grad
from lstm2d.selftest import Case, evaluate
from tests.selftest.comparison import Arguments, assert_close, bits

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}  # of the largest value


def check(cp: ModuleType, case: Case, dtype: type, *, views: bool = False) -> None:
    """Compare a case with the reference, and its bits with a second call and one that keeps nothing."""
    arguments = Arguments(dtype, cp.asarray, views=views and case.family != "update")
    found = evaluate(case, arguments)
    arguments.assert_unchanged()
    # a loss is a number on the host
    assert all(kernels.on_gpu(a) for a in found.values() if kernels.is_array(a) and a.ndim)
    found = {name: kernels.to_host(a) if kernels.is_array(a) else a for name, a in found.items()}
    assert_close(found, case, dtype, f"{dtype.__name__}, {views=}")
    with no_grad():
        alone = evaluate(case, arguments)
    for repeated in (evaluate(case, arguments), alone):
        on_host = {name: kernels.to_host(a) for name, a in repeated.items()}
        assert bits(on_host) == {name: bits(found)[name] for name in repeated}


def on_device(cp: ModuleType, family: str, name: str, *args: Any) -> Any:
    """Call the function with arrays on the device, except in tuples; return its results on the host."""
    device = [cp.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
    result = getattr(kernels.pick(family, like=device[0]), name)(*device)
    return tuple(r.get() for r in result) if isinstance(result, tuple) else result.get()


def reference(family: str, name: str, *args: Any) -> Any:
    """Return the reference's results, computed in float64."""
    wide = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
    with kernels.use("_reference"):
        return getattr(kernels.pick(family, like=wide[0]), name)(*wide)


def assert_agrees(cp: ModuleType, family: str, name: str, *args: Any) -> None:
    """Compare the results; the first argument has the data type of the result."""
    found, expected = on_device(cp, family, name, *args), reference(family, name, *args)
    assert found.dtype == args[0].dtype
    assert found.shape == expected.shape
    if expected.size:
        tolerance = TOLERANCE[found.dtype.name] * max(1e-30, np.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
