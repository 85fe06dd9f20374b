"""Sheets of feature maps: all channels of one layer, and an overview of the layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.io.classes import ClassInfo
from lstm2d.io.gallery import GAP, INK, MARGIN, MUTED, PAPER
from lstm2d.io.lettering import Color, Lettering, Pen
from lstm2d.models.directions import directions_of
from lstm2d.predict.layer_maps import LayerMaps
from lstm2d.report.map_pictures import component_picture, gray_map

if TYPE_CHECKING:
    from PIL import Image

AREA, LONGEST = 30_000, 600  # of a tile in pixels, and its longer side at most
TITLE, TEXT, SMALL = 24, 14, 12  # heights of letters, pixels
LINE, CAPTION = 20, 18  # heights of their lines
THINNEST = 40  # width of the line below a tile, pixels
NARROWEST = 840  # of a sheet: room for the text at its top
FEWEST, MOST = 6, 10  # columns of a sheet
SHOWN = 4  # maps per layer in the overview
FRAME = (200, 203, 208)  # colour of the line around a tile, which may be white
SMALLEST = 1e-3  # difference of two values that are written without an exponent
SCORES = "scores"  # end of the names of layers with a channel for each class
HOW = "lighter is higher: black is the 2nd percentile of each map, white the 98th"
BELOW = "below a map: its channel, and the values of black and white"
COMPONENTS = (
    "components: the first three principal ones of all channels as red, green and blue, with their share"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture with a line below it.

    Parameters
    ----------
    picture : ndarray of uint8, shape (rows, columns) or (rows, columns, 3)
        In gray or in colour.
    left, right : str or Lettering
        The line; its right part is left out if there is no room.
    """

    picture: NDArray[np.uint8]
    left: str | Lettering
    right: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What feature maps are of.

    Parameters
    ----------
    photo : Tile
        The photograph, and its name.
    shape : tuple of int
        Height and width at which the network saw it.
    model : str
        Name of the model.
    classes : sequence of ClassInfo
        What the channels of class scores stand for.
    """

    photo: Tile
    shape: tuple[int, int]
    model: str
    classes: Sequence[ClassInfo]

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of every tile."""
        rows, columns = self.photo.picture.shape[:2]
        return rows, columns

    @property
    def cell(self) -> tuple[int, int]:
        """Height and width of a tile with the line below it and the gaps."""
        return self.tile[0] + CAPTION + GAP, max(self.tile[1], THINNEST) + GAP


@dataclass(frozen=True, slots=True)
class Row:
    """What the overview shows of a layer.

    Parameters
    ----------
    lines : tuple of str
        Name and size.
    tiles : tuple of Tile
        Principal components and a few maps.
    """

    lines: tuple[str, ...]
    tiles: tuple[Tile, ...]


