"""Recurrent CNNs: fields, alignment of the planes, and that all ways to compute a cell agree."""

from typing import Any

import numpy as np
import pytest
import scipy.special

from lstm2d import Tensor, backward
from lstm2d.config.load import load_preset
from lstm2d.errors import ConfigError
from lstm2d.gradcheck import gradcheck
from lstm2d.models import RCNNConfig, RCNNNetwork, Step, build, model_config, parameter_count
from lstm2d.ops import avg_pool2d
from lstm2d.tape import no_grad
from lstm2d.tensor import FloatArray

K = 3
SMALL = {"rcnn2": [4, 5], "rcnn1": [3, 4], "cnn-133": [3, 4]}
NETWORKS = [("rcnn2", 1), ("rcnn2", 2), ("rcnn2", 3), ("rcnn1", 1), ("rcnn1", 2), ("cnn-133", 1)]


def network(preset: str, instances: int, *, seed: int = 0, dtype: type = np.float64) -> RCNNNetwork:
    """Return a network of a preset with fewer channels."""
    section = load_preset(preset).model | {"channels": SMALL[preset], "instances": instances, "loss": "sum"}
    if instances == 1:
        section["random_instances"] = False
    net = build(section, K, np.random.default_rng(seed), dtype=dtype)
    assert isinstance(net, RCNNNetwork)
    rng = np.random.default_rng(seed + 1)
    for name, p in net.named_parameters():
        if name.endswith("bias"):
            p.data[...] = 0.1 * rng.standard_normal(p.shape)
    return net


def whole(net: RCNNNetwork, step: Step) -> int:
    return net.instances_of(step.seed, step.epoch, step.samples[0])


def step_with(net: RCNNNetwork, instances: int) -> Step:
    """Return a training step whose example runs through this number of instances."""
    return next(
        step for n in range(100) if whole(net, step := Step(training=True, samples=(n,))) == instances
    )


def surrounded(image: FloatArray, zeros: int) -> FloatArray:
    return np.pad(image, ((zeros, zeros), (zeros, zeros), (0, 0)))[np.newaxis]


@pytest.mark.parametrize(
    ("preset", "fields"),
    [
        ("cnn-133", [(133, 16)]),
        ("rcnn1", [(25, 4), (121, 16)]),
        ("rcnn2", [(23, 2), (67, 4), (155, 8)]),
    ],
)
def test_the_papers_patches(preset: str, fields: list[tuple[int, int]]) -> None:
    config = model_config(load_preset(preset).model)
    assert isinstance(config, RCNNConfig)
    assert [tuple(field) for field in config.fields()] == fields


@pytest.mark.parametrize(
    ("preset", "classes", "parameters"),
    [
        # filters and biases of the layers
        ("cnn-133", 8, (108 * 25 + 25) + (225 * 50 + 50) + (49 * 50 * 8 + 8)),
        ("rcnn1", 8, (64 * 11 * 25 + 25) + (64 * 25 * 100 + 100) + (100 * 8 + 8)),
        ("rcnn2", 8, (64 * 11 * 25 + 25) + (64 * 25 * 50 + 50) + (50 * 8 + 8)),
    ],
)
def test_parameters(preset: str, classes: int, parameters: int) -> None:
    assert parameter_count(load_preset(preset).model, classes) == parameters


