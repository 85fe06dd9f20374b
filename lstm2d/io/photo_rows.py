"""Read photographs that are larger than memory, some rows at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.claims import check_claims
from lstm2d.io.decoding import DECODER_BYTES, as_data_error, format_of, read_header
from lstm2d.io.image_kinds import HEAD_BYTES
from lstm2d.io.images import read_photo
from lstm2d.io.machine_memory import in_words
from lstm2d.io.photo import Photo, Reading
from lstm2d.io.pillow_samples import ORIENTATION
from lstm2d.io.safe_open import open_regular
from lstm2d.io.samples import Samples, check_pixels, to_photo, white_of
from lstm2d.io.tiff import bands, check_parts
from lstm2d.io.tiff_tags import DEPTH_TAGS, has_further_pages

# None, LZW, Deflate (two codes), LZMA, PackBits; what tifffile cannot decompress is read as a whole by Pillow
_COMPRESSIONS = (1, 5, 8, 32946, 34925, 32773)
_NONE, _PLAIN = 1, 1  # no compression, no predictor
_BAND = 256  # rows that are looked at together, to find the largest value
SAVE_AS = "save it as a TIFF of strips or tiles, uncompressed or with Deflate compression"


class PhotoRows:
    """The pixels of a photograph, by rows.

    Parameters
    ----------
    path : str or path
        Image file, as for `lstm2d.io.images.read_photo`. TIFF and BigTIFF of 8 or 16 bits in gray or RGB are
        read in parts; other files are decoded as a whole.
    reading : Reading
        Limits and settings; `max_memory` bounds what is decoded at a time.

    Attributes
    ----------
    size : tuple of int
        Rows and columns.
    notes : list of str
        What was guessed, converted or left out so far, one line each.
    memory : int
        Bytes that are held.

    Raises
    ------
    DataError
        If the file is not an image that can be read, or one of its parts takes too much memory.
    """

    def __init__(self, path: str | os.PathLike[str], reading: Reading) -> None:
        self._path, self._reading = path, reading
        self.notes: list[str] = []
        self._pixels: Callable[[int, int], NDArray[Any]] = self._convert
        self._stack = ExitStack()
        try:
            page = self._open_page()
            if page is None:
                self._stack.close()
                self._read_whole()
            else:
                self._tiff = _Parts(page, path)
                self.size = (page.imagelength, page.imagewidth)
                self.memory = self._tiff.memory
                self._check_memory(self.memory, "its largest strip or row of tiles takes")
                if page.dtype == np.uint16 and reading.bits is None:
                    self._find_white()
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> PhotoRows:
        """Return the photograph itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._stack.close()

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """Return the pixels of some rows.

        Parameters
        ----------
        first, last : int
            The first row, and the one after the last.

        Returns
        -------
        array of shape (last - first, W, 3), uint8 or float32
            Red, green, blue in 0..255, as `lstm2d.io.images.read_photo` returns them.

        Raises
        ------
        DataError
            If the file is damaged there.
        """
        return self._pixels(first, last)

    def _open_page(self) -> tifffile.TiffPage | None:
        """Return the first page of a TIFF that can be read in parts."""
        file = self._stack.enter_context(open_regular(self._path))
        if format_of(file.read(HEAD_BYTES)) != "TIFF":
            return None
        with as_data_error(self._path):
            check_claims(file, "TIFF", self._reading.max_pixels, self._path)
            file.seek(0)
            try:
                page = self._stack.enter_context(tifffile.TiffFile(file)).pages.first
            except Exception:  # Pillow may still read it, or says what is wrong
                return None
            if not _is_plain(page):
                return None
            check_pixels(page.imagewidth, page.imagelength, self._reading.max_pixels, self._path)
            check_parts(file, page, self._path)
            if has_further_pages(file):
                self.notes.append("several pages: only the first is read")
        return page

    def _read_whole(self) -> None:
        """Decode the file as it is done for photographs that fit into memory."""
        rows, columns = read_header(self._path, max_pixels=self._reading.max_pixels).size
        self._check_memory(DECODER_BYTES * rows * columns, "it has to be decoded as a whole, which takes")
        photo = read_photo(self._path, self._reading)
        self.notes += photo.notes
        self.size, self.memory = photo.size, photo.pixels.nbytes
        self._pixels = lambda first, last: photo.pixels[first:last]

    def _check_memory(self, needed: int, what: str) -> None:
        limit = self._reading.max_memory
        if limit is not None and needed > limit:
            raise DataError(
                f"{what} about {in_words(needed)} of memory",
                where=self._path,
                expected=f"at most {in_words(limit)}",
                hint=f"{SAVE_AS}; or raise `memory`",
            )

    def _samples(self, first: int, last: int) -> Samples:
        with as_data_error(self._path):
            page = self._tiff.page
            values = self._tiff.read(first, last)
            tags = {code: tag.value for code in DEPTH_TAGS if (tag := page.tags.get(code))}
            values = values[..., 0] if values.shape[2] == 1 else values
            return bands(values, tuple(map(int, page.extrasamples)), tags, self._path)

    def _convert(self, first: int, last: int) -> NDArray[Any]:
        photo: Photo = to_photo(self._samples(first, last), self._reading, self._path)
        self.notes += [note for note in photo.notes if note not in self.notes]
        return photo.pixels

    def _find_white(self) -> None:
        """Find the significant bits of 16, which depend on the largest value of the image."""
        largest, samples = 0, None
        for first in range(0, self.size[0], _BAND):
            samples = self._samples(first, min(first + _BAND, self.size[0]))
            largest = max(largest, int(samples.values.max()))
        assert samples is not None
        notes: list[str] = []
        white = white_of(replace(samples, values=np.array([[largest]], np.uint16)), None, self._path, notes)
        self.notes += notes
        self._reading = replace(self._reading, bits=int(white).bit_length())


