"""Class names as text in a picture: what is drawn of them, in which font, and the drawing."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lstm2d.io.classes import ClassInfo
from lstm2d.io.fonts import JOINERS, PLAIN, default_font, find_fonts

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

LONGEST = 40  # characters of a name that are drawn
Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Lettering:
    """A name as it is drawn.

    Parameters
    ----------
    text : str
        One line of printable text, not empty.
    font : Path or None
        File of a font that has all characters of the text; None for the one that is drawn with by default.
    """

    text: str
    font: Path | None = None


def letterings(
    names: Sequence[str],
    fallbacks: Sequence[str],
    *,
    shapes: bool,
    longest: int = LONGEST,
    besides: str = "",
) -> list[Lettering]:
    """Return what to draw for names.

    Parameters
    ----------
    names : sequence of str
        Any texts.
    fallbacks : sequence of str
        For each name plain text, such as the number of the class: drawn where no font has the characters of
        the name, or nothing of it can be drawn.
    shapes : bool
        Whether the library that draws joins letters and orders them from right to left. Without that, a name
        in Arabic or Devanagari would be drawn wrongly, so the fallback takes its place.
    longest : int
        Characters to keep; a longer name ends in an ellipsis.
    besides : str
        Characters that a font needs to have besides those of the name.

    Returns
    -------
    list of Lettering
        For each name one.
    """
    texts = [_shortened(printable_name(name), longest) for name in names]
    plain = {text for text in texts if all(ord(c) < PLAIN or c == "…" for c in text)}
    if default_font() is None:  # no DejaVu Sans: Pillow's own font has ASCII
        plain = {text for text in plain if text.isascii()}
    other = frozenset(text for text in texts if text not in plain and (shapes or not _needs_shaping(text)))
    fonts: dict[str, Path | None] = dict.fromkeys(plain - {""})
    if other:
        fonts |= find_fonts(other, besides)
    return [
        Lettering(text, fonts[text]) if text in fonts else Lettering(fallback)
        for text, fallback in zip(texts, fallbacks, strict=True)
    ]


def printable_name(name: str) -> str:
    """Return a name as one line of printable text.

    Parameters
    ----------
    name : str
        Any text.

    Returns
    -------
    str
        Composed characters (NFC); white space of any kind and control characters become single spaces;
        characters that only steer the layout are left out, except the joiners; what is no character (a byte
        of no known encoding) becomes U+FFFD. May be empty.
    """
    kept = []
    for character in unicodedata.normalize("NFC", name):
        category = unicodedata.category(character)
        if character in JOINERS:
            kept.append(character)
        elif category == "Cs":
            kept.append("\ufffd")
        elif category in ("Cc", "Zs", "Zl", "Zp"):
            kept.append(" ")
        elif category != "Cf" and not _selects_a_variant(character):
            kept.append(character)
    return " ".join("".join(kept).split())


class Pen:
    """Writes text of one size into pictures of Pillow.

    Parameters
    ----------
    size : int
        Height of the letters, pixels.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._fonts: dict[Path | None, FreeTypeFont | ImageFont] = {}

    def lettering(self, text: str) -> Lettering:
        """Return what this pen writes for a text that stands for itself, such as a title.

        Parameters
        ----------
        text : str
            Any text.

        Returns
        -------
        Lettering
            One line. Where no font has its characters, those outside of Latin become question marks.
        """
        latin = "".join(c if ord(c) < PLAIN else "?" for c in printable_name(text))
        return _letterings([text], [_shortened(latin, LONGEST) or "?"])[0]

    def class_names(self, classes: Sequence[ClassInfo], fallback: str = "{}") -> list[Lettering]:
        """Return what this pen writes for the names of classes.

        Parameters
        ----------
        classes : sequence of ClassInfo
            The classes, by number.
        fallback : str
            What it writes where no font has the characters of a name; "{}" stands for the number.

        Returns
        -------
        list of Lettering
            For each class one.
        """
        numbers = [fallback.format(number) for number in range(len(classes))]
        return _letterings([c.name for c in classes], numbers)

    def width(self, text: Lettering | str) -> int:
        """Return the width of a text, pixels."""
        text = _lettering(text)
        return round(self._font(text.font).getlength(text.text))

    def fitted(self, text: Lettering | str, width: int) -> Lettering:
        """Return a text, cut to a width in pixels.

        Parameters
        ----------
        text : Lettering or str
            The text.
        width : int
            Pixels that it may take.

        Returns
        -------
        Lettering
            The text as it is if it fits, else its beginning with an ellipsis.
        """
        text = _lettering(text)
        length = len(text.text)
        while length > 2 and self.width(text) > width:
            length -= 1
            text = replace(text, text=_shortened(text.text, length))
        return text

    def write(
        self,
        draw: ImageDraw,
        place: tuple[float, float],
        text: Lettering | str,
        color: Color,
        anchor: str = "lm",
    ) -> None:
        """Write a text.

        Parameters
        ----------
        draw : ImageDraw
            The picture.
        place : tuple of float
            Column and row, pixels.
        text : Lettering or str
            The text.
        color : tuple of int
            Red, green and blue.
        anchor : str
            Which point of the text lies at the place, as Pillow names them: "lm" is left, middle.
        """
        text = _lettering(text)
        draw.text(place, text.text, color, self._font(text.font), anchor=anchor)

    def _font(self, path: Path | None) -> FreeTypeFont | ImageFont:
        if path not in self._fonts:
            self._fonts[path] = _load(path, self.size)
        return self._fonts[path]


def _letterings(names: Sequence[str], fallbacks: Sequence[str]) -> list[Lettering]:
    """Return what Pillow can write."""
    from PIL import features

    return letterings(names, fallbacks, shapes=bool(features.check("raqm")))


def _load(path: Path | None, size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    for file in (path, default_font()):
        try:
            if file is not None:
                return ImageFont.truetype(file, size)
        except OSError:  # FreeType refuses it, though its tables could be read
            continue
    return ImageFont.load_default(size)


def _lettering(text: Lettering | str) -> Lettering:
    return Lettering(text) if isinstance(text, str) else text


def _selects_a_variant(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _needs_shaping(text: str) -> bool:
    """Say whether letters join, stack or run from right to left."""
    return any(
        character in JOINERS
        or unicodedata.category(character) in ("Mn", "Mc", "Me")
        or unicodedata.bidirectional(character) in ("R", "AL", "AN")
        for character in text
    )


def _shortened(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    end = longest - 1
    while end > 1 and (unicodedata.category(text[end])[0] == "M" or text[end] in JOINERS):
        end -= 1  # a mark stays with its letter
    return text[:end].rstrip() + "…"
