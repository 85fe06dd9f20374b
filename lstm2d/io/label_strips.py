"""Write label images and probabilities that are larger than memory, some rows at a time."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import OutputError
from lstm2d.io.atomic import growing
from lstm2d.io.georeference import Georeference

TILE = 256  # rows and columns of a tile


def write_label_strips(
    path: str | os.PathLike[str],
    strips: Iterable[NDArray[np.uint8]],
    size: tuple[int, int],
    *,
    georeference: Georeference | None = None,
) -> None:
    """Write a label image as a tiled BigTIFF, atomically.

    Parameters
    ----------
    path : str or path
        File to write.
    strips : iterable of array of shape (rows, W), uint8
        Class numbers, from top to bottom.
    size : tuple of int
        Rows and columns of the image.
    georeference : Georeference, optional
        GeoTIFF tags of the image.

    Raises
    ------
    OutputError
        If the file cannot be written, or holds other labels when it is read back.
    """
    import tifffile

    with growing(path) as file:
        sums: list[int] = []
        with tifffile.TiffWriter(cast(BinaryIO, file), bigtiff=True) as writer:
            writer.write(
                _tiles(strips, size, sums),
                shape=size,
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="minisblack",
                compression="zlib",
                maxworkers=1,
                metadata=None,
                software="lstm2d",
                extratags=() if georeference is None else georeference.extratags(),
            )
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        if not _holds(file, sums):
            raise OutputError("what was read back is not what was written", where=path)


def _tiles(
    strips: Iterable[NDArray[np.uint8]], size: tuple[int, int], sums: list[int]
) -> Iterator[NDArray[np.uint8]]:
    """Yield tiles, row by row; `sums` gets the checksum of each."""
    height, width = size
    for rows in _bands(strips, height):
        for left in range(0, width, TILE):
            tile = np.zeros((TILE, TILE), np.uint8)
            part = rows[:, left : left + TILE]
            tile[: part.shape[0], : part.shape[1]] = part
            sums.append(zlib.crc32(tile.data))
            yield tile


def _bands(strips: Iterable[NDArray[np.uint8]], height: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the rows of tiles."""
    waiting: list[NDArray[np.uint8]] = []
    count = done = 0
    for strip in strips:
        waiting.append(strip)
        count += len(strip)
        while count >= TILE or (count and done + count == height):
            rows = np.concatenate(waiting) if len(waiting) > 1 else waiting[0]
            yield rows[:TILE]
            done += min(TILE, count)
            count -= min(TILE, count)
            waiting = [rows[TILE:]] if count else []


def _holds(file: Any, sums: Sequence[int]) -> bool:
    """Return whether the tiles in a file have these checksums."""
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        if len(page.dataoffsets) != len(sums):
            return False
        for offset, length, expected in zip(page.dataoffsets, page.databytecounts, sums, strict=True):
            file.seek(offset)
            try:
                found = zlib.crc32(zlib.decompress(file.read(length)))
            except zlib.error:
                return False
            if found != expected:
                return False
    return True


class ProbabilityRows:
    """The array `probabilities` of an npz file, which is written some rows at a time."""

    def __init__(self, member: Any) -> None:
        self._member = member

    def write(self, rows: NDArray[np.float32]) -> None:
        """Write the next rows, of shape (rows, W, K)."""
        self._member.write(np.ascontiguousarray(rows).data.cast("B"))


@contextmanager
def probability_file(
    path: str | os.PathLike[str], shape: tuple[int, int, int], classes: Sequence[str]
) -> Iterator[ProbabilityRows]:
    """Write class probabilities as an npz file, atomically.

    Parameters
    ----------
    path : str or path
        File to write.
    shape : tuple of int
        Rows, columns and classes.
    classes : sequence of str
        Names of the classes.

    Yields
    ------
    ProbabilityRows
        Takes the rows, from top to bottom.

    Raises
    ------
    OutputError
        If the file cannot be written, or is damaged when it is read back.
    """
    with growing(path) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            with archive.open("probabilities.npy", "w", force_zip64=True) as member:
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                yield ProbabilityRows(member)
            with archive.open("classes.npy", "w") as member:
                np.lib.format.write_array(member, np.array(list(classes)), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
        with zipfile.ZipFile(file) as archive:
            if archive.testzip() is not None:
                raise OutputError("what was read back is not what was written", where=path)
