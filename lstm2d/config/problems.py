"""Report all problems of a configuration at once, with place, range and nearest valid key."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from lstm2d.errors import ConfigError
from lstm2d.io.parse import SHOWN, shortened, some_of
from lstm2d.models.options import expected


def allowed(field: FieldInfo) -> str:
    """Return a description of the valid values of a field."""
    return field.description or expected(field.annotation, field.metadata)


def section_problems(
    error: ValidationError, section: type[BaseModel], prefix: str, valid: list[str], places: Mapping[str, str]
) -> list[str]:
    """Return one line for each invalid key of `section`.

    Parameters
    ----------
    error : pydantic.ValidationError
        Error raised by the validation of the section.
    section : type of pydantic.BaseModel
        The section's schema.
    prefix : str
        Name of the section with a dot after it, or "".
    valid : list of str
        All valid dotted keys of the configuration.
    places : mapping
        Dotted key -> "run.toml, line 3", "overrides" and so on.

    Returns
    -------
    list of str
        One line per key, in the order of the schema; unknown keys last.
    """
    lines: dict[str, str] = {}
    unknown: list[str] = []
    for item in error.errors(include_url=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        key = f"{prefix}{name}".rstrip(".")
        if len(item["loc"]) > 1 and (inner := tables_in(section, name)):
            key = ".".join([key, *map(str, item["loc"][1:])])
            field = inner.get(str(item["loc"][-1])) if len(item["loc"]) > 2 else None
            values = allowed(field) if field else "a table of " + " and ".join(inner)
            lines[key] = f"{shown(key, item['input'])}{place(key, places)}: expected {values}"
            continue
        if key in lines:  # a union reports each of its parts
            continue
        if item["type"] == "extra_forbidden":
            unknown.append(key)
            continue
        where = place(key, places)
        if item["type"] == "missing":
            lines[key] = f"{key} is missing{where}: expected {allowed(section.model_fields[name])}"
        elif item["type"] == "value_error":
            lines[key] = f"{shown(key, item['input'])}{where}: expected {item['ctx']['error']}"
        else:
            field = section.model_fields.get(name)
            values = allowed(field) if field else "a table"
            if len(item["loc"]) > 1 and isinstance(item["loc"][1], int):
                key = f"{key}[{item['loc'][1]}]"
            lines[key] = f"{shown(key, item['input'])}{where}: expected {values}"
    return [*lines.values(), *unknown_keys(unknown, valid, places)]


def tables_in(section: type[BaseModel], name: str) -> dict[str, FieldInfo]:
    """Return the fields of the tables inside a key; empty if the key contains no tables."""
    field = section.model_fields.get(name)
    if field is None or get_origin(field.annotation) is not dict:
        return {}
    return dict(getattr(get_args(field.annotation)[1], "model_fields", {}))


def shown(key: str, value: Any) -> str:
    """Return "key = value", without the value of a whole table."""
    return key if isinstance(value, dict) else f"{key} = {shortened(repr(value))}"


def place(key: str, places: Mapping[str, str]) -> str:
    """Return " (file, line)" of a key, of a key inside it, or of its section; "" if unknown."""
    below = (name for name in places if name.startswith(f"{key}."))
    parts = key.split(".")
    for name in (key, *below, *(".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))):
        if name in places:
            return f" ({places[name]})"
    return ""


def unknown_keys(keys: list[str], valid: list[str], places: Mapping[str, str]) -> list[str]:
    """Return a message for each unknown key, with the nearest valid key.

    The first key that is like no valid one is followed by all valid keys. Keys beyond those that are shown
    stand for themselves, since the search is slow.
    """
    lines, listed = [], False
    for key in keys[:SHOWN]:
        close = _nearest(key, valid)
        meant = (
            f"; did you mean {close}?" if close else "" if listed else f"; expected one of {', '.join(valid)}"
        )
        listed = listed or not close
        lines.append(f"{key}: unknown key{place(key, places)}{meant}")
    return lines + keys[SHOWN:]


def _nearest(key: str, valid: list[str]) -> str:
    whole = valid + sorted({name.partition(".")[0] for name in valid if "." in name})
    by_last = {name.rpartition(".")[2]: name for name in valid}
    last = get_close_matches(key.rpartition(".")[2], by_last, n=1)
    close = get_close_matches(key, whole, n=1) or [by_last[name] for name in last]
    return close[0] if close else ""


def raise_for(problems: list[str]) -> None:
    """Raise one ConfigError with all problems, if there are any.

    Parameters
    ----------
    problems : list of str
        One line each; at most ten are shown, the others are counted.

    Raises
    ------
    ConfigError
        If the list is not empty.
    """
    if len(problems) == 1:
        raise ConfigError(problems[0])
    if problems:
        lines = [f"{len(problems)} values of the configuration are wrong:", *some_of(problems)]
        raise ConfigError("\n  ".join(lines))
