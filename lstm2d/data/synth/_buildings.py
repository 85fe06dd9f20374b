"""Buildings: boxes in perspective with windows, made of the same stone as the streets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lstm2d.data.synth._canvas import BUILDING, Box, Canvas, Mask
from lstm2d.data.synth._light import Colour, colour
from lstm2d.data.synth._noise import Field, flat, near

_ROOFS = ((0.50, 0.27, 0.20), (0.30, 0.29, 0.31), (0.42, 0.33, 0.27), (0.36, 0.38, 0.42))

_PLASTERS = (
    (0.86, 0.82, 0.72),
    (0.80, 0.66, 0.44),
    (0.74, 0.76, 0.78),
    (0.66, 0.44, 0.36),
    (0.60, 0.66, 0.68),
    (0.84, 0.72, 0.62),
)


@dataclass(frozen=True)
class Style:
    """Appearance of a building."""

    wall: Colour
    roof: Colour
    pane: Colour
    storey: float  # metres
    bay: float  # metres from window to window
    pane_width: float  # share of a bay
    pane_height: float  # share of a storey
    contrast: float  # 0: panes as light as the wall, 1: as dark as glass
    blank: bool  # no windows
    pitched: bool
    shift: np.ndarray


def draw_style(canvas: Canvas, rng: np.random.Generator, *, pitched: bool) -> Style:
    """Return a random style; most walls are the scene's stone or a tint of it."""
    stone = canvas.materials.stone
    warm = rng.uniform(-0.03, 0.03)
    tint = colour(warm, 0.3 * warm, -warm) + np.float32(rng.uniform(-0.06, 0.06))
    wall = np.clip(stone + tint * np.float32(rng.random() < 0.7), 0.1, 0.92)
    plaster = colour(*_PLASTERS[rng.integers(len(_PLASTERS))])
    if rng.random() < 0.16:
        wall = plaster
    pane = 0.35 * canvas.light.zenith + colour(0.08, 0.09, 0.11)
    if rng.random() < 0.3:
        pane = 0.6 * canvas.light.horizon
    roof = colour(*_ROOFS[rng.integers(len(_ROOFS))])
    slab = rng.random() < 0.25  # ribbon windows
    return Style(
        wall.astype(np.float32),
        roof,
        np.asarray(pane, dtype=np.float32),
        float(rng.uniform(2.8, 3.8)),
        float(rng.uniform(2.0, 4.2)),
        0.96 if slab else float(rng.uniform(0.32, 0.62)),
        float(rng.uniform(0.36, 0.62)),
        float(rng.uniform(0.3, 1.0)),
        bool(rng.random() < 0.3),
        pitched,
        rng.uniform(0, 256, 2),
    )


def draw_building(
    canvas: Canvas, style: Style, x: tuple[float, float], z: tuple[float, float], height: float
) -> None:
    """Draw a building: the wall that faces the camera, and the visible side wall.

    Parameters
    ----------
    canvas : Canvas
        Canvas to draw on.
    style : Style
        Walls and roof.
    x, z : tuple of float
        Left and right edge, near and far edge, in metres; the near edge is at least 1.
    height : float
        Height of the walls in metres.
    """
    inner = x[0] if x[0] > 0 else x[1] if x[1] < 0 else None
    if inner is not None:
        _side_wall(canvas, style, inner, z, height)
    if style.pitched:
        _roof(canvas, style, x, z, height)
    _front_wall(canvas, style, x, z[0], height)


def _front_wall(canvas: Canvas, style: Style, x: tuple[float, float], z: float, height: float) -> None:
    """Draw the wall that faces the camera."""
    top, foot = canvas.row(height, z), canvas.row(0.0, z)
    box = canvas.box(top, foot, canvas.column(x[0], z), canvas.column(x[1], z))
    if box is None:
        return
    rows, cols = canvas.grid(box)
    up = np.float32(canvas.eye) - (rows - np.float32(canvas.horizon)) * np.float32(z / canvas.focal)
    along = (cols - np.float32(canvas.centre)) * np.float32(z / canvas.focal) - np.float32(x[0])
    lit = 0.55 + 0.15 * (canvas.light.height < 0.5)
    colours = _wall(canvas, style, box, up, along, x[1] - x[0], height, lit, z)
    canvas.paint(box, np.ones(colours.shape[1:], dtype=bool), canvas.veil(colours, z), BUILDING)


