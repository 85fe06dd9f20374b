"""The way from a photograph to the input of a network, and from its output to the size of the photograph."""

from __future__ import annotations

from math import exp

import numpy as np

from lstm2d.data.contrast import MIDDLE, MIN_DIVISOR, SPREAD
from lstm2d.errors import ConfigError
from lstm2d.export.graph import Graph, Value
from lstm2d.export.resampling import DOUBLE, FLOAT, cast, reflected
from lstm2d.pipeline.preprocess import Preprocessing

WINDOW, SIGMA = 9, 2.0  # of `lstm2d.data.contrast.local_contrast_normalise`
PLACES = (1, 2)  # axes of rows and columns
ALL = (1, 2, 3)


def network_input(g: Graph, image: Value, preprocessing: Preprocessing) -> Value:
    """Write `Preprocessing.network_input` for a batch of images.

    Parameters
    ----------
    g : Graph
        Gets the operators.
    image : Value
        Images (N, H, W, C), 0..255.
    preprocessing : Preprocessing
        Of the model.

    Returns
    -------
    Value
        Normalised and padded images.
    """
    x = _with_contrast(g, image.last, preprocessing.contrast)
    scale = 1 / np.asarray(preprocessing.std, np.float64)
    shift = np.asarray(preprocessing.mean, np.float64) * scale
    x = g.add("Sub", g.add("Mul", x, g.constant(scale)), g.constant(shift))
    if preprocessing.stride > 1:
        missing = [_missing(g, image.size(axis), preprocessing.stride) for axis in PLACES]
        x = g.add("Pad", x, g.shape(g.integers(0, 0, 0, 0, 0), *missing, g.integers(0)), mode="edge")
    if preprocessing.padding:
        sides = [0, preprocessing.padding, preprocessing.padding, 0]
        x = g.add("Pad", x, g.integers(*sides, *sides))
    return Value(g, x)


def without_padding(g: Graph, probabilities: Value, image: Value, preprocessing: Preprocessing) -> str:
    """Cut what was padded to a multiple of the stride."""
    if preprocessing.stride == 1:
        return probabilities.last
    return g.slice(probabilities.last, PLACES, [0, 0], [image.size(axis) for axis in PLACES])


def _missing(g: Graph, side: str, stride: int) -> str:
    """Return the pixels up to the next multiple of the stride."""
    steps = g.integers(stride)
    return g.add("Mod", g.add("Sub", steps, g.add("Mod", side, steps)), steps)


def _with_contrast(g: Graph, x: str, contrast: str) -> str:
    """Write `lstm2d.data.contrast.with_contrast`, in float64 as there."""
    if contrast == "none":
        return x
    wide = cast(g, x, DOUBLE)
    if contrast == "image":
        centred = g.add("Sub", wide, g.add("ReduceMean", wide, axes=ALL, keepdims=1))
        square = g.add("ReduceMean", g.add("Mul", centred, centred), axes=ALL, keepdims=1)
        deviation = g.add("Sqrt", square)
        is_uniform = g.add("LessOrEqual", deviation, g.constant(MIN_DIVISOR, np.float64))
        result = g.add("Div", centred, g.add("Where", is_uniform, g.constant(1.0, np.float64), deviation))
    elif contrast == "local":
        result = _local(g, wide)
    else:
        raise ConfigError(f"data.contrast = {contrast!r} has no ONNX form")
    spread = g.add("Mul", result, g.constant(SPREAD, np.float64))
    return cast(g, g.add("Add", spread, g.constant(MIDDLE, np.float64)), FLOAT)


def _local(g: Graph, x: str) -> str:
    """Write `lstm2d.data.contrast.local_contrast_normalise`."""
    centred = g.add("Sub", x, _blur(g, x))
    deviation = g.add("Sqrt", _blur(g, g.add("Mul", centred, centred)))
    mean = g.add("ReduceMean", deviation, axes=PLACES, keepdims=1)
    return g.add("Div", centred, g.add("Max", deviation, mean, g.constant(MIN_DIVISOR, np.float64)))


def _blur(g: Graph, x: str) -> str:
    """Return the Gaussian mean around each pixel of images (N, H, W, C)."""
    half = WINDOW // 2
    weights = np.array([exp(-0.5 * ((k - half) / SIGMA) ** 2) for k in range(WINDOW)])
    weights /= weights.sum()
    for axis in PLACES:
        size = g.size(x, axis)
        padded = reflected(g, x, axis, size, half, half)
        parts = [
            g.add(
                "Mul",
                g.slice(padded, [axis], [k], [g.add("Add", size, g.integers(k))]),
                g.constant(weight, np.float64),
            )
            for k, weight in enumerate(weights)
        ]
        x = g.add("Sum", *parts)
    return x
