"""Activations of single values, for loops that Numba compiles, in a form that vectorises.

In float32 they are the functions of kernels/_cython/simd.h and exponential.h, with the same coefficients; in
float64 those of the C library, one value at a time. NaN stays NaN: the comparisons are written so that a NaN
is the value that is kept.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from lstm2d.kernels._numba.jit import fused, part

_f = np.float32
_ONE, _HALF = _f(1), _f(0.5)
_LIMIT = _f(8.6)  # beyond it tanh is 1 to within one step of float32
_P4, _P3, _P2, _P1, _P0 = map(
    _f, (1.408335074e-08, 2.112304583e-05, 3.526443158e-03, 1.340691069e-01, 9.999999868e-01)
)
_Q4, _Q3, _Q2, _Q1 = map(_f, (8.071005697e-07, 3.336337413e-04, 2.599405931e-02, 4.674023225e-01))
_LEAST = _f(-87.33654)  # ln 2^-126
_SHIFT = _f(12582912.0 + 127.0)  # adding it rounds to an integer n; the lowest bits hold n + 127
_LOG2E, _LN2_HIGH, _LN2_LOW = _f(1.44269504088896341), _f(0.693359375), _f(2.12194440e-4)
_E7, _E6, _E5, _E4, _E3, _E2 = map(
    _f, (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
)


@fused
def _tanh32(x):
    y = _LIMIT if x > _LIMIT else x
    y = -_LIMIT if y < -_LIMIT else y
    u = y * y
    p = (((_P4 * u + _P3) * u + _P2) * u + _P1) * u + _P0
    q = (((_Q4 * u + _Q3) * u + _Q2) * u + _Q1) * u + _ONE
    t = y * p / q
    t = _ONE if t > _ONE else t
    return -_ONE if t < -_ONE else t


@fused
def _sigmoid32(x):
    return _HALF + _HALF * _tanh32(_HALF * x)


@fused
def _exp_negative32(x):
    y = _LEAST if x < _LEAST else x
    z = y * _LOG2E + _SHIFT
    n = z - _SHIFT
    r = (y - n * _LN2_HIGH) + n * _LN2_LOW
    p = ((((_E7 * r + _E6) * r + _E5) * r + _E4) * r + _E3) * r + _E2
    p = p * r * r + r + _ONE
    scale = np.int32(np.float32(z).view(np.int32) << np.int32(23)).view(np.float32)
    return _f(0) if x < _LEAST else p * scale


@fused
def _sigmoid64(x):
    return 1.0 / (1.0 + math.exp(-x))


def tanh(x: Any) -> Any:
    """Return tanh(x)."""
    return math.tanh(x)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)), by way of tanh in float32."""
    return 1 / (1 + math.exp(-x))


def exp_negative(x: Any) -> Any:
    """Return exp(x) for x <= 0."""
    return math.exp(x)


@overload(tanh, inline="always")
def _tanh(x):
    return (lambda x: _tanh32(x)) if x == types.float32 else (lambda x: math.tanh(x))


@overload(sigmoid, inline="always")
def _sigmoid(x):
    return (lambda x: _sigmoid32(x)) if x == types.float32 else (lambda x: _sigmoid64(x))


@overload(exp_negative, inline="always")
def _exp_negative(x):
    return (lambda x: _exp_negative32(x)) if x == types.float32 else (lambda x: math.exp(x))


KINDS: dict[str | None, int] = {None: 0, "relu": 1, "tanh": 2}  # of the argument `kind` of `activate`


@part
def activate(values, kind):
    """Apply an activation to a flat array, in place."""
    zero = values.dtype.type(0)
    if kind == 1:
        for k in range(values.size):
            values[k] = zero if values[k] <= 0 else values[k]
    elif kind == 2:
        for k in range(values.size):
            values[k] = tanh(values[k])