def drawn_channels(layer: LayerMaps, most: int) -> dict[str, list[int]]:
    """Return the channels on the sheet of a layer, by scan direction.

    Parameters
    ----------
    layer : LayerMaps
        The layer.
    most : int
        Their largest number.

    Returns
    -------
    dict of str to list of int
        The first channels of each direction, in equal number if `most` can be divided; all under "" if the
        layer has no directions. Directions without a channel are left out.
    """
    names = directions_of(layer.name) or ("",)
    units = layer.values.shape[2] // len(names)
    counts = [min(units, most // len(names) + (k < most % len(names))) for k in range(len(names))]
    return {
        name: list(range(k * units, k * units + count))
        for k, (name, count) in enumerate(zip(names, counts, strict=True))
        if count
    }


def draw_layer(layer: LayerMaps, subject: Subject, number: str, *, most: int) -> NDArray[np.uint8]:
    """Draw the sheet of a layer: the photograph, then a tile per channel, grouped by scan direction.

    Parameters
    ----------
    layer : LayerMaps
        The layer.
    subject : Subject
        Photograph and model.
    number : str
        Which layer it is, such as "layer 3 of 6".
    most : int
        Largest number of channels.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, 3)
        The sheet.
    """
    from PIL import Image

    groups, (cell, step) = drawn_channels(layer, most), subject.cell
    columns = max(_columns(max(len(g) for g in groups.values())), -(-(NARROWEST - 2 * MARGIN) // step))
    names = Pen(SMALL).class_names(subject.classes) if layer.name.endswith(SCORES) else []
    heights = {name: TEXT + 2 * GAP if name else 0 for name in groups}
    rows = {name: -(-len(group) // columns) for name, group in groups.items()}
    top = MARGIN + max(cell, TITLE + 6 * LINE + GAP) + GAP
    body = sum(heights[name] + rows[name] * cell for name in groups)
    sheet = Image.new("RGB", (2 * MARGIN + columns * step - GAP, top + body + MARGIN), PAPER)
    canvas = Canvas(sheet, step - GAP)
    canvas.tile((MARGIN, MARGIN), subject.photo)
    room = sheet.width - 2 * MARGIN - step - GAP
    canvas.header((MARGIN + step + GAP, MARGIN), _header(layer, subject, number, groups), room)
    for name, group in groups.items():
        if name:
            canvas.text((MARGIN, top + heights[name] // 2), name, INK)
        top += heights[name]
        for k, channel in enumerate(group):
            place = MARGIN + k % columns * step, top + k // columns * cell
            canvas.tile(place, _map_tile(layer, channel, subject, names))
        top += rows[name] * cell
    return np.asarray(sheet)


def overview_row(layer: LayerMaps, subject: Subject) -> Row:
    """Return what the overview shows of a layer: so much that the layer itself need not be kept.

    Parameters
    ----------
    layer : LayerMaps
        The layer.
    subject : Subject
        Photograph and model.

    Returns
    -------
    Row
        Principal components, and the first four maps; of each scan direction equally many.
    """
    picture, share = component_picture(layer, subject.shape, subject.tile)
    tiles = [Tile(picture, f"{100 * share:.0f} % of the variance")]
    names = Pen(SMALL).class_names(subject.classes) if layer.name.endswith(SCORES) else []
    for direction, group in drawn_channels(layer, SHOWN).items():
        for channel in group:
            tile = _map_tile(layer, channel, subject, names)
            tiles.append(Tile(tile.picture, tile.left, direction) if direction else tile)
    rows, columns, channels = layer.values.shape
    return Row((layer.name, f"{columns}x{rows}", _count(channels, "channel")), tuple(tiles))


def draw_overview(rows: Sequence[Row], subject: Subject) -> NDArray[np.uint8]:
    """Draw the overview: a row per layer with the photograph, principal components and a few maps.

    Parameters
    ----------
    rows : sequence of Row
        From `overview_row`, one or more, first layer to last.
    subject : Subject
        Photograph and model.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, 3)
        The sheet.
    """
    from PIL import Image

    (cell, step), pen = subject.cell, Pen(TEXT)
    cell = max(cell, max(len(row.lines) for row in rows) * LINE + GAP)
    left = MARGIN + max(pen.width(line) for row in rows for line in row.lines) + 2 * GAP
    top = MARGIN + TITLE + 4 * LINE + 4 * GAP
    width = max(left + (2 + SHOWN) * step - GAP + MARGIN, NARROWEST)
    sheet = Image.new("RGB", (width, top + len(rows) * cell - GAP + MARGIN), PAPER)
    canvas = Canvas(sheet, step - GAP)
    title = ("feature maps", f"model {subject.model}", COMPONENTS, HOW)
    canvas.header((MARGIN, MARGIN), title, width - 2 * MARGIN)
    heads = ("photograph", "components", "single maps")
    for k, head in enumerate(heads):
        canvas.text((left + k * step, top - LINE // 2 - GAP), pen.fitted(head, step - GAP), INK)
    for row in rows:
        for k, line in enumerate(row.lines):
            canvas.text((MARGIN, top + LINE // 2 + k * LINE), line, MUTED if k else INK)
        for k, picture in enumerate((subject.photo, *row.tiles)):
            canvas.tile((left + k * step, top), picture)
        top += cell
    return np.asarray(sheet)


def photo_tile(pixels: NDArray[Any], title: str) -> Tile:
    """Return the tile of a photograph.

    Parameters
    ----------
    pixels : ndarray of shape (H, W, 3)
        0..255.
    title : str
        The line below it.

    Returns
    -------
    Tile
        Of 30,000 pixels and the photograph's proportions; no side is longer than 600.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    scale = min(math.sqrt(AREA / (height * width)), LONGEST / height, LONGEST / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    image = image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BOX)
    return Tile(np.asarray(image), Pen(SMALL).lettering(title))


class Canvas:
    """Tiles and lines of text on a sheet.

    Parameters
    ----------
    sheet : Image
        Where to draw.
    width : int
        Width of the line below a tile, pixels.
    """

    def __init__(self, sheet: Image.Image, width: int) -> None:
        from PIL import ImageDraw

        self.sheet, self.draw, self.width = sheet, ImageDraw.Draw(sheet), width
        self.title, self.pen, self.small = Pen(TITLE), Pen(TEXT), Pen(SMALL)

    def text(self, place: tuple[int, int], text: str | Lettering, colour: Color) -> None:
        """Write a line from its left end and the middle of its height."""
        self.pen.write(self.draw, place, text, colour)

    def header(self, place: tuple[int, int], lines: Iterable[str], room: int) -> None:
        """Write a title and lines below it from their upper left corner, each in the room that there is."""
        x, y = place
        for k, line in enumerate(lines):
            pen, colour, height = (self.pen, MUTED, LINE) if k else (self.title, INK, TITLE + GAP)
            pen.write(self.draw, (x, y + height // 2), pen.fitted(_lettering(line, pen), room), colour)
            y += height

    def tile(self, place: tuple[int, int], tile: Tile) -> None:
        """Draw a picture and the line below it."""
        from PIL import Image

        (x, y), (rows, columns) = place, tile.picture.shape[:2]
        self.draw.rectangle((x - 1, y - 1, x + columns, y + rows), outline=FRAME)
        self.sheet.paste(Image.fromarray(tile.picture), place)
        middle = y + rows + CAPTION // 2
        left = self.small.fitted(tile.left, self.width)
        self.small.write(self.draw, (x, middle), left, INK)
        used = self.small.width(left) + 2 * GAP
        if tile.right and used + self.small.width(tile.right) <= self.width:
            self.small.write(self.draw, (x + self.width, middle), tile.right, MUTED, anchor="rm")


def _map_tile(layer: LayerMaps, channel: int, subject: Subject, names: Sequence[Lettering]) -> Tile:
    """Return the tile of a map; `names` are those of all channels, or none."""
    picture, black, white = gray_map(layer, channel, subject.shape, subject.tile)
    shades = span_text(black, white) if black < white else f"{black:.2g} everywhere"
    if not names:
        return Tile(picture, str(channel), shades)
    return Tile(picture, Lettering(f"{channel} {names[channel].text}", names[channel].font), shades)


def _header(layer: LayerMaps, subject: Subject, number: str, groups: dict[str, list[int]]) -> Iterator[str]:
    """Yield the lines at the top of a layer's sheet."""
    rows, columns, channels = layer.values.shape
    drawn, parts = sum(map(len, groups.values())), directions_of(layer.name)
    yield layer.name
    yield f"{number}, model {subject.model}"
    square = f"{layer.stride}x{layer.stride} pixels" if layer.stride > 1 else "pixel"
    yield f"{columns}x{rows} positions, one per {square} of {subject.shape[1]}x{subject.shape[0]}"
    per = f", {channels // len(parts)} in each of {len(parts)} directions" if parts else ""
    span = span_text(float(layer.values.min()), float(layer.values.max()))
    yield f"{_count(channels, 'channel')}{per}; values from {span}"
    yield HOW
    yield BELOW
    if drawn < channels:
        yield f"{drawn} of {channels} channels are drawn"


def span_text(low: float, high: float) -> str:
    """Return two values as text, to about a hundredth of their difference."""
    span = high - low
    if span < SMALLEST:
        return f"{low:.3g} to {high:.3g}"
    digits = max(0, 1 - math.floor(math.log10(span)))
    return " to ".join(f"{round(value, digits) + 0.0:.{digits}f}" for value in (low, high))  # + 0.0: no "-0"


def _columns(count: int) -> int:
    """Return the number of columns that leaves the fewest empty places; of several, the largest."""
    if count <= MOST:
        return count
    return min(range(FEWEST, MOST + 1), key=lambda columns: (-count % columns, -columns))


def _lettering(line: str, pen: Pen) -> str | Lettering:
    """Return a line as it can be drawn: names of models may be in any script."""
    return line if line.isascii() else pen.lettering(line)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
