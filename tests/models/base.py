"""What every model must do; the test class of a model inherits this."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, backward
from lstm2d.errors import Lstm2dError
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.models import LSTM2DNetwork, build
from lstm2d.tensor import FloatArray

CLASSES = 4
IGNORE = 255


class ModelTests(ABC):
    """Tests of one model; `section` says which."""

    @abstractmethod
    def section(self) -> dict[str, Any]:
        """Return a small ``[model]`` section of this model."""

    def build(self, seed: int = 0, dtype: type = np.float32) -> LSTM2DNetwork:
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

    @pytest.mark.parametrize("size", [(1, 1, 1), (1, 1, 7), (1, 6, 1), (2, 3, 5), (1, 9, 4)])
    def test_any_size(self, size: tuple[int, int, int]) -> None:
        net = self.build()
        x, labels = self.batch(*size)
        scores = net.scores(Tensor(x))
        assert scores.shape == (*size, CLASSES)
        assert scores.dtype == np.float32
        p = net.probabilities(Tensor(x))
        assert p.shape == (*labels.shape, CLASSES)
        assert p.min() >= 0
        np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)

    def test_wrong_size_is_said(self) -> None:
        net = self.build()
        if net.stride > 1:
            with pytest.raises(Lstm2dError, match="multiples of the window"):
                net.scores(Tensor(np.zeros((1, net.stride + 1, net.stride, 3), np.float32)))

    def test_gradient_of_every_parameter(self) -> None:
        net = self.build(dtype=np.float64)
        x, labels = self.batch(2, 3, 4, np.float64)
        labels[0, 0, 0] = IGNORE
        weights = np.array([1.0, 2.0, 0.5, 3.0])
        backward(net.loss(Tensor(x), labels, weights))
        rng = np.random.default_rng(8)
        for name, p in net.named_parameters():
            assert p.grad is not None, name
            v, eps = rng.standard_normal(p.shape), 1e-6
            ends = []
            for step in (eps, -2 * eps):
                p.data += step * v
                ends.append(float(net.loss(Tensor(x), labels, weights).data))
            p.data += eps * v
            slope = (ends[0] - ends[1]) / (2 * eps)
            assert float((p.grad * v).sum()) == pytest.approx(slope, rel=2e-6, abs=1e-7), name

    def test_overfits_two_images(self) -> None:
        net = self.build()
        x, labels = self.batch(2, 5, 6)
        velocity = [np.zeros_like(p.data) for p in net.parameters()]
        for _ in range(150):
            backward(net.loss(Tensor(x), labels))
            norm = np.sqrt(sum(float((p.grad**2).sum()) for p in net.parameters() if p.grad is not None))
            for p, v in zip(net.parameters(), velocity, strict=True):
                v *= 0.9
                v -= 0.01 * min(1, 10 / norm) * p.grad
                p.data += v
                p.grad = None
        predicted = net.probabilities(Tensor(x)).argmax(-1)
        assert (predicted == labels).mean() > 0.95

    def test_state_gives_equal_bits(self) -> None:
        net, other = self.build(seed=0), self.build(seed=1)
        x, labels = self.batch(1, 4, 5)
        assert net.probabilities(Tensor(x)).tobytes() != other.probabilities(Tensor(x)).tobytes()
        other.load_state_dict(net.state_dict())
        assert net.probabilities(Tensor(x)).tobytes() == other.probabilities(Tensor(x)).tobytes()
        assert net.loss(Tensor(x), labels).data.tobytes() == other.loss(Tensor(x), labels).data.tobytes()

    def test_seed_decides_the_weights(self) -> None:
        first, second = self.build(seed=3).state_dict(), self.build(seed=3).state_dict()
        assert {k: v.tobytes() for k, v in first.items()} == {k: v.tobytes() for k, v in second.items()}

    def test_threads_and_batch_change_no_bit(self) -> None:
        net = self.build()
        x, labels = self.batch(3, 9, 7)
        before = get_num_threads()
        try:
            results = set()
            for threads in (1, 2, 3):
                set_num_threads(threads)
                backward(net.loss(Tensor(x), labels))
                grads = b"".join(p.grad.tobytes() for p in net.parameters() if p.grad is not None)
                for p in net.parameters():
                    p.grad = None
                results.add((net.probabilities(Tensor(x)).tobytes(), grads))
            assert len(results) == 1
            alone = b"".join(net.probabilities(Tensor(x[k : k + 1])).tobytes() for k in range(3))
            assert alone == results.pop()[0]
        finally:
            set_num_threads(before)

    def test_ignored_pixels_count_nowhere(self) -> None:
        net = self.build(dtype=np.float64)
        x, labels = self.batch(1, 3, 4, np.float64)
        whole = float(net.loss(Tensor(x), labels).data)
        s = net.stride
        half = labels.copy()
        half[:, :, 2 * s :] = IGNORE
        rest = labels.copy()
        rest[:, :, : 2 * s] = IGNORE
        parts = [float(net.loss(Tensor(x), part).data) for part in (half, rest)]
        assert sum(parts) == pytest.approx(whole, rel=1e-12)
        loss = net.loss(Tensor(x), np.full_like(labels, IGNORE))
        backward(loss)
        assert float(loss.data) == 0
        assert not any(p.grad is not None and p.grad.any() for p in net.parameters())

    def test_feature_maps_end_with_the_scores(self) -> None:
        net = self.build()
        x, _ = self.batch(2, 3, 4)
        maps = net.feature_maps(Tensor(x))
        assert list(maps)[-1] == "scores"
        assert maps["scores"].tobytes() == net.scores(Tensor(x)).data.tobytes()
        assert all(m.shape[:3] == (2, 3, 4) for m in maps.values())
