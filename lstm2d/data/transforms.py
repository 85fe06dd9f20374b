"""Transforms of an image and its labels before they enter a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.mapping import IGNORE
from lstm2d.errors import ShapeError

Scalar = TypeVar("Scalar", bound=np.generic)


def normalise(image: NDArray[Any], mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """Normalise each channel to mean 0 and deviation 1.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Image, 0..255.
    mean, std : sequence of float
        Mean and deviation of each channel over the training images.

    Returns
    -------
    array of shape (H, W, C), float32
        ``(image - mean) / std``.

    Raises
    ------
    ShapeError
        If `mean` and `std` do not have C values each.
    """
    if image.ndim != 3 or image.shape[2] != len(mean) or len(mean) != len(std):
        expected = f"(H, W, {len(mean)})"
        raise ShapeError(
            "number of channels differs from the statistics", where=image.shape, expected=expected
        )
    # One product and one sum per value, in place: the subtraction of the mean is folded into the sum.
    scale = 1 / np.asarray(std, dtype=np.float64)
    result = image.astype(np.float32)
    result *= scale.astype(np.float32)
    result -= (np.asarray(mean, dtype=np.float64) * scale).astype(np.float32)
    return result


def pad_to_multiple(image: NDArray[Scalar], multiple: int) -> NDArray[Scalar]:
    """Repeat the last row and column until both sides are multiples of a number.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Image, not empty.
    multiple : int
        Total stride of the network, 1 or more.

    Returns
    -------
    array of shape (H', W', C)
        The input array if no padding is needed.
    """
    missing = _missing(image, multiple)
    return image if missing == (0, 0) else np.pad(image, _bottom_right(missing, image.ndim), mode="edge")


def pad_labels_to_multiple(
    labels: NDArray[Scalar], multiple: int, *, ignore: int = IGNORE
) -> NDArray[Scalar]:
    """Add ignored pixels at the bottom and right until both sides are multiples of a number.

    Parameters
    ----------
    labels : array of shape (H, W), int
        Numbers of classes or subclasses.
    multiple : int
        Total stride of the network, 1 or more.
    ignore : int
        Label of the new pixels.

    Returns
    -------
    array of shape (H', W'), int
        The input array if no padding is needed.
    """
    missing = _missing(labels, multiple)
    if missing == (0, 0):
        return labels
    return np.pad(labels, _bottom_right(missing, labels.ndim), constant_values=ignore)


def flip(image: NDArray[Scalar], labels: NDArray[np.uint8]) -> tuple[NDArray[Scalar], NDArray[np.uint8]]:
    """Mirror horizontally.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Image.
    labels : array of shape (H, W), uint8
        Its labels.

    Returns
    -------
    image, labels : array
        Mirrored, contiguous.
    """
    return np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(labels[:, ::-1])


def random_flip(
    image: NDArray[Scalar], labels: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[Scalar], NDArray[np.uint8]]:
    """Mirror horizontally with probability 0.5.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Image.
    labels : array of shape (H, W), uint8
        Its labels.
    rng : numpy.random.Generator
        Random numbers.

    Returns
    -------
    image, labels : array
        Mirrored, or the input arrays.
    """
    return flip(image, labels) if rng.random() < 0.5 else (image, labels)


def random_crop(
    shape: Sequence[int], rng: np.random.Generator, *, size: Sequence[int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw the position of a crop; a smaller image is extended by reflection, repeatedly if necessary.

    Parameters
    ----------
    shape : sequence of two int
        Rows and columns of the image, 1 or more.
    rng : numpy.random.Generator
        Draws the position of the crop, or of a smaller image in it.
    size : sequence of two int
        Rows and columns of the crop.

    Returns
    -------
    tuple of two arrays of int
        Rows and columns of the pixels, as `numpy.ix_` returns them: ``image[place]`` is the crop. The
        reflection does not repeat the edge row or column.
    """
    rows, columns = (
        _reflected(int(rng.integers(min(0, have - want), max(0, have - want), endpoint=True)), want, have)
        for have, want in zip(shape, size, strict=True)
    )
    down, across = np.ix_(rows, columns)
    return down, across


