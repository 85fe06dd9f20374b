"""Interpret the tags of a TIFF file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from lstm2d.io.samples import Samples
from lstm2d.io.tiff_header import DamagedHeaderError, Entry, TiffHeader

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

ASSOCIATED, UNASSOCIATED = 1, 2  # values of the tag ExtraSamples for opacity
FURTHER_BAND = "a further band, which is not opacity, is left out"

DEPTH_TAGS = (281, 341)  # the largest value of a sample
MOST_PAGES = 10_000  # looked at

_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_SAMPLES_PER_PIXEL = 277
_PLANAR_CONFIGURATION = 284
_EXTRA_SAMPLES = 338
_COLOURS = {2: 3, 5: 4, 6: 3, 8: 3}  # samples per pixel by photometric interpretation; 1 for all others
_NEW_SUBFILE_TYPE = 254
_REDUCED_OR_MASK = 1 | 4  # bits of the tag NewSubfileType


def is_deep_planar(image: ImageFile) -> bool:
    """Return whether a TIFF is planar with more than 8 bits per sample.

    Parameters
    ----------
    image : ImageFile
        The opened file.

    Returns
    -------
    bool
        True if it is.
    """
    tags = getattr(image, "tag_v2", {})
    return tags.get(_PLANAR_CONFIGURATION) == 2 and max(tags.get(_BITS_PER_SAMPLE, (8,))) > 8


def stated_depth(tags: Mapping[int, Any]) -> int | None:
    """Return the significant bits per sample stated by a TIFF.

    Parameters
    ----------
    tags : mapping of int to object
        Values of the tags.

    Returns
    -------
    int or None
        1 to 16; None if not stated, or invalid.
    """
    for tag in DEPTH_TAGS:
        value = tags.get(tag)
        numbers = value if isinstance(value, tuple) else (value,)
        if numbers and all(isinstance(n, int | float) and 1 <= n <= 65535 for n in numbers):
            return int(max(numbers)).bit_length()
    return None


def only_alpha(samples: Samples, tags: Mapping[int, Any]) -> Samples:
    """Drop a last band that is not declared as opacity; add a note.

    Parameters
    ----------
    samples : Samples
        As decoded, with the last band, if any, as opacity.
    tags : mapping of int to object
        Values of the tags.

    Returns
    -------
    Samples
        The image.
    """
    further = tags.get(_SAMPLES_PER_PIXEL, 1) - _COLOURS.get(tags.get(_PHOTOMETRIC, 1), 1)
    extras = tags.get(_EXTRA_SAMPLES, ())
    kind = (extras if isinstance(extras, tuple) else (extras,))[:1]
    opacity = kind in ((ASSOCIATED,), (UNASSOCIATED,))
    if not opacity:
        samples = replace(samples, alpha=None)
    if further > int(opacity):
        samples = replace(samples, notes=(*samples.notes, FURTHER_BAND))
    return samples


def has_further_pages(file: BinaryIO) -> bool:
    """Return whether a TIFF has further pages besides reduced copies and masks.

    Parameters
    ----------
    file : BinaryIO
        The open file.

    Returns
    -------
    bool
        False also if the pages after the first cannot be read.
    """
    try:
        header = TiffHeader(file)
        pages = header.pages(MOST_PAGES)
        next(pages, None)
        return not all(_is_reduced_or_mask(header, page) for page in pages)
    except DamagedHeaderError:  # the first page is read regardless of what follows
        return False


def _is_reduced_or_mask(header: TiffHeader, page: Sequence[Entry]) -> bool:
    kinds = [header.values(entry, 1) for entry in page if entry.number == _NEW_SUBFILE_TYPE]
    return any(int(kind[0]) & _REDUCED_OR_MASK for kind in kinds if len(kind))
