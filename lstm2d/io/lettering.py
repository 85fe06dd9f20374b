"""Draw class names in pictures."""

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

LONGEST = 40  # characters; longer names are shortened
Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Lettering:
    """A text to draw, and its font.

    Parameters
    ----------
    text : str
        One line of printable text, not empty.
    font : Path or None
        Font file with all characters of the text; None for the default font.
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
    """Return the texts and fonts to draw names with.

    Parameters
    ----------
    names : sequence of str
        Any texts.
    fallbacks : sequence of str
        Plain text per name, such as the class number; drawn if no font has the characters of the name, or the
        name has no printable characters.
    shapes : bool
        Whether the drawing library supports text shaping (joined letters, right-to-left order). If not, names
        that need it, for example in Arabic or Devanagari, are replaced by the fallback.
    longest : int
        Maximum number of characters; longer names are shortened with an ellipsis.
    besides : str
        Characters that a font must have besides those of the name.

    Returns
    -------
    list of Lettering
        One per name.
    """
    texts = [_shortened(printable_name(name), longest) for name in names]
    plain = {text for text in texts if all(ord(c) < PLAIN or c == "…" for c in text)}
    if default_font() is None:  # no DejaVu Sans: Pillow's built-in font has only ASCII
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
    """Convert a name to one line of printable text.

    Parameters
    ----------
    name : str
        Any text.

    Returns
    -------
    str
        In NFC. Runs of white space and control characters become single spaces, format characters are
        removed except joiners, and undecodable bytes become U+FFFD. May be empty.
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
    """Draw text of one size on Pillow images.

    Parameters
    ----------
    size : int
        Height of the letters, pixels.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._fonts: dict[Path | None, FreeTypeFont | ImageFont] = {}

    def lettering(self, text: str) -> Lettering:
        """Return the lettering of a text without a fallback, such as a title.

        Parameters
        ----------
        text : str
            Any text.

        Returns
        -------
        Lettering
            One line. If no font has its characters, those that are not Latin become question marks.
        """
        latin = "".join(c if ord(c) < PLAIN else "?" for c in printable_name(text))
        return _letterings([text], [_shortened(latin, LONGEST) or "?"])[0]

    def class_names(self, classes: Sequence[ClassInfo], fallback: str = "{}") -> list[Lettering]:
        """Return the letterings of class names.

        Parameters
        ----------
        classes : sequence of ClassInfo
            The classes, in the order of their numbers.
        fallback : str
            Text if no font has the characters of a name; "{}" is replaced by the number.

        Returns
        -------
        list of Lettering
            One per class.
        """
        numbers = [fallback.format(number) for number in range(len(classes))]
        return _letterings([c.name for c in classes], numbers)

    def width(self, text: Lettering | str) -> int:
        """Return the width of a text in pixels."""
        text = _lettering(text)
        return round(self._font(text.font).getlength(text.text))

    def fitted(self, text: Lettering | str, width: int) -> Lettering:
        """Shorten a text to a width.

        Parameters
        ----------
        text : Lettering or str
            The text.
        width : int
            Maximum width, pixels.

        Returns
        -------
        Lettering
            The text unchanged if it fits, else its beginning with an ellipsis.
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
        """Draw a text.

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
            Point of the text at `place`, as in Pillow: "lm" is left, middle.
        """
        text = _lettering(text)
        draw.text(place, text.text, color, self._font(text.font), anchor=anchor)

    def _font(self, path: Path | None) -> FreeTypeFont | ImageFont:
        if path not in self._fonts:
            self._fonts[path] = _load(path, self.size)
        return self._fonts[path]


def _letterings(names: Sequence[str], fallbacks: Sequence[str]) -> list[Lettering]:
    """Return the letterings that Pillow can draw."""
    from PIL import features

    return letterings(names, fallbacks, shapes=bool(features.check("raqm")))


def _load(path: Path | None, size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    for file in (path, default_font()):
        try:
            if file is not None:
                return ImageFont.truetype(file, size)
        except OSError:  # FreeType rejects the font
            continue
    return ImageFont.load_default(size)


def _lettering(text: Lettering | str) -> Lettering:
    return Lettering(text) if isinstance(text, str) else text


def _selects_a_variant(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _needs_shaping(text: str) -> bool:
    """Return whether letters join, combine or run from right to left."""
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
        end -= 1  # keep marks with their letter
    return text[:end].rstrip() + "…"
