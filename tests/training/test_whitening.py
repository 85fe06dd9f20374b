"""Gradients of the filters on the image, times the inverse second moments of its windows."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import ConfigError
from lstm2d.models import RCNNNetwork, build
from lstm2d.tensor import Tensor
from lstm2d.training.adadelta import Adadelta
from lstm2d.training.loop import train
from lstm2d.training.optimizer import Optimizer
from lstm2d.training.samples import TrainingData
from lstm2d.training.sgd import SGD
from lstm2d.training.whitening import inverse, whitening
from tests.training.runs import Configure, Stopper, digest
from tests.training.sources.test_rcnn import network_and_data, small


@given(st.integers(1, 30), st.sampled_from([1e-3, 0.1, 10.0]), st.integers(0, 2**32 - 1))
def test_the_inverse(size: int, share: float, seed: int) -> None:
    rows = np.random.default_rng(seed).standard_normal((2 * size, size)) * np.logspace(0, 3, size)
    moments = rows.T @ rows / len(rows)
    scaled = moments * size / np.trace(moments)
    np.testing.assert_allclose(
        inverse(moments, share) @ (scaled + share * np.eye(size)), np.eye(size), atol=1e-8
    )


def test_windows_without_any_variance() -> None:
    np.testing.assert_array_equal(inverse(np.zeros((3, 3)), 0.5), 2 * np.eye(3))


def test_the_moments_are_those_of_the_windows_that_the_network_sees(dataset: Path) -> None:
    """A dataset of few small images: the random windows come close to all of them."""
    network, data = network_and_data(small("rcnn2", "model.kernels=[2, 2]", "train.whiten=0.1"), dataset)
    config = small("rcnn2", "train.whiten=0.1").train
    (matrix,) = whitening(config, data, network).values()
    total, count = np.zeros((12, 12)), 0
    for sample in data.training:
        image = data.preprocessing.network_input(data.dataset.load(sample)[0])[0]
        pad = data.preprocessing.padding - 1
        windows = np.lib.stride_tricks.sliding_window_view(image[pad:-pad, pad:-pad], (2, 2), axis=(0, 1))
        x = windows.transpose(0, 1, 3, 4, 2).reshape(-1, 12).astype(np.float64)
        total, count = total + x.T @ x / len(x), count + 1
    moments = np.linalg.inv(matrix) - 0.1 * np.eye(12)
    exact = total / count * 12 / np.trace(total / count)
    assert np.abs(moments - exact).max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize("kind", [SGD, Adadelta])
def test_the_gradient_is_multiplied_before_all_else(kind: type[Optimizer], rng: np.random.Generator) -> None:
    """The same as a gradient that is given multiplied: norm, clipping and state of the optimizer."""
    matrix, gradients = rng.standard_normal((6, 6)), rng.standard_normal((3, 2, 3, 4))
    after, norms = [], []
    for whitened in (True, False):
        p = {"w": Tensor(np.ones((2, 3, 4)), requires_grad=True), "v": Tensor(np.ones(5), requires_grad=True)}
        optimizer = kind(p, clip_norm=1.0)
        optimizer.whiten({"w": matrix} if whitened else {})
        for time, g in enumerate(gradients):
            p["v"].grad = np.full(5, 0.5)
            p["w"].grad = g if whitened else (matrix @ g.reshape(6, 4)).reshape(g.shape)
            norms.append(optimizer.gradient_norm())
            optimizer.step(0.1, norms[-1], time)
        after.append(p["w"].data.copy())
    np.testing.assert_allclose(norms[:3], norms[3:], rtol=1e-12)
    np.testing.assert_allclose(*after, rtol=1e-10)


def test_a_network_without_such_filters(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    with pytest.raises(ConfigError, match=r"train.whiten = 0.1") as caught:
        train(configure("train.whiten=0.1"), dataset, tmp_path / "run")
    assert "0 for this network" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_has_the_same_matrices(dataset: Path, tmp_path: Path) -> None:
    config = small("rcnn2", "model.instances=2", "train.epochs=1", "train.whiten=0.1")
    train(config, dataset, tmp_path / "straight")
    with pytest.raises(Exception, match="stopped after step"):
        train(config, dataset, tmp_path / "stopped", report=Stopper(2))
    train(config, dataset, tmp_path / "stopped", resume=True)
    assert digest(tmp_path / "stopped") == digest(tmp_path / "straight")
    plain = small("rcnn2", "model.instances=2", "train.epochs=1", "train.whiten=0")
    train(plain, dataset, tmp_path / "plain")
    assert digest(tmp_path / "plain") != digest(tmp_path / "straight")


def test_images_smaller_than_a_window(dataset: Path) -> None:
    config = small("rcnn2")
    network = build(config.model, 3, np.random.default_rng(0))
    assert isinstance(network, RCNNNetwork)
    data = TrainingData(config, DatasetFolder(dataset), network.stride, padding=network.padding)
    data.training = data.training[:1]
    image, labels = data.dataset.load(data.training[0])
    data.dataset.load = lambda sample: (image[:1, :1], labels[:1, :1])  # type: ignore[method-assign]
    (matrix,) = whitening(config.train, data, network).values()
    assert np.isfinite(matrix).all()
