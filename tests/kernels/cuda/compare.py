"""A function on a device against the reference on the host, in double precision."""

from types import ModuleType
from typing import Any

import numpy as np

from lstm2d import kernels

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}  # of the largest value


def on_device(cp: ModuleType, family: str, name: str, *args: Any) -> Any:
    """Return what the function gives for arrays on the device, on the host; tuples of arrays stay there."""
    device = [cp.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
    result = getattr(kernels.pick(family, like=device[0]), name)(*device)
    return tuple(r.get() for r in result) if isinstance(result, tuple) else result.get()


def reference(family: str, name: str, *args: Any) -> Any:
    """Return what the reference gives, computed in float64."""
    wide = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
    with kernels.use("_reference"):
        return getattr(kernels.pick(family, like=wide[0]), name)(*wide)


def assert_agrees(cp: ModuleType, family: str, name: str, *args: Any) -> None:
    """Compare the results for arguments of which the first is an array of the type that the result has."""
    found, expected = on_device(cp, family, name, *args), reference(family, name, *args)
    assert found.dtype == args[0].dtype
    assert found.shape == expected.shape
    if expected.size:
        tolerance = TOLERANCE[found.dtype.name] * max(1e-30, np.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