def crop_with(
    pixel: Sequence[int], shape: Sequence[int], rng: np.random.Generator, *, size: Sequence[int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw the position of a crop among those that contain a pixel; otherwise as `random_crop`.

    Parameters
    ----------
    pixel : sequence of two int
        Row and column.
    shape : sequence of two int
        Rows and columns of the image, 1 or more.
    rng : numpy.random.Generator
        Draws the position.
    size : sequence of two int
        Rows and columns of the crop.

    Returns
    -------
    tuple of two arrays of int
        As `random_crop` returns them.
    """
    starts = [
        (max(0, at - want + 1), min(at, have - want)) if have > want else (have - want, 0)
        for at, have, want in zip(pixel, shape, size, strict=True)
    ]
    rows, columns = (
        _reflected(int(rng.integers(first, last, endpoint=True)), want, have)
        for (first, last), have, want in zip(starts, shape, size, strict=True)
    )
    down, across = np.ix_(rows, columns)
    return down, across


def random_scale(
    image: NDArray[Any], labels: NDArray[np.uint8], rng: np.random.Generator, *, amount: float
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Resize by a random factor.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Image, 0..255.
    labels : array of shape (H, W), uint8
        Its labels.
    rng : numpy.random.Generator
        Draws the factor.
    amount : float
        The factor is log-uniform between ``1 / (1 + amount)`` and ``1 + amount``.

    Returns
    -------
    image : array of shape (H', W', C), float32
        Bilinear; antialiased when shrinking.
    labels : array of shape (H', W'), uint8
        The label of the nearest pixel.
    """
    from PIL import Image

    factor = (1 + amount) ** rng.uniform(-1, 1)
    rows, columns = labels.shape
    size = (max(round(columns * factor), 1), max(round(rows * factor), 1))  # Pillow's order: width, height
    channels = [
        np.array(
            Image.fromarray(np.ascontiguousarray(c, dtype=np.float32)).resize(size, Image.Resampling.BILINEAR)
        )
        for c in np.moveaxis(image, 2, 0)
    ]
    resized = Image.fromarray(np.ascontiguousarray(labels)).resize(size, Image.Resampling.NEAREST)
    return np.stack(channels, axis=2), np.array(resized)


def random_rotation(
    image: NDArray[Any],
    labels: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    amount: float,
    fill: Sequence[float],
    ignore: int = IGNORE,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Rotate by a random angle around the middle; the size stays.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Image.
    labels : array of shape (H, W), uint8
        Its labels.
    rng : numpy.random.Generator
        Draws the angle.
    amount : float
        The angle is uniform between ``-amount`` and ``amount``, in degrees; positive ones are anticlockwise.
    fill : sequence of float
        Values of the C channels where the result lies outside of the image.
    ignore : int
        Label there.

    Returns
    -------
    image : array of shape (H, W, C), float32
        Bilinear.
    labels : array of shape (H, W), uint8
        The label of the nearest pixel.
    """
    from scipy.ndimage import map_coordinates

    angle = np.deg2rad(amount * rng.uniform(-1, 1))
    cos, sin = np.cos(angle), np.sin(angle)
    height, width = labels.shape
    down = np.arange(height)[:, np.newaxis] - (height - 1) / 2  # from the middle
    right = np.arange(width) - (width - 1) / 2
    down, right = cos * down + sin * right, cos * right - sin * down
    inside = (np.abs(down) <= height / 2) & (np.abs(right) <= width / 2)
    rows, columns = down + (height - 1) / 2, right + (width - 1) / 2
    turned = np.empty((height, width, len(fill)), np.float32)
    for channel, value in enumerate(fill):
        source = np.asarray(image[:, :, channel], np.float32)
        found = map_coordinates(source, (rows, columns), order=1, mode="nearest")
        turned[:, :, channel] = np.where(inside, found, np.float32(value))
    nearest = np.rint(rows).astype(np.intp), np.rint(columns).astype(np.intp)
    place = tuple(np.clip(i, 0, side - 1) for i, side in zip(nearest, labels.shape, strict=True))
    return turned, np.where(inside, labels[place], np.uint8(ignore))


def random_color(image: NDArray[Any], rng: np.random.Generator, *, amount: float) -> NDArray[np.float32]:
    """Change brightness, contrast and channel balance at random.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Image, 0..255.
    rng : numpy.random.Generator
        Draws 2 + C numbers.
    amount : float
        Strength, 0 to 1: brightness shifts by up to ``amount * 128``, contrast changes by a factor of up to
        ``1 + amount``, and the gain of each channel by up to ``1 + amount / 2``.

    Returns
    -------
    array of shape (H, W, C), float32
        Clipped to 0..255.
    """
    shift = amount * 128 * rng.uniform(-1, 1)
    contrast = (1 + amount) ** rng.uniform(-1, 1)
    gains = (1 + amount / 2) ** rng.uniform(-1, 1, size=image.shape[2])
    middle = image.mean(dtype=np.float64)
    scale = contrast * gains
    offset = middle * (1 - contrast) * gains + shift  # contrast is scaled around the mean of the image
    result = image.astype(np.float32)
    result *= scale.astype(np.float32)
    result += offset.astype(np.float32)
    return np.clip(result, 0, 255, out=result)


def _reflected(start: int, count: int, size: int) -> NDArray[np.intp]:
    """Return `count` indices from `start` on into an axis of `size`, reflected at both ends."""
    period = max(1, 2 * (size - 1))
    place = np.arange(start, start + count) % period
    return np.minimum(place, period - place) if size > 1 else np.zeros(count, np.intp)


def _missing(array: NDArray[Any], multiple: int) -> tuple[int, int]:
    return -array.shape[0] % multiple, -array.shape[1] % multiple


def _bottom_right(missing: tuple[int, int], axes: int) -> list[tuple[int, int]]:
    return [(0, missing[0]), (0, missing[1]), *[(0, 0)] * (axes - 2)]
