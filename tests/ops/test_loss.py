"""softmax and both losses against hand values, SciPy, finite differences and every backend."""

import math

import numpy as np
import pytest
import scipy.special

from lstm2d import Tensor, backward, kernels
from lstm2d.errors import ShapeError
from lstm2d.ops import clip_normalise, cross_entropy, soft_cross_entropy, softmax

BACKENDS = kernels.available("softmax")


@pytest.mark.parametrize("backend", BACKENDS)
def test_softmax_by_hand(backend: str) -> None:
    x = Tensor(np.array([[0.0, math.log(3)], [700.0, 700.0], [-2000.0, 2000.0]]), requires_grad=True)
    with kernels.use(backend):
        y = softmax(x)
        backward(y, np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]))
    np.testing.assert_allclose(y.data, [[0.25, 0.75], [0.5, 0.5], [0.0, 1.0]], rtol=1e-15)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, [[0.1875, -0.1875], [-0.5, 0.5], [0.0, 0.0]], rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_clip_normalise_by_hand(backend: str) -> None:
    x = Tensor(np.array([[1.0, 3.0, -2.0], [-1.0, 0.0, -2.0], [-np.inf, 2.0, 0.0]]), requires_grad=True)
    with kernels.use(backend):
        y = clip_normalise(x)
        backward(y, np.array([[4.0, 0.0, 8.0], [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]]))
    np.testing.assert_allclose(y.data, [[0.25, 0.75, 0], [1 / 3] * 3, [0, 1, 0]], rtol=1e-15)
    np.testing.assert_allclose(x.grad, [[0.75, -0.25, 0], [0, 0, 0], [0, 0, 0]], rtol=1e-15)
    with pytest.raises(ShapeError, match="clip_normalise: a single number"):
        clip_normalise(Tensor(np.array(1.0)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_hidden(backend: str) -> None:
    inf, nan = np.inf, np.nan
    bad = np.array([[nan, 0, 0], [0, nan, 0], [0, 0, nan], [inf, 0, 0], [-inf, -inf, -inf]])
    with kernels.use(backend):
        assert np.isnan(softmax(Tensor(bad)).data).all()
        np.testing.assert_array_equal(softmax(Tensor(np.array([-inf, 0, -inf]))).data, [0, 1, 0])
        for row in bad:  # even if no target or weight refers to it
            scores = np.stack([np.zeros(3), row])[None]
            for targets in (np.zeros((1, 2, 3)), np.full((1, 2, 3), 1 / 3)):
                for weight in (np.ones((1, 2)), np.zeros((1, 2))):
                    assert np.isnan(soft_cross_entropy(Tensor(scores), targets, weight).data)


@pytest.mark.parametrize("backend", BACKENDS)
def test_loss_by_hand(backend: str) -> None:
    # ln 2 for the first; ln 4 / 4 + 3 / 4 ln(4/3) for the second; the third is ignored
    scores = Tensor(np.array([[[0.0, 0.0], [0.0, math.log(3)], [5.0, 7.0]]]), requires_grad=True)
    targets = np.array([[[1.0, 0.0], [0.25, 0.75], [1.0, 0.0]]])
    weight = np.array([[1.0, 0.5, 0.0]])
    expected = math.log(2) + 0.5 * (math.log(4) / 4 + 0.75 * math.log(4 / 3))
    with kernels.use(backend):
        loss = soft_cross_entropy(scores, targets, weight)
        backward(loss, np.array(10.0))
        mean = soft_cross_entropy(scores, targets, weight, reduction="mean")
    assert loss.shape == ()
    assert float(loss.data) == pytest.approx(expected, rel=1e-14)
    assert float(mean.data) == pytest.approx(expected / 1.5, rel=1e-14)
    assert scores.grad is not None
    np.testing.assert_allclose(scores.grad, [[[-5.0, 5.0], [0.0, 0.0], [0.0, 0.0]]], atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 2e-6), (np.float64, 1e-13)])
