"""Names and other texts from outside, as parts of lines for people: without effect on a terminal."""

from __future__ import annotations

import unicodedata

LONGEST = 1000  # characters of a name
LONGEST_LINE = 4000

# characters that turn the direction of the text around them
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def shown(value: object) -> str:
    """Return a name, a path or another text from outside for a line of text.

    Parameters
    ----------
    value : object
        The name. Other objects are converted by `str`.

    Returns
    -------
    str
        One line of printable text. Line breaks, control characters, undecodable bytes and characters that
        turn the direction of text are escaped as in Python; the middle of very long texts is left out.
    """
    text = _cut(str(value), LONGEST)
    return text if text.isprintable() else "".join(map(_escaped, text))


def shown_lines(text: str) -> str:
    """Return a text of several lines, such as an error, for people.

    Parameters
    ----------
    text : str
        The text. All lines but the first are indented.

    Returns
    -------
    str
        Printable lines. A line break before a line that is not indented, which only a name contains, is
        escaped: no name begins a line that looks like another message. The middle of very long lines is left
        out.
    """
    if text.isprintable():
        return _cut(text, LONGEST_LINE)
    first, *others = text.split("\n")
    parts = [_cut(first, LONGEST_LINE)]
    for line in others:
        parts += ["\n" if line.startswith(" ") else "\\n", _cut(line, LONGEST_LINE)]
    return printable("".join(parts))


def printable(text: str) -> str:
    """Return a text of several lines, such as a table or a traceback, with all but line breaks escaped."""
    if text.isprintable():
        return text
    return "".join(c if c == "\n" else _escaped(c) for c in text)


def forging(text: str) -> str | None:
    """Return the first character that no name of a class may have; None if there is none.

    Parameters
    ----------
    text : str
        The name.

    Returns
    -------
    str or None
        A control character, a line or paragraph separator, a character that turns the direction of text, or
        half of a pair of code units. Undecodable bytes are allowed: lists of classes in other encodings have
        them.
    """
    if text.isprintable():
        return None
    return next((c for c in text if _is_forging(c)), None)


def _is_forging(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cs":
        return not "\udc80" <= character <= "\udcff"
    return category in ("Cc", "Zl", "Zp") or character in _TURNING


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest // 2]}...{text[-longest // 2 :]}"


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
