"""Local contrast normalisation against a plain loop and values worked out by hand."""

import numpy as np
import pytest

from lstm2d.data.contrast import image_normalise, local_contrast_normalise, with_contrast
from lstm2d.errors import ShapeError


def plain(image: np.ndarray, size: int, sigma: float) -> np.ndarray:
    """Return the normalised image, computed pixel by pixel."""
    half = size // 2
    offsets = np.arange(size) - half
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * sigma**2))
    window /= window.sum()

    def blur(channel: np.ndarray) -> np.ndarray:
        padded = np.pad(channel, half, mode="reflect")
        result = np.empty_like(channel)
        for i, j in np.ndindex(*channel.shape):
            result[i, j] = (window * padded[i : i + size, j : j + size]).sum()
        return result

    result = np.empty(image.shape)
    for c in range(image.shape[2]):
        centred = image[..., c] - blur(image[..., c].astype(float))
        deviation = np.sqrt(blur(centred**2))
        result[..., c] = centred / np.maximum(deviation, deviation.mean())
    return result


@pytest.mark.parametrize("shape", [(12, 17, 3), (9, 9, 1), (3, 20, 2), (2, 2, 3)])
@pytest.mark.parametrize(("size", "sigma"), [(9, 2.0), (3, 0.5)])
def test_equals_a_plain_loop(
    shape: tuple[int, ...], size: int, sigma: float, rng: np.random.Generator
) -> None:
    image = rng.integers(0, 256, shape, np.uint8)
    image.setflags(write=False)
    result = local_contrast_normalise(image, size=size, sigma=sigma)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, plain(image, size, sigma), rtol=1e-5, atol=1e-6)


def test_scale_and_brightness_do_not_matter(rng: np.random.Generator) -> None:
    image = rng.random((20, 30, 3))
    expected = local_contrast_normalise(image)
    np.testing.assert_allclose(local_contrast_normalise(255 * image + 40), expected, atol=1e-6)


def test_one_bright_pixel_by_hand() -> None:
    # a window of one pixel leaves nothing; one of three pixels and a wide Gaussian has nine equal weights
    image = np.zeros((7, 7, 1))
    image[3, 3] = 9
    assert not local_contrast_normalise(image, size=1).any()
    result = local_contrast_normalise(image, size=3, sigma=1e6)
    # v = 8 in the middle, -1 around it; s^2 = (64 + 8) / 9 = 8 there
    assert result[3, 3, 0] == pytest.approx(8 / np.sqrt(8), rel=1e-6)
    assert result[0, 0, 0] == 0


@pytest.mark.parametrize("value", [0, 77, 255])
def test_an_even_image_becomes_zero(value: int) -> None:
    np.testing.assert_allclose(local_contrast_normalise(np.full((15, 11, 3), value, np.uint8)), 0, atol=1e-8)


def test_one_pixel_and_none() -> None:
    np.testing.assert_allclose(local_contrast_normalise(np.full((1, 1, 3), 7)), 0, atol=1e-8)
    assert local_contrast_normalise(np.zeros((0, 4, 3))).shape == (0, 4, 3)


def test_nan_is_seen() -> None:
    image = np.ones((30, 30, 2))
    image[4, 4, 0] = np.nan
    result = local_contrast_normalise(image)
    assert np.isnan(result[4, 4, 0])
    assert not np.isnan(result[..., 1]).any()


def test_wrong() -> None:
    with pytest.raises(ShapeError, match="local_contrast_normalise"):
        local_contrast_normalise(np.zeros((4, 4)))
    for size, sigma in ((8, 2.0), (-1, 2.0), (9, 0.0), (9, float("nan"))):
        with pytest.raises(ValueError, match="expected an odd size"):
            local_contrast_normalise(np.zeros((4, 4, 3)), size=size, sigma=sigma)


def test_contrast_as_configured_keeps_the_scale_of_an_image(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
    assert with_contrast(image, "none") is image
    local = with_contrast(image, "local")
    np.testing.assert_allclose(local, 128 + 64 * local_contrast_normalise(image), rtol=1e-6)
    assert local.dtype == np.float32
    even = with_contrast(np.full((5, 5, 3), 9, np.uint8), "local")
    np.testing.assert_array_equal(even, np.full((5, 5, 3), 128, np.float32))
    with pytest.raises(ValueError, match="expected one of none, local"):
        with_contrast(image, "global")


def test_whole_image_to_mean_0_and_variance_1() -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    values = image.astype(np.float64)
    expected = (values - values.mean()) / values.std()
    np.testing.assert_allclose(image_normalise(image), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(with_contrast(image, "image"), 128 + 64 * expected, rtol=1e-5)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_constant_image_becomes_0(value: int) -> None:
    assert not image_normalise(np.full((3, 4, 3), value, np.uint8)).any()
    assert not image_normalise(np.full((1, 1, 3), value, np.uint8)).any()
    assert image_normalise(np.zeros((0, 4, 3))).shape == (0, 4, 3)
