"""Clarifai and OverFeat: sizes, layers by hand, and that one pass gives the scores of every patch."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.special

from lstm2d import Tensor, backward, ops
from lstm2d.config import load_preset
from lstm2d.data.superpixels import centres, superpixels
from lstm2d.errors import ConfigError, DataError
from lstm2d.gradcheck import gradcheck
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.models import PatchCNNConfig, PatchCNNNetwork, Step, build, load_imported, parameter_count
from lstm2d.models.backbones.five_layers import ARCHITECTURES, Architecture, misfit
from lstm2d.models.subclasses import folded_arrays, score_subclasses
from lstm2d.tensor import FloatArray
from tests.models.test_rcnn_prediction import nearest_labelled
from tests.weights.torch_bytes import random_layers

K = 4
NETWORKS: list[Architecture] = ["clarifai", "overfeat"]
TRAINING = Step(seed=3, epoch=1, samples=(5, 8), training=True)


def network(name: Architecture, *, dtype: type = np.float64, **options: Any) -> PatchCNNNetwork:
    section = {"kind": "patch-cnn", "architecture": name, "patch": ARCHITECTURES[name].patch}
    section |= {"dropout": 0.0, "width": 1 / 32, **options}
    net = build(section, K, np.random.default_rng(0), dtype=dtype)
    assert isinstance(net, PatchCNNNetwork)
    rng = np.random.default_rng(1)
    for parameter, p in net.named_parameters():
        if parameter.endswith("bias"):
            p.data[...] = 0.1 * rng.standard_normal(p.shape)
    net.classify.weight.data *= 30
    return net


def scene(height: int, width: int, dtype: type = np.float64) -> FloatArray:
    """Return blurred noise with deviation 60."""
    noise = np.random.default_rng(4).standard_normal((height + 2, width + 2, 3))
    image = sum(noise[i : i + height, j : j + width] for i in range(3) for j in range(3))
    return np.asarray(20 * image, dtype)


def surrounded(image: FloatArray, zeros: int) -> FloatArray:
    return np.pad(image, ((zeros, zeros), (zeros, zeros), (0, 0)))[np.newaxis]


def of_patches(net: PatchCNNNetwork, image: FloatArray, pixels: list[tuple[int, int]]) -> FloatArray:
    """Return the scores of some pixels, each computed for its own patch as in training."""
    side, padded = 2 * net.padding + 1, surrounded(image, net.padding)
    patches = np.concatenate([padded[:, i : i + side, j : j + side] for i, j in pixels])
    found = [net.scores(Tensor(p[None].copy()), Step(training=True, samples=(0,))).data for p in patches]
    assert all(scores.shape == (1, 1, 1, K) for scores in found)
    return np.concatenate([scores[:, 0, 0] for scores in found])


@pytest.mark.parametrize("name", NETWORKS)
def test_patches_of_one_size_alone_fit(name: Architecture) -> None:
    sizes = [size for size in range(1, 300) if not misfit(name, size)]
    assert sizes == [{"clarifai": 235, "overfeat": 231}[name]]
    assert ARCHITECTURES[name].stride == 32


@pytest.mark.parametrize(
    ("name", "patch", "problem"),
    [
        ("clarifai", 227, "235: pool2 of 3x3 with stride 2 does not end at the edge, 1 pixel is left over"),
        ("clarifai", 236, "235: conv1 of 7x7 with stride 2 does not end at the edge, 1 pixel is left over"),
        ("clarifai", 203, "235: fc6 of 3x3 with stride 1 is larger than the 2x2 pixels before it"),
        ("clarifai", 267, "235: the network has 2x2 scores for such a patch"),
        ("overfeat", 227, "231: pool1 of 2x2 with stride 2 does not end at the edge, 1 pixel is left over"),
        ("overfeat", 0, "231: conv1 of 11x11 with stride 4 is larger than the 0x0 pixels before it"),
    ],
)
def test_what_does_not_fit(name: Architecture, patch: int, problem: str) -> None:
    assert misfit(name, patch) == problem
    with pytest.raises(ConfigError) as error:
        PatchCNNConfig(architecture=name, patch=patch)
    assert f"patch = {patch}, expected {problem}" in str(error.value)


def test_a_wrong_config_names_everything() -> None:
    with pytest.raises(ConfigError) as error:
        PatchCNNConfig(architecture="alexnet", patch="a", dropout=1.0, width=9.0, loss="max")  # type: ignore[arg-type]
    for word in ("'alexnet'", "patch = 'a'", "dropout = 1.0", "width = 9.0", "'max'"):
        assert word in str(error.value)


# inputs and outputs of conv1 to conv5
CLARIFAI = [(49 * 3, 96), (25 * 96, 256), (9 * 256, 384), (9 * 384, 384), (9 * 384, 256)]
OVERFEAT = [(121 * 3, 96), (25 * 96, 256), (9 * 256, 512), (9 * 512, 1024), (9 * 1024, 1024)]


@pytest.mark.parametrize(
    ("name", "first", "six"), [("clarifai", CLARIFAI, 4096), ("overfeat", OVERFEAT, 3072)]
)
def test_the_sizes_of_the_presets(name: str, first: list[tuple[int, int]], six: int) -> None:
    layers = [*first, (9 * first[-1][1], six), (six, 4096), (4096, 33)]
    expected = sum(inputs * outputs + outputs for inputs, outputs in layers)
    assert parameter_count(load_preset(name).model, 33) == expected


def by_hand(net: PatchCNNNetwork, x: Tensor) -> FloatArray:
    """Return the scores of patches from the layers of the table in the documentation."""
    conv = [getattr(net.backbone, f"conv{number}") for number in range(1, 6)]
    clarifai = net.config.architecture == "clarifai"
    strides = (2, 2, 1, 1, 1) if clarifai else (4, 1, 1, 1, 1)
    for number, layer in enumerate(conv, start=1):
        x = ops.relu(ops.conv2d(x, layer.weight, layer.bias, stride=strides[number - 1]))
        if number in (1, 2, 5):
            x = ops.max_pool2d(x, 3 if clarifai else 2, stride=2)
        if clarifai and number in (1, 2):
            squares = np.pad(x.data**2, ((0, 0), (0, 0), (0, 0), (2, 2)))
            total = sum(squares[..., k : k + x.shape[3]] for k in range(5))
            x = Tensor(x.data / (1 + 1e-4 / 5 * total) ** 0.75)
    assert x.shape[1:3] == (3, 3)
    flat = x.data.reshape(x.shape[0], -1)
    six = np.maximum(flat @ net.fc6.weight.data.reshape(flat.shape[1], -1) + net.fc6.bias.data, 0)
    seven = np.maximum(six @ net.fc7.weight.data[0, 0] + net.fc7.bias.data, 0)
    assert net.classify.bias is not None
    scores: FloatArray = seven @ net.classify.weight.data + net.classify.bias.data
    return scores


@pytest.mark.parametrize("name", NETWORKS)
def test_put_together_by_hand(name: Architecture) -> None:
    net = network(name)
    side = 2 * net.padding + 1
    x = Tensor(scene(2 * side, side).reshape(2, side, side, 3))
    scores = net.scores(x, TRAINING).data
    assert scores.shape == (2, 1, 1, K)
    np.testing.assert_allclose(scores[:, 0, 0], by_hand(net, x), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("resolution", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize("name", NETWORKS)
def test_one_pass_gives_the_scores_of_the_patches(name: Architecture, resolution: int) -> None:
    net, image = network(name), scene(37, 34)
    net.predict_as(resolution, ())
    scores = net.scores(Tensor(surrounded(image, net.padding))).data
    rows, columns = (range(resolution // 2, side, resolution) for side in image.shape[:2])
    assert scores.shape == (1, len(rows), len(columns), K)
    corners = [(i, j) for i in (0, len(rows) - 1) for j in (0, len(columns) - 1)]
    expected = of_patches(net, image, [(rows[i], columns[j]) for i, j in corners])
    np.testing.assert_allclose([scores[0, i, j] for i, j in corners], expected, rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_prediction_at_the_centres_of_superpixels_is_that_of_the_patches(name: Architecture) -> None:
    net, image = network(name, width=0.125, dtype=np.float32), scene(60, 70, np.float32)
    rows, columns = centres(superpixels(image))
    assert len(rows) > 8
    pixels = list(zip(rows.tolist(), columns.tolist(), strict=True))
    net.classify.weight.data *= 3 / np.abs(of_patches(net, image, pixels)).max()  # no class is certain
    expected = scipy.special.softmax(of_patches(net, image, pixels), axis=1)
    assert np.ptp(expected, axis=0).max() > 0.1  # the patches differ
    net.predict_as(1, ())
    p = net.probabilities(Tensor(surrounded(image, net.padding)))
    assert p.shape == (1, 60, 70, K)
    np.testing.assert_allclose(p[0, rows, columns], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 30), (21, 18)])
def test_a_coarser_resolution_labels_every_nth_pixel(shape: tuple[int, int]) -> None:
    net = network("overfeat")
    z = Tensor(surrounded(scene(*shape), net.padding))
    net.predict_as(1, ())
    full = net.probabilities(z)
    for resolution in (2, 8, 32):
        net.predict_as(resolution, ())
        rows, columns = (nearest_labelled(side, resolution) for side in shape)
        expected = full[:, rows][:, :, columns]
        np.testing.assert_allclose(net.probabilities(z), expected, rtol=1e-9, atol=1e-12)


def test_resolutions() -> None:
    net = network("clarifai")
    assert net.resolution == net.default_resolution == 8
    for wrong in (3, 64):
        with pytest.raises(ConfigError) as error:
            net.predict_as(wrong, (), source="m")
        assert "expected: 1, 1/2, 1/4, 1/8, 1/16, 1/32" in str(error.value)
        assert "the network has a stride of 32 pixels" in str(error.value)
    with pytest.raises(ConfigError, match="`instances` for a model"):
        net.predict_as(8, (1, 2))
    assert net.resolution == 8


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient(name: Architecture, rng: np.random.Generator) -> None:
    net = network(name, width=1 / 96, dropout=0.25)
    side = 2 * net.padding + 1
    x = Tensor(scene(2 * side, side).reshape(2, side, side, 3))
    labels = np.array([[[1]], [[2]]])
    values = [p.data.copy() for p in net.parameters()]
    names = [parameter for parameter, _ in net.named_parameters()]

    def loss(*tensors: Tensor) -> Tensor:
        for parameter, tensor in zip(names, tensors, strict=True):
            part, _, attribute = parameter.rpartition(".")
            setattr(net.get_submodule(part), attribute, tensor)
        return net.compare(net.scores(x, TRAINING), labels)

    gradcheck(loss, *values, rng=rng, eps=1e-6, rtol=1e-4)


def test_a_minibatch_is_one_batch_and_its_loss_the_mean() -> None:
    net = network("clarifai", dropout=0.5)
    side = 2 * net.padding + 1
    x, labels = scene(2 * side, side).reshape(2, side, side, 3), np.array([[[1]], [[3]]])
    together = net.compare(net.scores(Tensor(x), TRAINING), labels)
    alone = [
        float(
            net.compare(
                net.scores(Tensor(x[k : k + 1]), Step(seed=3, epoch=1, samples=(s,), training=True)),
                labels[k : k + 1],
            ).data
        )
        for k, s in enumerate(TRAINING.samples)
    ]
    assert net.joint
    assert net.reduction == "mean"
    assert float(together.data) == pytest.approx(np.mean(alone), rel=1e-12)
    one = net.scores(Tensor(x), TRAINING).data
    other = net.scores(Tensor(x), Step(seed=3, epoch=2, samples=(5, 8), training=True)).data
    assert np.abs(one - other).max() > 1e-9
    assert net.compare(net.scores(Tensor(x), TRAINING), np.full_like(labels, 255)).data == 0


def test_threads_change_no_bit() -> None:
    net, before = network("clarifai", dtype=np.float32), get_num_threads()
    side = 2 * net.padding + 1
    x = Tensor(scene(2 * side, side, np.float32).reshape(2, side, side, 3))
    found = set()
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            backward(net.compare(net.scores(x, TRAINING), np.array([[[1]], [[2]]])))
            found.add(b"".join(p.grad.tobytes() for p in net.parameters() if p.grad is not None))
            for p in net.parameters():
                p.grad = None
    finally:
        set_num_threads(before)
    assert len(found) == 1


@pytest.mark.parametrize("resolution", [1, 8])
def test_feature_maps_lie_over_the_image(resolution: int) -> None:
    net, image = network("clarifai"), scene(26, 40)
    net.predict_as(resolution, ())
    z = Tensor(surrounded(image, net.padding))
    maps = net.feature_maps(z)
    assert list(maps) == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "scores"]
    assert maps["scores"].tobytes() == net.scores(z).data.tobytes()
    sizes = {1: (26, 40), 4: (6, 10), 8: (3, 5)}  # conv1 and its pool have a stride of 4
    strides = {1: [1] * 8, 8: [4] + [8] * 7}[resolution]
    assert [m.shape[1:3] for m in maps.values()] == [sizes[stride] for stride in strides]
    net.predict_as(1, ())
    for (name, every), stride in zip(net.feature_maps(z).items(), strides, strict=True):
        first = resolution // 2 % stride  # the middle of a square of 8 pixels, the first of one of 4
        expected, found = every[:, first::stride, first::stride], maps[name]
        rows, columns = np.minimum(expected.shape, found.shape)[1:3]
        np.testing.assert_allclose(found[:, :rows, :columns], expected[:, :rows, :columns], atol=1e-12)


def test_weights_are_imported_where_they_fit(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(ARCHITECTURES["clarifai"], fc_channels=(8, 8))  # quick to build
    monkeypatch.setitem(ARCHITECTURES, "clarifai", small)
    net = network("clarifai", width=1.0, dtype=np.float32)
    published = net.backbone.published
    layers = random_layers({n: published.layers[n] for n in ("conv1", "conv5")}, rng)
    assert load_imported(net, layers) == ["conv2", "conv3", "conv4"]
    np.testing.assert_array_equal(net.backbone.get_submodule("conv5").weight.data, layers["conv5"][0])  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="no layer of the weights fits") as caught:
        load_imported(network("overfeat"), layers, source="zf")
    assert "OverFeat" in str(caught.value)


def test_subclasses_are_folded_into_the_scores(rng: np.random.Generator) -> None:
    net, image = network("overfeat"), scene(3, 5)
    score_subclasses(net, np.array([0, 0, 1, 2, 2, 3]), rng)
    net.classify.weight.data *= 30
    assert net.membership is not None
    net.membership.weight.data += 0.3 * rng.standard_normal((6, K))
    net.predict_as(1, ())
    z = Tensor(surrounded(image, net.padding))
    expected = scipy.special.softmax(net.scores(z).data @ net.membership.weight.data, axis=-1)
    plain = network("overfeat")
    plain.load_state_dict(folded_arrays(net))
    plain.predict_as(1, ())
    np.testing.assert_allclose(plain.probabilities(z), expected, rtol=0, atol=1e-10)
