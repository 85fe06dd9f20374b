"""What the masks of a source hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.colors import Color, color_codes
from lstm2d.data.importers.formats.mask_readers import NEARLY_GRAY
from lstm2d.data.importers.parallel import all_of, in_threads
from lstm2d.errors import DataError
from lstm2d.io.decoding import read_header
from lstm2d.io.images import read_photo
from lstm2d.io.masks import open_mask


@dataclass(frozen=True)
class Contents:
    """What the masks of a source hold together.

    Parameters
    ----------
    masks : tuple of Path
        The masks.
    counts : array of shape (256,), int64
        Number of pixels with each number, in masks of gray levels or with a palette.
    palette : dict of int to Color, or None
        Colours of the numbers; None unless all masks have palettes, which agree.
    colors : dict of Color to int
        Number of pixels of each colour, in masks of colours.
    nearly_gray : bool
        Whether all masks of colours are gray, up to the errors of JPEG.
    lossy : tuple of Path
        Masks in formats that do not preserve numbers.
    other_size : tuple of str
        Masks of another size than their images, as text.
    """

    masks: tuple[Path, ...]
    counts: NDArray[np.int64]
    palette: dict[int, Color] | None
    colors: dict[Color, int]
    nearly_gray: bool
    lossy: tuple[Path, ...]
    other_size: tuple[str, ...]

    @property
    def values(self) -> list[int]:
        """The numbers that occur, sorted."""
        found: list[int] = np.flatnonzero(self.counts).tolist()
        return found


@dataclass(frozen=True)
class _One:
    """What one mask holds."""

    counts: NDArray[np.int64] | None
    palette: dict[int, Color] | None
    codes: NDArray[np.int64]  # colours as red << 16 | green << 8 | blue, sorted
    pixels: NDArray[np.int64]  # of each colour
    lossy: bool
    size: tuple[int, int]
    image_size: tuple[int, int]


def read_contents(pairs: Sequence[tuple[Path, Path]]) -> Contents:
    """Read all masks of a source.

    Parameters
    ----------
    pairs : sequence of (Path, Path)
        Images and masks, at least one pair.

    Returns
    -------
    Contents
        What they hold.

    Raises
    ------
    DataError
        If a file cannot be read; all such images and masks are listed.
    """
    results = list(in_threads(_read, pairs))
    errors = [r for r in results if isinstance(r, DataError)]
    if errors:
        broken = [r for r in in_threads(read_photo, [i for i, _ in pairs]) if isinstance(r, DataError)]
        unique = {str(e): e for e in [*errors, *broken]}
        raise all_of(list(unique.values()), f"{len(unique)} of {2 * len(pairs)} files cannot be read")
    found = [r for r in results if isinstance(r, _One)]
    masks = tuple(mask for _, mask in pairs)
    return Contents(
        masks,
        sum((f.counts for f in found if f.counts is not None), np.zeros(256, dtype=np.int64)),
        _common_palette(found),
        _colors(found),
        all(_nearly_gray(f.codes) for f in found),
        tuple(mask for mask, f in zip(masks, found, strict=True) if f.lossy),
        tuple(
            f"{mask.name} {f.size[1]}x{f.size[0]}, its image {f.image_size[1]}x{f.image_size[0]}"
            for mask, f in zip(masks, found, strict=True)
            if f.size != f.image_size
        ),
    )


def _read(pair: tuple[Path, Path]) -> _One:
    image, path = pair
    mask = open_mask(path, lossy=True)
    none = np.empty(0, dtype=np.int64)
    size = read_header(image).size
    if mask.numbers is not None:
        counts = np.bincount(mask.numbers.ravel(), minlength=256).astype(np.int64)
        colors = mask.palette
        used = None if colors is None else {int(k): _color(colors[k]) for k in np.flatnonzero(counts)}
        return _One(counts, used, none, none, mask.lossy, mask.size, size)
    assert mask.colors is not None
    codes, pixels = np.unique(color_codes(mask.colors).astype(np.int64), return_counts=True)
    return _One(None, None, codes, pixels.astype(np.int64), mask.lossy, mask.size, size)


def _common_palette(found: Sequence[_One]) -> dict[int, Color] | None:
    common: dict[int, Color] = {}
    for one in found:
        if one.palette is None or any(common.setdefault(k, c) != c for k, c in one.palette.items()):
            return None
    return common


def _colors(found: Sequence[_One]) -> dict[Color, int]:
    codes = np.concatenate([f.codes for f in found])
    unique, inverse = np.unique(codes, return_inverse=True)
    total = np.zeros(len(unique), dtype=np.int64)
    np.add.at(total, inverse, np.concatenate([f.pixels for f in found]))
    return {
        (int(c) >> 16, int(c) >> 8 & 255, int(c) & 255): int(n) for c, n in zip(unique, total, strict=True)
    }


def _nearly_gray(codes: NDArray[np.int64]) -> bool:
    channels = np.stack([codes >> 16, codes >> 8 & 255, codes & 255])
    return not codes.size or int(np.ptp(channels, axis=0).max()) <= NEARLY_GRAY


def _color(row: NDArray[np.uint8]) -> Color:
    return int(row[0]), int(row[1]), int(row[2])
