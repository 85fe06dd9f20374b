"""Parse TOML and JSON that others wrote, within limits that are checked before parsing.

The parsers of the standard library need memory and time far above the size of some texts (a dotted key of
20,000 parts), and recursion or huge integers in their results fail much later, where nobody expects it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

MAX_TOML = 2**20  # characters; 255 classes with long names take a tenth of it
MAX_DEPTH = 64  # brackets within brackets
MAX_PARTS = 16  # of a dotted key
MAX_KEYS = 10_000  # and tables, of a TOML text
MAX_ITEMS = 50_000  # of all lists in a TOML text
MAX_WORD = 200  # characters of a key, and of a number in TOML
MAX_DIGITS = 300  # of a number in JSON: a larger one has no float
SHOWN = 10  # problems in one message

_CHUNK = 2**20  # characters that are checked at once
_STRINGS = {
    '"': re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    "'": re.compile(r"'[^'\n]*'"),
    '"""': re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"""(?:"{0,2})', re.DOTALL),
    "'''": re.compile(r"'''(?:[^']|'(?!''))*'''(?:'{0,2})"),
}
# quotes, comments, brackets, signs of keys and lists, ends of lines, and words
_TOML = re.compile(r"""\"{3}|'{3}|"|'|\#[^\n]*|[\[\]{}.,=\n]|[^\s"'\#\[\]{}.,=]+""")
_SPLITS_NUMBER_OR_ESCAPE = re.compile(r"[\\0-9]*.?", re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as signed bytes: 1 and -1
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)


class BadText(ValueError):
    """A text is not valid, or beyond a limit; the message does not name the file."""


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    dict
        Its values.

    Raises
    ------
    BadText
        If it is not valid, or too long, too deep, or has too many or too long keys.
    """
    if len(text) > MAX_TOML:
        raise BadText(f"{len(text)} characters, at most {MAX_TOML} are read")
    _check_toml(text)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as e:
        raise BadText(str(e)) from e
    _check_keys(values)
    return values


def parse_json(
    text: str | bytes, *, hook: Callable[[dict[str, Any]], Any] | None = None, **options: Any
) -> Any:
    """Parse JSON.

    Parameters
    ----------
    text : str or bytes
        The text; bytes are UTF-8, UTF-16 or UTF-32.
    hook : callable, optional
        Gets each object as soon as it is read, and returns what takes its place.
    **options : object
        Further arguments of `json.loads`.

    Returns
    -------
    object
        Its value.

    Raises
    ------
    BadText
        If it is not valid, nested too deeply, or has a number of too many digits.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        check_json(text)
        return json.loads(text, object_hook=hook, **options)
    except BadText:
        raise
    except (ValueError, RecursionError) as e:
        raise BadText(str(e)) from e


def check_json(text: str) -> None:
    """Check the depth and the digits of JSON, in linear time and little memory.

    Parameters
    ----------
    text : str
        The text; it need not be valid.

    Raises
    ------
    BadText
        If brackets are nested too deeply, or a number has too many digits.
    """
    start, depth, within = 0, 0, 0  # `within` is 1 inside of a string
    while start < len(text):
        # neither an escape nor a number is cut
        match = _SPLITS_NUMBER_OR_ESCAPE.match(text, min(start + _CHUNK, len(text)))
        end = match.end() if match else len(text)
        data = text[start:end].encode("utf-8", "surrogatepass")
        parts = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        plain = b'"'.join(parts[within::2])
        steps = np.frombuffer(plain.translate(_STEPS, _NO_BRACKETS), np.int8)
        if len(steps):
            depths = np.cumsum(steps, dtype=np.int64)
            if depth + int(depths.max()) > MAX_DEPTH:
                raise BadText(f"nested more than {MAX_DEPTH} deep")
            depth += int(depths[-1])
        if plain.translate(_ZEROS).find(b"0" * (MAX_DIGITS + 1)) >= 0:
            raise BadText(f"a number of more than {MAX_DIGITS} digits")
        within ^= (len(parts) - 1) & 1
        start = end


def check_dotted(key: str) -> None:
    """Check the length of a dotted key.

    Parameters
    ----------
    key : str
        Such as "train.epochs".

    Raises
    ------
    BadText
        If it has too many or too long parts.
    """
    if key.count(".") >= MAX_PARTS:
        raise BadText(f"a key of more than {MAX_PARTS} parts")
    if len(key) > MAX_WORD:
        raise BadText(f"a key of more than {MAX_WORD} characters")


def shortened(text: str, longest: int = 100) -> str:
    """Return a text for a message, cut if it is long."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def some_of(problems: Iterable[str], shown: int = SHOWN) -> list[str]:
    """Return the first of many problems, and a line that counts the others.

    Parameters
    ----------
    problems : iterable of str
        Their texts.
    shown : int, default 10
        How many are kept.

    Returns
    -------
    list of str
        At most one more than `shown`.
    """
    lines = list(problems)
    rest = len(lines) - shown
    return lines if rest <= 0 else [*lines[:shown], f"and {rest} more"]


def _check_toml(text: str) -> None:
    """Check what is outside of strings and comments, up to the first string that does not end."""
    at = depth = dots = keys = items = 0
    while match := _TOML.search(text, at):
        sign = match[0]
        at = match.end()
        if sign in _STRINGS:
            string = _STRINGS[sign].match(text, match.start())
            if string is None:  # the parser fails there
                return
            at = string.end()
        elif sign == ".":
            dots += 1
            if dots >= MAX_PARTS:
                raise BadText(f"a key of more than {MAX_PARTS} parts{_line(text, at)}")
        elif sign in "[{":
            keys += depth == 0  # a table, unless it is a list
            depth += 1
            if depth > MAX_DEPTH:
                raise BadText(f"nested more than {MAX_DEPTH} deep{_line(text, at)}")
        elif sign in "]}":
            depth = max(0, depth - 1)
        elif sign in "=,":
            keys += sign == "="
            items += sign == ","
        elif len(sign) > MAX_WORD and not sign.startswith("#"):
            raise BadText(f"a key or number of more than {MAX_WORD} characters{_line(text, at)}")
        if sign in "[]{}=,\n":
            dots = 0
        if keys > MAX_KEYS or items > MAX_ITEMS:
            raise BadText(f"more than {MAX_KEYS} keys or {MAX_ITEMS} values{_line(text, at)}")


def _check_keys(values: dict[str, Any]) -> None:
    """Check the length of keys in quotes; the depth of the values is limited."""
    left: list[Any] = [values]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if any(len(key) > MAX_WORD for key in value):
                raise BadText(f"a key of more than {MAX_WORD} characters")
            left += value.values()
        elif isinstance(value, list):
            left += value


def _line(text: str, at: int) -> str:
    return f" (at line {text.count(chr(10), 0, at) + 1})"
