"""Read photographs."""

from __future__ import annotations

import os

from lstm2d.io.decoding import decode
from lstm2d.io.photo import Photo, Reading
from lstm2d.io.samples import to_photo

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".pbm", ".jp2",
)  # fmt: skip


def read_photo(path: str | os.PathLike[str], reading: Reading | None = None) -> Photo:
    """Read a photograph.

    Parameters
    ----------
    path : str or path
        PNG, JPEG, TIFF, BMP, GIF, WebP, PPM or JPEG 2000 file. Only the first frame or page is read.
    reading : Reading, optional
        Limits and settings. The number of pixels is checked against the header before memory is allocated.

    Returns
    -------
    Photo
        Pixels of shape (H, W, 3), RGB in 0..255, with the EXIF orientation applied: uint8 for samples of up
        to 8 significant bits, float32 with fractions for deeper samples and floats.

    Raises
    ------
    DataError
        If the file is missing, damaged, truncated, too large or not an image, or its values are out of range.

    Notes
    -----
    Gray is repeated for three channels; CMYK, YCbCr and LAB are converted to RGB. For the range of samples
    see `lstm2d.io.samples.to_photo`. The same rules apply to arrays, see `lstm2d.io.given.photo_of`.
    """
    reading = reading or Reading()
    return to_photo(
        decode(path, max_pixels=reading.max_pixels, max_memory=reading.max_memory).samples, reading, path
    )
