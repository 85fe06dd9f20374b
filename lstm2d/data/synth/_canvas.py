"""Canvas and pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.synth._light import Colour, Light, Materials
from lstm2d.data.synth._noise import Field

Mask = NDArray[np.bool_]

SKY, TREE, ROAD, GRASS, WATER, BUILDING, MOUNTAIN, FOREGROUND = range(8)
TEXTURE_ROWS = 240.0  # image height in tile pixels, whatever its size: textures scale with the image


@dataclass(frozen=True)
class Box:
    """A rectangle of the canvas, clipped to it: rows top..bottom and columns left..right, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int


class Canvas:
    """Colours, labels and the pinhole camera, in pixels of the supersampled image.

    The ground is flat. A point ``x`` metres to the right, ``y`` metres up and ``z`` metres away projects to
    column ``centre + focal * x / z`` and row ``horizon + focal * (eye - y) / z``.
    """

    def __init__(self, height: int, width: int, light: Light, materials: Materials) -> None:
        self.height, self.width = height, width
        self.light, self.materials = light, materials
        self.image = np.zeros((3, height, width), dtype=np.float32)
        self.labels = np.zeros((height, width), dtype=np.uint8)
        self.rows = np.arange(height, dtype=np.float32)[:, None]
        self.cols = np.arange(width, dtype=np.float32)[None, :]
        self.texture = TEXTURE_ROWS / height
        self.horizon = height * 0.5
        self.centre = width * 0.5
        self.focal = float(width)
        self.eye = 1.7

    def aim(self, horizon: float, centre: float, eye: float, focal: float) -> None:
        """Set the camera: horizon row, vanishing column, height in metres, focal length in pixels."""
        self.horizon, self.centre, self.eye, self.focal = horizon, centre, eye, focal

    def column(self, x: float, z: float) -> float:
        """Return the column of a point."""
        return self.centre + self.focal * x / z

    def row(self, y: float, z: float) -> float:
        """Return the row of a point."""
        return self.horizon + self.focal * (self.eye - y) / z

    def depth(self, row: float) -> float:
        """Return the distance in metres of the ground in a row below the horizon."""
        return self.focal * self.eye / max(row - self.horizon, 1e-3)

    def box(self, top: float, bottom: float, left: float, right: float) -> Box | None:
        """Return the clipped rectangle, or None if it lies outside the image."""
        found = Box(
            max(int(np.floor(top)), 0),
            min(int(np.ceil(bottom)), self.height),
            max(int(np.floor(left)), 0),
            min(int(np.ceil(right)), self.width),
        )
        return found if found.top < found.bottom and found.left < found.right else None

    def grid(self, box: Box) -> tuple[Field, Field]:
        """Return rows (h, 1) and columns (1, w) of a box."""
        return self.rows[box.top : box.bottom], self.cols[:, box.left : box.right]

    def texels(self, box: Box, shift: NDArray[np.float64], scale: float = 1.0) -> tuple[Field, Field]:
        """Return the texture coordinates of a box for ``_noise.flat``."""
        step = np.float32(self.texture * scale)
        rows, cols = self.grid(box)
        return rows * step + np.float32(shift[0]), cols * step + np.float32(shift[1])

    def paint(self, box: Box, mask: Mask, colours: Field | Colour, label: int) -> None:
        """Paint and label the masked pixels of a box."""
        view = self.image[:, box.top : box.bottom, box.left : box.right]
        np.copyto(view, colours, where=mask)
        self.labels[box.top : box.bottom, box.left : box.right][mask] = label

    def darken(self, box: Box, shadow: Field) -> None:
        """Reduce the sun's light in a box by ``shadow`` (h, w; 0..1); labels are kept."""
        total = self.light.sun + self.light.ambient
        kept = self.light.ambient / total
        view = self.image[:, box.top : box.bottom, box.left : box.right]
        view *= 1.0 - shadow * (1.0 - kept)

    def veil(self, colours: Field, distance: float) -> Field:
        """Return colours seen through ``distance`` metres of air."""
        share = np.float32(self.light.air(distance))
        return colours + (self.light.horizon - colours) * share
