"""The ground: grass, paving, roads, and water with reflections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lstm2d.data.synth._canvas import GRASS, ROAD, WATER, Box, Canvas, Mask
from lstm2d.data.synth._noise import Field, at, line, near, smoothstep


@dataclass(frozen=True)
class Path:
    """A road; at distance z its middle is ``x + slope z + bend z^2 / (z + reach)`` metres from the axis."""

    x: float
    slope: float
    bend: float
    width: float
    dashed: bool
    reach: float = 60.0

    def middle(self, z: Field | float) -> Field:
        """Return the middle of the road, metres."""
        return np.asarray(self.x + self.slope * z + self.bend * z * z / (z + self.reach), dtype=np.float32)

    def covers(self, x: float, z: float, margin: float) -> bool:
        """Return whether a point is on the road or within ``margin`` metres of it."""
        return bool(abs(x - float(self.middle(z))) < 0.5 * self.width + margin)


@dataclass(frozen=True)
class GroundView:
    """The ground under each pixel below the horizon."""

    box: Box
    rows: Field  # (h, 1)
    cols: Field  # (1, w)
    x: Field  # (h, w) metres to the right
    z: Field  # (h, 1) metres away
    shift: np.ndarray  # offset into the noise tiles


def look_down(canvas: Canvas, rng: np.random.Generator) -> GroundView:
    """Project the pixels below the horizon onto the ground."""
    shift = rng.uniform(0, 256, 2)
    top = min(max(int(np.ceil(canvas.horizon)), 0), canvas.height - 1)
    box = Box(top, canvas.height, 0, canvas.width)
    rows, cols = canvas.grid(box)
    z = np.asarray(canvas.focal * canvas.eye / (rows - canvas.horizon + 0.5), dtype=np.float32)
    x = np.asarray((cols - canvas.centre) * (z / np.float32(canvas.focal)), dtype=np.float32)
    return GroundView(box, rows, cols, x, z, shift)


def air_of(canvas: Canvas, view: GroundView) -> Field:
    """Return the share of air in the colour of each row, (h, 1)."""
    share: Field = 1.0 - np.exp(-view.z / np.float32(canvas.light.haze))
    return share


def draw_grass(canvas: Canvas, view: GroundView) -> None:
    """Cover the ground with grass: clumps in perspective, blades in image coordinates."""
    materials = canvas.materials
    row, col = view.z + np.float32(view.shift[0]), view.x + np.float32(view.shift[1])
    patches = at("soft", row * np.float32(0.7), col * np.float32(0.7))
    clumps = near("leaf", row * np.float32(9.0), col * np.float32(9.0))
    texture_rows, texture_cols = canvas.texels(view.box, view.shift)
    blades = near("rough", texture_rows * np.float32(0.45), texture_cols * np.float32(1.3))
    close = np.exp(-view.z / np.float32(30.0))
    lit = 0.64 + 0.13 * patches + (0.05 + 0.06 * close) * clumps + 0.08 * blades
    lit = np.clip(lit, 0.0, 1.0)
    albedo = materials.grass_dark + (materials.grass_light - materials.grass_dark) * lit
    dry = smoothstep(0.3, 2.2, patches) * np.float32(0.35)
    albedo = albedo + (materials.grass_light * np.float32(1.05) - albedo) * dry
    _lay(canvas, view, albedo, 0.42 + 0.5 * lit, None, GRASS)


def _lay(
    canvas: Canvas, view: GroundView, albedo: Field, lit: Field | float, mask: Mask | None, label: int
) -> None:
    """Paint ground with lighting and haze."""
    colours = canvas.light.shade(albedo, lit)
    colours += (canvas.light.horizon - colours) * air_of(canvas, view)
    if mask is None:
        mask = np.ones(colours.shape[1:], dtype=bool)
    canvas.paint(view.box, mask, colours, label)


def _paved(canvas: Canvas, view: GroundView, *, joints: float) -> Field:
    """Return the albedo of asphalt or of slabs with joints; the stone is the same as in facades."""
    row, col = view.z + np.float32(view.shift[1]), view.x + np.float32(view.shift[0])
    stains = at("soft", row * np.float32(1.1), col * np.float32(1.1))
    texture_rows, texture_cols = canvas.texels(view.box, view.shift)
    grain = near("grain", texture_rows, texture_cols)
    tone = 0.92 + 0.07 * stains + 0.045 * grain
    if joints:
        fade = np.exp(-view.z * np.float32(0.035 / joints))
        across = np.mod(view.x, joints) < 0.07 * joints
        along = np.mod(view.z, joints) < 0.07 * joints
        tone = tone * (1.0 - 0.26 * fade * (across | along))
    # repair patches, as dark and square as windows
    cell_row, cell_col = np.floor(row * np.float32(0.3)), np.floor(col * np.float32(0.55))
    mended = near("grain", cell_row * 5.0, cell_col * 3.0) > 1.35
    mended &= (np.mod(row * np.float32(0.3), 1.0) < 0.7) & (np.mod(col * np.float32(0.55), 1.0) < 0.62)
    tone = tone * (1.0 - 0.30 * mended)
    albedo: Field = canvas.materials.stone * tone
    return albedo


def draw_plaza(canvas: Canvas, view: GroundView, rng: np.random.Generator, reach: float) -> None:
    """Pave the ground from the camera to ``reach`` metres."""
    joints = float(rng.choice((0.0, 0.8, 1.5, 3.0)))
    edge = view.z < reach + 0.1 * reach * line(rng, canvas.width, 2, 2, 0.4)[None, :]
    _lay(canvas, view, _paved(canvas, view, joints=joints), 0.62, edge, ROAD)


def draw_road(canvas: Canvas, view: GroundView, path: Path, *, walks: float) -> None:
    """Draw a road with its markings, and pavements ``walks`` metres wide on both sides."""
    off = view.x - path.middle(view.z)
    half = np.float32(0.5 * path.width)
    inside = np.abs(off) < half + np.float32(walks)
    wobble = np.float32(0.18) * near("soft", view.z * np.float32(6.0), np.sign(off) * np.float32(40.0))
    if not walks:
        inside = np.abs(off) < half + wobble
    albedo = _paved(canvas, view, joints=0.0)
    if walks:
        kerb = np.abs(off) > half
        albedo = albedo * np.where(kerb, np.float32(1.14), np.float32(0.9))
        albedo *= np.where(np.abs(np.abs(off) - half) < 0.12, np.float32(0.72), np.float32(1.0))
    if path.dashed:
        middle = (np.abs(off) < 0.09) & (np.mod(view.z, 6.0) < 3.0)
        sides = np.abs(np.abs(off) - (half - 0.3)) < 0.07
        albedo += (np.float32(0.88) - albedo) * (0.8 * (middle | sides))
    _lay(canvas, view, albedo, 0.62, inside, ROAD)


@dataclass(frozen=True)
class Shores:
    """Rows where water begins and ends, for each column."""

    far: Field
    near: Field


def draw_shores(canvas: Canvas, rng: np.random.Generator, z_far: float, z_near: float, bend: float) -> Shores:
    """Return wavy shorelines around two distances in metres; the near one may lie below the image."""
    low, high = canvas.row(0.0, z_far), canvas.row(0.0, max(z_near, 0.1))
    depth = high - low
    far = low + 0.04 * depth * line(rng, canvas.width, 3, 4, 0.5)
    tilt = np.linspace(-1.0, 1.0, canvas.width, dtype=np.float32) * np.float32(rng.uniform(-bend, bend))
    close = high + depth * (0.16 * line(rng, canvas.width, 2, 4, 0.45) + 0.5 * tilt)
    far = np.maximum(far, canvas.horizon + 0.5)
    return Shores(np.asarray(far, dtype=np.float32), np.asarray(np.maximum(close, far), dtype=np.float32))


def draw_water(canvas: Canvas, view: GroundView, rng: np.random.Generator, shores: Shores) -> None:
    """Draw water that reflects sky, mountains and far shore, so a small window resembles sky or forest."""
    calm = rng.uniform(0.15, 1.0)
    depth_colour = 0.5 * canvas.light.zenith + 0.35 * canvas.materials.leaf_dark
    murk = float(rng.uniform(0.0, 0.2))
    rows, cols = view.rows, view.cols
    mask = (rows >= shores.far) & (rows < shores.near)
    ripples = near("rough", view.z * np.float32(5.0), view.x * np.float32(1.6))
    waves = at("soft", view.z * np.float32(2.3) + np.float32(view.shift[1]), view.x * np.float32(0.5))
    texture_rows, texture_cols = canvas.texels(view.box, view.shift)
    dashes = near("rough", texture_rows * np.float32(1.5), texture_cols * np.float32(0.28))
    deep = rows - shores.far
    drop = np.float32(canvas.height / 240.0)
    stir = (0.8 * ripples + 1.6 * waves + 0.7 * dashes) * np.float32(1.2 - calm) * (1.0 + 0.04 * deep) * drop
    seen = (
        shores.far - deep * np.float32(min(1.0, 0.95 * shores.far.min() / max(float(deep.max()), 1.0))) + stir
    )
    seen = np.clip(seen, 0, canvas.height - 1).astype(np.int32)
    aside = np.clip(cols + 0.8 * stir, 0, canvas.width - 1).astype(np.int32)
    mirrored = canvas.image[:, np.minimum(seen, shores.far.astype(np.int32) - 1), aside]
    share = np.float32(murk) * smoothstep(0.0, float(canvas.height) * 0.7, deep)
    colours = mirrored + (depth_colour - mirrored) * share
    colours = colours * (1.0 + (0.025 * dashes + 0.015 * ripples) * np.float32(1.25 - calm))
    rim = np.exp(-np.abs(rows - shores.near) / (2.2 * drop)) * np.float32(0.22)
    # clipped: in an image of a few rows the exponent overflows far above the rim, where nothing is drawn
    rim += np.exp(np.minimum(-deep / (1.6 * drop), 80)) * np.float32(-0.18)
    canvas.paint(view.box, mask, colours * (1.0 + rim), WATER)


def cloud_shadows(canvas: Canvas, view: GroundView, strength: float) -> None:
    """Draw cloud shadows on the ground."""
    field = at("cloud", view.z * np.float32(0.5) + np.float32(view.shift[1]), view.x * np.float32(0.5))
    canvas.darken(view.box, np.float32(strength) * smoothstep(0.2, 1.2, field))


def cast_shadow(canvas: Canvas, x: float, z: float, width: float, length: float) -> None:
    """Draw the shadow of an object at (x, z) on the ground."""
    light = canvas.light
    reach = length * (1.6 - 1.1 * light.height)
    middle_x = x - 0.5 * light.side * reach
    half_x, half_z = 0.5 * width + 0.5 * abs(light.side) * reach, max(0.35 * width, 0.25)
    box = canvas.box(
        canvas.row(0.0, z + 1.3 * half_z) - 1,
        canvas.row(0.0, max(z - 1.3 * half_z, 0.5)) + 1,
        canvas.column(middle_x - 1.3 * half_x, max(z - half_z, 0.5)) - 1,
        canvas.column(middle_x + 1.3 * half_x, max(z - half_z, 0.5)) + 1,
    )
    if box is None or box.top <= canvas.horizon:
        return
    rows, cols = canvas.grid(box)
    away = np.asarray(canvas.focal * canvas.eye / (rows - canvas.horizon + 0.5), dtype=np.float32)
    aside = (cols - canvas.centre) * away / np.float32(canvas.focal)
    reach2 = ((aside - middle_x) / half_x) ** 2 + ((away - z) / half_z) ** 2
    canvas.darken(box, np.float32(0.75) * smoothstep(1.25, 0.45, np.asarray(reach2, dtype=np.float32)))
