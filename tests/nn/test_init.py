"""First values of parameters: range, spread and repeatability; parameters without values."""

import numpy as np
import pytest

from lstm2d.errors import ShapeError
from lstm2d.nn import LSTM2D, Conv2d, ConvTranspose2d, Linear, Module, ReNet, init


def test_uniform() -> None:
    x = init.uniform(np.random.default_rng(3), (200, 500), 0.1)
    assert x.dtype == np.float32
    assert -0.1 <= x.min() < -0.0999
    assert 0.0999 < x.max() <= np.float32(0.1)
    assert abs(x.mean()) < 1e-3
    assert x.std() == pytest.approx(0.2 / np.sqrt(12), rel=0.01)


def test_normal() -> None:
    x = init.normal(np.random.default_rng(3), (200, 500), 0.01)
    assert x.dtype == np.float32
    assert abs(x.mean()) < 2e-4
    assert x.std() == pytest.approx(0.01, rel=0.01)
    assert np.mean(np.abs(x) < 0.01) == pytest.approx(0.683, abs=0.01)


def test_glorot_uniform() -> None:
    x = init.glorot_uniform(np.random.default_rng(3), (100, 500), fan_in=100, fan_out=500)
    assert np.abs(x).max() == pytest.approx(0.1, rel=1e-3)
    assert x.std() == pytest.approx(np.sqrt(2 / 600), rel=0.01)
    assert init.glorot_uniform(np.random.default_rng(3), (0, 0), fan_in=0, fan_out=0).shape == (0, 0)


def test_the_same_numbers_for_each_dtype() -> None:
    for draw in (
        lambda rng, dtype: init.uniform(rng, (9,), 1, dtype),
        lambda rng, dtype: init.normal(rng, (9,), 1, dtype),
        lambda rng, dtype: init.orthonormal(rng, (5, 3), dtype),
    ):
        wide, narrow = (draw(np.random.default_rng(4), dtype) for dtype in (np.float64, np.float32))
        assert wide.dtype == np.float64
        np.testing.assert_array_equal(wide.astype(np.float32), narrow)


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (7, 3), (3, 7), (2, 4, 4), (2, 3, 2, 5), (0, 4), (4, 0)])
def test_orthonormal(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = init.orthonormal(rng, shape, np.float64)
    assert x.shape == shape
    assert x.flags.c_contiguous
    few = min(shape[-2:])
    for index in np.ndindex(*shape[:-2]):
        matrix = x[index]
        product = matrix.T @ matrix if shape[-2] >= shape[-1] else matrix @ matrix.T
        np.testing.assert_allclose(product, np.eye(few), atol=1e-14)


def test_orthonormal_large_and_its_parts_differ(rng: np.random.Generator) -> None:
    x = init.orthonormal(rng, (2, 300, 300))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0] @ x[0].T, np.eye(300), atol=1e-6)
    assert np.abs(x[0] - x[1]).max() > 0.1
    assert abs(x.mean()) < 1e-3  # as often positive as negative


def test_identity() -> None:
    assert init.identity((2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    x = init.identity((2, 3, 3), 0.5, np.float64)
    assert x.dtype == np.float64
    np.testing.assert_array_equal(x[1], 0.5 * np.eye(3))
    x[0, 0, 0] = 7  # a parameter is changed in place: no value is there twice
    assert x[1, 0, 0] == 0.5


def test_matrices_need_two_axes() -> None:
    with pytest.raises(ShapeError, match=r"orthonormal: \(3,\)"):
        init.orthonormal(np.random.default_rng(0), (3,))
    with pytest.raises(ShapeError, match=r"identity: \(3,\)"):
        init.identity((3,))


def test_bilinear_kernel_by_hand() -> None:
    x = init.bilinear_kernel(4, 2, np.float64)
    profile = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_array_equal(x[:, :, 0, 0], np.outer(profile, profile))
    np.testing.assert_array_equal(x[:, :, 1, 1], np.outer(profile, profile))
    assert not x[:, :, 0, 1].any()
    np.testing.assert_allclose(init.bilinear_kernel(3, 1)[1].ravel(), [0.5, 1, 0.5])
    assert init.bilinear_kernel(1, 1).tolist() == [[[[1]]]]


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 8, 32])
@pytest.mark.parametrize("twice", [True, False])
def test_enlarging_with_a_bilinear_kernel_keeps_a_ramp(stride: int, twice: bool) -> None:
    size = 2 * stride if twice else 2 * stride - stride % 2
    profile = init.bilinear_kernel(size, 1, np.float64)[:, :, 0, 0].sum(axis=0)
    profile /= profile.sum() / stride
    enlarged = np.zeros(8 * stride + size)
    for k in range(8):
        enlarged[k * stride : k * stride + size] += k * profile
    steps = np.diff(enlarged[size : 7 * stride])
    np.testing.assert_allclose(steps, 1 / stride, atol=1e-12)


def test_layers_of_shapes_only_take_no_memory(rng: np.random.Generator) -> None:
    state = rng.bit_generator.state
    with init.shapes_only():
        layers: list[Module] = [
            Linear(10**6, 10**7, rng=rng),
            Conv2d(10**6, 10**6, 7, rng=rng),
            ConvTranspose2d(10**6, 10**6, 2, rng=rng),
            LSTM2D(10**5, 10**6, rng=rng, dtype=np.float64),
            ReNet(10**5, 10**6, patch=9, weight=init.orthonormal, recurrent=init.orthonormal, rng=rng),
        ]
    assert rng.bit_generator.state == state
    for layer in layers:
        assert all(p.requires_grad and not any(p.data.strides) for p in layer.parameters())
    assert sum(p.data.size for p in layers[0].parameters()) == 10**13 + 10**7
    assert layers[1].parameters()[0].shape == (7, 7, 10**6, 10**6)
    assert layers[3].parameters()[0].dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        layers[0].parameters()[0].data[0, 0] = 1
    values = Linear(3, 2, rng=rng).weight.data  # after the context, layers have values
    assert values.any()
    assert values.flags.writeable


def test_shapes_are_those_of_layers_with_values(rng: np.random.Generator) -> None:
    def layers() -> list[Module]:
        return [
            Linear(3, 4, bias=False, rng=rng),
            Conv2d(3, 4, 5, rng=rng),
            ConvTranspose2d(3, 4, 2, rng=rng),
            LSTM2D(3, 4, peepholes=True, rng=rng),
            ReNet(3, 4, patch=2, unit="irnn", weight=init.orthonormal, recurrent=init.orthonormal, rng=rng),
            ReNet(3, 4, unit="lstm", weight=init.orthonormal, recurrent=init.orthonormal, rng=rng),
        ]

    with init.shapes_only():
        empty = layers()
    for layer, shapes in zip(layers(), empty, strict=True):
        found, wanted = ([(n, p.shape, p.dtype) for n, p in m.named_parameters()] for m in (shapes, layer))
        assert found == wanted
