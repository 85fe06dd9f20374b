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
        PNG, JPEG, TIFF, BMP, GIF, WebP, PPM or JPEG 2000 file. Of an animation or a file with several pages
        the first is read.
    reading : Reading, optional
        Limits and choices. The number of pixels is checked on the file's header, before any memory is taken.

    Returns
    -------
    Photo
        Its pixels are (H, W, 3), red, green, blue in 0..255, upright (EXIF orientation applied): uint8 for
        samples of up to 8 significant bits, float32 with fractions for deeper ones and for floats.

    Raises
    ------
    DataError
        If the file is missing, damaged, cut short, too large or no image, or if its values make none.

    Notes
    -----
    Gray becomes three equal channels. CMYK, YCbCr and LAB are converted to RGB. What the samples mean is
    written at `lstm2d.io.samples.to_photo`; arrays follow the same rules, see `lstm2d.io.given.photo_of`.
    """
    reading = reading or Reading()
    return to_photo(decode(path, max_pixels=reading.max_pixels).samples, reading, path)
