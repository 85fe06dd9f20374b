"""Draw legends: a picture of all classes, or the classes that occur next to an overlay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.io.classes import ClassInfo
from lstm2d.io.lettering import Lettering, Pen

INK, MUTED, PAPER, EDGE = (34, 34, 34), (112, 112, 112), (255, 255, 255), (178, 178, 178)
TEXT = 16  # pixels, in a separate legend
SMALLEST, LARGEST = 12, 96  # pixels of text next to an overlay
SHORT = 12  # maximum number of classes for a single column, however wide it is
WIDEST = 15  # width of a name, in text heights
SOFTWARE = "lstm2d"  # marks the file, so that no other picture of this name is replaced


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of a legend: number, swatch, name and share; number and share may be empty."""

    number: str
    color: tuple[int, int, int]
    name: Lettering
    share: str = ""


def encode_legend(classes: Sequence[ClassInfo]) -> bytes:
    """Draw number, colour and name of every class.

    Parameters
    ----------
    classes : sequence of ClassInfo
        The K classes.

    Returns
    -------
    bytes
        A PNG file: up to 12 classes in one column, more in several.

    Notes
    -----
    A name that no font can show is drawn as its number, for example "class 7".
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    pen = Pen(TEXT)
    names = pen.class_names(classes, "class {}")
    table = _Table(
        pen,
        [
            _Entry(str(number), info.color, name)
            for number, (info, name) in enumerate(zip(classes, names, strict=True))
        ],
    )
    columns = 1
    while -(-len(classes) // columns) > SHORT and table.height(columns) > 0.8 * table.width(columns):
        columns += 1
    picture = table.picture(columns)
    if picture.getcolors(256) is not None:  # a palette keeps these colours exactly, in a third of the size
        picture = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    info = PngInfo()
    info.add_text("Software", SOFTWARE)
    buffer = BytesIO()
    picture.save(buffer, format="PNG", pnginfo=info)
    return buffer.getvalue()


def with_legend(
    picture: NDArray[np.uint8], labels: NDArray[np.integer[Any]], classes: Sequence[ClassInfo]
) -> NDArray[np.uint8]:
    """Add a legend of the classes that occur to a picture.

    Parameters
    ----------
    picture : array of shape (H, W, 3), uint8
        An overlay, for example.
    labels : array of shape (H, W), integer
        Class numbers; other values are ignored.
    classes : sequence of ClassInfo
        The K classes.

    Returns
    -------
    array of shape (H', W', 3), uint8
        The picture at the upper left, with the legend below it, or to its right if it is taller than wide.
        Classes are sorted by their share of the pixels. Without classes, the picture is returned unchanged.
    """
    from PIL import Image

    height, width = labels.shape
    counts = np.bincount(labels.ravel(), minlength=len(classes))[: len(classes)]
    pen = Pen(int(np.clip(round((height * width) ** 0.5 / 45), SMALLEST, LARGEST)))
    names = pen.class_names(classes, "class {}")
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda number: (-counts[number], number))
    if not order:
        return picture
    below = width >= height
    table = _Table(
        pen,
        [_Entry("", classes[k].color, names[k], _percent(counts[k] / labels.size)) for k in order],
        widest=width if below else None,
    )
    if below:
        legend = table.picture(table.columns_within(width))
        size, place = (max(width, legend.width), height + legend.height), (0, height)
    else:
        legend = table.picture(table.columns_of(height))
        size, place = (width + legend.width, max(height, legend.height)), (width, 0)
    sheet = Image.new("RGB", size, PAPER)
    sheet.paste(Image.fromarray(picture))
    sheet.paste(legend, place)
    return np.asarray(sheet)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.0005 else "< 0.1 %"


class _Table:
    """Lay out entries in columns of equal width, from top to bottom."""

    def __init__(self, pen: Pen, entries: Sequence[_Entry], widest: int | None = None) -> None:
        self.pen, self.entries = pen, entries
        self.gap = max(pen.size // 2, 4)
        self.row = pen.size + 2 * self.gap
        self.margin = pen.size
        self.number = max(pen.width(entry.number) for entry in entries)
        self.share = max(pen.width(entry.share) for entry in entries)
        fixed = (
            self.row
            + self.number
            + self.share
            + (self.number > 0) * self.gap
            + (self.share > 0) * 2 * self.gap
        )
        room = WIDEST * pen.size
        if widest is not None:
            room = max(min(room, widest - 2 * self.margin - fixed), 8 * pen.size)
        self.names = [pen.fitted(entry.name, room) for entry in entries]
        self.name = max(pen.width(name) for name in self.names)
        self.column = fixed + self.name
        self.between = 2 * pen.size  # pixels between columns

    def width(self, columns: int) -> int:
        return 2 * self.margin + columns * (self.column + self.between) - self.between

    def height(self, columns: int) -> int:
        return 2 * self.margin + -(-len(self.entries) // columns) * self.row

    def columns_within(self, width: int) -> int:
        fitting = (width - 2 * self.margin + self.between) // (self.column + self.between)
        return min(max(fitting, 1), len(self.entries))

    def columns_of(self, height: int) -> int:
        return -(-len(self.entries) // max((height - 2 * self.margin) // self.row, 1))

    def picture(self, columns: int) -> Any:
        """Draw the table."""
        from PIL import Image, ImageDraw

        image = Image.new("RGB", (self.width(columns), self.height(columns)), PAPER)
        draw = ImageDraw.Draw(image)
        rows = -(-len(self.entries) // columns)
        for place, (entry, name) in enumerate(zip(self.entries, self.names, strict=True)):
            column, row = divmod(place, rows)
            x = self.margin + column * (self.column + self.between)
            self._draw(draw, x, self.margin + row * self.row, entry, name)
        return image

    def _draw(self, draw: Any, x: int, y: int, entry: _Entry, name: Lettering) -> None:
        """Draw one entry with its upper left corner at x, y."""
        middle = y + self.row / 2
        if entry.number:
            self.pen.write(draw, (x + self.number, middle), entry.number, MUTED, anchor="rm")
            x += self.number + self.gap
        side = self.row - self.gap
        top = y + self.gap // 2
        draw.rectangle((x, top, x + side - 1, top + side - 1), fill=entry.color, outline=EDGE)
        x += self.row
        self.pen.write(draw, (x, middle), name, INK)
        if entry.share:
            x += self.name + 2 * self.gap + self.share
            self.pen.write(draw, (x, middle), entry.share, MUTED, anchor="rm")
