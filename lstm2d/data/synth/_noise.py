"""Texture noise: a few tiles computed once and sampled by every scene."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

SIDE = 256  # pixels of a tile; a power of two, so that wrapping is one AND
_WRAP = SIDE - 1
_TILES_SEED = 20150607


@lru_cache(maxsize=1)
def tiles() -> dict[str, Field]:
    """Return the tiles by name: periodic, mean 0, deviation 1, the same for every scene and seed."""
    rng = np.random.Generator(np.random.Philox(_TILES_SEED))
    rows = np.fft.fftfreq(SIDE)[:, None] * SIDE
    cols = np.fft.rfftfreq(SIDE)[None, :] * SIDE
    radius = np.maximum(np.hypot(rows, cols), 1.0)
    filters = {
        "cloud": radius**-1.75 * (radius > 1.5),
        "soft": radius**-1.35,
        "rough": radius**-0.8,
        "leaf": np.exp(-0.5 * ((radius - 34) / 12) ** 2) + 0.22 * np.exp(-0.5 * ((radius - 80) / 26) ** 2),
        "grain": np.exp(-0.5 * (radius / 90) ** 2),
    }
    return {name: _tile(spectrum, rng) for name, spectrum in filters.items()}


def _tile(spectrum: NDArray[np.float64], rng: np.random.Generator) -> Field:
    """Return filtered white noise."""
    white = np.fft.rfft2(rng.standard_normal((SIDE, SIDE)))
    field = np.fft.irfft2(white * spectrum, s=(SIDE, SIDE))
    field -= field.mean()
    tile: Field = (field / field.std()).astype(np.float32)
    tile.flags.writeable = False
    return tile


def flat(name: str, row: Field, col: Field) -> Field:
    """Sample a tile without interpolation on a grid: ``row`` (H, 1) and ``col`` (1, W), in tile pixels."""
    r = row.astype(np.int32).ravel() & _WRAP
    c = col.astype(np.int32).ravel() & _WRAP
    found: Field = tiles()[name][np.ix_(r, c)]
    return found


def at(name: str, row: Field, col: Field) -> Field:
    """Sample a tile with bilinear interpolation; ``row`` and ``col`` broadcast, in tile pixels.

    Only every second position of each axis is sampled and repeated: the supersampled image has four pixels
    per final pixel, and the tiles sampled this way are smooth.
    """
    shape = np.broadcast_shapes(row.shape, col.shape)
    row, col = row[::2, ::2], col[::2, ::2]
    tile = tiles()[name].ravel()
    row0, col0 = np.floor(row), np.floor(col)
    down, right = row - row0, col - col0
    r0, c0 = row0.astype(np.int32) & _WRAP, col0.astype(np.int32) & _WRAP
    upper, lower = r0 * SIDE, ((r0 + 1) & _WRAP) * SIDE
    c1 = (c0 + 1) & _WRAP
    top = tile[upper + c0]
    top += (tile[upper + c1] - top) * right
    bottom = tile[lower + c0]
    bottom += (tile[lower + c1] - bottom) * right
    top += (bottom - top) * down
    return top.repeat(2, axis=0).repeat(2, axis=1)[: shape[0], : shape[1]]


def near(name: str, row: Field, col: Field) -> Field:
    """Sample a tile without interpolation, for fine detail."""
    r = np.floor(row).astype(np.int32) & _WRAP
    c = np.floor(col).astype(np.int32) & _WRAP
    return tiles()[name].ravel()[r * SIDE + c]


def line(rng: np.random.Generator, length: int, knots: int, octaves: int, roughness: float) -> Field:
    """Return a fractal curve of ``length`` samples in about -1..1; the first octave has ``knots`` bends."""
    places = np.linspace(0.0, 1.0, length)
    curve = np.zeros(length)
    amplitude = total = 1.0
    for octave in range(octaves):
        count = knots * 2**octave + 2
        values = rng.uniform(-1.0, 1.0, count)
        # the knots shift in each octave, so that bends do not coincide
        grid = np.linspace(-0.5 / count, 1.0 + 0.5 / count, count)
        curve += amplitude * np.interp(places, grid, values)
        amplitude *= roughness
        total += amplitude
    return (curve / (0.62 * total)).astype(np.float32)


def smoothstep(low: float, high: float, x: Field) -> Field:
    """Return 0 below ``low``, 1 above ``high`` and a smooth ramp in between."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)
