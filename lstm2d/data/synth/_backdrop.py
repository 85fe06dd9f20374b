"""Background: sky with clouds, mountains and hills."""

from __future__ import annotations

import numpy as np

from lstm2d.data.synth._canvas import GRASS, MOUNTAIN, SKY, Canvas
from lstm2d.data.synth._noise import Field, at, flat, line, near, smoothstep

_CLOUDS = ("clear", "fair", "streaks", "sheet", "broken")
_CLOUD_WEIGHTS = (0.12, 0.30, 0.22, 0.12, 0.24)


def draw_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fill the image with sky: a gradient, the sun's glow, clouds that shrink towards the horizon."""
    kind = _CLOUDS[rng.choice(len(_CLOUDS), p=_CLOUD_WEIGHTS)]
    shift = rng.uniform(0, 256, 2)
    cover = rng.uniform(-0.3, 0.5)
    canvas.labels[:] = SKY
    box = canvas.box(0, canvas.horizon + 2, 0, canvas.width)
    light = canvas.light
    if box is None:
        return
    rows, cols = canvas.grid(box)
    up = np.maximum((canvas.horizon - rows) / canvas.focal, 0.0)  # tangent of the elevation
    blend = 1.0 - np.exp(-3.2 * up)
    sky = light.horizon + (light.zenith - light.horizon) * blend
    sky = sky + _glow(canvas, rows, cols)
    texture_rows, texture_cols = canvas.texels(box, shift)
    veils = flat("rough", texture_rows * np.float32(1.5), texture_cols * np.float32(0.28))
    sky = sky * (1.0 + np.float32(rng.uniform(0.0, 0.03)) * veils)  # as fine and flat as waves on water
    if kind != "clear":
        sky = _clouds(canvas, sky, up, cols, kind, shift, cover)
    canvas.image[:] = light.horizon
    canvas.image[:, box.top : box.bottom] = sky


def _glow(canvas: Canvas, rows: Field, cols: Field) -> Field:
    """Return the light around the sun, which may be outside the image."""
    light = canvas.light
    sun_col = canvas.centre + 0.75 * light.side * canvas.width
    sun_row = canvas.horizon - (0.1 + 0.9 * light.height) * canvas.width * 0.7
    away = ((cols - sun_col) ** 2 + 1.6 * (rows - sun_row) ** 2) / canvas.width**2
    strength = 0.16 + 0.22 * (1.0 - light.height)
    return np.asarray(strength * np.exp(-6.0 * away) * (light.sun + 0.1), dtype=np.float32)


def _clouds(
    canvas: Canvas, sky: Field, up: Field, cols: Field, kind: str, shift: np.ndarray, cover: float
) -> Field:
    """Blend clouds over the sky: a flat layer seen from below."""
    stretch, size = {
        "fair": (1.0, 26.0),
        "broken": (1.0, 40.0),
        "streaks": (0.22, 30.0),
        "sheet": (0.45, 22.0),
    }[kind]
    layer = size / (up + 0.11)
    across = (cols - canvas.centre) / canvas.focal * layer * np.float32(stretch) + np.float32(shift[1])
    away = layer + np.float32(shift[0])
    thick = at("cloud", away, across) + np.float32(0.16) * near("rough", away * 5.0, across * 5.0)
    towards = at("cloud", away + np.float32(1.5), across + np.float32(4.0 * canvas.light.side))
    limit = {"fair": 0.55, "broken": 0.1, "streaks": 0.35, "sheet": -0.9}[kind] + cover
    density = smoothstep(limit - 0.35, limit + 0.75, thick) * np.float32(0.94)
    density *= smoothstep(0.0, 0.05, up)
    lit = np.clip(0.66 + 0.30 * (thick - towards) - 0.16 * (density - 0.5), 0.0, 1.0)
    light = canvas.light
    bright = np.minimum(0.97 * light.sun + 0.62 * light.ambient, 1.06)
    shade = 0.62 * light.ambient + 0.42 * light.horizon
    cloud = shade + (bright - shade) * lit
    return np.asarray(sky + (cloud - sky) * density, dtype=np.float32)


def draw_mountains(canvas: Canvas, rng: np.random.Generator, *, layers: int, rise: float) -> None:
    """Draw mountain ridges from far to near; each is forested or bare rock.

    Parameters
    ----------
    canvas : Canvas
        Canvas to draw on, above the horizon.
    rng : numpy.random.Generator
        Generator of the scene.
    layers : int
        Number of ridges.
    rise : float
        Height of the farthest ridge as a share of the image height.
    """
    forest = rng.random() < 0.72
    for layer in range(layers):
        nearness = (layer + 1) / layers
        height = canvas.height * rise * (1.0 - 0.55 * layer / max(layers, 2)) * rng.uniform(0.75, 1.15)
        distance = canvas.light.haze * float(0.15 + 0.9 * (1.0 - nearness) * rng.uniform(0.8, 1.3))
        _ridge(canvas, rng, height, distance, forest=forest and rng.random() < 0.45 + 0.5 * nearness)