def _is_plain(page: tifffile.TiffPage) -> bool:
    """Return whether the pixels of a page are gray or RGB values, upright, in parts that can be decoded."""
    kinds = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
    orientation = page.tags.valueof(ORIENTATION, default=1)
    colours = 3 if page.photometric == tifffile.PHOTOMETRIC.RGB else 1
    if page.compression not in _COMPRESSIONS or page.photometric not in kinds or orientation != 1:
        return False
    if page.samplesperpixel not in (colours, colours + 1) or page.dtype not in (np.uint8, np.uint16):
        return False
    if page.bitspersample != 8 * page.dtype.itemsize or page.axes not in ("YX", "YXS", "SYX"):
        return False
    try:  # some compressions and predictors need a further package
        decompress: Any = tifffile.TIFF.DECOMPRESSORS
        undo: Any = tifffile.TIFF.UNPREDICTORS
        return page.compression == _NONE or bool(decompress[page.compression] and undo[page.predictor])
    except KeyError:
        return False


class _Parts:
    """The strips or tiles of a page, of which the last row is kept in memory."""

    def __init__(self, page: tifffile.TiffPage, path: object) -> None:
        self.page, self._path, self._dtype = page, path, np.dtype(page.dtype)
        self._bands = page.samplesperpixel
        self._tall = min(page.tilelength if page.is_tiled else page.rowsperstrip, page.imagelength)
        self._across = -(-page.imagewidth // page.tilewidth) if page.is_tiled else 1
        self._down = -(-page.imagelength // self._tall)
        self._planes = self._bands if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE else 1
        raw = page.compression == _NONE and page.predictor == _PLAIN
        self._direct = raw and not page.is_tiled and self._planes == 1 and page.fillorder == 1
        self._kept: tuple[int, NDArray[Any]] | None = None
        pixels = self._tall * page.imagewidth * self._bands * self._dtype.itemsize
        self.memory = 0 if self._direct else 2 * pixels  # decoded, and its parts meanwhile

    def read(self, first: int, last: int) -> NDArray[Any]:
        """Return rows, of shape (rows, columns, bands)."""
        page = self.page
        values = np.empty((last - first, page.imagewidth, self._bands), page.dtype)
        for number in range(first // self._tall, -(-last // self._tall)):
            top = number * self._tall
            begin, end = max(first, top), min(last, top + self._tall)
            if self._direct:
                self._read_direct(number, begin - top, values[begin - first : end - first])
            else:
                values[begin - first : end - first] = self._row_of_parts(number)[begin - top : end - top]
        return values

    def _read_direct(self, number: int, skipped: int, to: NDArray[Any]) -> None:
        """Read rows of an uncompressed strip, after those that are skipped."""
        page, size = self.page, to[:1].nbytes
        stored, file = page.databytecounts[number], page.parent.filehandle
        if stored == 0:  # left out by the writer
            to[...] = page.nodata
            return
        if skipped * size + to.nbytes > stored:
            raise DataError("a strip of its pixels is too short", where=self._path)
        file.seek(page.dataoffsets[number] + skipped * size)
        data = file.read(to.nbytes)
        if len(data) != to.nbytes:
            raise DataError("the file is truncated", where=self._path)
        order = page.parent.byteorder
        to[...] = np.frombuffer(data, self._dtype.newbyteorder(order)).reshape(to.shape)

    def _row_of_parts(self, number: int) -> NDArray[Any]:
        """Return the pixels of all strips or tiles side by side."""
        if self._kept is not None and self._kept[0] == number:
            return self._kept[1]
        self._kept = None
        page, top = self.page, number * self._tall
        rows = min(self._tall, page.imagelength - top)
        values = np.full((rows, page.imagewidth, self._bands), page.nodata, page.dtype)
        for plane in range(self._planes):
            for column in range(self._across):
                index = (plane * self._down + number) * self._across + column
                if index >= len(page.dataoffsets):
                    raise DataError("strips or tiles of its pixels are missing", where=self._path)
                self._decode(index, top, values)
        self._kept = number, values
        return values

    def _decode(self, index: int, top: int, values: NDArray[Any]) -> None:
        page, file = self.page, self.page.parent.filehandle
        if page.databytecounts[index] == 0:
            return
        file.seek(page.dataoffsets[index])
        data = file.read(page.databytecounts[index])
        part, (plane, _, row, column, _), shape = page.decode(data, index)
        if part is None:
            return
        _, height, width, depth = shape
        bands = slice(plane, plane + depth) if self._planes > 1 else slice(None)
        to = values[row - top : row - top + height, column : column + width, bands]
        to[...] = part[0, : to.shape[0], : to.shape[1]]  # tiles extend over the edges
