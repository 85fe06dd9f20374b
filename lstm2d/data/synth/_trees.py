"""Trees: a trunk and a crown of rounded tufts, in the same green as mountain forests."""

from __future__ import annotations

import numpy as np

from lstm2d.data.synth._backdrop import forest_colour
from lstm2d.data.synth._canvas import TREE, Box, Canvas, Mask
from lstm2d.data.synth._light import colour
from lstm2d.data.synth._noise import Field, flat, line, smoothstep

KINDS = ("round", "conifer", "poplar", "bush")
_SLIM = {"round": 0.85, "conifer": 0.46, "poplar": 0.34, "bush": 1.7}  # width over height
_TRUNK = {"round": 0.28, "conifer": 0.09, "poplar": 0.12, "bush": 0.0}  # bare share of the height


def draw_tree(canvas: Canvas, rng: np.random.Generator, x: float, z: float, height: float, kind: str) -> None:
    """Draw a tree.

    Parameters
    ----------
    canvas : Canvas
        Canvas to draw on.
    rng : numpy.random.Generator
        Generator of the scene; as many numbers are drawn if the tree is outside the image.
    x, z : float
        Position in metres.
    height : float
        Height in metres.
    kind : str
        One of ``KINDS``.
    """
    slim = _SLIM[kind] * rng.uniform(0.85, 1.2)
    tufts = _tufts(rng, kind)
    shift = rng.uniform(0, 256, 2)
    tone = np.float32(rng.uniform(-0.06, 0.06))
    foot = canvas.row(0.0, z)
    tall = canvas.focal * height / z
    middle, half = canvas.column(x, z), 0.5 * slim * tall
    if tall < 1.5:
        return
    _trunk(canvas, middle, foot, tall, kind, z)
    box = canvas.box(foot - 1.05 * tall, foot, middle - 1.25 * half, middle + 1.25 * half)
    if box is None:
        return
    rows, cols = canvas.grid(box)
    up = (np.float32(foot) - rows) / np.float32(tall)  # 0 foot, 1 top
    aside = (cols - np.float32(middle)) / np.float32(half)  # -1..1
    leaf = flat("leaf", *canvas.texels(box, shift))
    if kind == "conifer":
        mask, relief = _conifer(canvas, up, aside, leaf, box, shift)
    else:
        mask, relief = _crown(canvas, up, aside, leaf, tufts, tall)
    lit = np.clip(0.40 + tone + 0.42 * relief + 0.20 * leaf, 0.0, 1.0)
    canvas.paint(box, mask, canvas.veil(forest_colour(canvas, lit), z), TREE)


def _tufts(rng: np.random.Generator, kind: str) -> Field:
    """Return centre and radii (across, up) of each tuft, as shares of half the width and of the height."""
    count = {"round": 14, "conifer": 1, "poplar": 7, "bush": 6}[kind]
    bare = _TRUNK[kind]
    angle = rng.uniform(0.0, 2.0 * np.pi, count)
    radius = np.sqrt(rng.uniform(0.0, 1.0, count)) * 0.70
    size = rng.uniform(0.30, 0.52, count)
    span = 0.5 * (1.0 - bare)
    across = radius * np.cos(angle)
    up = bare + span + radius * np.sin(angle) * span
    if kind == "poplar":
        up = np.linspace(bare + 0.16, 0.84, count)
        across *= 0.35
        size = np.sin(np.linspace(0.7, 2.7, count)) * 0.55 + 0.25
    tufts = np.stack([across, up, size, size * span * (0.8 if kind == "poplar" else 1.0)], axis=1)
    # later tufts lie in front of earlier ones
    return tufts[np.argsort(-tufts[:, 1])].astype(np.float32)


def _crown(
    canvas: Canvas, up: Field, aside: Field, leaf: Field, tufts: Field, tall: float
) -> tuple[Mask, Field]:
    """Return the mask of the crown, and how much its tufts face the sun (about -1..1)."""
    best = np.full((up.shape[0], aside.shape[1]), 9.0, dtype=np.float32)
    relief = np.zeros_like(best)
    light = canvas.light
    rise = 0.45 + 0.5 * light.height
    ragged = np.float32(0.16 + 0.10 * min(1.0, 30.0 / tall))
    for across, high, wide, tower in tufts:
        du = (aside - across) / wide
        dv = (up - high) / tower
        away = du * du + dv * dv
        closer = away < best
        facing = np.float32(0.75 * light.side) * du + np.float32(rise) * dv
        np.copyto(relief, facing, where=closer)
        np.copyto(best, away, where=closer)
    mask = best + ragged * leaf < 1.0
    # the crown as a whole is shaded like a ball: dark below and away from the sun
    whole = np.float32(0.45 * light.side) * aside + np.float32(1.1) * (up - 0.62)
    return mask, np.clip(0.55 * relief + 0.6 * whole - 0.25 * (best - 0.5), -1.0, 1.0)


