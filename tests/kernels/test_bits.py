"""Results do not depend, in any bit, on the number of threads or on the other images of a batch."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from lstm2d import Tensor, backward, ops
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.tensor import FloatArray

IMAGES, HEIGHT, WIDTH, CHANNELS = 3, 33, 21, 12  # 693 positions: two blocks of linear, the second one short


def cross_entropy(x: Tensor) -> Tensor:
    rng = np.random.default_rng(5)
    targets = rng.dirichlet(np.ones(CHANNELS), (HEIGHT, WIDTH))
    weight = rng.random((HEIGHT, WIDTH))
    n = len(x.data)
    return ops.soft_cross_entropy(x, np.stack([targets] * n), np.stack([weight] * n))


def hard_cross_entropy(x: Tensor) -> Tensor:
    labels = np.random.default_rng(8).integers(0, CHANNELS + 1, (HEIGHT, WIDTH))
    return ops.cross_entropy(x, np.stack([labels] * len(x.data)), ignore_index=CHANNELS, reduction="sum")


def linear(x: Tensor) -> Tensor:
    rng = np.random.default_rng(6)
    weight, bias = rng.standard_normal((CHANNELS, 7)), rng.standard_normal(7)
    return ops.linear(x, Tensor(weight.astype(x.data.dtype)), Tensor(bias.astype(x.data.dtype)))


def batch_norm(x: Tensor, training: bool = False) -> Tensor:
    rng = np.random.default_rng(9)
    mean, var = rng.standard_normal(CHANNELS), rng.random(CHANNELS)
    return ops.batch_norm(x, mean, var, training=training)


OPS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": linear,
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "relu": ops.relu,
    "direction_sum": ops.direction_sum,
    "window_gather": lambda x: ops.window_gather(x, 3),
    "softmax": ops.softmax,
    "soft_cross_entropy": cross_entropy,
    "cross_entropy": hard_cross_entropy,
    "batch_norm": batch_norm,
    "batch_norm in training": lambda x: batch_norm(x, training=True),
    "l2_normalise": ops.l2_normalise,
    "local_response_norm": lambda x: ops.local_response_norm(x, 5),
    "pad2d": lambda x: ops.pad2d(x, 40, mode="reflect"),
    "bilinear_resize": lambda x: ops.bilinear_resize(x, 50, 40),
    "cubic_resize": lambda x: ops.cubic_resize(x, 50, 40),
}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)


def run(op: Callable[[Tensor], Tensor], x: FloatArray) -> tuple[FloatArray, FloatArray]:
    leaf = Tensor(x, requires_grad=True)
    y = op(leaf)
    images = len(y.data) if y.data.ndim else 1
    grad = np.random.default_rng(7).standard_normal((1, *y.shape[1:])).astype(x.dtype)
    backward(y, np.repeat(grad, images, 0).reshape(y.shape))
    assert leaf.grad is not None
    return y.data, leaf.grad


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_change_no_bit(name: str, dtype: type, rng: np.random.Generator) -> None:
    x = rng.standard_normal((IMAGES, HEIGHT, WIDTH, CHANNELS)).astype(dtype)
    set_num_threads(1)
    expected = run(OPS[name], x)
    for threads in (2, 3):
        set_num_threads(threads)
        for got, wanted in zip(run(OPS[name], x), expected, strict=True):
            assert got.tobytes() == wanted.tobytes()


@pytest.mark.parametrize(
    "name", [name for name in OPS if "cross_entropy" not in name and "training" not in name]
)  # sums over the batch
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_changes_no_bit(name: str, dtype: type, rng: np.random.Generator) -> None:
    x = rng.standard_normal((IMAGES, HEIGHT, WIDTH, CHANNELS)).astype(dtype)
    batch = run(OPS[name], x)
    for k in range(IMAGES):
        for got, together in zip(run(OPS[name], x[k : k + 1]), batch, strict=True):
            assert got.tobytes() == together[k : k + 1].tobytes()


@pytest.mark.parametrize("loss", [cross_entropy, hard_cross_entropy])
def test_loss_of_a_batch_adds_images(loss: Callable[[Tensor], Tensor], rng: np.random.Generator) -> None:
    x = rng.standard_normal((IMAGES, HEIGHT, WIDTH, CHANNELS))
    total, grad = run(loss, x)
    alone = [run(loss, x[k : k + 1]) for k in range(IMAGES)]
    assert float(total) == sum(float(value) for value, _ in alone)
    assert grad.tobytes() == np.concatenate([g for _, g in alone]).tobytes()


@pytest.mark.parametrize(("c_in", "c_out"), [(CHANNELS, 7), (30, 50), (270, 260)])  # the last one in strips
def test_parameter_gradients_of_linear(c_in: int, c_out: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 48, HEIGHT, c_in)).astype(np.float32)  # 1584 positions: four blocks an image
    grad_y = rng.standard_normal((2, 48, HEIGHT, c_out)).astype(np.float32)

    def grads(images: slice) -> list[FloatArray]:
        parameters = [
            Tensor(np.ones(shape, np.float32), requires_grad=True) for shape in ((c_in, c_out), (c_out,))
        ]
        backward(ops.linear(Tensor(x[images]), *parameters), grad_y[images])
        return [p.grad for p in parameters if p.grad is not None]

    set_num_threads(1)
    both = grads(slice(0, 2))
    for got, first, second in zip(both, grads(slice(0, 1)), grads(slice(1, 2)), strict=True):
        np.testing.assert_allclose(got, first + second, rtol=2e-6, atol=1e-3)
    for threads in (2, 3):
        set_num_threads(threads)
        assert [g.tobytes() for g in grads(slice(0, 2))] == [g.tobytes() for g in both]
