"""Read the directories of a TIFF file, or of EXIF data, without reading more than is asked for."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

_FARTHEST = 1 << 62  # bytes; files have no larger offsets, but 64 bits can state them
MOST_TAGS = 65_535  # of a page: all that a classic TIFF can have
_BYTES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8,
}  # fmt: skip
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}


class DamagedHeaderError(ValueError):
    """The file ends within its header, or the header violates the format."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A tag of a page.

    Parameters
    ----------
    number, kind, count : int
        Number of the tag, type of its values as in the TIFF specification, and how many there are.
    offset : int
        Where the values are in the file.
    """

    number: int
    kind: int
    count: int
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return self.count * _BYTES.get(self.kind, 1)


class TiffHeader:
    """The directories of an open TIFF file, classic or BigTIFF.

    Parameters
    ----------
    file : BinaryIO
        The file, or EXIF data in memory.

    Raises
    ------
    DamagedHeaderError
        If it does not begin like a TIFF file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        head = file.read(16)
        if head[:2] not in (b"II", b"MM"):
            raise DamagedHeaderError("no TIFF file")
        self._order: Literal["<", ">"] = "<" if head[:2] == b"II" else ">"
        self._big = head[2:4] in (b"+\0", b"\0+")
        self._word, self._width = ("Q", 8) if self._big else ("I", 4)
        self.first = self._unpack(self._word, head[8:16] if self._big else head[4:8])

    def page(self, offset: int) -> tuple[list[Entry], int]:
        """Return the tags of the page at an offset, and the offset of the next page.

        Parameters
        ----------
        offset : int
            Where the page begins.

        Returns
        -------
        entries : list of Entry
            Its tags, in file order.
        following : int
            Offset of the next page; 0 for none.

        Raises
        ------
        DamagedHeaderError
            If the file ends before that, or the page has more than `MOST_TAGS` tags.
        """
        self._go_to(offset)
        counter = 8 if self._big else 2
        count = self._unpack("Q" if self._big else "H", self._file.read(counter))
        if count > MOST_TAGS:
            raise DamagedHeaderError(f"a page with {count} tags")
        length = 4 + 2 * self._width
        data = self._file.read(count * length + self._width)
        if len(data) < count * length:
            raise DamagedHeaderError("the file ends within its header")
        entries = []
        for at in range(0, count * length, length):
            number, kind, values, place = struct.unpack_from(f"{self._order}HH2{self._word}", data, at)
            entry = Entry(number, kind, values, place)
            if entry.size <= self._width:  # the values are here, not their offset
                entry = replace(entry, offset=offset + counter + at + length - self._width)
            entries.append(entry)
        rest = data[count * length :]
        return entries, self._unpack(self._word, rest) if len(rest) == self._width else 0

    def pages(self, most: int) -> Iterator[list[Entry]]:
        """Yield the tags of the pages.

        Parameters
        ----------
        most : int
            Largest number of pages.

        Yields
        ------
        list of Entry
            The tags of a page. A page that was there before is the end.

        Raises
        ------
        DamagedHeaderError
            As `page` raises it.
        """
        seen: set[int] = set()
        offset = self.first
        while offset and offset not in seen and len(seen) < most:
            seen.add(offset)
            entries, offset = self.page(offset)
            yield entries

    def values(self, entry: Entry, most: int) -> NDArray[np.int64]:
        """Return the integers of a tag.

        Parameters
        ----------
        entry : Entry
            The tag.
        most : int
            Largest number of values.

        Returns
        -------
        array of int64
            The first values that the file has; none if they are no integers.
        """
        if entry.kind not in _INTEGERS:
            return np.empty(0, np.int64)
        dtype = np.dtype(_INTEGERS[entry.kind]).newbyteorder(self._order)
        self._go_to(entry.offset)
        data = self._file.read(min(entry.count, most) * dtype.itemsize)
        found = np.frombuffer(data[: len(data) - len(data) % dtype.itemsize], dtype)
        if dtype.kind == "u" and dtype.itemsize == 8:
            found = np.minimum(found, np.uint64(np.iinfo(np.int64).max))
        return found.astype(np.int64)

    def _go_to(self, offset: int) -> None:
        if offset > _FARTHEST:
            raise DamagedHeaderError("the file ends within its header")
        self._file.seek(offset)

    def _unpack(self, kind: str, data: bytes) -> int:
        try:
            return int(struct.unpack(f"{self._order}{kind}", data)[0])
        except struct.error as error:
            raise DamagedHeaderError("the file ends within its header") from error