@pytest.mark.parametrize(("preset", "instances"), NETWORKS)
def test_cells_of_an_image_are_those_of_its_patches(preset: str, instances: int) -> None:
    net, rng = network(preset, instances), np.random.default_rng(5)
    size, stride = net.fields[instances - 1]
    image = rng.standard_normal((2 * stride + 3, stride + 2, 3))
    labels = rng.integers(0, K, image.shape[:2]).astype(np.uint8)
    labels[0, 0] = 255
    step = step_with(net, instances)
    top, left = min(1, stride - 1), min(3, stride - 1)
    z, under = surrounded(image, size // 2)[:, top:, left:], labels[None, top::stride, left::stride]
    scores = net.scores(Tensor(z), step)
    rows, columns = under.shape[1:]
    assert scores.shape == (1, rows, columns * instances, K)
    cells = scores.data.reshape(rows, columns, instances, K)
    backward(net.compare(scores, under))
    dense = [p.grad for p in net.parameters()]
    for p in net.parameters():
        p.grad = None
    for i, j in np.ndindex(under.shape[1:]):
        patch = z[:, i * stride : i * stride + size, j * stride : j * stride + size]
        alone = net.scores(Tensor(patch), step)
        assert alone.shape == (1, 1, instances, K)
        np.testing.assert_allclose(alone.data[0, 0], cells[i, j], rtol=1e-11, atol=1e-13)
        backward(net.compare(alone, under[:, i : i + 1, j : j + 1]))
    for together, p in zip(dense, net.parameters(), strict=True):
        if together is None:  # the filters of the planes, with one instance
            assert p.grad is None
        else:
            np.testing.assert_allclose(together, p.grad, rtol=1e-10, atol=1e-10 * np.abs(p.grad).max())


@pytest.mark.parametrize(("preset", "instances"), NETWORKS)
def test_the_loss_adds_the_instances(preset: str, instances: int) -> None:
    net, rng = network(preset, instances), np.random.default_rng(6)
    size, _ = net.fields[instances - 1]
    x = rng.standard_normal((1, size, size, 3))
    scores = net.scores(Tensor(x), step_with(net, instances))
    log_p = scipy.special.log_softmax(scores.data.reshape(instances, K), axis=1)
    loss = net.compare(scores, np.full((1, 1, 1), 2, np.uint8))
    assert float(loss.data) == pytest.approx(-log_p[:, 2].sum(), rel=1e-12)


@pytest.mark.parametrize(("preset", "instances"), [("rcnn2", 2), ("rcnn2", 3), ("rcnn1", 2)])
def test_gradient_through_several_instances(preset: str, instances: int, rng: np.random.Generator) -> None:
    net = network(preset, instances)
    size, stride = net.fields[instances - 1]
    x, step = rng.standard_normal((1, size + stride, size, 3)), step_with(net, instances)
    labels = np.array([[[1], [2]]], np.uint8)
    values = [p.data.copy() for p in net.parameters()]

    def loss(*tensors: Tensor) -> Tensor:
        replaced = dict(zip([name for name, _ in net.named_parameters()], tensors, strict=True))
        for name, tensor in replaced.items():
            part, _, attribute = name.rpartition(".")
            setattr(net.get_submodule(part), attribute, tensor)
        return net.compare(net.scores(Tensor(x), step), labels)

    gradcheck(loss, *values, rng=rng, eps=1e-8, rtol=1e-5)  # a short step: few maxima change places


@pytest.mark.parametrize("instances", [2, 3])
def test_ramp(instances: int) -> None:
    """An image whose value is its row: the image plane of an instance reads the row under its cells."""
    net = network("rcnn2", instances)
    size, stride = net.fields[instances - 2]
    rows = np.arange(400.0)
    image = np.broadcast_to(rows[:, None, None], (400, 200, 3))
    cells = (400 - size) // stride + 1
    planes = Tensor(np.zeros((1, cells, (200 - size) // stride + 1, K)))
    found = net._image(Tensor(image[None].copy()), planes, net.fields[instances - 2], stride).data
    middle = stride * np.arange(cells) + (size - 1) / 2
    assert np.abs(found - middle[:, None, None]).max() <= stride / 2
    # the mean of the pixels from the middle on
    np.testing.assert_allclose(found[0, :, 0, 0], middle + (stride - 1) / 2)


def test_the_first_instance_sees_no_planes() -> None:
    net, x = network("rcnn2", 1), np.random.default_rng(0).standard_normal((1, 40, 30, 3))
    before = net.scores(Tensor(x), step_with(net, 1)).data
    assert net.first.planes is not None
    net.first.planes.data += 1
    np.testing.assert_array_equal(net.scores(Tensor(x), step_with(net, 1)).data, before)


def test_the_second_instance_by_hand() -> None:
    """One pass, put together from the operations of the paper for one pixel in four."""
    net, rng = network("rcnn2", 2), np.random.default_rng(3)
    x = rng.standard_normal((1, 71, 75, 3))

    def instance(image: FloatArray, planes: FloatArray) -> FloatArray:
        both = np.concatenate([planes, image], axis=3)
        assert net.first.planes is not None
        filters = np.concatenate([net.first.planes.data, net.first.image.data], axis=2)
        windows = np.lib.stride_tricks.sliding_window_view(both, (8, 8), axis=(1, 2))
        z = np.einsum("nijcyx,yxcd->nijd", windows, filters) + net.first.bias.data
        rows, columns = z.shape[1] // 2, z.shape[2] // 2
        z = z[:, : 2 * rows, : 2 * columns].reshape(1, rows, 2, columns, 2, -1).max(axis=(2, 4))
        windows = np.lib.stride_tricks.sliding_window_view(np.tanh(z), (8, 8), axis=(1, 2))
        assert net.convs[0].bias is not None
        z = np.tanh(
            np.einsum("nijcyx,yxcd->nijd", windows, net.convs[0].weight.data) + net.convs[0].bias.data
        )
        assert net.classify.bias is not None
        found: FloatArray = z @ net.classify.weight.data[0, 0] + net.classify.bias.data
        return found

    first = instance(x, np.zeros((1, 71, 75, K)))
    rows, columns = first.shape[1:3]
    image = avg_pool2d(Tensor(x[:, 11 : 11 + 2 * rows, 11 : 11 + 2 * columns].copy()), 2).data
    second = instance(image, first)
    with no_grad():
        found = net.planes(Tensor(x), 2, 4)
    np.testing.assert_allclose(found[1].data, second, rtol=1e-11, atol=1e-12)
    rows, columns = second.shape[1:3]
    middle = first[:, 11 : 11 + 2 * rows : 2, 11 : 11 + 2 * columns : 2]
    np.testing.assert_allclose(found[0].data, middle, rtol=1e-11, atol=1e-12)


def test_instances_are_drawn_evenly_and_by_the_number_alone() -> None:
    net = network("rcnn1", 2)
    drawn = [net.instances_of(7, 2, n) for n in range(2000)]
    assert set(drawn) == {1, 2}
    assert abs(np.mean(drawn) - 1.5) < 4 * 0.5 / np.sqrt(2000)
    assert drawn == [net.instances_of(7, 2, n) for n in range(2000)]
    assert drawn != [net.instances_of(7, 3, n) for n in range(2000)]


def test_first_weights() -> None:
    net = network("rcnn2", 2)
    for values, fan_in in (
        (net.first.image.data, 64 * (K + 3)),
        (net.convs[0].weight.data, 64 * 4),
        (net.classify.weight.data, 5),
    ):
        limit = 1 / np.sqrt(fan_in)
        assert 0.8 * limit < np.abs(values).max() <= limit


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"pools": [3, 1]}, "powers of two"),
        ({"pools": [2]}, "2 values: one per layer"),
        ({"kernels": [7, 8]}, "even number of pixels"),
        ({"feedback": False}, "without feedback there is one instance"),
        ({"instances": 0}, ">= 1"),
        ({"instances": 1, "random_instances": True}, "there is one instance"),
    ],
)
def test_wrong_options(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        model_config(load_preset("rcnn2").model | changes)
