"""Sheets of image patches, one row per subclass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.io.gallery import EMPTY, GAP, INK, MARGIN, PAPER, TEXT
from lstm2d.io.lettering import Pen

SIDE = 96  # pixels of a patch on the sheet
NAME = 180  # widest name, pixels


def patch(image: NDArray[Any], row: int, column: int, side: int) -> NDArray[np.uint8]:
    """Cut a square patch out of an image.

    Parameters
    ----------
    image : array of shape (H, W, 3)
        0..255.
    row, column : int
        Its centre.
    side : int
        Its side in pixels, odd.

    Returns
    -------
    array of shape (side, side, 3), uint8
        The patch. Outside of the image it has the mean colour of the image.
    """
    radius = side // 2
    found = np.empty((side, side, 3))
    found[...] = image.mean(axis=(0, 1))
    top, left = max(row - radius, 0), max(column - radius, 0)
    part = image[top : row + radius + 1, left : column + radius + 1]
    begin = top - row + radius, left - column + radius
    found[begin[0] : begin[0] + part.shape[0], begin[1] : begin[1] + part.shape[1]] = part
    return np.asarray(np.clip(np.rint(found), 0, 255), np.uint8)


def draw_patches(rows: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]], columns: int) -> NDArray[np.uint8]:
    """Draw rows of patches with their names.

    Parameters
    ----------
    rows : sequence of (str, sequence of array)
        Name and patches of each row, (h, w, 3) each.
    columns : int
        Patches a row has room for; missing ones are gray.

    Returns
    -------
    array of shape (rows, columns, 3), uint8
        The sheet.
    """
    from PIL import Image, ImageDraw

    pen = Pen(TEXT)
    names = [pen.fitted(pen.lettering(name), NAME) for name, _ in rows]
    left = MARGIN + max(map(pen.width, names)) + 2 * GAP
    step = SIDE + GAP
    sheet = Image.new(
        "RGB", (left + columns * step - GAP + MARGIN, 2 * MARGIN + len(rows) * step - GAP), PAPER
    )
    draw = ImageDraw.Draw(sheet)
    for number, (name, (_, patches)) in enumerate(zip(names, rows, strict=True)):
        y = MARGIN + number * step
        pen.write(draw, (MARGIN, y + SIDE // 2), name, INK)
        for column in range(columns):
            x = left + column * step
            draw.rectangle((x, y, x + SIDE - 1, y + SIDE - 1), fill=EMPTY)
            if column < len(patches):
                picture = Image.fromarray(patches[column])
                scale = SIDE / max(picture.size)
                size = max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)
                small = picture.resize(size, Image.Resampling.LANCZOS)
                sheet.paste(small, (x + (SIDE - size[0]) // 2, y + (SIDE - size[1]) // 2))
    return np.asarray(sheet)
