"""Light and materials shared by all objects of a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.synth._noise import Field

Colour = NDArray[np.float32]  # (3, 1, 1), 0..1; channels first, so that NumPy's inner loops run along rows


def colour(*values: float) -> Colour:
    """Return a colour from three numbers."""
    return np.array(values, dtype=np.float32).reshape(3, 1, 1)


@dataclass(frozen=True)
class Light:
    """Sun, sky and air."""

    zenith: Colour
    horizon: Colour
    sun: Colour  # direct light
    ambient: Colour  # light from the sky, the only light in shadow
    side: float  # -1: the sun is on the left, 1: on the right
    height: float  # 0: at the horizon, 1: high
    haze: float  # metres after which two thirds of the colour are air

    def shade(self, albedo: Colour | Field, lit: Field | float) -> Field:
        """Return the colour of a surface; ``lit`` (0..1) is the share of sunlight it receives."""
        return np.asarray(
            albedo * (self.ambient + self.sun * np.asarray(lit, dtype=np.float32)), dtype=np.float32
        )

    def air(self, distance: float) -> float:
        """Return the share of air in the colour of an object ``distance`` metres away."""
        return float(1.0 - np.exp(-max(distance, 0.0) / self.haze))


@dataclass(frozen=True)
class Materials:
    """Colours shared between classes, so that colour alone does not identify a class."""

    leaf_dark: Colour  # trees, forested mountains
    leaf_light: Colour
    grass_dark: Colour
    grass_light: Colour
    stone: Colour  # roads, facades, rock
    rock: Colour


# zenith, horizon, sun, ambient, height of the sun, haze in metres
_TIMES = {
    "noon": ((0.20, 0.42, 0.78), (0.70, 0.83, 0.94), (0.98, 0.94, 0.85), (0.36, 0.41, 0.50), 0.85, 2600.0),
    "fair": ((0.30, 0.52, 0.84), (0.80, 0.88, 0.94), (0.90, 0.87, 0.80), (0.42, 0.46, 0.52), 0.65, 1800.0),
    "golden": ((0.38, 0.52, 0.74), (0.98, 0.86, 0.67), (1.08, 0.84, 0.56), (0.36, 0.37, 0.46), 0.30, 1300.0),
    "sunset": ((0.27, 0.31, 0.55), (1.00, 0.66, 0.43), (0.98, 0.60, 0.36), (0.36, 0.33, 0.45), 0.10, 1000.0),
    "overcast": ((0.58, 0.63, 0.70), (0.84, 0.86, 0.88), (0.24, 0.24, 0.23), (0.70, 0.72, 0.75), 0.70, 800.0),
    "mist": ((0.66, 0.75, 0.84), (0.92, 0.92, 0.91), (0.48, 0.45, 0.40), (0.55, 0.58, 0.61), 0.40, 330.0),
    "storm": ((0.34, 0.40, 0.48), (0.76, 0.77, 0.76), (0.66, 0.60, 0.50), (0.40, 0.43, 0.48), 0.45, 900.0),
}
_TIME_WEIGHTS = (0.20, 0.22, 0.18, 0.12, 0.12, 0.08, 0.08)

_LEAVES = {  # dark, light
    "summer": ((0.09, 0.19, 0.06), (0.38, 0.53, 0.20)),
    "spring": ((0.13, 0.26, 0.08), (0.54, 0.66, 0.27)),
    "pine": ((0.06, 0.14, 0.09), (0.25, 0.38, 0.22)),
    "olive": ((0.17, 0.20, 0.10), (0.52, 0.55, 0.32)),
    "autumn": ((0.27, 0.13, 0.04), (0.82, 0.50, 0.17)),
    "copper": ((0.25, 0.10, 0.05), (0.68, 0.34, 0.17)),
}
_LEAF_WEIGHTS = (0.32, 0.18, 0.20, 0.12, 0.12, 0.06)

_GRASSES = (
    ((0.17, 0.29, 0.08), (0.50, 0.64, 0.25)),
    ((0.26, 0.31, 0.11), (0.66, 0.68, 0.32)),
    ((0.40, 0.35, 0.17), (0.82, 0.73, 0.44)),
)

_STONES = (
    (0.50, 0.51, 0.53),
    (0.62, 0.60, 0.57),
    (0.70, 0.69, 0.67),
    (0.42, 0.43, 0.46),
    (0.70, 0.61, 0.48),
    (0.55, 0.41, 0.35),
)


def draw_light(rng: np.random.Generator) -> Light:
    """Return the light of a random mixture of two times of day."""
    names = list(_TIMES)
    first = names[rng.choice(len(names), p=_TIME_WEIGHTS)]
    second = names[rng.choice(len(names), p=_TIME_WEIGHTS)]
    mix = rng.uniform(0.0, 0.4)
    a, b = _TIMES[first], _TIMES[second]
    zenith, horizon, sun, ambient = (
        colour(*p) * np.float32(1.0 - mix) + colour(*q) * np.float32(mix)
        for p, q in zip(a[:4], b[:4], strict=True)
    )
    height, haze = (p * (1.0 - mix) + q * mix for p, q in zip(a[4:], b[4:], strict=True))
    side = float(rng.choice((-1.0, 1.0)) * rng.uniform(0.25, 0.95))
    gain = np.float32(rng.uniform(0.92, 1.06))
    return Light(
        zenith, horizon, sun * gain, ambient * gain, side, float(height), float(haze * rng.uniform(0.7, 1.4))
    )


def draw_materials(rng: np.random.Generator) -> Materials:
    """Return the colours of leaves, grass and stone."""
    names = list(_LEAVES)
    leaves = names[rng.choice(len(names), p=_LEAF_WEIGHTS)]
    dark, light = _LEAVES[leaves]
    # weight of the grass's own colour against that of the leaves; grass does not turn red in autumn
    own = np.float32(rng.uniform(0.75, 1.0) if leaves in ("autumn", "copper") else rng.uniform(0.25, 0.95))
    grass = _GRASSES[rng.choice(len(_GRASSES), p=(0.5, 0.3, 0.2))]
    leaf_dark, leaf_light = colour(*dark), colour(*light)
    stone = colour(*_STONES[rng.integers(len(_STONES))]) * np.float32(rng.uniform(0.9, 1.1))
    rock = stone * np.float32(0.75) + colour(0.10, 0.09, 0.08)
    return Materials(
        leaf_dark,
        leaf_light,
        leaf_dark + (colour(*grass[0]) - leaf_dark) * own,
        leaf_light + (colour(*grass[1]) - leaf_light) * own,
        stone,
        rock,
    )
