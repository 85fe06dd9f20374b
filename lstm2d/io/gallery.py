"""Sheets of pictures with their labels: photograph, truth, labels and overlay below each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ShapeError
from lstm2d.io.classes import ClassInfo, palette_of
from lstm2d.io.lettering import Lettering, Pen

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

INK, MUTED, PAPER, EMPTY = (32, 35, 40), (110, 115, 122), (255, 255, 255), (240, 241, 243)
IGNORED = (0, 0, 0)  # as in the label files
GAP, MARGIN, TEXT, NAME = 6, 14, 15, 150  # pixels; NAME: widest name of a row
OPACITY = 0.5


@dataclass(frozen=True)
class Example:
    """An image and what is known about its pixels.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        0..255.
    labels : ndarray of int, shape (H, W)
        From the model.
    truth : ndarray of int, shape (H, W), or None
        From the mask.
    title : str
        A few words above the image.
    """

    image: NDArray[Any]
    labels: NDArray[np.integer[Any]]
    truth: NDArray[np.integer[Any]] | None
    title: str


def draw_gallery(
    examples: Sequence[Example], classes: Sequence[ClassInfo], *, cell: tuple[int, int] = (150, 200)
) -> NDArray[np.uint8]:
    """Draw a sheet: one column per example with picture, truth, labels and overlay, and a legend below.

    Parameters
    ----------
    examples : sequence of Example
        One or more.
    classes : sequence of ClassInfo
        Names and colours of the labels.
    cell : tuple of int
        Largest height and width of each picture, pixels.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, 3)
        The sheet. The row of the truth is left out if no example has one.

    Raises
    ------
    ShapeError
        If there is no example, or labels do not fit their image.
    """
    _check(examples)
    names = ["picture", "truth", "labels", "overlay"]
    if all(example.truth is None for example in examples):
        names.remove("truth")
    columns = [(one.title, [_picture(one, name, classes) for name in names]) for one in examples]
    return _sheet(columns, names, classes, [cell[0]] * len(names), cell[1])


def draw_comparison(
    models: Mapping[str, Sequence[Example]],
    classes: Sequence[ClassInfo],
    *,
    cell: tuple[int, int] = (150, 200),
) -> NDArray[np.uint8]:
    """Draw a sheet: one column per image with picture, truth and the labels of each model.

    Parameters
    ----------
    models : mapping of str to sequence of Example
        Name of each model, and the same images with its labels; their titles are those of the first model.
    classes : sequence of ClassInfo
        Names and colours of the labels.
    cell : tuple of int
        Largest height and width of each picture, pixels.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, 3)
        The sheet, with a legend below.

    Raises
    ------
    ShapeError
        If there is no example, or labels do not fit their image.
    """
    _check([one for same in models.values() for one in same])
    columns = []
    for same in zip(*models.values(), strict=True):
        common = [_picture(same[0], name, classes) for name in ("picture", "truth")]
        columns.append((same[0].title, common + [_picture(one, "labels", classes) for one in same]))
    names = ["picture", "truth", *models]
    return _sheet(columns, names, classes, [cell[0]] * len(names), cell[1])


def draw_side_by_side(
    images: Sequence[str],
    models: Mapping[str, Sequence[Example]],
    classes: Sequence[ClassInfo],
    *,
    cell: tuple[int, int] = (195, 260),
) -> NDArray[np.uint8]:
    """Draw a sheet: one row per image with picture, truth and the labels of each model.

    Parameters
    ----------
    images : sequence of str
        A few words below each picture.
    models : mapping of str to sequence of Example
        Name of each model, and the same images with its labels; their titles stand below the labels.
    classes : sequence of ClassInfo
        Names and colours of the labels.
    cell : tuple of int
        Largest height and width of each picture, pixels. A row is as high as its picture.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, 3)
        The sheet, with a legend below.

    Raises
    ------
    ShapeError
        If there is no example, or labels do not fit their image.
    """
    _check([one for same in models.values() for one in same])
    first = next(iter(models.values()))
    columns = [(name, [_picture(one, name, classes) for one in first]) for name in ("picture", "truth")]
    captions = [images, [""] * len(images)]
    for name, same in models.items():
        columns.append((name, [_picture(one, "labels", classes) for one in same]))
        captions.append([one.title for one in same])
    heights = [_fitted(one.image.shape[:2], cell)[0] for one in first]
    return _sheet(columns, [], classes, heights, cell[1], captions)


def draw_instances(
    image: NDArray[Any],
    labels: Mapping[int, NDArray[np.integer[Any]]],
    classes: Sequence[ClassInfo],
    *,
    side: int = 320,
) -> NDArray[np.uint8]:
    """Draw a sheet: a picture, and beside it its labels after each instance of a recurrent network.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        0..255.
    labels : mapping of int to ndarray of int, shape (H, W)
        Class numbers by the number of instances, in the order of the sheet.
    classes : sequence of ClassInfo
        Names and colours of the labels.
    side : int, default 320
        Longer side of each picture, pixels.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, 3)
        The sheet, with a legend below.

    Raises
    ------
    ShapeError
        If there are no labels, or they do not fit the image.
    """
    examples = [Example(image, one, None, after(number)) for number, one in labels.items()]
    _check(examples)
    columns = [("picture", [_picture(examples[0], "picture", classes)])]
    columns += [(one.title, [_picture(one, "labels", classes)]) for one in examples]
    scale = side / max(image.shape[:2])
    height, width = (max(round(n * scale), 1) for n in image.shape[:2])
    return _sheet(columns, [], classes, [height], max(width, NAME))


def after(instances: int) -> str:
    """Return the title of labels after a number of instances."""
    return f"after {instances} instance{'s' * (instances > 1)}"


def _sheet(
    columns: Sequence[tuple[str, Sequence[NDArray[np.uint8] | None]]],
    names: Sequence[str],
    classes: Sequence[ClassInfo],
    heights: Sequence[int],
    width: int,
    captions: Sequence[Sequence[str]] = (),
) -> NDArray[np.uint8]:
    """Draw columns of pictures with titles and captions, the names of the rows, if any, and the legend."""
    from PIL import Image, ImageDraw

    pen = Pen(TEXT)
    shown = [pen.fitted(pen.lettering(name), NAME) for name in names]
    left = MARGIN + (max(map(pen.width, shown)) + 2 * GAP if shown else 0)
    below = GAP + (TEXT + 2 * GAP if captions else 0)
    *tops, foot = accumulate([height + below for height in heights], initial=MARGIN + TEXT + 2 * GAP)
    sheet_width = left + len(columns) * (width + GAP) - GAP + MARGIN
    rows = _legend_rows(classes, pen, sheet_width - left - MARGIN)
    sheet = Image.new("RGB", (sheet_width, foot + GAP + len(rows) * (TEXT + 2 * GAP) + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(shown):
        pen.write(draw, (MARGIN, tops[row] + heights[row] // 2), name, MUTED)
    for column, (title, pictures) in enumerate(columns):
        x = left + column * (width + GAP)
        texts = [(title, MARGIN + TEXT // 2)]
        for row, picture in enumerate(pictures):
            _put(sheet, draw, picture, (x, tops[row], width, heights[row]), pen)
            if captions:
                texts.append((captions[column][row], tops[row] + heights[row] + GAP + TEXT // 2))
        for text, y in texts:
            if text:
                fitted = pen.fitted(pen.lettering(text), width)
                pen.write(draw, (x + width // 2, y), fitted, INK, anchor="mm")
    _legend(draw, rows, pen, left, foot + GAP)
    return np.asarray(sheet)


def encode_png(
    sheet: NDArray[np.uint8], *, colours: int | None = None, classes: Sequence[ClassInfo] = ()
) -> bytes:
    """Return a picture as PNG.

    Parameters
    ----------
    sheet : ndarray of uint8, shape (H, W, 3)
        The picture.
    colours : int, optional
        Keep at most this many colours, up to 256: a third of the size, with hardly a visible difference for a
        sheet of photographs.
    classes : sequence of ClassInfo
        Classes whose colours are kept, even if they are rare, as is the white of the paper, as long as they
        are at most half of `colours`.

    Returns
    -------
    bytes
        The file.
    """
    from PIL import Image

    image = Image.fromarray(sheet)
    if colours is not None:
        kept = sorted({PAPER, *(info.color for info in classes)}) if classes else []
        kept = kept if len(kept) <= colours // 2 else []
        reduced = image.quantize(colours - len(kept), method=Image.Quantize.MEDIANCUT)
        palette = (reduced.getpalette() or [])[: 3 * (colours - len(kept))]
        numbers = np.array(reduced)
        for number, colour in enumerate(kept, start=len(palette) // 3):
            numbers[(sheet == np.array(colour, dtype=np.uint8)).all(axis=-1)] = number
        image = Image.fromarray(numbers).convert("P")
        image.putpalette([*palette, *chain.from_iterable(kept)])
    buffer = BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def coloured(labels: NDArray[np.integer[Any]], classes: Sequence[ClassInfo]) -> NDArray[np.uint8]:
    """Return labels as a picture in the colours of their classes.

    Parameters
    ----------
    labels : ndarray of int, shape (H, W)
        Class numbers; others show black.
    classes : sequence of ClassInfo
        Their colours.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The picture.
    """
    table = np.full((256, 3), IGNORED, dtype=np.uint8)
    table[: len(classes)] = palette_of(classes)
    picture: NDArray[np.uint8] = table[labels]
    return picture


def _check(examples: Sequence[Example]) -> None:
    if not examples:
        raise ShapeError("a gallery without examples")
    for example in examples:
        for labels in (example.labels, example.truth):
            if labels is not None and labels.shape != example.image.shape[:2]:
                raise ShapeError(
                    "labels of another size", where=labels.shape, expected=str(example.image.shape[:2])
                )


def _picture(example: Example, name: str, classes: Sequence[ClassInfo]) -> NDArray[np.uint8] | None:
    """Return one picture of a column."""
    image: NDArray[np.uint8] = np.clip(np.rint(example.image), 0, 255).astype(np.uint8)
    if name == "picture":
        return image
    if name == "truth":
        return None if example.truth is None else coloured(example.truth, classes)
    labels = coloured(example.labels, classes)
    if name == "labels":
        return labels
    mixed: NDArray[np.uint8] = np.rint((1.0 - OPACITY) * image + OPACITY * labels).astype(np.uint8)
    return mixed


def _put(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    picture: NDArray[np.uint8] | None,
    place: tuple[int, int, int, int],
    pen: Pen,
) -> None:
    """Paste a picture into the middle of its cell, as large as possible."""
    from PIL import Image

    x, y, width, height = place
    if picture is None:
        draw.rectangle((x, y, x + width - 1, y + height - 1), fill=EMPTY)
        pen.write(draw, (x + width // 2, y + height // 2), "not known", MUTED, anchor="mm")
        return
    image = Image.fromarray(picture)
    size = _fitted(picture.shape[:2], (height, width))[::-1]
    few = len(np.unique(picture.reshape(-1, 3)[::7], axis=0)) < 64  # labels: no mixed colours at their edges
    image = image.resize(size, Image.Resampling.NEAREST if few else Image.Resampling.LANCZOS)
    sheet.paste(image, (x + (width - size[0]) // 2, y + (height - size[1]) // 2))


def _fitted(shape: tuple[int, ...], cell: tuple[int, int]) -> tuple[int, int]:
    """Return the largest height and width of a picture in its cell."""
    scale = min(cell[1] / shape[1], cell[0] / shape[0])
    return max(round(shape[0] * scale), 1), max(round(shape[1] * scale), 1)


def _legend_rows(
    classes: Sequence[ClassInfo], pen: Pen, width: int
) -> list[list[tuple[ClassInfo, Lettering, int]]]:
    """Return the classes of each line of the legend with name and place of each, pixels from the left."""
    rows: list[list[tuple[ClassInfo, Lettering, int]]] = [[]]
    x = 0
    for info, name in zip(classes, pen.class_names(classes, "class {}"), strict=True):
        fitted = pen.fitted(name, width - TEXT - GAP)
        needed = TEXT + GAP + pen.width(fitted) + 3 * GAP
        if x + needed > width and rows[-1]:
            rows.append([])
            x = 0
        rows[-1].append((info, fitted, x))
        x += needed
    return rows


def _legend(
    draw: ImageDraw.ImageDraw,
    rows: list[list[tuple[ClassInfo, Lettering, int]]],
    pen: Pen,
    left: int,
    top: int,
) -> None:
    """Draw the legend."""
    for line, row in enumerate(rows):
        y = top + line * (TEXT + 2 * GAP) + GAP
        for info, name, x in row:
            draw.rectangle((left + x, y, left + x + TEXT - 1, y + TEXT - 1), fill=info.color, outline=MUTED)
            pen.write(draw, (left + x + TEXT + GAP, y + TEXT // 2), name, INK)
