"""Fonts for tests, with a filled box for each of some characters."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from lstm2d.io import fonts


def make_font(path: Path, characters: str, *, empty: str = "", size: int = 900) -> Path:
    """Write a TrueType font.

    Parameters
    ----------
    path : Path
        File to write; its folder is made.
    characters : str
        Characters of the font.
    empty : str
        Characters without an outline, as in fonts of colour emoji.
    size : int
        Side of the box, of 1000.

    Returns
    -------
    Path
        The file.
    """
    glyphs = {".notdef": "", **{f"c{ord(c):x}": c for c in characters}}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({ord(c): name for name, c in glyphs.items() if c})
    outlines = {}
    for name, character in glyphs.items():
        pen = TTGlyphPen(None)
        if character and character not in empty:
            pen.moveTo((0, 0))
            for corner in ((0, size), (size, size), (size, 0)):
                pen.lineTo(corner)
            pen.closePath()
        outlines[name] = pen.glyph()
    builder.setupGlyf(outlines)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=900, usWinAscent=900, usWinDescent=100)
    builder.setupPost()
    path.parent.mkdir(parents=True, exist_ok=True)
    builder.save(path)
    return path


@contextmanager
def only_fonts_of(folder: Path) -> Iterator[Path]:
    """Replace the fonts of the system by those of a folder; matplotlib's DejaVu Sans stays available.

    Parameters
    ----------
    folder : Path
        For font files; may not exist yet.

    Yields
    ------
    Path
        The folder.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fonts, "_font_folders", lambda: iter([folder]))
        try:
            forget()
            yield folder
        finally:
            forget()


def forget() -> None:
    """Clear the caches, so that fonts are searched for again."""
    fonts.system_fonts.cache_clear()
    fonts.find_fonts.cache_clear()
