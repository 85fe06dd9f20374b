"""Prediction of recurrent CNNs: patch by patch, shift-and-stitch and one pass give the same labels."""

import numpy as np
import pytest
import scipy.special

from lstm2d import Tensor
from lstm2d.models import RCNNNetwork
from lstm2d.tape import no_grad
from lstm2d.tensor import FloatArray
from tests.models.test_rcnn import NETWORKS, K, network, step_with, surrounded

SHAPE = (21, 37)


def scene(dtype: type = np.float64, shape: tuple[int, int] = SHAPE) -> FloatArray:
    image: FloatArray = np.random.default_rng(4).standard_normal((*shape, 3)).astype(dtype)
    return image


def patch_by_patch(net: RCNNNetwork, image: FloatArray, pixels: list[tuple[int, int]]) -> FloatArray:
    """Return the probabilities of some pixels, each from the network's scores for its own patch."""
    size, _ = net.fields[net.instances - 1]
    padded, step = surrounded(image, size // 2), step_with(net, net.instances)
    with no_grad():
        scores = [
            net.scores(Tensor(np.ascontiguousarray(padded[:, i : i + size, j : j + size])), step).data
            for i, j in pixels
        ]
    last = np.concatenate([s[0, :, -1] for s in scores])
    found: FloatArray = scipy.special.softmax(last, axis=1)
    return found


@pytest.mark.parametrize(("preset", "instances"), NETWORKS)
def test_a_pixel_is_labelled_by_its_patch(preset: str, instances: int) -> None:
    net, image = network(preset, instances), scene()
    p = net.probabilities(Tensor(surrounded(image, net.padding)))
    assert p.shape == (1, *SHAPE, K)
    pixels = [(0, 0), (0, 36), (20, 0), (20, 36), (11, 18), (7, 30), (13, 5)]
    expected = patch_by_patch(net, image, pixels)
    np.testing.assert_allclose([p[0, i, j] for i, j in pixels], expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("preset", "instances"), NETWORKS)
def test_one_pass_is_shift_and_stitch(preset: str, instances: int) -> None:
    for dtype, bound in ((np.float64, 1e-12), (np.float32, 1e-5)):
        net = network(preset, instances, dtype=dtype)
        z = Tensor(surrounded(scene(dtype), net.padding))
        once, stitched = net.probabilities(z), net.shift_and_stitch(z)
        assert np.abs(once - stitched).max() <= bound
        best = np.sort(stitched, axis=-1)
        clear = best[..., -1] - best[..., -2] > 1e-4
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(once.argmax(-1)[clear], stitched.argmax(-1)[clear])


def nearest_labelled(side: int, resolution: int) -> FloatArray:
    """Return, for each row, the row whose label it gets; the lower one of two equally near."""
    labelled = np.arange(min(resolution // 2, side - 1), side, resolution)
    distance = np.abs(np.arange(side)[:, None] - labelled)
    nearest: FloatArray = labelled[::-1][distance[:, ::-1].argmin(axis=1)]
    return nearest


@pytest.mark.parametrize(("preset", "instances"), NETWORKS)
def test_a_coarser_resolution_labels_every_nth_pixel(preset: str, instances: int) -> None:
    net = network(preset, instances)
    for shape in (SHAPE, (1, 1), (3, 40), (17, 16)):
        z = Tensor(surrounded(scene(shape=shape), net.padding))
        net.resolution = 1
        full = net.probabilities(z)
        resolution = 1
        while resolution <= net.fields[instances - 1].stride:
            net.resolution = resolution
            coarse = net.probabilities(z)
            rows, columns = (nearest_labelled(side, resolution) for side in shape)
            np.testing.assert_allclose(coarse, full[:, rows][:, :, columns], rtol=1e-10, atol=1e-12)
            resolution *= 2


def test_fewer_instances_are_those_of_a_network_with_fewer() -> None:
    three, image = network("rcnn2", 3), scene()
    for instances in (1, 2):
        fewer = network("rcnn2", instances)
        fewer.load_state_dict(three.state_dict())
        three.instances = instances
        found = three.probabilities(Tensor(surrounded(image, three.padding)))
        expected = fewer.probabilities(Tensor(surrounded(image, fewer.padding)))
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("preset", "instances"), NETWORKS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 2)])
def test_images_smaller_than_the_field(preset: str, instances: int, shape: tuple[int, int]) -> None:
    net = network(preset, instances)
    p = net.probabilities(Tensor(surrounded(scene(shape=shape), net.padding)))
    assert p.shape == (1, *shape, K)
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-12)
    pixels = [(0, 0), (shape[0] - 1, shape[1] - 1)]
    expected = patch_by_patch(net, scene(shape=shape), pixels)
    np.testing.assert_allclose([p[0, i, j] for i, j in pixels], expected, rtol=1e-11, atol=1e-13)
