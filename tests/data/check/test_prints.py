"""Digests and perceptual hashes of images."""

from io import BytesIO

import numpy as np
from PIL import Image

from lstm2d.data.check.prints import MAX_BITS, Print, digest_of, nearly_equal, print_of
from tests.data.check.planted import photo


def array(image: Image.Image) -> np.ndarray:
    return np.array(image)


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def test_the_bits_say_where_brightness_rises() -> None:
    """Cells of 2x2 pixels in 8 rows and 9 columns, each mixed with an eighth of its neighbours.

    The first row is 0, 100, 200, 0, 0, 0, 0, 0, 80; mixed 14, 100, 163, 25, 0, 0, 0, 10, 69. The second row
    gets an eighth of it.
    """
    gray = np.zeros((16, 18), np.uint8)
    gray[:2, 2:4], gray[:2, 4:6], gray[:2, 16:] = 100, 200, 80
    found = print_of(np.repeat(gray[..., None], 3, axis=2))
    assert found.bits == 0b11000011_11000011 << 48
    assert found.thumb.shape == (256,)
    assert found.thumb.dtype == np.float32


def test_the_thumbnail_of_a_ramp() -> None:
    """Cells of 3x2 pixels: the weights are symmetric, so inside a ramp a cell has the value at its middle."""
    gray = np.tile(np.arange(32, dtype=np.uint8) * 8, (48, 1))
    found = print_of(np.repeat(gray[..., None], 3, axis=2)).thumb.reshape(16, 16)
    np.testing.assert_allclose(found[:, 1:-1], np.tile((2 * np.arange(1, 15) + 0.5) * 8, (16, 1)), rtol=1e-5)


def test_equal_pixels_have_equal_digests(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    other = pixels.copy()
    other[3, 5, 2] ^= 1
    assert digest_of(pixels) == digest_of(pixels[::-1][::-1].copy())
    different = [pixels, other, pixels.reshape(6, 4, 3), pixels[::-1], pixels.astype(np.float32)]
    assert len({digest_of(one) for one in different}) == 5


def test_deep_images_are_compared_with_others(rng: np.random.Generator) -> None:
    pixels = array(photo(rng))
    deep = pixels.astype(np.float32) + np.float32(0.25)
    assert list(nearly_equal([print_of(pixels), print_of(deep)])) == [(0, 1)]


def test_pictures_that_were_compressed_or_resized(rng: np.random.Generator) -> None:
    images = [photo(rng, (120, 160)) for _ in range(40)]
    changed = {
        3: recompressed(images[3], 95),
        17: images[17].resize((320, 240), Image.Resampling.BICUBIC),
        30: images[30].point(lambda value: value * 0.8 + 20),
    }
    marks = [print_of(array(image)) for image in [*images, *changed.values()]]
    assert list(nearly_equal(marks)) == [(3, 40), (17, 41), (30, 42)]


def test_other_pictures(rng: np.random.Generator) -> None:
    """Mirrored, rotated, and a part of the picture are other pictures."""
    image = photo(rng, (120, 160))
    others = [
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        image.transpose(Image.Transpose.ROTATE_180),
        image.crop((0, 0, 120, 90)),
    ]
    assert not list(nearly_equal([print_of(array(one)) for one in [image, *others]]))


def test_every_pair_is_compared(rng: np.random.Generator) -> None:
    """In blocks as one by one; equal pixels are left out."""
    thumb = rng.uniform(0, 255, 256).astype(np.float32)
    bits = [int(b) for b in rng.integers(0, 2**63, 1200)]
    marks = [Print(bytes([k % 256, k // 256]), b, thumb) for k, b in enumerate(bits)]
    for one, other, differing in ((0, 1199, MAX_BITS), (511, 512, 0), (600, 700, MAX_BITS + 1)):
        marks[other] = Print(marks[other].digest, bits[one] ^ (2**differing - 1), thumb)
    marks[800] = Print(marks[5].digest, bits[5], thumb)
    assert list(nearly_equal(marks)) == [(0, 1199), (511, 512)]
    assert not list(nearly_equal([]))
