"""The data.yaml of YOLO: the part of YAML that such files use."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lstm2d.errors import DataError
from lstm2d.io.safe_open import read_lines

Value = str | list[str] | dict[str, str]

KEYS = ("path", "train", "val", "test", "nc", "names")
_KEY = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:(?=\s|$)")
_TOKEN = re.compile(
    r"""[ \t]*(?:
        (?P<quoted> '(?:[^']|'')*' | "(?:[^"\\]|\\.)*" )
      | (?P<mark> [\[\]{},] | :(?=\s|$) | -(?=\s|$) )
      | (?P<comment> \#.* )
      | (?P<plain> [^\s,\[\]{}\#'"&*!|>%@`:-] (?:[^,\[\]{}:\#]|:(?=\S)|(?<=\S)\#)*
                 | -(?=\S) (?:[^,\[\]{}:\#]|:(?=\S)|(?<=\S)\#)* )
    )""",
    re.VERBOSE,
)
_EXPECTED = "names as text, as a list or as a table; no anchors, nested tables, or text over several lines"


@dataclass(frozen=True)
class _Token:
    text: str
    mark: bool


@dataclass(frozen=True)
class _Line:
    number: int
    indent: int
    tokens: tuple[_Token, ...]


def read_data_yaml(path: Path) -> dict[str, Value]:
    """Read the keys of a data.yaml that describe a data set.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        Values of path, train, val, test, nc and names, as far as they are there: text, a list of texts, or a
        table of texts; "" for no value. Other keys are skipped, whatever their values are.

    Raises
    ------
    DataError
        If one of these keys appears twice, or its value is of a kind that such files do not need.
    """
    found: dict[str, Value] = {}
    lines = read_lines(path)
    starts = [k for k, line in enumerate(lines) if _KEY.match(line)]
    for start, end in zip(starts, [*starts, len(lines)][1:], strict=True):
        match = _KEY.match(lines[start])
        if match is None or match[1] not in KEYS:
            continue
        if match[1] in found:
            raise DataError(f"line {start + 1}: {match[1]} appears twice", where=path)
        texts = [" " * match.end() + lines[start][match.end() :], *lines[start + 1 : end]]
        found[match[1]] = _value([_line(text, start + k, path) for k, text in enumerate(texts)], path)
    return found


def _line(text: str, number: int, path: Path) -> _Line:
    tokens: list[_Token] = []
    at, end = 0, 0 if text.strip() in ("---", "...") else len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at, end)
        if match is None:
            raise _beyond(path, number)
        at = match.end()
        if match["mark"]:
            tokens.append(_Token(match["mark"], mark=True))
        elif not match["comment"]:
            tokens.append(_Token(_text(match["quoted"] or match["plain"], path, number), mark=False))
    return _Line(number, len(text) - len(text.lstrip()), tuple(tokens))


def _text(token: str, path: Path, number: int) -> str:
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    if not token.startswith('"'):
        return token.strip()
    try:
        return str(json.loads(token))
    except ValueError as e:
        raise _beyond(path, number) from e


def _value(lines: Sequence[_Line], path: Path) -> Value:
    """Return a value that begins in the line of its key, or in the lines below it."""
    first, *block = (lines[0], *(line for line in lines[1:] if line.tokens))
    if not first.tokens:
        return _block(block, path) if block else ""
    if first.tokens[0].mark:
        return _flow([token for line in (first, *block) for token in line.tokens], path, first.number)
    if len(first.tokens) > 1 or block:
        raise _beyond(path, block[0].number if block else first.number)
    return first.tokens[0].text


def _block(lines: Sequence[_Line], path: Path) -> Value:
    """Return a list or a table with one entry per line."""
    items: list[str] = []
    table: dict[str, str] = {}
    for line in lines:
        match [(token.text if token.mark else None) for token in line.tokens]:
            case ["-", None] if not table:
                items.append(line.tokens[1].text)
            case [None, ":", None] if not items and line.indent and line.tokens[0].text not in table:
                table[line.tokens[0].text] = line.tokens[2].text
            case _:
                raise _beyond(path, line.number)
        if line.indent != lines[0].indent:
            raise _beyond(path, line.number)
    return table or items


def _flow(tokens: Sequence[_Token], path: Path, number: int) -> Value:
    """Return a list or a table in brackets."""
    brackets = tokens[0].text + tokens[-1].text if tokens[-1].mark else ""
    inner = list(tokens[1:-1])
    if inner and inner[-1] == _Token(",", mark=True):
        inner.pop()
    items: list[str] = []
    table: dict[str, str] = {}
    step = {"[]": 2, "{}": 4}.get(brackets)
    if step is None or (inner and len(inner) % step != step - 1):
        raise _beyond(path, number)
    for at in range(0, len(inner), step):
        entry = inner[at : at + step]
        marks = [token.text if token.mark else None for token in entry]
        if marks[: step - 1] != [None, ":", None][: step - 1] or marks[step - 1 :] not in ([], [","]):
            raise _beyond(path, number)
        if step == 2:
            items.append(entry[0].text)
        elif entry[0].text in table:
            raise _beyond(path, number)
        else:
            table[entry[0].text] = entry[2].text
    return table if step == 4 else items


def _beyond(path: Path, number: int) -> DataError:
    what = f"line {number + 1} is more of YAML than is read here"
    return DataError(what, where=path, expected=_EXPECTED, hint="write one name per line: - NAME")
