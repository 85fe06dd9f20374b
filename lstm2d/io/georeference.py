"""Copy the georeference of a GeoTIFF from a photograph to its labels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lstm2d.io.safe_open import open_regular

if TYPE_CHECKING:
    from tifffile import TiffPage

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION = 274
_SHORT, _ASCII, _DOUBLE = 3, 2, 12  # types of values in a TIFF
MAX_VALUES = 100_000  # per tag; even a whole survey has fewer tie points

# Tag -> type of its values, and a divisor of their number. GDAL_NODATA and GDAL_METADATA are left out: they
# describe pixels of the photograph, and the "no data" value of a dark border would hide class 0.
_TAGS = {
    33550: (_DOUBLE, 3),  # ModelPixelScale
    33922: (_DOUBLE, 6),  # ModelTiepoint
    34264: (_DOUBLE, 16),  # ModelTransformation
    34735: (_SHORT, 4),  # GeoKeyDirectory
    34736: (_DOUBLE, 1),  # GeoDoubleParams
    34737: (_ASCII, 1),  # GeoAsciiParams
    50844: (_DOUBLE, 92),  # RPCCoefficient
}
_PLACING = (33922, 34264, 50844)  # the other tags need at least one of these

TURNED = "turned upright, so its georeference is left out of the labels"
DAMAGED = "damaged georeference, left out of the labels"


@dataclass(frozen=True, slots=True)
class Georeference:
    """The tags that place an image on the earth.

    Parameters
    ----------
    tags : tuple of (int, int, values)
        Tag number, type of its values as in the TIFF specification, and the values: a tuple of numbers, or
        text as bytes in any encoding.
    """

    tags: tuple[tuple[int, int, tuple[float, ...] | bytes], ...]

    def extratags(self) -> list[tuple[int, int, int, Any, bool]]:
        """Return the tags in the form that `tifffile.imwrite` expects."""
        return [
            (number, kind, 0 if kind == _ASCII else len(values), values, True)
            for number, kind, values in self.tags
        ]


def read_georeference(path: str | os.PathLike[str]) -> tuple[Georeference | None, str | None]:
    """Read the georeference of an image file.

    Parameters
    ----------
    path : str or path
        An image file of any format.

    Returns
    -------
    georeference : Georeference or None
        None if the file is not a GeoTIFF, or its tags do not apply to the upright image.
    note : str or None
        Why an existing georeference is left out.

    Raises
    ------
    DataError
        If the file cannot be opened.
    """
    with open_regular(path) as file:
        if file.read(4) not in _TIFF:
            return None, None
        import tifffile

        file.seek(0)
        try:
            with tifffile.TiffFile(file) as tiff:
                page = tiff.pages.first
                if not any(number in page.tags for number in _PLACING):
                    return None, None
                tags = _tags(page)
                turned = page.tags.valueof(_ORIENTATION, default=1) != 1
        except Exception:  # the pixels may still be readable by Pillow
            return None, DAMAGED
    if tags is None:
        return None, DAMAGED
    return (None, TURNED) if turned else (Georeference(tags), None)


def _tags(page: TiffPage) -> tuple[Any, ...] | None:
    """Return the tags of a page; None if one of them violates the GeoTIFF standard."""
    found = []
    for number, (kind, multiple) in _TAGS.items():
        tag = page.tags.get(number)
        if tag is None:
            continue
        if tag.dtype != kind or not 0 < tag.count <= MAX_VALUES or tag.count % multiple:
            return None
        value = tag.value
        if kind == _ASCII:  # tifffile decodes the text, but the keys hold byte offsets
            page.parent.filehandle.seek(tag.valueoffset)
            value = page.parent.filehandle.read(tag.count)
        elif not isinstance(value, tuple):
            value = (value,)
        found.append((number, kind, value))
    return tuple(found)
