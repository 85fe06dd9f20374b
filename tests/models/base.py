"""Tests that every model must pass; the test class of a model inherits them."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, backward
from lstm2d.errors import Lstm2dError
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.models import Network, Step, build, parameter_count
from lstm2d.nn import Linear
from lstm2d.tensor import FloatArray

CLASSES = 4
IGNORE = 255


def training_loss(net: Network, z: Tensor, labels: Any, class_weights: Any = None) -> Tensor:
    """Return the loss as a training step computes it."""
    return net.compare(net.scores(z, Step(training=True)), labels, class_weights)


class ModelTests(ABC):
    """Tests of the model in `section`. `rate`, `steps` and `grid` are used for overfitting."""

    rate, steps, grid = 0.01, 150, (2, 5, 6)

    @abstractmethod
    def section(self) -> dict[str, Any]:
        """Return a small ``[model]`` section of this model."""

    def build(self, seed: int = 0, dtype: type = np.float32) -> Network:
        return build(self.section(), CLASSES, np.random.default_rng(seed), dtype=dtype)

    def batch(self, n: int, rows: int, columns: int, dtype: type = np.float32) -> tuple[FloatArray, Any]:
        """Return random images and blocky labels of `rows` x `columns` strides."""
        rng = np.random.default_rng(n + 10 * rows + 100 * columns)
        stride = self.build().stride
        labels = rng.integers(0, CLASSES, (n, rows, columns)).astype(np.uint8)
        labels = labels.repeat(stride, 1).repeat(stride, 2)
        colors = rng.standard_normal((CLASSES, 3))
        x = colors[labels] + 0.3 * rng.standard_normal((*labels.shape, 3))
        return x.astype(dtype), labels

    def shape_of_scores(self, n: int, rows: int, columns: int) -> tuple[int, ...]:
        """Return the shape of the scores of `n` images of `rows` x `columns` strides."""
        stride = self.build().stride
        return (n, rows * stride, columns * stride, CLASSES)

    @pytest.mark.parametrize("size", [(1, 1, 1), (1, 1, 7), (1, 6, 1), (2, 3, 5), (1, 9, 4)])
    def test_any_size(self, size: tuple[int, int, int]) -> None:
        net = self.build()
        x, labels = self.batch(*size)
        scores = net.scores(net.frozen(Tensor(x)))
        assert scores.shape == self.shape_of_scores(*size)
        assert scores.dtype == np.float32
        p = net.probabilities(Tensor(x))
        assert p.shape == (*labels.shape, CLASSES)
        assert p.min() >= 0
        np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)

    def test_wrong_size_is_an_error(self) -> None:
        net = self.build()
        if net.stride > 1:
            with pytest.raises(Lstm2dError, match="multiples of"):
                net.probabilities(Tensor(np.zeros((1, net.stride + 1, net.stride, 3), np.float32)))

    def test_gradient_of_every_parameter(self) -> None:
        net = self.build(dtype=np.float64)
        x, labels = self.batch(2, 2, 3, np.float64)
        labels[0, 0, 0] = IGNORE
        weights, z = np.array([1.0, 2.0, 0.5, 3.0]), net.frozen(Tensor(x))
        rng = np.random.default_rng(8)
        for name, p in net.named_parameters():
            if p.requires_grad and name.endswith("bias"):  # away from 0, where a ReLU is not differentiable
                p.data += 0.5 * rng.standard_normal(p.shape)
        loss = training_loss(net, z, labels, weights)
        backward(loss)

        def agrees(p: Tensor, eps: float) -> bool:
            v = rng.standard_normal(p.shape)
            v /= np.sqrt((v**2).sum())
            ends = []
            for step in (eps, -2 * eps):
                p.data += step * v
                ends.append(float(training_loss(net, z, labels, weights).data))
            p.data += eps * v
            slope = (ends[0] - ends[1]) / (2 * eps)
            rounding = 3e-15 / eps * float(loss.data)
            return float((p.grad * v).sum()) == pytest.approx(slope, rel=2e-6, abs=rounding)

        for name, p in net.named_parameters():
            assert (p.grad is not None) == p.requires_grad, name
            # a shorter step in another direction, if the first crossed a kink of a ReLU or maximum
            assert p.grad is None or any(agrees(p, eps) for eps in (1e-6, 1e-7, 1e-8)), name

    def train(self, net: Network, x: FloatArray, labels: Any, steps: int) -> list[float]:
        """Train by Adam, and return the loss before each step."""
        z, trained = net.frozen(Tensor(x)), [p for p in net.parameters() if p.requires_grad]
        moments = [(np.zeros_like(p.data), np.zeros_like(p.data)) for p in trained]
        losses = []
        for step in range(1, steps + 1):
            loss = training_loss(net, z, labels)
            losses.append(float(loss.data))
            backward(loss)
            for p, (mean, square) in zip(trained, moments, strict=True):
                assert p.grad is not None
                mean += 0.1 * (p.grad - mean)
                square += 0.01 * (p.grad**2 - square)
                root = np.sqrt(square / (1 - 0.99**step)) + 1e-8
                p.data -= self.rate / (1 - 0.9**step) * mean / root
                p.grad = None
        return losses

    def test_overfits_two_images(self) -> None:
        net = self.build()
        x, labels = self.batch(*self.grid)
        self.train(net, x, labels, self.steps)
        predicted = net.probabilities(Tensor(x)).argmax(-1)
        assert (predicted == labels).mean() > 0.95

    def test_state_gives_equal_bits(self) -> None:
        net, other = self.build(seed=0), self.build(seed=1)
        x, labels = self.batch(1, 4, 5)
        assert net.probabilities(Tensor(x)).tobytes() != other.probabilities(Tensor(x)).tobytes()
        other.load_state_dict(net.state_dict())
        assert net.probabilities(Tensor(x)).tobytes() == other.probabilities(Tensor(x)).tobytes()
        losses = {training_loss(n, n.frozen(Tensor(x)), labels).data.tobytes() for n in (net, other)}
        assert len(losses) == 1

    def test_seed_decides_the_weights(self) -> None:
        first, second = self.build(seed=3).state_dict(), self.build(seed=3).state_dict()
        assert {k: v.tobytes() for k, v in first.items()} == {k: v.tobytes() for k, v in second.items()}

    def test_threads_and_batch_change_no_bit(self) -> None:
        x, labels = self.batch(3, 9, 7)
        before = get_num_threads()
        try:
            results, together = set(), set()
            for threads in (1, 2, 3):
                set_num_threads(threads)
                net = self.build()
                together.add(net.probabilities(Tensor(x)).tobytes())
                backward(training_loss(net, net.frozen(Tensor(x)), labels))
                values = [p.grad for p in net.parameters() if p.grad is not None]
                values += [buffer for _, buffer in net.named_buffers()]
                results.add(b"".join(v.tobytes() for v in values))
            assert len(results) == len(together) == 1
            net = self.build()
            alone = b"".join(net.probabilities(Tensor(x[k : k + 1])).tobytes() for k in range(3))
            assert alone == together.pop()
        finally:
            set_num_threads(before)

    def test_ignored_pixels_count_nowhere(self) -> None:
        net = self.build(dtype=np.float64)
        x, labels = self.batch(1, 3, 4, np.float64)
        z, s = net.frozen(Tensor(x)), net.stride
        half = labels.copy()
        half[:, :, 2 * s :] = IGNORE
        rest = labels.copy()
        rest[:, :, : 2 * s] = IGNORE

        def total(part: Any) -> float:
            pixels = np.count_nonzero(part != IGNORE) if net.reduction == "mean" else 1
            return float(training_loss(net, z, part).data) * pixels

        assert total(half) + total(rest) == pytest.approx(total(labels), rel=1e-12)
        loss = training_loss(net, z, np.full_like(labels, IGNORE))
        backward(loss)
        assert float(loss.data) == 0
        assert not any(p.grad is not None and p.grad.any() for p in net.parameters())

    def test_terms_are_those_of_the_loss(self) -> None:
        net = self.build(dtype=np.float64)
        x, labels = self.batch(1, 2, 2, np.float64)
        labels[0, 0, 0] = IGNORE
        for p in net.parameters():
            p.data[...] = 0  # each term is ln K then
        loss = float(training_loss(net, net.frozen(Tensor(x)), labels).data)
        terms = net.terms(labels, ignore_index=IGNORE)
        assert loss / terms == pytest.approx(np.log(CLASSES), rel=1e-6)

    def test_feature_maps_end_with_the_scores(self) -> None:
        net = self.build()
        x, _ = self.batch(2, 3, 4)
        maps = net.feature_maps(Tensor(x))
        assert list(maps)[-1] == "scores"
        assert maps["scores"].tobytes() == net.scores(net.frozen(Tensor(x))).data.tobytes()
        assert all(m.ndim == 4 and m.shape[0] == 2 for m in maps.values())

    def test_a_model_file_holds_the_number_of_values_that_is_counted_without_building(self) -> None:
        net = self.build()
        stored = sum(v.size for name, v in net.state_dict().items() if name not in net.imported)
        assert stored == parameter_count(self.section(), CLASSES)

    def test_the_head_computes_the_scores_and_can_be_replaced(self) -> None:
        net = self.build()
        x, labels = self.batch(1, 2, 3)
        z, names = net.frozen(Tensor(x)), list(net.state_dict())
        assert net.head.weight.shape[-1] == CLASSES
        net.head = Linear(net.head.weight.shape[0], 2, rng=np.random.default_rng(0))
        assert (net.n_classes, list(net.state_dict())) == (2, names)
        assert net.head is net.get_submodule(net.head_name)
        net.head.weight.data[...] = 0
        assert net.head.bias is not None
        net.head.bias.data[:] = [0, np.log(3)]
        np.testing.assert_allclose(
            net.probabilities(Tensor(x)), np.full((*labels.shape, 2), [0.25, 0.75]), rtol=1e-6
        )
        loss = float(training_loss(net, z, np.ones_like(labels)).data) / net.terms(labels)
        assert loss == pytest.approx(-np.log(0.75), rel=1e-5)
