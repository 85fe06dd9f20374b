"""Draw one labelled scene from a seed and an index."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.synth._canvas import Canvas
from lstm2d.data.synth._compose import compose
from lstm2d.data.synth._light import draw_light, draw_materials
from lstm2d.data.synth._noise import Field
from lstm2d.errors import ConfigError
from lstm2d.io.classes import ClassInfo
from lstm2d.random import Purpose, generator

# names, order and colours of the Stanford Background set
CLASSES: tuple[ClassInfo, ...] = (
    ClassInfo("sky", (135, 206, 235)),
    ClassInfo("tree", (34, 102, 51)),
    ClassInfo("road", (128, 128, 128)),
    ClassInfo("grass", (124, 205, 80)),
    ClassInfo("water", (30, 90, 180)),
    ClassInfo("building", (178, 92, 64)),
    ClassInfo("mountain", (139, 115, 85)),
    ClassInfo("foreground", (220, 60, 120)),
)
MIN_SIDE, MAX_SIDE = 16, 2048  # pixels


def draw_scene(
    seed: int, index: int, height: int = 120, width: int = 160
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw an outdoor scene and its labels.

    A lake in front of mountains, the sea, a country road, a street, a city across the water, a pasture or a
    park, at a random time of day. Water reflects the sky and the far shore, streets and facades share one
    stone, trees and forested mountains one green, so that a small window of the image does not identify the
    class.

    Parameters
    ----------
    seed : int
        Seed, 0 to 2**63 - 1.
    index : int
        Number of the scene, 0 or more. A scene depends only on the seed and its number.
    height, width : int
        Size of the image in pixels, 16 to 2048.

    Returns
    -------
    image : ndarray of uint8, shape (height, width, 3)
        RGB image.
    labels : ndarray of uint8, shape (height, width)
        Indices into `CLASSES`; every pixel is labelled.

    Raises
    ------
    ConfigError
        If the size, the seed or the index is out of range.
    """
    for name, value in (("height", height), ("width", width)):
        if not MIN_SIDE <= value <= MAX_SIDE:
            expected = f"{MIN_SIDE} to {MAX_SIDE} pixels"
            raise ConfigError(f"cannot draw a scene with {name} {value}", expected=expected)
    if index < 0:
        raise ConfigError(f"there is no scene {index}", expected="a number from 0")
    rng = generator(seed, 0, index, Purpose.SYNTH)
    # 2x2 supersampling for smooth edges
    canvas = Canvas(2 * height, 2 * width, draw_light(rng), draw_materials(rng))
    compose(canvas, rng)
    fine = canvas.image
    small = fine[:, ::2, ::2] + fine[:, 1::2, ::2] + fine[:, ::2, 1::2] + fine[:, 1::2, 1::2]
    return _develop(small * np.float32(0.25), rng), np.ascontiguousarray(canvas.labels[1::2, 1::2])


def _develop(image: Field, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Apply exposure, white balance, vignette and sensor noise, and convert to uint8."""
    height, width = image.shape[1:]
    exposure = rng.uniform(0.92, 1.10) * (1.0 + rng.uniform(-0.025, 0.025, (3, 1, 1)))
    gamma, noise = rng.uniform(0.88, 1.12), rng.uniform(0.006, 0.022)
    down = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    across = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    vignette = 1.0 - np.float32(rng.uniform(0.0, 0.10)) * (down * down + across * across)
    image = image * vignette * exposure.astype(np.float32)
    tones = np.linspace(0.0, 2.0, 2048)
    # highlights roll off instead of clipping
    curve = np.where(tones > 0.8, 0.8 + 0.2 * np.tanh((tones - 0.8) / 0.2), tones) ** gamma
    image = curve.astype(np.float32)[np.clip(image * np.float32(2047 / 2.0), 0, 2047).astype(np.int16)]
    image = image + np.float32(noise) * rng.standard_normal(image.shape, dtype=np.float32)
    stored = (np.clip(image, 0.0, 1.0) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
    return np.ascontiguousarray(stored.transpose(1, 2, 0))
