"""Feature maps as pictures of the photograph's proportions: gray levels and principal components."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lstm2d.predict.layer_maps import LayerMaps

DARKEST, LIGHTEST = 2.0, 98.0  # percentiles of a map that are drawn black and white
SAMPLE = 1 << 16  # positions from which principal components are computed
WEAKEST = 1e-3  # standard deviation of a component that is drawn, relative to the first one
COLOURS = 3

GrayMap = tuple[NDArray[np.uint8], float, float]


def projected(
    values: NDArray[np.float32], stride: int, photo: tuple[int, int], tile: tuple[int, int]
) -> NDArray[np.float32]:
    """Project one map to image space: every pixel gets the value of the position that it belongs to.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, columns)
        The map.
    stride : int
        Side of the square of pixels of a position.
    photo : tuple of int
        Height and width of the photograph in these pixels.
    tile : tuple of int
        Height and width of the result.

    Returns
    -------
    ndarray of float32, shape (height, width) of the tile
        Where the tile has fewer pixels than the map has positions, the mean over the pixel.
    """
    from PIL import Image

    (height, width), (rows, columns) = photo, tile
    part = (0.0, 0.0, width / stride, height / stride)  # without what extends beyond the photograph
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(image.resize((columns, rows), Image.Resampling.BOX, part))


def gray_map(layer: LayerMaps, channel: int, photo: tuple[int, int], tile: tuple[int, int]) -> GrayMap:
    """Draw one map of a layer in gray; lighter is higher.

    Parameters
    ----------
    layer : LayerMaps
        The layer.
    channel : int
        The map's number in it.
    photo : tuple of int
        Height and width of the photograph, at the size of the network's input.
    tile : tuple of int
        Height and width of the picture.

    Returns
    -------
    picture : ndarray of uint8, shape (height, width) of the tile
        All 128 for a constant map.
    black, white : float
        The values drawn black and white: the 2nd and the 98th percentile of the map, or its minimum and
        maximum if the percentiles are equal. Values beyond are drawn black or white.
    """
    values = layer.values[:, :, channel]
    black, white = limits(values)
    return to_gray(projected(values, layer.stride, photo, tile), black, white), black, white


def limits(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the values of a map that are drawn black and white.

    Parameters
    ----------
    values : ndarray of float32
        The map.

    Returns
    -------
    tuple of float
        Its 2nd and 98th percentile; its minimum and maximum if these are equal.
    """
    black, white = (float(v) for v in np.percentile(values, (DARKEST, LIGHTEST)))
    return (black, white) if black < white else (float(values.min()), float(values.max()))


def to_gray(values: NDArray[np.float32], black: float, white: float) -> NDArray[np.uint8]:
    """Map values to gray levels.

    Parameters
    ----------
    values : ndarray of float32
        Any shape.
    black, white : float
        The values of 0 and of 255.

    Returns
    -------
    ndarray of uint8
        Rounded and clipped; 128 if `black` and `white` are equal.
    """
    if black >= white:
        return np.full(values.shape, 128, np.uint8)
    levels = (values.astype(np.float64) - black) * (255.0 / (white - black))
    gray: NDArray[np.uint8] = np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
    return gray


def principal_components(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Return the first three principal components of a layer's channels.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, columns, channels)
        The maps.

    Returns
    -------
    components : ndarray of float32, shape (rows, columns, 3)
        Their values at every position, strongest first. The channel with the largest weight in a component
        has a positive one, so that the signs do not depend on the solver. Components that hardly vary, or
        that do not exist since there are fewer channels, are 0.
    share : float
        Their share of the variance of all channels; 1 if nothing varies.
    """
    rows, columns, channels = values.shape
    step = max(1, math.isqrt(rows * columns // SAMPLE))
    sample = values[::step, ::step].reshape(-1, channels).astype(np.float64)
    mean = sample.mean(axis=0)
    sample -= mean
    variances, vectors = np.linalg.eigh(sample.T @ sample / len(sample))  # ascending
    variances = np.maximum(variances[::-1], 0.0)
    basis = np.zeros((channels, COLOURS))
    for k in range(min(channels, COLOURS)):
        if variances[k] > WEAKEST**2 * variances[0]:
            vector = vectors[:, channels - 1 - k]
            basis[:, k] = vector * math.copysign(1.0, vector[np.abs(vector).argmax()])
    total = float(variances.sum())
    components = values @ basis.astype(np.float32) - (mean @ basis).astype(np.float32)
    return components, float(variances[:COLOURS].sum()) / total if total > 0 else 1.0


def component_picture(
    layer: LayerMaps, photo: tuple[int, int], tile: tuple[int, int]
) -> tuple[NDArray[np.uint8], float]:
    """Draw a layer's first three principal components as red, green and blue.

    Parameters
    ----------
    layer : LayerMaps
        The layer.
    photo, tile : tuple of int
        As for `gray_map`.

    Returns
    -------
    picture : ndarray of uint8, shape (height, width of the tile, 3)
        Each component has gray levels of its own, as in `gray_map`. A single component is drawn in gray.
    share : float
        Share of the variance of all channels that the components have.
    """
    components, share = principal_components(layer.values)
    picture = np.empty((*tile, COLOURS), np.uint8)
    for k in range(COLOURS):
        plane = projected(components[:, :, k], layer.stride, photo, tile)
        picture[:, :, k] = to_gray(plane, *limits(components[:, :, k]))
    if not components[:, :, 1:].any():
        picture[:] = picture[:, :, :1]
    return picture, share
