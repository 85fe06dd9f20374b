"""Compute small cases of all operations with every backend and compare them with the reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels, ops
from lstm2d.kernels import gpu
from lstm2d.tape import backward
from lstm2d.tensor import FloatArray, Tensor

Arrays = list[NDArray[Any]]
TOLERANCE = 1e-4  # of the largest value, float32


class Case(NamedTuple):
    """An operation: the kernel family that it needs, the shapes of its inputs, and the call."""

    family: str
    shapes: tuple[tuple[int, ...], ...]
    run: Callable[..., Tensor]


@dataclass(frozen=True)
class Check:
    """The outcome of one operation on one backend.

    Parameters
    ----------
    name : str
        The operation.
    backend : str
        Who computed it: "cython", "numba", "numpy", or the GPU, "cuda:N".
    error : float or None
        Largest difference from the plain computation, of result and gradients, as a share of the largest
        value; None if nothing was computed.
    problem : str
        Why it failed; "" if it did not.
    """

    name: str
    backend: str
    error: float | None
    problem: str


def _class_loss(scores: Tensor) -> Tensor:
    labels = np.arange(scores.data.size // scores.shape[-1]).reshape(scores.shape[:-1]) % scores.shape[-1]
    labels[0, 0, 0] = 255
    return ops.cross_entropy(scores, kernels.to_device(labels, kernels.device_of(scores.data)))


def _normalised(x: Tensor) -> Tensor:
    mean = kernels.zeros(x.shape[-1:], x.dtype, like=x.data)
    return ops.batch_norm(x, mean, mean + 1, training=True)


CASES: dict[str, Case] = {
    "tanh, relu, sigmoid": Case("elementwise", ((2, 5, 6, 8),), lambda x: ops.sigmoid(ops.relu(ops.tanh(x)))),
    "matrix product": Case("linear", ((2, 5, 6, 9), (9, 7), (7,)), ops.linear),
    "convolution 3x3": Case(
        "conv",
        ((2, 9, 10, 16), (3, 3, 16, 16), (16,)),
        partial(ops.conv2d, padding=1, activation="tanh"),
    ),
    "convolution 5x5": Case("conv", ((1, 12, 11, 3), (5, 5, 3, 4), (4,)), partial(ops.conv2d, stride=2)),
    "transposed convolution": Case(
        "conv", ((2, 4, 5, 6), (2, 2, 6, 4), (4,)), partial(ops.conv_transpose2d, stride=2)
    ),
    "maxima": Case("pool", ((2, 6, 8, 5),), lambda x: ops.max_pool2d(x, 2)),
    "means": Case("pool", ((2, 7, 8, 5),), lambda x: ops.avg_pool2d(x, 3, stride=2, padding=1)),
    "bilinear resampling": Case("resize", ((2, 4, 5, 3),), lambda x: ops.bilinear_resize(x, 8, 7)),
    "cubic resampling": Case("resize", ((2, 4, 5, 3),), lambda x: ops.cubic_resize(x, 12, 15)),
    "windows": Case("windows", ((2, 6, 9, 3),), lambda x: ops.window_gather(x, 3)),
    "softmax": Case("softmax", ((2, 5, 6, 8),), ops.softmax),
    "cross-entropy": Case("softmax", ((2, 5, 6, 8),), _class_loss),
    "batch normalisation": Case("norm", ((2, 5, 6, 8),), _normalised),
    "response normalisation": Case("norm", ((2, 5, 6, 8),), lambda x: ops.local_response_norm(x, 5)),
    "2D-LSTM": Case("lstm2d", ((2, 5, 6, 3), (4, 3, 25), (4, 10, 25), (4, 25), (4, 5, 5)), ops.lstm2d_layer),
    "GRU sweep": Case("rnn", ((2, 5, 6, 4), (2, 4, 15), (2, 5, 15), (2, 15)), partial(ops.gru_sweep, axis=1)),
    "LSTM sweep": Case(
        "rnn", ((2, 5, 6, 4), (2, 4, 20), (2, 5, 20), (2, 20)), partial(ops.lstm_sweep, axis=2)
    ),
}


def run(devices: Sequence[str] = ()) -> Iterator[Check]:
    """Compute every case with every backend of the CPU and on every GPU.

    Parameters
    ----------
    devices : sequence of str
        GPUs, "cuda:N".

    Yields
    ------
    Check
        One for each case and backend, for the optimizers, and for the CRF.
    """
    for name, case in CASES.items():
        yield from _checks(name, case.family, devices, partial(_computed, name, case))
    yield from _checks("optimizer steps", "update", devices, _steps)
    yield from _checks("CRF lattice", "crf", devices, _crf)


def _checks(
    name: str, family: str, devices: Sequence[str], compute: Callable[[str], Arrays]
) -> Iterator[Check]:
    """Yield what comes of one case; `compute` takes the device, and computes with the forced backend."""
    *fast, plain = kernels.available(family)
    with kernels.use(plain):
        expected = compute("cpu")
    if not fast:
        yield Check(name, "cython", None, "it is not compiled: install the package again")
    for backend in fast:
        with kernels.use(backend):
            yield _compared(name, backend.strip("_"), expected, compute, "cpu")
    for device in devices:
        yield _compared(name, device, expected, compute, device)


def _compared(
    name: str, backend: str, expected: Arrays, compute: Callable[[str], Arrays], device: str
) -> Check:
    try:
        with gpu.current(device):
            found = compute(device)
    except Exception as error:  # whatever is broken, the other checks are worth having
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return Check(name, backend, None, text[:300])
    differences = (np.abs(a - b).max() / np.abs(b).max() for a, b in zip(found, expected, strict=True))
    worst = max(float(d) if np.isfinite(d) else np.inf for d in differences)
    return Check(name, backend, worst, "" if worst <= TOLERANCE else "it differs from the plain computation")


def _computed(name: str, case: Case, device: str) -> Arrays:
    """Return the result of a case and all its gradients."""
    rng = np.random.default_rng(list(name.encode()))
    values: list[FloatArray] = [rng.standard_normal(shape, np.float32) for shape in case.shapes]
    for weight in values[1:]:  # small: a tanh near 1 loses the digits of its derivative
        weight *= np.float32(0.2)
    inputs = [Tensor(kernels.to_device(v, device), requires_grad=True) for v in values]
    y = case.run(*inputs)
    backward(y, kernels.to_device(np.cos(np.arange(y.data.size, dtype=y.dtype)).reshape(y.shape), device))
    return [kernels.to_host(a) for a in (y.data, *(x.grad for x in inputs))]


def _steps(device: str) -> Arrays:
    """Return weights after a step of each optimizer, and the norm of their gradient."""
    rng = np.random.default_rng(7)
    vectors: list[FloatArray] = [rng.random(50, np.float32) for _ in range(6)]
    w, gradient, square, change, mean, rates = (kernels.to_device(v, device) for v in vectors)
    k = kernels.pick("update", like=w)
    norm = k.gradient_norm(gradient)
    k.sgd_step(w, gradient, change, mean, rates, 0.1, 0.5, 0.01, 0.9, 0.9)
    k.adadelta_step(w, gradient, square, change, None, rates, 1.0, 0.5, 0.01, 0.95, 1e-6, 0.9)
    return [*(kernels.to_host(v) for v in (w, square, change, mean)), np.array(norm)]


def _crf(device: str) -> Arrays:
    """Return random values after the filters of the CRF."""
    rng = np.random.default_rng(5)
    features = kernels.to_device(rng.standard_normal((60, 5), np.float32), device)
    values = kernels.to_device(rng.random((60, 3), np.float32), device)
    ones = np.ones_like(features[:, 0])
    k = kernels.pick("crf", like=features)
    filtered = k.lattice_filter(k.build_lattice(features), values, ones, ones)
    return [kernels.to_host(a) for a in (filtered, k.gaussian_sum(features, values, ones, ones))]


def timed(devices: Sequence[str], progress: Callable[[int], None]) -> tuple[list[Check], float]:
    """Return all checks and the seconds that they took; call `progress` with their number after each."""
    start, checks = time.perf_counter(), []
    for check in run(devices):
        checks.append(check)
        progress(len(checks))
    return checks, time.perf_counter() - start
