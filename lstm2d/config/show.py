"""Configurations as text: commented TOML, and the values in which two of them differ."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lstm2d.config.lines import header, keyed
from lstm2d.config.load import (
    is_file,
    load_preset,
    preset_text,
    resolve,
)
from lstm2d.config.schema import RunConfig
from lstm2d.io.parse import BadText, parse_toml
from lstm2d.io.safe_open import read_text

Flat = dict[str, Any]
COLUMN = 33  # of the comments
_STRING_OR_COMMENT = re.compile(r"""\#.*|"(?:[^"\\]|\\.)*"|'[^']*'|["'].*""")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def commented_toml(preset_or_toml: str, overrides: Iterable[tuple[str, str]] = ()) -> str:
    """Return a configuration as TOML with every value and the comments of its preset.

    Parameters
    ----------
    preset_or_toml : str
        Name of a preset, or the path of a TOML file.
    overrides : iterable of (str, str)
        As for `resolve`.

    Returns
    -------
    str
        As a file, it gives the same configuration. A value that differs from the preset's says so. Comments
        of a TOML file are kept where they stand after a value.

    Raises
    ------
    ConfigError
        If the file or an override is not valid.
    """
    config = resolve(preset_or_toml, overrides)
    own = _comments(read_text(preset_or_toml)) if is_file(preset_or_toml) else {}
    values = flat(config)
    lines: list[str] = []
    if config.preset:
        text, base = preset_text(config.preset), flat(load_preset(config.preset))
        lines = list(_with_values(text.splitlines(), values, base, own))
        first = next(number for number, line in enumerate(lines) if header(line))
        lines[first:first] = [f"preset = {toml_value(config.preset)}", ""]
        values = {key: value for key, value in values.items() if key not in base}
    else:
        del values["preset"]
    lines += _sections(values, own)
    return "\n".join(lines).strip("\n") + "\n"


def flat(config: RunConfig) -> Flat:
    """Return the values of a configuration by their dotted keys, "train.epochs" and so on."""
    found: Flat = {}
    for section, values in config.model_dump().items():
        if isinstance(values, dict):
            found |= {f"{section}.{key}": value for key, value in values.items()}
        else:
            found[section] = values
    return found


def differences(before: RunConfig, after: RunConfig) -> dict[str, tuple[str | None, str | None]]:
    """Return the values in which two configurations differ.

    Parameters
    ----------
    before, after : RunConfig
        The configurations.

    Returns
    -------
    dict of str to (str, str)
        Dotted key: both values in TOML; None where a configuration has no such key.
    """
    old, new = flat(before), flat(after)
    found = {}
    for key in dict.fromkeys([*old, *new]):
        pair = [toml_value(values[key]) if key in values else None for values in (old, new)]
        if pair[0] != pair[1]:
            found[key] = (pair[0], pair[1])
    return found


def source_of(name: str | Path) -> str:
    """Return the file of the configuration of a run folder; other names unchanged.

    Parameters
    ----------
    name : str or Path
        A preset, a TOML file, or the folder of a run.

    Returns
    -------
    str
        For `resolve`.
    """
    inside = Path(name) / "config.toml"
    return str(inside) if os.path.isfile(inside) else str(name)


def toml_value(value: Any) -> str:
    """Return a value in TOML, on one line.

    Parameters
    ----------
    value : object
        A text, number, truth value, list or table.

    Returns
    -------
    str
        Such as ``[1, 2.5]``.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):  # JSON's escapes are TOML's too, except that TOML wants DEL escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, Mapping):
        pairs = (f"{_toml_key(key)} = {toml_value(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    return str(value)


def _toml_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else toml_value(key)


def _with_values(lines: Iterable[str], values: Flat, base: Flat, own: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a preset with other values, where they differ."""
    for key, line in keyed(lines):
        if key not in values or (values[key] == base[key] and key not in own):
            yield line
            continue
        comment = own.get(key) or _comment(line)
        if values[key] != base[key]:
            was = f"preset: {toml_value(base[key])}"
            comment = f"# {was}" + (f"; {comment.removeprefix('#').strip()}" if comment else "")
        yield _line(key, values[key], comment)


def _sections(values: Flat, own: Mapping[str, str]) -> Iterator[str]:
    """Yield lines for values, by their sections; values without one come first."""
    section = ""
    for key, value in sorted(values.items(), key=lambda item: "." in item[0]):
        name = key.rpartition(".")[0]
        if name != section:
            yield from ("", f"[{name}]")
            section = name
        yield _line(key, value, own.get(key, ""))


def _line(key: str, value: Any, comment: str) -> str:
    text = f"{key.rpartition('.')[2]} = {toml_value(value)}"
    return f"{text:<{COLUMN - 1}} {comment}".rstrip()


def _comments(text: str) -> dict[str, str]:
    """Return the comments after values, by dotted key."""
    return {key: comment for key, line in keyed(text.splitlines()) if key and (comment := _comment(line))}


def _comment(line: str) -> str:
    """Return the comment after a value; "" if there is none, or the value continues on the next line."""
    for match in _STRING_OR_COMMENT.finditer(line):
        if match[0].startswith("#"):
            try:
                parse_toml(line[: match.start()])
            except BadText:
                return ""
            return match[0]
    return ""
