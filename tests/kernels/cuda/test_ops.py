"""Operations on tensors that lie on a GPU, or the stand-in, give what they give on the host."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, backward, kernels, ops
from lstm2d.ops.windows import window_targets

Make = Callable[[Any], Callable[..., Tensor]]  # from what brings an array to the device
IMAGE = (2, 6, 4, 3)
LABELS = np.random.default_rng(1).integers(0, 4, (2, 6, 4)).astype(np.uint8)
LABELS[LABELS == 3] = 255


def batch_norm(bring: Any, training: bool) -> Callable[..., Tensor]:
    mean, var = bring(np.array([0.1, -0.2, 0.3])), bring(np.array([1.0, 2.0, 0.5]))

    def op(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        y = ops.batch_norm(x, mean, var, scale, shift, training=training)
        return ops.add(y, Tensor(mean + var))  # so that the running values are compared, too

    return op


def soft(bring: Any, *, weighted: bool, reduction: Any) -> Callable[..., Tensor]:
    targets, weight = window_targets(bring(LABELS), 2, 3)
    weight = weight if weighted else None
    return lambda x: ops.soft_cross_entropy(x, targets, weight, reduction=reduction)


def hard(bring: Any, **options: Any) -> Callable[..., Tensor]:
    return lambda x: ops.cross_entropy(x, bring(LABELS), **options)


def window_loss(bring: Any) -> Callable[..., Tensor]:
    targets, weight = window_targets(bring(LABELS), 2, 3, class_weights=np.array([1.0, 0.5, 2.0]))
    return lambda x: ops.soft_cross_entropy(x, targets, weight)


def dropout(x: Tensor) -> Tensor:
    return ops.dropout(x, 0.4, seed=1, epoch=2, samples=[3, 4])


def plain(op: Callable[..., Tensor]) -> Make:
    return lambda bring: op


CASES: dict[str, tuple[Make, list[tuple[int, ...]]]] = {
    "add": (plain(ops.add), [IMAGE, (4, 3)]),
    "add of a row and a column": (plain(ops.add), [(3, 1), (1, 4)]),
    "add of equal shapes": (plain(ops.add), [IMAGE, IMAGE]),
    "avg_pool2d": (plain(lambda x: ops.avg_pool2d(x, 2)), [IMAGE]),
    "batch_norm": (lambda bring: batch_norm(bring, False), [IMAGE, (3,), (3,)]),
    "batch_norm in training": (lambda bring: batch_norm(bring, True), [IMAGE, (3,), (3,)]),
    "batch_norm without scale": (
        lambda bring: lambda x: ops.batch_norm(x, bring(np.zeros(3)), bring(np.ones(3)), training=False),
        [IMAGE],
    ),
    "bilinear_resize": (plain(lambda x: ops.bilinear_resize(x, 9, 3)), [IMAGE]),
    "concatenate": (plain(lambda *parts: ops.concatenate(parts)), [(2, 3, 3), (2, 3, 1), (2, 3, 2)]),
    "conv2d": (
        plain(lambda x, w, b: ops.conv2d(x, w, b, stride=2, padding=1, activation="relu")),
        [IMAGE, (3, 3, 3, 5), (5,)],
    ),
    "conv2d, 3 x 3": (plain(lambda x, w: ops.conv2d(x, w, padding=1)), [(1, 5, 6, 16), (3, 3, 16, 16)]),
    "conv_transpose2d": (
        plain(lambda x, w, b: ops.conv_transpose2d(x, w, b, stride=2, activation="tanh")),
        [IMAGE, (2, 2, 3, 4), (4,)],
    ),
    "crop": (plain(lambda x: ops.crop(x, top=1, left=2, height=3, width=2)), [IMAGE]),
    "cross_entropy": (
        lambda bring: hard(bring, class_weights=bring(np.array([1.0, 0.5, 2.0]))),
        [IMAGE],
    ),
    "cross_entropy, summed": (lambda bring: hard(bring, reduction="sum"), [IMAGE]),
    "cross_entropy, labels on the host": (lambda bring: hard(np.asarray, class_weights=np.ones(3)), [IMAGE]),
    "cubic_resize": (plain(lambda x: ops.cubic_resize(x, 5, 11)), [IMAGE]),
    "direction_sum": (plain(ops.direction_sum), [(2, 3, 8)]),
    "dropout": (plain(dropout), [IMAGE]),
    "gru_sweep": (plain(lambda *t: ops.gru_sweep(*t, axis=1)), [IMAGE, (2, 3, 6), (2, 2, 6), (2, 6)]),
    "l2_normalise": (plain(lambda x: ops.l2_normalise(x, 3.0)), [IMAGE]),
    "linear": (plain(ops.linear), [IMAGE, (3, 5), (5,)]),
    "local_response_norm": (plain(lambda x: ops.local_response_norm(x, 2, alpha=0.5)), [IMAGE]),
    "lstm2d_layer": (
        plain(lambda *t: ops.lstm2d_layer(*t, error_clip=0.5)),
        [IMAGE, (4, 3, 10), (4, 4, 10), (4, 10), (4, 5, 2)],
    ),
    "lstm2d_layer, leaky": (
        plain(lambda *t: ops.lstm2d_layer(*t, leaky=True)),
        [IMAGE, (4, 3, 10), (4, 4, 10), (4, 10)],
    ),
    "lstm_sweep": (plain(lambda *t: ops.lstm_sweep(*t, axis=2)), [IMAGE, (2, 3, 8), (2, 2, 8), (2, 8)]),
    "max_pool2d": (plain(lambda x: ops.max_pool2d(x, 3, stride=2, padding=1)), [IMAGE]),
    "pad2d": (plain(lambda x: ops.pad2d(x, (1, 0, 2, 3))), [IMAGE]),
    "pad2d, reflected": (plain(lambda x: ops.pad2d(x, 7, mode="reflect")), [IMAGE]),
    "relu": (plain(ops.relu), [IMAGE]),
    "reshape": (plain(lambda x: ops.reshape(x, (-1, 4))), [IMAGE]),
    "rnn_sweep": (
        plain(lambda *t: ops.rnn_sweep(*t, axis=2, activation="relu")),
        [IMAGE, (2, 3, 2), (2, 2, 2), (2, 2)],
    ),
    "sigmoid": (plain(ops.sigmoid), [IMAGE]),
    "soft_cross_entropy": (lambda bring: soft(bring, weighted=True, reduction="sum"), [(2, 3, 2, 3)]),
    "soft_cross_entropy, mean": (
        lambda bring: soft(bring, weighted=False, reduction="mean"),
        [(2, 3, 2, 3)],
    ),
    "soft_cross_entropy, weights of windows": (
        lambda bring: soft(bring, weighted=True, reduction="mean"),
        [(2, 3, 2, 3)],
    ),
    "soft_cross_entropy, targets on the host": (lambda bring: window_loss(np.asarray), [(2, 3, 2, 3)]),
    "soft_cross_entropy, class weights": (window_loss, [(2, 3, 2, 3)]),
    "softmax": (plain(ops.softmax), [IMAGE]),
    "tanh": (plain(ops.tanh), [IMAGE]),
    "window_gather": (plain(lambda x: ops.window_gather(x, 2)), [IMAGE]),
}


def run(bring: Any, make: Make, arrays: list[np.ndarray]) -> list[Any]:
    """Return the result of an operation and the gradients of what it reads."""
    leaves = [Tensor(bring(a), requires_grad=True) for a in arrays]
    y = make(bring)(*leaves)
    if y.data.ndim:
        grad_y = np.random.default_rng(5).standard_normal(y.shape)
        backward(y, bring(grad_y))
    else:
        backward(y)
    return [y.data, *(leaf.grad for leaf in leaves)]


def test_all_operations_are_compared() -> None:
    compared = {name.partition(",")[0].partition(" ")[0] for name in CASES}
    assert compared == set(ops.__all__)


@pytest.mark.parametrize("name", CASES)
def test_same_as_on_the_host(cp: ModuleType, rng: np.random.Generator, name: str) -> None:
    make, shapes = CASES[name]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    expected, found = run(np.asarray, make, arrays), run(cp.asarray, make, arrays)
    for got, wanted, array in zip(found, expected, [None, *arrays], strict=True):
        assert kernels.on_gpu(got) or (array is None and wanted.ndim == 0)  # a loss is a number of the host
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(kernels.to_host(got), wanted, rtol=1e-10, atol=1e-11)


def test_a_map_of_zeros_stays_one(cp: ModuleType) -> None:
    x = Tensor(cp.zeros((2, 3, 3, 2)), requires_grad=True)
    x.data[0] = 1
    y = ops.l2_normalise(x)
    backward(y, cp.zeros(y.shape) + 1)
    assert x.grad is not None
    assert not kernels.to_host(y.data)[1].any()
    assert not kernels.to_host(x.grad)[1].any()


def test_a_gradient_is_added_to_what_is_there(cp: ModuleType) -> None:
    x = Tensor(cp.asarray(np.array([1.0, 2.0])), requires_grad=True)
    for _ in range(2):
        backward(ops.add(x, x), cp.asarray(np.array([10.0, 20.0])))
    assert x.grad is not None
    assert kernels.to_host(x.grad).tolist() == [40, 80]
