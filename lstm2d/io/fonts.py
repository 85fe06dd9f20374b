"""Find a font that has the characters of a text; system fonts are searched only if needed."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lstm2d.io.safe_open import open_regular

JOINERS = "\u200c\u200d"  # invisible, but they affect how letters join
PLAIN = 0x250  # below: ASCII, Latin-1 and Latin Extended, which DejaVu Sans covers
_FILES = (".ttf", ".otf", ".ttc")
_VARIANTS = ("bold", "italic", "oblique", "black", "heavy", "thin", "light", "medium", "condensed")
_SECOND_CHOICE = ("serif", "mono")


@functools.cache
def default_font() -> Path | None:
    """Return the DejaVu Sans file of matplotlib, without importing matplotlib.

    Returns
    -------
    Path or None
        None if matplotlib is installed without its fonts.
    """
    with suppress(ImportError, ValueError):
        package = importlib.util.find_spec("matplotlib")
        for place in (package.submodule_search_locations or []) if package else []:
            path = Path(place, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf")
            if os.path.isfile(path):
                return path
    return None


@functools.lru_cache(maxsize=64)
def find_fonts(texts: frozenset[str], besides: str = "") -> dict[str, Path | None]:
    """Find a font for each text that has all its characters.

    Parameters
    ----------
    texts : frozenset of str
        Printable texts.
    besides : str
        Additional characters that each font must have.

    Returns
    -------
    dict of str to Path or None
        The first system font that has all characters; None for DejaVu Sans. Texts without a font are left
        out.
    """
    found: dict[str, Path | None] = {}
    default = default_font()
    for path in _candidates(texts):
        waiting = [text for text in texts if text not in found]
        if not waiting:
            break
        there = characters_of(path, frozenset("".join(waiting) + besides))
        fitting = (text for text in waiting if there.issuperset(text + besides))
        found |= dict.fromkeys(fitting, None if path == default else path)
    return found


def characters_of(path: Path, wanted: frozenset[str]) -> frozenset[str]:
    """Return the characters that a font has outlines for.

    Parameters
    ----------
    path : Path
        TrueType or OpenType font; in a collection, the first font.
    wanted : frozenset of str
        Characters to look for.

    Returns
    -------
    frozenset of str
        Subset of `wanted`; empty for damaged files and for bitmap fonts, which do not scale.
    """
    from fontTools.ttLib import TTFont  # imported here: Latin names do not need it

    try:
        with open_regular(path) as file, TTFont(file, fontNumber=0, lazy=True) as font:
            names = font.getBestCmap() or {}
            there = frozenset(c for c in wanted if ord(c) in names)
            if not there or "CFF " in font or "CFF2" in font:
                return there
            glyphs = font["glyf"]  # missing or empty in colour emoji fonts
            return frozenset(
                c for c in there if c.isspace() or c in JOINERS or glyphs[names[ord(c)]].numberOfContours
            )
    except Exception:  # a damaged font is skipped
        return frozenset()


@functools.cache
def system_fonts() -> tuple[Path, ...]:
    """Return the font files of the user and the system: regular weights, sans-serif first.

    Returns
    -------
    tuple of Path
        In a fixed order. No file is opened.
    """
    found = {path for folder in _font_folders() for path in _font_files(folder)}
    return tuple(
        sorted(found, key=lambda path: (any(s in path.name.lower() for s in _SECOND_CHOICE), str(path)))
    )


def _candidates(texts: frozenset[str]) -> Iterator[Path]:
    """Yield the fonts to try, starting with those named after a script of the texts, such as NotoSansCJK."""
    default = default_font()
    if default is not None:
        yield default
    characters = {c for c in "".join(texts) if ord(c) >= PLAIN}
    scripts = {re.split("[ -]", unicodedata.name(c, ""))[0].lower() for c in characters} - {""}
    yield from sorted(system_fonts(), key=lambda path: not any(s in path.name.lower() for s in scripts))


def _font_folders() -> Iterator[Path]:
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        yield Path(os.environ.get("WINDIR", "C:\\Windows"), "Fonts")
        yield Path(os.environ.get("LOCALAPPDATA", home), "Microsoft", "Windows", "Fonts")
    elif sys.platform == "darwin":
        yield from (home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts"))
    else:
        own = os.environ.get("XDG_DATA_HOME") or home / ".local/share"
        shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        yield from (Path(own, "fonts"), home / ".fonts", *(Path(d, "fonts") for d in shared.split(":")))


def _font_files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            lower = name.lower()
            if lower.endswith(_FILES) and not any(variant in lower for variant in _VARIANTS):
                yield Path(root, name)
