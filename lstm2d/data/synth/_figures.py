"""Foreground objects: people, cars, animals, boats, posts, fences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lstm2d.data.synth._canvas import FOREGROUND, Box, Canvas, Mask
from lstm2d.data.synth._light import Colour, colour
from lstm2d.data.synth._noise import Field, flat

_CLOTHES = (
    (0.75, 0.16, 0.14),
    (0.16, 0.26, 0.55),
    (0.90, 0.88, 0.84),
    (0.13, 0.13, 0.15),
    (0.86, 0.66, 0.18),
    (0.25, 0.48, 0.36),
    (0.45, 0.44, 0.46),
    (0.62, 0.32, 0.52),
)
_PAINTS = (
    (0.78, 0.12, 0.10),
    (0.82, 0.83, 0.84),
    (0.13, 0.14, 0.16),
    (0.14, 0.27, 0.52),
    (0.52, 0.54, 0.56),
    (0.88, 0.76, 0.30),
    (0.20, 0.36, 0.28),
)
_HIDES = ((0.42, 0.26, 0.16), (0.90, 0.88, 0.84), (0.16, 0.13, 0.12), (0.72, 0.54, 0.34), (0.60, 0.58, 0.56))


@dataclass(frozen=True)
class _Brush:
    """Paint shapes of one figure; ``u`` runs right from its middle, ``v`` up from its foot, in metres."""

    canvas: Canvas
    box: Box
    u: Field
    v: Field
    z: float
    grain: Field

    def fill(self, mask: Mask, albedo: Colour, round_over: float = 0.0, belly: float = 0.0) -> None:
        """Paint a shape, shaded across ``round_over`` metres and darker below height ``belly``."""
        side = self.canvas.light.side
        lit = 0.62 + 0.05 * self.grain + 0.10 * np.minimum(self.v, 1.5)
        if round_over:
            lit = lit + 0.32 * side * np.clip(self.u / np.float32(round_over), -1.0, 1.0)
        if belly:
            lit = lit - 0.45 * np.clip((np.float32(belly) - self.v) / 0.4, 0.0, 1.0)
        colours = self.canvas.light.shade(albedo, np.clip(lit, 0.0, 1.15))
        self.canvas.paint(self.box, mask, self.canvas.veil(colours, self.z), FOREGROUND)

    def oval(self, u: float, v: float, half_width: float, half_height: float) -> Mask:
        """Return an ellipse."""
        return ((self.u - u) / half_width) ** 2 + ((self.v - v) / half_height) ** 2 < 1.0

    def slab(self, u: float, v: float, half_width: float, half_height: float, power: int = 4) -> Mask:
        """Return a rectangle with rounded corners."""
        across, above = np.abs((self.u - u) / half_width), np.abs((self.v - v) / half_height)
        inside: Mask = across**power + above**power < 1.0
        return inside

    def bar(self, start: tuple[float, float], end: tuple[float, float], half: float) -> Mask:
        """Return a thick line."""
        du, dv = end[0] - start[0], end[1] - start[1]
        along = np.clip(((self.u - start[0]) * du + (self.v - start[1]) * dv) / (du * du + dv * dv), 0.0, 1.0)
        return (self.u - start[0] - along * du) ** 2 + (self.v - start[1] - along * dv) ** 2 < half * half


def _brush(canvas: Canvas, x: float, z: float, reach: float, height: float, *, mirror: bool) -> _Brush | None:
    """Return the brush for a figure at (x, z), ``reach`` metres to each side."""
    foot, middle, metre = canvas.row(0.0, z), canvas.column(x, z), canvas.focal / z
    box = canvas.box(
        foot - height * metre - 1, foot + 1, middle - reach * metre - 1, middle + reach * metre + 1
    )
    if box is None or height * metre < 2.0:
        return None
    rows, cols = canvas.grid(box)
    u = (cols - np.float32(middle)) / np.float32(-metre if mirror else metre)
    v = (np.float32(foot) - rows) / np.float32(metre)
    grain = flat("rough", *canvas.texels(box, np.array([x * 40.0 + 999.0, z * 40.0])))
    return _Brush(canvas, box, u, v, z, grain)


def draw_person(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a walking or standing person."""
    stride, lean = rng.uniform(0.02, 0.28), rng.uniform(-0.05, 0.05)
    tall = rng.uniform(0.93, 1.08)
    skin = colour(0.80, 0.60, 0.48) * np.float32(rng.uniform(0.45, 1.1))
    top, legs = (colour(*_CLOTHES[k]) for k in rng.integers(len(_CLOTHES), size=2))
    hair = colour(0.30, 0.22, 0.16) * np.float32(rng.uniform(0.3, 1.6))
    mirror, dress, bag = bool(rng.random() < 0.5), rng.random() < 0.25, rng.random() < 0.35
    brush = _brush(canvas, x, z, 0.6, 1.85 * tall, mirror=mirror)
    if brush is None:
        return
    hip = 0.92 * tall
    legs_mask = brush.bar((-stride, 0.04), (0.0, hip), 0.085) | brush.bar((stride, 0.04), (0.0, hip), 0.085)
    brush.fill(legs_mask, skin if dress else legs * np.float32(0.85), 0.3)
    if dress:
        brush.fill(
            (np.abs(brush.u) < 0.34 - 0.18 * (brush.v - 0.5)) & (brush.v > 0.5) & (brush.v < hip + 0.1),
            top,
            0.4,
        )
    body = brush.slab(lean, 1.18 * tall, 0.21, 0.32)
    arms = brush.bar((lean, 1.42 * tall), (0.28 + 0.3 * stride, 0.95 * tall), 0.065)
    arms |= brush.bar((lean, 1.42 * tall), (-0.28 - 0.3 * stride, 0.98 * tall), 0.065)
    brush.fill(arms, top * np.float32(0.82), 0.4)
    brush.fill(body, top, 0.3)
    if bag:
        brush.fill(brush.slab(-0.3, 0.95 * tall, 0.14, 0.17), legs * np.float32(0.6), 0.5)
    brush.fill(brush.oval(lean, 1.66 * tall, 0.12, 0.15), hair, 0.2)
    brush.fill(brush.oval(lean + 0.03, 1.63 * tall, 0.09, 0.115), skin, 0.2)


