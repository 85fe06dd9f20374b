"""Gradients, backends and bits of every case of the table, and that the table is complete."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.resources import files
from inspect import getmembers, isfunction
from itertools import product
from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, kernels, no_grad, ops
from lstm2d.gradcheck import gradcheck
from lstm2d.kernels import arena
from lstm2d.kernels.strips import ON_CPU
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.selftest import CASES, Case, evaluate, typed
from lstm2d.selftest.cases.draws import one_nan
from tests.selftest.comparison import (
    SEVERAL,
    SMALL,
    Arguments,
    assert_close,
    bits,
    check_one_input_alone,
    using,
)

TYPES = [np.float32, np.float64]
FAMILIES = sorted(
    path.name.removesuffix(".py")
    for path in files("lstm2d.kernels._reference").iterdir()
    if path.name.endswith(".py") and path.name != "__init__.py"
)


def check_gradient(case: Case, rng: np.random.Generator, spoiled: Any = None) -> None:
    """Compare gradients with finite differences; changed kernels are changed in the backward pass only."""
    values = case.values()
    arrays = {name: typed(np.float64)(a, False) for name, a in values.arrays.items()}

    def f(*tensors: Tensor) -> Tensor:
        fresh = {name: a.copy() for name, a in arrays.items()}
        if spoiled is not None:
            spoiled.active = False
        result: Tensor = case.run(*tensors, **fresh, **case.options)
        if spoiled is not None:
            spoiled.active = True
        return result

    gradcheck(f, *(a.astype(np.float64) for a in values.inputs), rng=rng, **case.slope)


@pytest.mark.parametrize("case", using("gradient"))
def test_gradient(case: Case, rng: np.random.Generator) -> None:
    for backend in case.backends():
        with kernels.use(backend):
            check_gradient(case, rng)


@pytest.mark.parametrize("case", using("backends"))
def test_backends_agree(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    # uninitialised memory must not affect a result
    monkeypatch.setattr(arena, "empty", lambda s, t: np.full(s, np.nan if np.dtype(t).kind == "f" else 77, t))
    backends = case.backends() if "cuda" in case.users else case.backends()[:-1]  # the reference takes long
    for backend in backends or ["_cython"]:
        for dtype in TYPES:
            arguments = Arguments(dtype, views=case.family != "update")  # their vectors are contiguous
            with kernels.use(backend):
                found = evaluate(case, arguments)
                arguments.assert_unchanged()
                with no_grad():
                    alone = evaluate(case, arguments)
            assert_close(found, case, dtype, f"{backend}, {dtype.__name__}")
            assert bits(alone) == {
                name: bits(found)[name] for name in alone
            }  # the bits are the same if nothing is kept


@pytest.fixture
def _threads() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("case", using("bits"))
def test_bits_of_any_threads_and_any_batch(case: Case) -> None:
    for dtype in TYPES:
        set_num_threads(1)
        first = evaluate(case, typed(dtype))
        for threads in (1, 2, 3):
            set_num_threads(threads)
            assert bits(evaluate(case, typed(dtype))) == bits(first), threads
        if case.per_image and case.shapes:
            for image in {0, case.shapes[0][0] - 1}:
                alone = evaluate(case, typed(dtype), image)
                for name in ("result", "gradient 0"):
                    assert alone[name].tobytes() == first[name][image : image + 1].tobytes(), (name, image)


@pytest.mark.parametrize("case", SEVERAL, ids=lambda case: case.name)
def test_gradient_of_one_input_alone(case: Case) -> None:
    check_one_input_alone(case, np.asarray)


@pytest.mark.parametrize("case", [c for c in CASES if c.draw is one_nan], ids=lambda case: case.name)
def test_a_nan_reaches_what_sees_it_and_nothing_else(case: Case) -> None:
    x = case.values().inputs[0]

    def result(value: float) -> np.ndarray:
        with_value = np.where(np.isnan(x), np.float32(value), x)
        found: np.ndarray = evaluate(replace(case, draw=lambda rng, shape: with_value), typed(np.float64))[
            "result"
        ]
        return found

    sees = (result(3) != result(10)) | (result(3) != result(-10))
    for backend, dtype in product(case.backends(), TYPES):
        with kernels.use(backend):
            nan = np.isnan(evaluate(case, typed(dtype))["result"])
        assert nan[sees].all()
        assert "relu" in case.options.values() or not nan[~sees].any()  # a ReLU may let no change through


def test_every_op_is_in_the_table() -> None:
    for user in ("gradient", "backends", "bits", "cuda", "bench"):
        missing = set(ops.__all__) - {case.op for case in CASES if user in case.users}
        assert missing <= ({"reshape"} if user == "bench" else set()), user  # it moves nothing
    assert {case.op for case in CASES if not case.arrays or case.shapes} - {"lstm2d"} == set(ops.__all__)


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


class Spoiled:
    """Functions of the kernels that count their calls, and optionally return a value that is 0.01 % wrong."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.calls: Counter[str] = Counter()
        self.wrong, self.place, self.active = "", 0, True
        for family in FAMILIES:
            module = import_module(f"lstm2d.kernels._reference.{family}")
            for name, f in getmembers(module, isfunction):
                if name[0] != "_" and f.__module__ == module.__name__:
                    self.calls[f"{family}.{name}"] = 0
                    patch.setattr(module, name, partial(self.call, f"{family}.{name}", f))

    def call(self, name: str, f: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self.calls[name] += self.active
        result = f(*args, **options)
        if name != self.wrong or not self.active:
            return result
        several = list(result) if isinstance(result, tuple) else [result]
        if self.place >= len(several):
            return result
        value = several[self.place]
        several[self.place] = value if value is None else value * value.dtype.type(1 + 1e-4)
        return tuple(several) if isinstance(result, tuple) else several[0]

    def finds(self, case: Case, rng: np.random.Generator) -> bool:
        try:
            check_gradient(case, rng, self)
        except AssertionError:
            return True
        return False


def test_every_kernel_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    spoiled = Spoiled(monkeypatch)
    with kernels.use("_reference"):
        for case in CASES:
            if "cuda" in case.users:
                evaluate(case, typed(np.float32))
    unused = {name.partition(".")[2] for name, calls in spoiled.calls.items() if not calls}
    assert unused == ON_CPU  # tests/kernels/test_strips.py


# of each function that backward passes call, and of each of its results
BACKWARD = [
    *[(f"elementwise.{name}_backward", 0) for name in ("tanh", "sigmoid", "relu", "direction_sum")],
    *[(f"linear.linear_grad_{name}", 0) for name in ("x", "weight", "bias")],
    *[("conv.conv2d_adjoint", 0), ("conv.conv2d_grad_weight", 0), ("conv.conv2d_forward", 0)],
    *[("pool.max_pool2d_backward", 0), ("pool.avg_pool2d_backward", 0), ("resize.resample", 0)],
    *[("windows.window_gather_backward", 0), ("norm.response_norm_backward", 0), ("norm.image_products", 0)],
    *[("norm.channel_products", 0), ("norm.channel_products", 1), ("norm.channel_combine", 0)],
    *[(f"softmax.{name}_backward", 0) for name in ("softmax", "soft_cross_entropy", "cross_entropy")],
    *[("rnn.rnn_backward", k) for k in range(4)],
    *[("lstm2d.lstm2d_backward", k) for k in range(5)],
]


@pytest.mark.parametrize(("function", "place"), BACKWARD)
def test_an_error_of_a_hundredth_percent_is_found(
    function: str, place: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = Spoiled(monkeypatch)
    spoiled.wrong, spoiled.place = function, place
    found: Counter[str] = Counter()
    with kernels.use("_reference"):
        for case in SMALL:
            if case.family == function.partition(".")[0] and not found[case.op]:
                spoiled.calls[function] = 0
                error = spoiled.finds(case, rng)
                if spoiled.calls[function]:
                    found[case.op] += error
    assert found
    assert min(found.values()) > 0, found


def test_the_backward_functions_are_all(monkeypatch: pytest.MonkeyPatch) -> None:
    spoiled = Spoiled(monkeypatch)
    with kernels.use("_reference"):
        for case in SMALL:
            if sum(map(np.prod, case.shapes)) < 500:
                check_gradient(case, np.random.default_rng(0), spoiled)
    assert {name for name, calls in spoiled.calls.items() if calls} == {name for name, _ in BACKWARD}
