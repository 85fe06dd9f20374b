"""Read presets and TOML files, and apply overrides."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from lstm2d.config.lines import header, keyed
from lstm2d.config.problems import place, raise_for, section_problems, shown, unknown_keys
from lstm2d.config.schema import (
    USED_ONLY_WITH,
    CRFSection,
    DataSection,
    HierarchySection,
    RunConfig,
    Section,
    TrainSection,
    model_section,
)
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.parse import BadText, check_dotted, parse_toml, shortened
from lstm2d.io.safe_open import read_text
from lstm2d.models import MODELS, ModelKind
from lstm2d.models.options import ModelConfig, without_retired

Table = dict[str, Any]

SECTIONS: dict[str, type[Section]] = {  # besides [model]
    "train": TrainSection,
    "data": DataSection,
    "crf": CRFSection,
    "hierarchy": HierarchySection,
}
OPTIONAL = ("crf", "hierarchy")
PRESET = "preset "  # prefix of the place of a preset's key


def preset_names() -> list[str]:
    """Return the names of the presets in the package, sorted."""
    folder = resources.files("lstm2d") / "presets"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def preset_text(name: str) -> str:
    """Return the file of a preset in the package, with its comments."""
    return (resources.files("lstm2d") / "presets" / f"{name}.toml").read_text(encoding="utf-8")


def load_preset(name: str) -> RunConfig:
    """Return the configuration of a preset.

    Parameters
    ----------
    name : str
        Name of the preset, such as "lstm2d-5x5".

    Returns
    -------
    RunConfig
        Complete and checked configuration.

    Raises
    ------
    ConfigError
        If there is no such preset; the message suggests the nearest name.
    """
    table, places = _read_preset(name)
    return check(table, places)


def load_toml(path: str | Path) -> RunConfig:
    """Return the configuration in a TOML file.

    Parameters
    ----------
    path : str or Path
        The file. Missing values come from the preset named by its key `preset`, if it has one.

    Returns
    -------
    RunConfig
        Complete and checked configuration.

    Raises
    ------
    ConfigError
        If the file cannot be read or is not valid; the message lists all wrong keys.
    """
    table, places = _read_file(Path(path))
    return check(table, places)


def resolve(preset_or_toml: str, overrides: Iterable[tuple[str, str]] = ()) -> RunConfig:
    """Return the configuration of a preset or TOML file with overrides.

    Parameters
    ----------
    preset_or_toml : str
        Name of a preset, or a path that ends in ".toml".
    overrides : iterable of (str, str)
        "a.b=c" and its origin, for messages; applied in order.

    Returns
    -------
    RunConfig
        Complete and checked configuration.

    Raises
    ------
    ConfigError
        If the file or an override is not valid; the message lists all problems.
    """
    if is_file(preset_or_toml):
        table, places = _read_file(Path(preset_or_toml))
    else:
        table, places = _read_preset(preset_or_toml)
    return check(table, places, override(table, places, overrides))


def is_file(preset_or_toml: str) -> bool:
    """Return whether a string is the path of a TOML file, not the name of a preset."""
    return preset_or_toml.endswith(".toml") or os.path.dirname(preset_or_toml) != ""


def apply_overrides(config: RunConfig, overrides: Iterable[str | tuple[str, str]]) -> RunConfig:
    """Return `config` with some values replaced.

    Parameters
    ----------
    config : RunConfig
        Configuration; not changed.
    overrides : iterable of str or (str, str)
        "a.b=c" with c in TOML syntax (strings need no quotes), optionally with its origin for messages.

    Returns
    -------
    RunConfig
        The new configuration, checked.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is out of range; the message lists all problems.
    """
    table, places = config.model_dump(), dict[str, str]()
    pairs = [(item, "overrides") if isinstance(item, str) else item for item in overrides]
    return check(table, places, override(table, places, pairs))


def from_dict(table: Mapping[str, Any], source: str) -> RunConfig:
    """Return the configuration in a table, for example of a model file.

    Parameters
    ----------
    table : mapping
        Table in the form of `RunConfig.model_dump`.
    source : str
        Origin of the table, for messages.

    Returns
    -------
    RunConfig
        Checked configuration.
    """
    return check(dict(table), dict.fromkeys(table, source))


def dump_toml(config: RunConfig) -> str:
    """Return a configuration as TOML with every value; the inverse of `load_toml`."""
    import tomli_w

    return tomli_w.dumps(config.model_dump())


def check(table: Table, places: Mapping[str, str], problems: Iterable[str] = ()) -> RunConfig:
    """Return the checked configuration of a raw table.

    Parameters
    ----------
    table : dict
        Sections and their values.
    places : mapping
        Dotted key -> place where it was set.
    problems : iterable of str
        Problems found before; reported together with the new ones.

    Returns
    -------
    RunConfig
        Complete configuration.

    Raises
    ------
    ConfigError
        If there are any problems; the message lists all of them.
    """
    found = list(problems)
    model = table.get("model", {})
    kind: Any = model.get("kind") if isinstance(model, dict) else None
    chosen = MODELS.get(kind) if isinstance(kind, str) else None
    valid = valid_keys(MODELS.values() if chosen is None else [chosen])
    found += unknown_keys([key for key in table if key not in RunConfig.model_fields], valid, places)
    sections: dict[str, Any] = {}
    if chosen is None:
        kinds = " or ".join(f'"{name}"' for name in MODELS)
        what = "model.kind is missing" if kind is None else shown("model.kind", kind)
        found.append(f"{what}{place('model.kind', places)}: expected {kinds}")
    else:
        section = model_section(kind, chosen.config)
        present = {**table, "model": _present(chosen.config, model, places, found)}
        sections["model"] = _section(section, "model", present, valid, places, found)
    for name, kind_of in SECTIONS.items():
        if name in table or name not in OPTIONAL:
            used = {name: _used(kind_of, name, table.get(name, {}), places, found)}
            sections[name] = _section(kind_of, name, used, valid, places, found)
    preset = table.get("preset", "")
    if not isinstance(preset, str):
        found.append(f"{shown('preset', preset)}{place('preset', places)}: expected the name of a preset")
    raise_for(found)
    return RunConfig(preset=preset, **sections | {"model": sections["model"].model_dump()})


def valid_keys(kinds: Iterable[ModelKind]) -> list[str]:
    """Return all dotted keys of configurations with a model of one of these kinds."""
    keys = ["preset", "model.kind"]
    keys += [f"model.{field.name}" for kind in kinds for field in fields(kind.config)]
    keys += [f"{name}.{key}" for name, section in SECTIONS.items() for key in section.model_fields]
    return keys


def _section(
    section: type[Section],
    name: str,
    table: Table,
    valid: list[str],
    places: Mapping[str, str],
    found: list[str],
) -> Section | None:
    """Check one section; problems are appended to `found`."""
    try:
        return section.model_validate(table.get(name, {}))
    except ValidationError as error:
        found += section_problems(error, section, f"{name}.", valid, places)
        return None


def _present(
    config: type[ModelConfig], model: Table, places: Mapping[str, str], found: list[str]
) -> dict[str, Any]:
    """Return ``[model]`` without options of earlier versions; those that had an effect are problems."""
    values, wrong = without_retired(config, model)
    for name in wrong:
        key, option = f"model.{name}", config.retired[name]
        value = f"{shown(key, values.pop(name))}{place(key, places)}"
        found.append(f"{value}: no option any more, expected {option.value!r}; {option.hint}")
    return values


def _used(kind: type[Section], section: str, values: Any, places: Mapping[str, str], found: list[str]) -> Any:
    """Return a section without the keys that other values of it leave without effect.

    Unused keys set by the user are reported in `found`; those of a preset or an earlier run are dropped.
    """
    if not isinstance(values, dict):
        return values
    keys, used = kind.model_fields, dict(values)
    for name, (chooser, needed) in USED_ONLY_WITH.get(section, {}).items():
        chosen = values.get(chooser, keys[chooser].default)
        if name not in values or chosen == needed or chosen not in get_args(keys[chooser].annotation):
            continue
        del used[name]
        key = f"{section}.{name}"
        by_user = not places.get(key, PRESET).startswith(PRESET)
        if by_user and values[name] != keys[name].default:
            problem = f'is used only with {section}.{chooser} = "{needed}"'
            found.append(f"{shown(key, values[name])}{place(key, places)}: {problem}")
    return used


def _read_preset(name: str) -> tuple[Table, dict[str, str]]:
    names = preset_names()
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else "the path of a file must end in .toml"
        raise ConfigError("no such preset", where=name, expected=", ".join(names), hint=hint)
    text = preset_text(name)
    table = tomllib.loads(text)
    return table | {"preset": name}, _line_numbers(text, f"{PRESET}{name}")


def _read_file(path: Path) -> tuple[Table, dict[str, str]]:
    try:
        text = read_text(path)
        text.encode()  # read_text keeps bytes that are not UTF-8, for file names
        table = parse_toml(text)
    except DataError as error:
        raise ConfigError(
            f"cannot read the configuration ({error.what})",
            where=path,
            expected="a TOML file or a preset's name",
        ) from error
    except UnicodeEncodeError as error:
        raise ConfigError("not valid TOML (a byte that is not UTF-8)", where=path) from error
    except BadText as error:
        raise ConfigError(f"not valid TOML ({error})", where=path) from error
    places = _line_numbers(text, str(path))
    preset = table.get("preset", "")
    if not isinstance(preset, str) or not preset:
        places.setdefault("model", str(path))  # to name the file if it has no such section
        return table, places
    base, base_places = _read_preset(preset)
    for key, value in table.items():
        under = base.get(key)
        base[key] = {**under, **value} if isinstance(under, dict) and isinstance(value, dict) else value
    return base, base_places | places


def override(table: Table, places: dict[str, str], overrides: Iterable[tuple[str, str]]) -> list[str]:
    """Write overrides ("a.b=c" and the origin of each) into `table`; return the problems found."""
    problems = []
    for item, source in overrides:
        key, equals, text = item.partition("=")
        key, text = key.strip(), text.strip()
        parts = key.split(".")
        if not equals or not all(parts):
            problems.append(
                f'"{shortened(item)}" ({source}): expected key=value, for example train.epochs=20'
            )
            continue
        try:
            check_dotted(key)
        except BadText as error:
            problems.append(f"{shortened(key)} ({source}): {error}")
            continue
        target: Any = table
        for part in parts[:-1]:
            target = target.setdefault(part, {}) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            problems.append(f"{key} ({source}): {'.'.join(parts[:-1])} is a value, not a table")
            continue
        target[parts[-1]] = _value(text)
        places[key] = source
    return problems


def _value(text: str) -> Any:
    """Parse a TOML value; return text that is not valid TOML unchanged."""
    try:
        (value,) = parse_toml(f"value = {text}").values()
    except ValueError:  # not TOML, or more lines with keys of their own
        return text
    return value


def _line_numbers(text: str, name: str) -> dict[str, str]:
    """Return the line of each key and table in TOML text."""
    places: dict[str, str] = {}
    lines = text.split("\n")
    for number, (key, line) in enumerate(keyed(lines), start=1):
        if found := key or header(line):
            places.setdefault(found, f"{name}, line {number}")
    return places
