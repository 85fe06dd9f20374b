"""Every operation gives the same bits from any thread of the program, and what a number of threads is."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm2d
from lstm2d import Tensor, backward, ops
from lstm2d.errors import ConfigError, ThreadsError
from lstm2d.kernels import threads
from lstm2d.kernels.arena import SMALL
from lstm2d.kernels.threads import MAX_THREADS, get_num_threads, set_num_threads
from tests.callers import at_once, blas_threads, kernel_threads, restless

SIDES = (32, 45)
CHANNELS = 18
Case = tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...]]  # the operation, shapes of what follows x


def labels(x: Tensor) -> np.ndarray:
    return np.arange(x.data[..., 0].size).reshape(x.shape[:-1]) % CHANNELS


def soft(x: Tensor) -> Tensor:
    return ops.soft_cross_entropy(x, np.full(x.shape, 1 / CHANNELS, np.float32))


def cropped(x: Tensor, side: int) -> Tensor:
    return ops.crop(x, top=1, left=2, height=side, width=side)


def normalised(training: bool, x: Tensor) -> Tensor:
    mean, var = np.full(CHANNELS, 0.1, np.float32), np.full(CHANNELS, 1.5, np.float32)
    y = ops.batch_norm(x, mean, var, training=training)
    return ops.add(y, Tensor(mean + var))


def sweep(gates: int) -> tuple[tuple[int, ...], ...]:
    return ((2, CHANNELS, gates * 20), (2, 20, gates * 20), (2, gates * 20))


CASES: dict[str, Case] = {
    "add": (lambda x: ops.add(x, x), ()),
    "avg_pool2d": (lambda x: ops.avg_pool2d(x, 3, stride=1, padding=1), ()),
    "batch_norm": (partial(normalised, False), ()),
    "batch_norm in training": (partial(normalised, True), ()),
    "bilinear_resize": (lambda x: ops.bilinear_resize(x, 50, 40), ()),
    "concatenate": (lambda x: ops.concatenate([x, ops.tanh(x)]), ()),
    "conv2d 1x1": (ops.conv2d, ((1, 1, CHANNELS, 30), (30,))),
    "conv2d 3x3": (partial(ops.conv2d, padding=1, activation="relu"), ((3, 3, CHANNELS, 24), (24,))),
    "conv2d 3x3, few": (partial(ops.conv2d, padding=2, dilation=2), ((3, 3, CHANNELS, 3), (3,))),
    "conv2d 5x5": (partial(ops.conv2d, stride=2), ((5, 5, CHANNELS, 20), (20,))),
    "conv2d 9x9": (partial(ops.conv2d, padding=4), ((9, 9, CHANNELS, 20), (20,))),
    "conv2d of patches": (partial(ops.conv2d, stride=2), ((2, 2, CHANNELS, 20), (20,))),
    "conv_transpose2d": (partial(ops.conv_transpose2d, stride=2), ((2, 2, CHANNELS, 20), (20,))),
    "crop": (lambda x: cropped(x, 30), ()),
    "cross_entropy": (lambda x: ops.cross_entropy(x, labels(x), ignore_index=3), ()),
    "cubic_resize": (lambda x: ops.cubic_resize(x, 50, 40), ()),
    "direction_sum": (lambda x: ops.direction_sum(ops.concatenate([x, x])), ()),
    "dropout": (lambda x: ops.dropout(x, 0.4, seed=1, epoch=2, samples=[3]), ()),
    "gru_sweep": (partial(ops.gru_sweep, axis=1), sweep(3)),
    "l2_normalise": (ops.l2_normalise, ()),
    "linear": (ops.linear, ((CHANNELS, 30), (30,))),
    "linear, few": (ops.linear, ((CHANNELS, 3), (3,))),
    "linear, large": (lambda x, weight: ops.linear(cropped(x, 8), weight), ((CHANNELS, 4000),)),
    "local_response_norm": (lambda x: ops.local_response_norm(x, 5), ()),
    "lstm2d_layer": (ops.lstm2d_layer, ((4, CHANNELS, 50), (4, 20, 50), (4, 50), (4, 5, 10))),
    "lstm_sweep": (partial(ops.lstm_sweep, axis=2), sweep(4)),
    "max_pool2d": (lambda x: ops.max_pool2d(x, 3, stride=1), ()),
    "pad2d": (lambda x: ops.pad2d(x, 10, mode="reflect"), ()),
    "relu": (ops.relu, ()),
    "reshape": (lambda x: ops.reshape(ops.tanh(x), (1, -1)), ()),
    "rnn_sweep": (partial(ops.rnn_sweep, axis=1, activation="tanh"), sweep(1)),
    "sigmoid": (ops.sigmoid, ()),
    "soft_cross_entropy": (soft, ()),
    "softmax": (ops.softmax, ()),
    "tanh": (ops.tanh, ()),
    "window_gather": (lambda x: ops.window_gather(cropped(x, 30), 3), ()),
}
TASKS = [(name, side) for side in SIDES for name in CASES]


def run(name: str, side: int) -> bytes:
    """Return the result and all gradients."""
    op, shapes = CASES[name]
    rng = np.random.default_rng(side)
    arrays: Any = [rng.standard_normal((1, side, side, CHANNELS), np.float32)]
    arrays += [rng.standard_normal(shape, np.float32) * np.float32(0.2) for shape in shapes]
    inputs = [Tensor(array, requires_grad=True) for array in arrays]
    y = op(*inputs)
    backward(y, np.cos(np.arange(y.data.size, dtype=np.float32)).reshape(y.shape))
    return b"".join(array.tobytes() for array in (y.data, *(x.grad for x in inputs)))


def different(n: int, rounds: int) -> list[str]:
    """Return the operations that gave other bits in one of n threads than here."""
    expected = {task: run(*task) for task in TASKS}

    def work(k: int) -> list[str]:
        order = np.random.default_rng(k).permutation(len(TASKS) * rounds) % len(TASKS)
        return [TASKS[j][0] for j in order if run(*TASKS[j]) != expected[TASKS[j]]]

    return sorted({name for found in at_once(n, work) for name in found})


def test_every_operation_is_here() -> None:
    called = {name.replace(",", " ").split()[0] for name in CASES}
    assert called == set(ops.__all__)
    assert 4 * SIDES[0] ** 2 * CHANNELS > SMALL  # memory of the arena


@pytest.mark.parametrize("per_call", [1, 2])
def test_operations_in_four_threads(per_call: int) -> None:
    with restless(), kernel_threads(per_call), blas_threads(4):
        assert different(4, 1) == []


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 8])
@pytest.mark.parametrize("per_call", [1, 3])
def test_operations_in_many_threads(n: int, per_call: int) -> None:
    with restless(), kernel_threads(per_call), blas_threads(4):
        assert different(n, 10) == []


@pytest.fixture
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number of threads is set while the test runs."""
    monkeypatch.setattr(threads, "_threads", None)


