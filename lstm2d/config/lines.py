"""Keys of the lines of a TOML file, which the standard library's parser does not provide."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator

_KEY = frozenset(string.ascii_letters + string.digits + "_.\"' -")


def keyed(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each line with the dotted key that it sets.

    Parameters
    ----------
    lines : iterable of str
        The lines.

    Yields
    ------
    key : str
        Such as "train.epochs"; "" for other lines.
    line : str
        The line.
    """
    table = ""
    for line in lines:
        found = header(line)
        key = "" if found else assigned(line)
        table = f"{found}." if found else table
        yield key and table + key, line


def header(line: str) -> str:
    """Return the name of the table that begins in a line; "" if none does."""
    start = line.strip()
    if not start.startswith("["):
        return ""
    name, bracket, rest = start.lstrip("[").partition("]")
    rest = rest.lstrip("]").lstrip()
    return name.strip() if bracket and (not rest or rest.startswith("#")) else ""


def assigned(line: str) -> str:
    """Return the key that a line sets, without quotes and spaces; "" if it sets none."""
    key, equals, _ = line.partition("=")
    if not equals or not _KEY.issuperset(key.strip()):
        return ""
    return key.replace('"', "").replace("'", "").replace(" ", "").strip()