def test_equals_scipy(backend: str, dtype: type, rtol: float, rng: np.random.Generator) -> None:
    scores = (20 * rng.standard_normal((2, 5, 6, 8))).astype(dtype)
    targets = rng.dirichlet(np.ones(8), (2, 5, 6))
    weight = rng.random((2, 5, 6))
    log_p = scipy.special.log_softmax(scores.astype(np.float64), axis=-1)
    with kernels.use(backend):
        loss = soft_cross_entropy(Tensor(scores), targets, weight).data
        p = softmax(Tensor(scores)).data
    assert loss.dtype == p.dtype == dtype
    np.testing.assert_allclose(loss, -(weight[..., None] * targets * log_p).sum(), rtol=rtol)
    np.testing.assert_allclose(p, np.exp(log_p), rtol=10 * rtol, atol=1e-30)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_scores_keep_a_finite_loss(backend: str, dtype: type) -> None:
    scores = Tensor(np.array([[1e6, -1e6], [-1e6, 1e6]], dtype), requires_grad=True)
    with kernels.use(backend):
        loss = soft_cross_entropy(scores, np.array([[1.0, 0.0], [1.0, 0.0]]))
        backward(loss)
    assert float(loss.data) == pytest.approx(2e6)
    assert scores.grad is not None
    np.testing.assert_allclose(scores.grad, [[0, 0], [-1, 1]], atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_impossible_class_without_target_costs_nothing(backend: str) -> None:
    with kernels.use(backend):
        loss = soft_cross_entropy(Tensor(np.array([[0.0, -np.inf, 0.0]])), np.array([[0.5, 0.0, 0.5]]))
        lost = soft_cross_entropy(Tensor(np.array([[0.0, -np.inf, 0.0]])), np.array([[0.5, 0.5, 0.0]]))
    assert float(loss.data) == pytest.approx(math.log(2))
    assert float(lost.data) == np.inf


def test_mean_of_nothing_is_zero() -> None:
    scores = Tensor(np.ones((1, 2, 2, 3)), requires_grad=True)
    loss = soft_cross_entropy(scores, np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2)), reduction="mean")
    backward(loss)
    assert float(loss.data) == 0
    assert scores.grad is not None
    assert not scores.grad.any()


