"""Configurations as commented TOML, their differences, and the ranges of all keys."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.config import dump_toml, load_preset, load_toml, preset_names, resolve
from lstm2d.config.load import preset_text
from lstm2d.config.ranges import json_schema, keys
from lstm2d.config.show import commented_toml, differences, source_of, toml_value
from lstm2d.errors import ConfigError


def saved(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", preset_names())
def test_a_copy_of_a_preset_is_the_preset(name: str, tmp_path: Path) -> None:
    text = commented_toml(name)
    assert load_toml(saved(tmp_path, text)) == load_preset(name)
    assert text.replace(f'preset = "{name}"\n\n', "") == preset_text(name)


@pytest.mark.parametrize("name", preset_names())
def test_the_file_of_a_preset_is_a_configuration_without_a_name(name: str, tmp_path: Path) -> None:
    copied = load_toml(saved(tmp_path, preset_text(name)))
    assert copied.model_dump() == load_preset(name).model_dump() | {"preset": ""}


def test_other_values_are_marked(tmp_path: Path) -> None:
    sets = [("train.epochs=7", "--set"), ("data.val_split=a # b", "--set"), ("model.units=[1, 2]", "--set")]
    sets += [("model.features=[3]", "--set"), ("train.groups.lstm.0.rate=0.5", "--set")]
    text = commented_toml("lstm2d-5x5", sets)
    assert load_toml(saved(tmp_path, text)) == resolve("lstm2d-5x5", sets)
    lines = text.splitlines()
    assert (
        "epochs = 7                       # preset: 100; ours; the paper only states that training took less "
        "than ten days" in lines
    )
    (split,) = [line for line in lines if line.startswith("val_split")]
    assert split.startswith('val_split = "a # b"              # preset: "val"; if there is no such split')
    (groups,) = [line for line in lines if line.startswith("groups")]
    assert groups.startswith('groups = {"lstm.0" = {rate = 0.5, frozen = false}} # preset: {}; ours: none')
    before = preset_text("lstm2d-5x5").splitlines()
    assert len(set(before) - set(lines)) == 5


def test_a_section_that_the_preset_does_not_have(tmp_path: Path) -> None:
    sets = [("hierarchy.file=h.json", "--set"), ("hierarchy.strategy=sequential", "--set")]
    text = commented_toml("lstm2d-5x5", sets)
    assert load_toml(saved(tmp_path, text)) == resolve("lstm2d-5x5", sets)
    assert text.endswith(
        '\n\n[hierarchy]\nfile = "h.json"\nstrategy = "sequential"\nalpha = 1.0\nbeta = 0.00025\n'
        "epochs = []\nminutes = []\ntrain_on_filled = false\n"
    )


def test_a_file_based_on_a_preset_keeps_its_comments(tmp_path: Path) -> None:
    path = saved(
        tmp_path, 'preset = "lstm2d-3x3"\n[train]\nepochs = 7  # a week\nseed = 0 # as ever\nflip = false\n'
    )
    text = commented_toml(str(path))
    lines = text.splitlines()
    assert "epochs = 7                       # preset: 100; a week" in lines
    assert "seed = 0                         # as ever" in lines
    (flip,) = [line for line in lines if line.startswith("flip")]
    assert flip.startswith("flip = false                     # preset: true; ours: mirror images")
    (tmp_path / "copy.toml").write_text(text)
    assert load_toml(tmp_path / "copy.toml") == load_toml(path)


def test_a_file_without_a_preset(tmp_path: Path) -> None:
    path = saved(
        tmp_path, '[model]\nkind = "lstm2d"\nwindow = 2 # "#"\nunits = [\n  3, # three\n]\nfeatures = []\n'
    )
    text = commented_toml(str(path), [("train.momentum=0.5", "--set")])
    assert text.startswith('[model]\nkind = "lstm2d"\nwindow = 2                       # "#"\nunits = [3]\n')
    (tmp_path / "copy.toml").write_text(text)
    assert load_toml(tmp_path / "copy.toml") == resolve(str(path), [("train.momentum=0.5", "--set")])


def test_the_folder_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = resolve("h-renet", [("train.epochs=3", "--set")])
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "config.toml").write_text(dump_toml(config))
    monkeypatch.chdir(tmp_path)
    assert source_of("first") == str(Path("first", "config.toml"))
    assert source_of("lstm2d-5x5") == "lstm2d-5x5"
    text = commented_toml(source_of("first"))
    assert load_toml(saved(tmp_path, text)) == config
    assert "iterations = 2                   # paper: 2" in text.splitlines()


def test_errors_are_those_of_resolve() -> None:
    with pytest.raises(ConfigError, match=r"did you mean train\.epochs"):
        commented_toml("lstm2d-5x5", [("train.epoch=3", "--set")])
    with pytest.raises(ConfigError, match="did you mean lstm2d-5x5"):
        commented_toml("lstm2d-5x6")


KEYS = st.text("ab. \"'é", max_size=4)
VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab. \"'é", max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(VALUES)
def test_values_in_toml(value: Any) -> None:
    text = toml_value(value)
    assert "\n" not in text
    assert tomllib.loads(f"key = {text}") == {"key": value}


def test_differences() -> None:
    base = resolve("lstm2d-5x5")
    assert differences(base, base) == {}
    other = resolve(
        "lstm2d-5x5", [("train.epochs=3", "x"), ("crf.iterations=5", "x"), ("model.units=[1,2,3]", "x")]
    )
    found = differences(base, other)
    assert found["train.epochs"] == ("100", "3")
    assert found["model.units"] == ("[10, 20, 50]", "[1, 2, 3]")
    assert found["crf.iterations"] == (None, "5")
    assert found["crf.exact"] == (None, "false")
    assert len(found) == 2 + len(other.crf.model_dump())  # type: ignore[union-attr]
    assert differences(other, base) == {key: (b, a) for key, (a, b) in found.items()}


def test_every_key_of_every_preset_has_a_range() -> None:
    known = {}
    for key, values, default in keys():
        assert values
        known[key] = (values, default)
    for name in preset_names():
        config = load_preset(name).model_dump()
        for section, table in config.items():
            for key in table if isinstance(table, dict) else ():
                kind = f" ({config['model']['kind']})" if section == "model" and key != "kind" else ""
                assert f"{section}.{key}{kind}" in known
    assert known["train.epochs"] == ("an integer >= 1", "100")
    assert known["train.optimizer"] == ('"sgd" or "adadelta"', '"sgd"')
    assert known["model.window (lstm2d)"] == ("an integer >= 1 and <= 64", None)
    assert known["train.max_time"][0].startswith('"" or a duration such as "90m"')


TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def check(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> list[str]:
    """Return what a small part of JSON schema finds wrong: types, enumerations, bounds, unknown keys."""
    if "$ref" in schema:
        return check(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "allOf" in schema:  # pydantic 2.7 writes a reference with a default in this way
        return [fault for inner in schema["allOf"] for fault in check(value, inner, root)]
    if "const" in schema:
        return [] if value == schema["const"] else [f"{value!r} is not {schema['const']!r}"]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            tried = [check(value, inner, root) for inner in schema[several]]
            return [] if not all(tried) else min(tried, key=len)
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{value!r} is not in {schema['enum']}"]
    types = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "null": type(None),
    }
    expected = (int, float) if schema["type"] == "number" else types[schema["type"]]
    if not isinstance(value, expected) or (isinstance(value, bool) and schema["type"] != "boolean"):
        return [f"{value!r} is no {schema['type']}"]
    found = []
    for word, wrong in (
        ("minimum", lambda bound: value < bound),
        ("maximum", lambda bound: value > bound),
        ("exclusiveMinimum", lambda bound: value <= bound),
        ("exclusiveMaximum", lambda bound: value >= bound),
    ):
        if word in schema and wrong(schema[word]):
            found.append(f"{value} is beyond {word} {schema[word]}")
    for item in value if isinstance(value, list) else ():
        found += check(item, schema["items"], root)
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for key, item in value.items():
            inner = known.get(key, schema.get("additionalProperties"))
            found += check(item, inner, root) if inner else [f"{key} is unknown"]
        found += [f"{key} is missing" for key in schema.get("required", []) if key not in value]
    return found


@pytest.mark.parametrize("name", preset_names())
def test_presets_have_the_schema(name: str) -> None:
    schema = json.loads(json.dumps(json_schema()))
    table = tomllib.loads(preset_text(name))
    table["train"]["groups"] = load_preset(name).model_dump()["train"][
        "groups"
    ]  # names with dots are one key
    assert check(table, schema, schema) == []
    assert check(table | {"preset": name}, schema, schema) == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("train", "epochs", 0),
        ("train", "epochs", "many"),
        ("train", "optimizer", "adam"),
        ("train", "momentum", 1.0),
        ("data", "vall", 0.1),
        ("model", "window", 65),
        ("model", "kind", "lstm"),
    ],
)
def test_wrong_values_do_not_have_it(section: str, key: str, value: object) -> None:
    table = tomllib.loads(preset_text("lstm2d-5x5"))
    table[section][key] = value
    schema = json_schema()
    assert check(table, schema, schema)


def test_comments_are_those_of_the_line(tmp_path: Path) -> None:
    """A # in a text begins no comment."""
    path = saved(tmp_path, 'preset = "lstm2d-5x5"\n[data]\nval_split = "a#b" # "c" # d\ntrain_split = "#"\n')
    lines = commented_toml(str(path)).splitlines()
    assert 'val_split = "a#b"                # preset: "val"; "c" # d' in lines
    (split,) = [line for line in lines if line.startswith("train_split")]
    assert re.match(r'train_split = "#" +# preset: "train"; the images of', split)
