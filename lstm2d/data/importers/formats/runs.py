"""Regions as runs of pixels: the masks of COCO and CVAT."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.importers.formats.entries import BadEntry
from lstm2d.data.importers.formats.polygons import Part
from lstm2d.io.photo import DEFAULT_MAX_PIXELS

_MAX_BITS = 45  # of a number in a string: more than any number of pixels needs


@dataclass(frozen=True, slots=True)
class Runs:
    """A region as run lengths.

    Parameters
    ----------
    counts : array of shape (N,), int64
        Lengths of the runs, in turn outside and inside of the region, beginning outside.
    size : tuple of int
        Rows and columns that the runs fill.
    by_column : bool, default False
        Whether runs go down the columns instead of along the rows.
    corner : tuple of int
        Row and column of the image where the first of these pixels lies.
    """

    counts: NDArray[np.int64]
    size: tuple[int, int]
    by_column: bool = False
    corner: tuple[int, int] = (0, 0)

    @property
    def area(self) -> float:
        """Number of pixels inside."""
        return float(self.counts[1::2].sum())

    def windows(self, size: tuple[int, int]) -> Iterator[Part]:
        """Yield the pixels of the region, for an image of `size` rows and columns."""
        flat = np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts)
        inside = flat.reshape(self.size[::-1]).T if self.by_column else flat.reshape(self.size)
        rows, columns = (
            slice(max(at, 0), max(at, 0, min(at + n, limit)))
            for at, n, limit in zip(self.corner, self.size, size, strict=True)
        )
        top, left = self.corner
        yield (
            (rows, columns),
            inside[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left],
        )


def runs_of(
    counts: Sequence[int],
    size: tuple[int, int],
    *,
    by_column: bool = False,
    corner: tuple[int, int] = (0, 0),
) -> Runs:
    """Check run lengths.

    Parameters
    ----------
    counts : sequence of int
        Lengths of the runs, beginning outside of the region.
    size : tuple of int
        Rows and columns.
    by_column : bool, default False
        Whether runs go down the columns.
    corner : tuple of int
        Row and column of the image where the first pixel lies.

    Returns
    -------
    Runs
        The region.

    Raises
    ------
    BadEntry
        If a length is not whole or negative, or their sum is not the number of pixels.
    """
    rows, columns = size
    if rows < 0 or columns < 0 or rows * columns > DEFAULT_MAX_PIXELS:
        raise BadEntry(f"a mask of {columns}x{rows} pixels, at most {DEFAULT_MAX_PIXELS} are expected")
    try:
        lengths = np.array(array("q", counts), dtype=np.int64)
    except (TypeError, OverflowError) as e:
        raise BadEntry("run lengths that are not whole numbers") from e
    if lengths.min(initial=0) < 0 or lengths.max(initial=0) > rows * columns:
        raise BadEntry(f"a run of {lengths[(lengths < 0) | (lengths > rows * columns)][0]} pixels")
    total = int(lengths.sum())
    if total != rows * columns:
        raise BadEntry(f"runs of {total} pixels in all, {columns}x{rows} = {rows * columns} are expected")
    return Runs(lengths, size, by_column, corner)


def runs_of_mask(mask: NDArray[np.bool_], corner: tuple[int, int]) -> Runs:
    """Return the runs of a mask.

    Parameters
    ----------
    mask : array of shape (H, W), bool
        Which pixels belong to the region.
    corner : tuple of int
        Row and column of the image where the mask begins.

    Returns
    -------
    Runs
        The region, along the rows.
    """
    changes = np.flatnonzero(np.diff(mask.ravel(), prepend=False))
    counts = np.diff(changes, prepend=0, append=mask.size)
    return Runs(counts.astype(np.int64), (mask.shape[0], mask.shape[1]), corner=corner)


def decode_counts(text: str) -> list[int]:
    """Decode the run lengths in a string of COCO.

    Parameters
    ----------
    text : str
        Each character holds 6 bits, as its code less 48: 5 bits of a number, lowest first, and whether more
        follow. Numbers are signed; from the fourth on, each is the difference to the one two before it.

    Returns
    -------
    list of int
        The run lengths.

    Raises
    ------
    BadEntry
        If the string is damaged.

    Notes
    -----
    The format of `rleToString` in pycocotools' ``maskApi.c``.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > _MAX_BITS:
            raise BadEntry(f"a damaged string of run lengths, at {character!r}")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (bits & 16) >> 4 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise BadEntry("a string of run lengths that ends within a number")
    return counts