def test_wrong() -> None:
    scores, targets = Tensor(np.zeros((1, 2, 3))), np.zeros((1, 2, 3))
    with pytest.raises(ShapeError, match=r"targets \(1, 2, 2\) do not fit scores \(1, 2, 3\)"):
        soft_cross_entropy(scores, targets[..., :2])
    with pytest.raises(ShapeError, match=r"weight \(1, 3\) does not fit"):
        soft_cross_entropy(scores, targets, np.zeros((1, 3)))
    with pytest.raises(ValueError, match="'median'"):
        soft_cross_entropy(scores, targets, reduction="median")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="single number"):
        softmax(Tensor(np.array(1.0)))
    with pytest.raises(TypeError, match="float16"):
        softmax(Tensor(np.zeros((1, 2), np.float16)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_by_hand(backend: str, dtype: type) -> None:
    # ln 2 with weight 1; ln 4 with weight 0.5; the third is ignored
    values = np.array([[[0.0, 0.0], [math.log(3), 0.0], [5.0, 7.0]]], dtype)
    labels = np.array([[0, 1, 255]], np.uint8)
    weights = np.array([1.0, 0.5])
    expected = math.log(2) + 0.5 * math.log(4)
    with kernels.use(backend):
        summed, mean = Tensor(values, requires_grad=True), Tensor(values, requires_grad=True)
        loss = cross_entropy(summed, labels, class_weights=weights, reduction="sum")
        backward(loss, np.array(8, dtype))
        divided = cross_entropy(mean, labels, class_weights=weights)
        backward(divided)
        plain = cross_entropy(Tensor(values), labels)
    assert loss.shape == ()
    assert loss.dtype == dtype
    assert float(loss.data) == pytest.approx(expected, rel=3e-7)
    assert float(divided.data) == pytest.approx(expected / 1.5, rel=3e-7)
    assert float(plain.data) == pytest.approx((math.log(2) + math.log(4)) / 2, rel=3e-7)
    assert summed.grad is not None
    assert mean.grad is not None
    grad = np.array([[[-4.0, 4.0], [3.0, -3.0], [0.0, 0.0]]])
    np.testing.assert_allclose(summed.grad, grad, rtol=1e-6)
    np.testing.assert_allclose(mean.grad, grad / 12, rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 2e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("classes", [1, 2, 8, 33, 150])
def test_cross_entropy_of_labels_is_that_of_one_hot_targets(
    backend: str, dtype: type, rtol: float, classes: int, rng: np.random.Generator
) -> None:
    scores = (5 * rng.standard_normal((2, 9, 15, classes))).astype(dtype)
    labels = rng.integers(0, classes + 1, (2, 9, 15))  # the last number is ignored
    weights = rng.random(classes)
    targets = (labels[..., None] == np.arange(classes)) * weights
    a, b = (Tensor(scores, requires_grad=True) for _ in range(2))
    with kernels.use(backend):
        loss = cross_entropy(a, labels, class_weights=weights, ignore_index=classes, reduction="sum")
        backward(loss)
    with kernels.use("_reference"):
        soft = soft_cross_entropy(b, targets)
        backward(soft)
    np.testing.assert_allclose(loss.data, soft.data, rtol=rtol)
    assert a.grad is not None
    assert b.grad is not None
    np.testing.assert_allclose(a.grad, b.grad, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("backend", BACKENDS)
def test_cross_entropy_hides_nothing(backend: str) -> None:
    inf, nan = np.inf, np.nan
    bad = np.array([[nan, 0, 0], [0, nan, 0], [0, 0, nan], [inf, 0, 0], [-inf, -inf, -inf]])
    with kernels.use(backend):
        for row in bad:
            for label in (0, 1, 2, 255):  # also where nothing counts
                for weights in (np.ones(3), np.zeros(3)):
                    scores = Tensor(np.stack([np.zeros(3), row])[None], requires_grad=True)
                    labels = np.array([[0, label]])
                    assert np.isnan(cross_entropy(scores, labels, class_weights=weights).data)
                    loss = cross_entropy(scores, labels, class_weights=weights, reduction="sum")
                    assert np.isnan(loss.data)
                    backward(loss)
                    assert scores.grad is not None
                    assert np.isnan(scores.grad[0, 1]).all()
        impossible = Tensor(np.array([[0.0, -inf, 0.0]]))
        assert float(cross_entropy(impossible, np.array([0])).data) == pytest.approx(math.log(2))
        assert float(cross_entropy(impossible, np.array([1])).data) == inf
        zero = np.array([1.0, 0.0, 1.0])
        assert float(cross_entropy(impossible, np.array([1]), class_weights=zero).data) == 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_cross_entropy_of_nothing_is_zero(backend: str, reduction: str) -> None:
    scores = Tensor(np.ones((1, 2, 2, 3)), requires_grad=True)
    with kernels.use(backend):
        loss = cross_entropy(scores, np.full((1, 2, 2), 255), reduction=reduction)  # type: ignore[arg-type]
        backward(loss)
    assert float(loss.data) == 0
    assert scores.grad is not None
    assert not scores.grad.any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_cross_entropy_of_a_class_that_is_ignored(backend: str) -> None:
    scores = Tensor(np.zeros((2, 2)))
    with kernels.use(backend):
        loss = cross_entropy(scores, np.array([0, 1]), ignore_index=0, reduction="sum")
    assert float(loss.data) == pytest.approx(math.log(2))


@pytest.mark.parametrize("backend", BACKENDS)
def test_cross_entropy_wrong(backend: str) -> None:
    scores, labels = Tensor(np.zeros((1, 2, 3))), np.zeros((1, 2), int)
    with kernels.use(backend):
        with pytest.raises(ShapeError, match=r"labels \(1, 3\) do not fit scores \(1, 2, 3\)"):
            cross_entropy(scores, np.zeros((1, 3), int))
        with pytest.raises(ShapeError, match=r"\(2,\) class weights for 3 classes"):
            cross_entropy(scores, labels, class_weights=np.ones(2))
        with pytest.raises(ValueError, match="'none'"):
            cross_entropy(scores, labels, reduction="none")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="labels are float64"):
            cross_entropy(scores, np.zeros((1, 2)))  # type: ignore[arg-type]
        for label in (3, -1, 10**12):
            with pytest.raises(ValueError, match=r"outside \[0, 3\)"):
                cross_entropy(scores, np.array([[0, label]]))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("label", [3, -1, 10**12])
def test_a_label_that_was_changed_after_the_forward_pass(backend: str, label: int) -> None:
    """The gradient of another class would be written outside of the array."""
    scores, labels = Tensor(np.zeros((1, 2, 3)), requires_grad=True), np.zeros((1, 2), np.intp)
    with kernels.use(backend):
        loss = cross_entropy(scores, labels)
        labels[0, 1] = label
        with pytest.raises(ValueError, match=r"outside \[0, 3\)"):
            backward(loss)
    assert scores.grad is None


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3, 0)])
def test_no_classes(backend: str, shape: tuple[int, ...]) -> None:
    scores = Tensor(np.zeros(shape))
    with kernels.use(backend):
        assert softmax(scores).shape == shape
        with pytest.raises(ShapeError, match="do not fit scores"):
            cross_entropy(scores, np.zeros(shape[:-1], int))
        with pytest.raises(ShapeError, match="do not fit scores"):
            soft_cross_entropy(scores, np.zeros(shape))