def _ridge(canvas: Canvas, rng: np.random.Generator, height: float, distance: float, *, forest: bool) -> None:
    """Draw one ridge."""
    knots = int(rng.integers(2, 5))
    crest = line(rng, canvas.width, knots, 5, 0.36 if forest else 0.5)
    tilt = np.linspace(-1.0, 1.0, canvas.width, dtype=np.float32) * np.float32(rng.uniform(-0.35, 0.35))
    profile = np.maximum(0.62 + 0.42 * crest + tilt, 0.03)
    snow_line = rng.uniform(0.55, 1.2)
    top = canvas.horizon - np.float32(height) * profile
    shift = rng.uniform(0, 256, 2)
    box = canvas.box(float(top.min()) - 1, canvas.horizon + 3, 0, canvas.width)
    if box is None:
        return
    rows, _ = canvas.grid(box)
    texture_rows, texture_cols = canvas.texels(box, shift)
    leaf = flat("leaf", texture_rows, texture_cols)
    mask = rows >= top[None, :] + (leaf * np.float32(0.9 / canvas.texture) if forest else 0.0)
    relief = _relief(canvas, rows, top, texture_rows, texture_cols)
    share = (canvas.horizon - rows) / np.float32(height)  # altitude, 1 at a typical summit
    if forest:
        surface = forest_colour(canvas, np.clip(0.40 + 0.42 * relief + 0.20 * leaf, 0.0, 1.0))
    else:
        surface = _bare(canvas, relief, leaf, share, snow_line, texture_rows, texture_cols)
    canvas.paint(box, mask, canvas.veil(surface, distance), MOUNTAIN)


def forest_colour(canvas: Canvas, lit: Field) -> Field:
    """Return the colour of foliage, shared by trees and forested mountains."""
    dark, light = canvas.materials.leaf_dark, canvas.materials.leaf_light
    albedo = dark + (light - dark) * lit
    return canvas.light.shade(albedo, 0.15 + 0.85 * lit)


def _relief(canvas: Canvas, rows: Field, top: Field, texture_rows: Field, texture_cols: Field) -> Field:
    """Return how much slopes face the sun, about -1..1; gullies run down from the crest."""
    below = (rows - top[None, :]) * np.float32(canvas.texture)
    bent = texture_cols * np.float32(0.55) + below * np.float32(0.22)
    down = below * np.float32(0.25) + texture_rows[0, 0]
    here = at("soft", down, bent)
    there = at("soft", down, bent + np.float32(4.0 * canvas.light.side))
    relief: Field = np.clip(1.5 * (here - there), -1.0, 1.0)
    return relief


def _bare(
    canvas: Canvas,
    relief: Field,
    leaf: Field,
    share: Field,
    snow_line: float,
    texture_rows: Field,
    texture_cols: Field,
) -> Field:
    """Return the colour of rock with grass below and snow above."""
    rough = flat("rough", texture_rows, texture_cols)
    lit = np.clip(0.48 + 0.48 * relief + 0.08 * rough, 0.0, 1.0)
    materials = canvas.materials
    albedo = materials.rock * np.asarray(0.72 + 0.12 * rough + 0.20 * lit, dtype=np.float32)
    green = smoothstep(0.75, 0.05, share + 0.10 * rough + 0.05 * leaf)
    meadow = 0.5 * (materials.grass_dark + materials.leaf_light)
    albedo += (meadow - albedo) * (0.85 * green)
    snow = smoothstep(-0.06, 0.10, share - np.float32(snow_line) + 0.12 * rough + 0.10 * relief)
    albedo += (np.float32(0.93) - albedo) * snow
    return canvas.light.shade(albedo, np.asarray(0.10 + 0.9 * lit, dtype=np.float32))


def draw_hill(canvas: Canvas, rng: np.random.Generator, rise: float, distance: float) -> None:
    """Draw a smooth grass hill in front of the mountains."""
    crest = line(rng, canvas.width, int(rng.integers(1, 3)), 2, 0.3)
    top = canvas.horizon - np.float32(canvas.height * rise) * np.maximum(0.5 + 0.5 * crest, 0.0)
    shift = rng.uniform(0, 256, 2)
    box = canvas.box(float(top.min()) - 1, canvas.horizon + 3, 0, canvas.width)
    if box is None:
        return
    rows, _ = canvas.grid(box)
    texture_rows, texture_cols = canvas.texels(box, shift)
    rough = flat("rough", texture_rows * np.float32(1.6), texture_cols)
    below = np.clip((rows - top[None, :]) / np.float32(0.06 * canvas.height + 1.0), 0.0, 1.0)
    lit = np.clip(0.75 - 0.2 * below + 0.10 * rough, 0.0, 1.0)
    materials = canvas.materials
    albedo = materials.grass_dark + (materials.grass_light - materials.grass_dark) * lit
    canvas.paint(box, rows >= top[None, :], canvas.veil(canvas.light.shade(albedo, lit), distance), GRASS)
