"""Recognise masks by the number of values in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lstm2d.data.colors import color_codes
from lstm2d.errors import DataError
from lstm2d.io.masks import open_mask

FEW = 64  # values or colours of a mask; a photograph has more, even a dark one
SAMPLE = 3  # files of a folder that are read
EXTREME = 32  # a lossy mask is nearly black or nearly white almost everywhere
ALMOST = 0.97


def have_few_values(files: Sequence[Path]) -> bool:
    """Return whether files look like masks.

    Parameters
    ----------
    files : sequence of Path
        Image files of one folder; the first, the last and one between them are read.

    Returns
    -------
    bool
        True if each has at most `FEW` values or colours; JPEG files must be nearly black or nearly white
        almost everywhere. False if a file cannot be read.
    """
    chosen = {files[k * (len(files) - 1) // (SAMPLE - 1)] for k in range(SAMPLE)} if files else set()
    return bool(chosen) and all(map(_has_few_values, chosen))


def _has_few_values(path: Path) -> bool:
    try:
        mask = open_mask(path, lossy=True)
    except DataError:
        return False
    pixels = mask.numbers if mask.colors is None else mask.colors
    assert pixels is not None
    if mask.lossy:
        return bool(np.mean((pixels < EXTREME) | (pixels > 255 - EXTREME)) >= ALMOST)
    return len(np.unique(pixels if mask.colors is None else color_codes(mask.colors))) <= FEW