def draw_car(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a car from the rear."""
    paint = colour(*_PAINTS[rng.integers(len(_PAINTS))])
    mirror, tall = bool(rng.random() < 0.5), float(rng.uniform(1.4, 1.75))
    brush = _brush(canvas, x, z, 1.0, tall, mirror=mirror)
    if brush is None:
        return
    glass = colour(0.10, 0.12, 0.15) + 0.22 * canvas.light.zenith
    tyre = colour(0.06, 0.06, 0.07)
    for side in (-0.68, 0.68):
        brush.fill(brush.slab(side, 0.26, 0.14, 0.28), tyre)
    brush.fill(brush.slab(0.0, 0.66, 0.90, 0.40, 6), paint)
    cabin = (np.abs(brush.u) < 0.86 - 0.32 * (brush.v - 0.9)) & (brush.v > 0.9) & (brush.v < tall)
    brush.fill(cabin, paint * np.float32(0.95))
    brush.fill(cabin & (np.abs(brush.u) < 0.62) & (brush.v > 1.0) & (brush.v < tall - 0.12), glass)
    for side in (-0.72, 0.72):
        brush.fill(brush.slab(side, 0.80, 0.13, 0.10), colour(0.85, 0.10, 0.08))
    brush.fill(brush.slab(0.0, 0.62, 0.26, 0.07), colour(0.85, 0.85, 0.80))
    brush.fill(brush.slab(0.0, 0.34, 0.84, 0.08), paint * np.float32(0.45))


@dataclass(frozen=True)
class _Animal:
    """Dimensions of an animal in metres."""

    leg: float
    half_body: float
    half_depth: float
    neck: float  # half its thickness
    head: float  # half its thickness
    raised: tuple[float, float]  # position of the head when looking up
    grazing: tuple[float, float]


_ANIMALS = (
    _Animal(0.62, 0.92, 0.37, 0.20, 0.15, (1.28, 1.42), (1.32, 0.22)),  # cow
    _Animal(0.88, 0.86, 0.34, 0.17, 0.13, (1.22, 1.95), (1.45, 0.30)),  # horse
    _Animal(0.34, 0.50, 0.27, 0.11, 0.09, (0.66, 0.86), (0.72, 0.16)),  # sheep
)


def draw_animal(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a cow, a horse or a sheep, grazing or looking up."""
    number = int(rng.integers(3))
    kind = _ANIMALS[number]
    hide = colour(0.90, 0.87, 0.80) if number == 2 else colour(*_HIDES[rng.integers(len(_HIDES))])
    face = hide * np.float32(0.30 if number == 2 and rng.random() < 0.5 else 0.88)
    grazes, mirror, spotted = (
        rng.random() < 0.55,
        bool(rng.random() < 0.5),
        number == 0 and rng.random() < 0.6,
    )
    swing = float(rng.uniform(-0.08, 0.08))
    brush = _brush(canvas, x, z, 1.9, 2.2, mirror=mirror)
    if brush is None:
        return
    middle = kind.leg + kind.half_depth
    for place, dark in ((-0.62, 0.6), (0.56, 0.6), (-0.80, 0.8), (0.72, 0.8)):
        hoof = place * kind.half_body + swing * dark
        leg = brush.bar((hoof, 0.02), (place * kind.half_body, middle - 0.1), 0.075)
        brush.fill(leg, hide * np.float32(dark))
    back = middle + 0.5 * kind.half_depth
    tail = brush.bar((-kind.half_body + 0.03, back), (-kind.half_body - 0.1, kind.leg), 0.04)
    brush.fill(tail, hide * np.float32(0.6))
    body = brush.slab(0.0, middle, kind.half_body, kind.half_depth, 3)
    brush.fill(body, hide, 1.6, belly=middle)
    if spotted:
        brush.fill(body & (brush.grain > 0.4), hide * np.float32(0.22) + np.float32(0.03), belly=middle)
    nose = kind.grazing if grazes else kind.raised
    neck = brush.bar((0.74 * kind.half_body, middle + 0.25 * kind.half_depth), nose, kind.neck)
    brush.fill(neck, hide * np.float32(0.95), 1.6)
    tip = (nose[0] + 1.7 * kind.head, nose[1] - 0.9 * kind.head)
    brush.fill(brush.bar(nose, tip, kind.head), face, 1.6)
    ear = brush.oval(nose[0] - 0.6 * kind.head, nose[1] + kind.head, 0.35 * kind.head, 0.8 * kind.head)
    brush.fill(ear, face * np.float32(0.8))


def draw_boat(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a boat, with or without a sail."""
    sail, mirror = rng.random() < 0.65, bool(rng.random() < 0.5)
    size = float(rng.uniform(0.8, 1.5))
    hull = colour(*_PAINTS[rng.integers(len(_PAINTS))])
    cloth = colour(0.94, 0.93, 0.89) if rng.random() < 0.75 else colour(0.80, 0.35, 0.22)
    brush = _brush(canvas, x, z, 3.2 * size, (7.0 if sail else 2.4) * size, mirror=mirror)
    if brush is None:
        return
    u, v = brush.u / size, brush.v / size
    if sail:
        brush.fill((np.abs(u) < 0.06) & (v < 6.9), colour(0.40, 0.32, 0.24))
        brush.fill((u > 0.12) & (u < 2.5 * (1.0 - (v - 1.1) / 5.4)) & (v > 1.1) & (v < 6.5), cloth, 3.0)
        brush.fill(
            (u < -0.12) & (u > -1.7 * (1.0 - (v - 1.2) / 4.4)) & (v > 1.2) & (v < 5.6),
            cloth * np.float32(0.92),
        )
    else:
        brush.fill(brush.slab(-0.3 * size, 1.3 * size, 0.9 * size, 0.6 * size), colour(0.88, 0.88, 0.86))
    brush.fill((v > 0.0) & (v < 0.95 + 0.05 * u) & (u > -2.3 - 0.3 * v) & (u < 2.0 + 0.9 * v), hull)
    brush.fill(
        (v > 0.72) & (v < 0.95 + 0.05 * u) & (u > -2.5) & (u < 2.8), np.minimum(hull * 1.3 + 0.08, 1.0)
    )


def draw_post(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Draw a lamp post, a sign or a wooden post."""
    kind = rng.random()
    metal = colour(0.24, 0.25, 0.27) if kind < 0.7 else colour(0.40, 0.32, 0.24)
    tall = 5.0 if kind < 0.4 else 2.4 if kind < 0.7 else 1.2
    face = colour(*_PAINTS[rng.integers(len(_PAINTS))])
    brush = _brush(canvas, x, z, 1.2, tall + 0.4, mirror=x > 0)
    if brush is None:
        return
    half = max(0.07, 0.7 * z / canvas.focal)
    brush.fill((np.abs(brush.u) < half) & (brush.v < tall), metal, 0.2)
    if kind < 0.4:
        brush.fill(brush.bar((0.0, tall), (0.9, tall + 0.15), half), metal)
        brush.fill(brush.slab(0.9, tall + 0.08, 0.26, 0.11), colour(0.95, 0.93, 0.85))
    elif kind < 0.7:
        brush.fill(brush.oval(0.0, tall, 0.36, 0.36), face)
        brush.fill(brush.oval(0.0, tall, 0.24, 0.24), colour(0.92, 0.92, 0.90))


def draw_fence(canvas: Canvas, x: tuple[float, float], z: float) -> None:
    """Draw a wooden fence across the image."""
    brush = _brush(canvas, 0.5 * (x[0] + x[1]), z, 0.5 * (x[1] - x[0]), 1.25, mirror=False)
    if brush is None:
        return
    posts = (np.mod(brush.u, 2.2) < 0.16) & (brush.v < 1.2)
    rails = (np.abs(brush.v - 0.55) < 0.06) | (np.abs(brush.v - 0.98) < 0.06)
    within = np.abs(brush.u) < 0.5 * (x[1] - x[0])
    brush.fill((posts | rails) & within, colour(0.44, 0.36, 0.28))