def _side_wall(canvas: Canvas, style: Style, x: float, z: tuple[float, float], height: float) -> None:
    """Draw the wall along the line of sight."""
    ends = sorted((canvas.column(x, z[0]), canvas.column(x, z[1])))
    box = canvas.box(
        min(canvas.row(height, z[0]), canvas.row(height, z[1])),
        max(canvas.row(0.0, z[0]), canvas.row(0.0, z[1])) + 1,
        ends[0],
        ends[1],
    )
    if box is None:
        return
    rows, cols = canvas.grid(box)
    away = np.float32(canvas.focal * x) / (cols + np.float32(0.5) - np.float32(canvas.centre))
    away = np.clip(away, z[0], z[1]).astype(np.float32)
    up = np.float32(canvas.eye) - (rows - np.float32(canvas.horizon)) * (away / np.float32(canvas.focal))
    mask = (up >= 0.0) & (up <= height)
    facing = -np.sign(x) * canvas.light.side  # a wall on the right faces left
    lit = 0.58 + 0.24 * facing
    along = np.broadcast_to(away - np.float32(z[0]), mask.shape)
    colours = _wall(canvas, style, box, up, along, z[1] - z[0], height, lit, float(away.mean()))
    share = 1.0 - np.exp(-away / np.float32(canvas.light.haze))
    canvas.paint(box, mask, colours + (canvas.light.horizon - colours) * share, BUILDING)


def _wall(
    canvas: Canvas,
    style: Style,
    box: Box,
    up: Field,
    along: Field,
    length: float,
    height: float,
    lit: float,
    z: float,
) -> Field:
    """Return the colours of a wall at heights ``up`` and positions ``along`` it, in metres."""
    grain = flat("grain", *canvas.texels(box, style.shift))
    stains = near("soft", up * np.float32(1.1), along * np.float32(1.1) + np.float32(style.shift[0]))
    tone = 0.92 + 0.07 * stains + 0.045 * grain
    tone = tone * np.clip(0.86 + 0.05 * up, 0.8, 1.0)
    albedo = style.wall * tone
    pixel = z / canvas.focal  # metres
    if not style.blank:
        bays = max(round(length / style.bay), 1)
        bay = length / bays
        albedo = _windows(style, albedo, up, along, bay, height, pixel)
    ledge = (up > height - max(0.35, pixel)) | (np.mod(up, style.storey) < max(0.10, 0.3 * pixel)) & (
        up > 1.0
    )
    albedo = albedo * np.where(ledge, np.float32(0.88), np.float32(1.0))
    return canvas.light.shade(albedo, lit)


def _windows(
    style: Style, albedo: Field, up: Field, along: Field, bay: float, height: float, pixel: float
) -> Field:
    """Draw panes and doors on a wall; they fade if a bay is smaller than a few pixels."""
    across = np.mod(along / np.float32(bay), 1.0)
    above = np.mod(up / np.float32(style.storey), 1.0)
    pane: Mask = (np.abs(across - 0.5) < 0.5 * style.pane_width) & (
        np.abs(above - 0.52) < 0.5 * style.pane_height
    )
    pane &= up < height - 0.25 * style.storey
    frame: Mask = (np.abs(across - 0.5) < 0.5 * style.pane_width + 0.05) & (above < 0.52) & ~pane
    frame &= (above > 0.52 - 0.5 * style.pane_height - 0.06) & (up < height - 0.25 * style.storey)
    cell = np.floor(along / np.float32(bay)) * 7.0 + np.floor(up / np.float32(style.storey)) * 13.0
    sheen = 0.75 + 0.5 * near("grain", cell + np.float32(style.shift[0]), cell * 3.0).clip(-1.0, 1.5)
    strength = np.float32(style.contrast * min(1.0, 0.25 * bay / pixel))
    # panes reflect more sky towards their top
    shown = style.pane * (sheen * (0.7 + 0.5 * above))
    albedo = albedo + (shown - albedo) * (strength * pane)
    return np.asarray(albedo * (1.0 + (0.10 * strength * frame)), dtype=np.float32)


def _roof(
    canvas: Canvas, style: Style, x: tuple[float, float], z: tuple[float, float], height: float
) -> None:
    """Draw the roof slope that faces the camera."""
    over = 0.4
    middle = 0.5 * (z[0] + z[1])
    rise = 0.42 * min(z[1] - z[0], x[1] - x[0])
    low, high = canvas.row(height, z[0]), canvas.row(height + rise, middle)
    box = canvas.box(
        high,
        low + 1,
        min(canvas.column(x[0] - over, z[0]), canvas.column(x[0] - over, middle)),
        max(canvas.column(x[1] + over, z[0]), canvas.column(x[1] + over, middle)),
    )
    if box is None:
        return
    rows, cols = canvas.grid(box)
    share = np.clip((low - rows) / max(low - high, 1e-3), 0.0, 1.0)
    hip = 0.12 * (x[1] - x[0])
    left = canvas.column(x[0] - over, z[0]) * (1.0 - share) + canvas.column(x[0] + hip, middle) * share
    right = canvas.column(x[1] + over, z[0]) * (1.0 - share) + canvas.column(x[1] - hip, middle) * share
    tiles = 1.0 + 0.10 * flat("grain", *canvas.texels(box, style.shift))
    courses = 1.0 - 0.12 * (np.mod(share * 9.0, 1.0) < 0.25)
    albedo = style.roof * (tiles * courses)
    colours = canvas.light.shade(np.asarray(albedo, dtype=np.float32), 0.35 + 0.5 * canvas.light.height)
    canvas.paint(box, (cols >= left) & (cols <= right), canvas.veil(colours, z[0]), BUILDING)