def _conifer(
    canvas: Canvas, up: Field, aside: Field, leaf: Field, box: Box, shift: np.ndarray
) -> tuple[Mask, Field]:
    """Return mask and shading of a spruce: a cone of drooping tiers."""
    bare = np.float32(_TRUNK["conifer"])
    share = (1.0 - up) / (1.0 - bare)  # 0 top, 1 lowest branches
    tier = np.mod(share * np.float32(7.0) + np.float32(0.35) * np.abs(aside), 1.0)
    half = np.clip(share, 0.0, 1.0) * (0.72 + 0.34 * tier)
    mask = (np.abs(aside) < half + 0.07 * leaf) & (up > bare) & (up < 1.0)
    relief = np.float32(0.85 * canvas.light.side) * aside / np.maximum(half, 0.08) * 0.7 + 0.5 * (0.35 - tier)
    return mask, np.clip(relief, -1.0, 1.0).astype(np.float32)


def _trunk(canvas: Canvas, middle: float, foot: float, tall: float, kind: str, z: float) -> None:
    """Draw the trunk up into the crown."""
    if kind == "bush":
        return
    half = max(tall * (0.026 if kind != "round" else 0.032), 0.6)
    reach = tall * min(0.95, _TRUNK[kind] + 0.35)
    box = canvas.box(foot - reach, foot + 1, middle - 2.0 * half, middle + 2.0 * half)
    if box is None:
        return
    rows, cols = canvas.grid(box)
    flare = 1.0 + 0.5 * np.exp(-(foot - rows) / (0.05 * tall))
    across = (cols - np.float32(middle)) / (np.float32(half) * flare)
    bark = flat("grain", rows * np.float32(0.4 * canvas.texture), cols * np.float32(canvas.texture))
    lit = np.clip(0.42 + 0.4 * canvas.light.side * across + 0.12 * bark, 0.0, 1.0).astype(np.float32)
    brown: Field = 0.75 * colour(0.32, 0.25, 0.18) + 0.52 * canvas.materials.leaf_dark
    canvas.paint(box, np.abs(across) < 1.0, canvas.veil(canvas.light.shade(brown, lit), z), TREE)


def draw_wood(
    canvas: Canvas, rng: np.random.Generator, z: float, height: float, left: float, right: float
) -> None:
    """Draw the edge of a wood: a band of crowns between two columns.

    Parameters
    ----------
    canvas : Canvas
        Canvas to draw on.
    rng : numpy.random.Generator
        Generator of the scene.
    z : float
        Distance in metres.
    height : float
        Height of the trees in metres.
    left, right : float
        Columns in pixels.
    """
    bumps = max(int((right - left) / max(canvas.focal * height / z * 0.5, 3.0)), 2)
    crest = line(rng, canvas.width, min(bumps, 60), 3, 0.6)
    shift = rng.uniform(0, 256, 2)
    foot, tall = canvas.row(0.0, z), canvas.focal * height / z
    box = canvas.box(foot - 1.4 * tall, foot + 1, left, right)
    if box is None:
        return
    rows, cols = canvas.grid(box)
    fall = smoothstep(0.0, 1.2 * tall, np.minimum(cols - left, right - cols))
    top = np.float32(foot) - np.float32(tall) * (0.82 + 0.22 * crest[None, box.left : box.right]) * (
        0.25 + 0.75 * fall
    )
    leaf = flat("leaf", *canvas.texels(box, shift))
    soft = flat("soft", *canvas.texels(box, shift, 1.5))
    below = (rows - top) / np.float32(tall)
    relief = 0.55 - 1.25 * below + 0.35 * soft
    lit = np.clip(0.40 + 0.42 * np.clip(relief, -1.0, 1.0) + 0.20 * leaf, 0.0, 1.0)
    mask = rows >= top + leaf * np.float32(0.06 * tall)
    canvas.paint(box, mask, canvas.veil(forest_colour(canvas, lit), z), TREE)