@pytest.mark.usefixtures("_unset")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[("1", 1), ("3", 3), (" 4 ", 4), ("007", 7), ("\t8", 8), (str(MAX_THREADS), MAX_THREADS)],
        *[("2,1", 2), ("3, 2 ,1", 3), ("5,0", 5)],  # numbers for nested parallel regions
    ],
)
def test_the_variable(monkeypatch: pytest.MonkeyPatch, value: str, expected: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert lstm2d.get_num_threads() == expected


@pytest.mark.usefixtures("_unset")
@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_variable(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if value is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: range(5))
    assert get_num_threads() == 5


ODD = [
    "²",
    "٣",
    "0",
    "00",
    "-1",
    "+2",
    "1.5",
    "2x",
    "two",
    "1e3",
    "0x2",
    ",2",
    "2,",
    "2,,1",
    "2;1",
    "2 1",
    "1_0",
]


@pytest.mark.usefixtures("_unset")
@pytest.mark.parametrize("value", [*ODD, str(10**20), "9" * 5000, str(MAX_THREADS + 1)])
def test_no_number_of_threads(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with pytest.raises(ThreadsError, match="environment variable OMP_NUM_THREADS is no number") as caught:
        get_num_threads()
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, ConfigError)
    assert caught.value.exit_code == 2
    assert len(str(caught.value).splitlines()[0]) < 200
    with pytest.raises(ThreadsError):  # also in the middle of a computation
        ops.tanh(Tensor(np.zeros((1, 2, 2, 3), np.float32)))


@pytest.mark.usefixtures("_unset")
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12))
def test_any_variable_is_a_number_or_an_error(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", text)
        try:
            found = get_num_threads()
        except ThreadsError:
            return
        assert 1 <= found <= MAX_THREADS


@pytest.mark.usefixtures("_unset")
def test_what_is_set_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "²")
    set_num_threads(3)
    assert get_num_threads() == 3
    assert at_once(2, lambda _: get_num_threads()) == [3, 3]  # of the whole program


@pytest.mark.parametrize("n", [0, -1, MAX_THREADS + 1, 2**31, 10**20])
def test_a_number_out_of_range(n: int) -> None:
    before = get_num_threads()
    with pytest.raises(ThreadsError, match="out of range"):
        set_num_threads(n)
    assert get_num_threads() == before


def test_a_number_that_is_none() -> None:
    for value in (1.5, "2", None):
        with pytest.raises(TypeError):
            set_num_threads(value)  # type: ignore[arg-type]
