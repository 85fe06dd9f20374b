"""Values of every type in every key of a configuration: ConfigError, or a configuration that can be used."""

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lstm2d.config.load import (
    apply_overrides,
    dump_toml,
    from_dict,
    load_preset,
    load_toml,
    preset_names,
    valid_keys,
)
from lstm2d.config.schema import RunConfig
from lstm2d.config.show import commented_toml, flat
from lstm2d.errors import ConfigError
from lstm2d.models import MODELS

EXAMPLES = 20
BUSY = [HealthCheck.too_slow]  # on a machine that does other work
NUMBERS = (
    0,
    1,
    -1,
    2,
    255,
    256,
    2**31,
    2**63 - 1,
    -(2**63),
    0.0,
    -0.0,
    0.5,
    1e-320,
    1e308,
    math.inf,
    -math.inf,
    math.nan,
)
TEXTS = (
    "",
    "auto",
    "none",
    "sgd",
    "\0",
    "\x7f",
    "\u202e",
    "a\nb",
    '"',
    "'''",
    "#",
    "../x",
    "1e999",
    "é" * 300,
    "true",
    "[1",
    "{",
)
SIMPLE = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
    st.datetimes().map(lambda value: value.replace(microsecond=0)),
    st.dates(),
    st.times().map(lambda value: value.replace(microsecond=0)),
)
KEYS = st.text(st.characters(exclude_categories=("Cs",)), max_size=4)
VALUES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)
PRESETS = {name: load_preset(name) for name in preset_names()}
OWN_KEYS = {name: sorted(key for key in flat(config) if key != "preset") for name, config in PRESETS.items()}
ALL_KEYS = sorted(set(valid_keys(MODELS.values())))


def usable(config: RunConfig, folder: Path) -> None:
    """Check that a configuration returns from TOML, plain and commented, as it was."""
    path = folder / "run.toml"
    path.write_text(dump_toml(config), encoding="utf-8")
    assert load_toml(path) == config
    text = commented_toml(str(path))
    path.write_text(text, encoding="utf-8")
    assert load_toml(path) == config
    assert from_dict(config.model_dump(), "dump") == config


def config_or_none(load: Callable[[], RunConfig]) -> RunConfig | None:
    """Return a configuration, or None after a ConfigError that says why."""
    try:
        return load()
    except ConfigError as error:
        found = error
    assert len(str(found)) > 10
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


@pytest.mark.parametrize("name", preset_names())
def test_round_trip_of_presets(name: str, folder: Path) -> None:
    usable(PRESETS[name], folder)
    (folder / "shown.toml").write_text(commented_toml(name), encoding="utf-8")
    assert load_toml(folder / "shown.toml") == PRESETS[name]


@pytest.mark.slow
@settings(max_examples=10 * EXAMPLES, suppress_health_check=BUSY)
@given(data=st.data())
def test_any_value_in_any_key(data: st.DataObject, folder: Path) -> None:
    name = data.draw(st.sampled_from(sorted(PRESETS)))
    key = data.draw(st.one_of(st.sampled_from(OWN_KEYS[name]), st.sampled_from(ALL_KEYS), KEYS))
    table = PRESETS[name].model_dump()
    _put(table, key, data.draw(VALUES))
    path = folder / "any.toml"
    path.write_bytes(tomli_w.dumps(table).encode())
    config = config_or_none(lambda: load_toml(path))
    if config is not None:
        usable(config, folder)


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        inner = table.get(section)
        if not isinstance(inner, dict):
            inner = table[section] = {}
        table = inner
    table[last] = value


@settings(max_examples=5 * EXAMPLES, suppress_health_check=BUSY)
@given(data=st.data())
def test_any_text_to_set(data: st.DataObject, folder: Path) -> None:
    name = data.draw(st.sampled_from(sorted(PRESETS)))
    key = data.draw(
        st.one_of(st.sampled_from(OWN_KEYS[name]), st.sampled_from(ALL_KEYS), st.text(max_size=6))
    )
    shown = VALUES.map(
        lambda value: tomli_w.dumps({"v": value})[4:] if not isinstance(value, dict) else str(value)
    )
    value = data.draw(st.one_of(st.text(max_size=8), st.sampled_from(TEXTS), shown))
    text = data.draw(
        st.sampled_from(
            [f"{key}={value}", f"{key} = {value}", key, value, f"={value}", f"{key}.{key}={value}"]
        )
    )
    config = config_or_none(lambda: apply_overrides(PRESETS[name], [text]))
    if config is not None:
        usable(config, folder)


@settings(max_examples=2 * EXAMPLES, suppress_health_check=BUSY)
@given(
    table=st.dictionaries(
        st.one_of(KEYS, st.sampled_from(["model", "train", "data", "crf", "hierarchy", "preset"])), VALUES
    )
)
def test_any_table(table: dict[str, Any], folder: Path) -> None:
    assert tomllib.loads(tomli_w.dumps(table)).keys() == table.keys()
    with pytest.raises(ConfigError):
        from_dict(table, "any")
