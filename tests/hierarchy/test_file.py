"""Files of hierarchies: what is written is read, and damage is reported."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lstm2d.errors import DataError, OutputError
from lstm2d.hierarchy.file import is_hierarchy, load_hierarchy, save_hierarchy
from lstm2d.hierarchy.hierarchy import Hierarchy
from tests.hierarchy.examples import clusters, scenes


@pytest.mark.parametrize("hierarchy", [clusters(), scenes()], ids=["lc", "sn"])
def test_reads_what_was_written(hierarchy: Hierarchy, tmp_path: Path) -> None:
    save_hierarchy(tmp_path / "h.json", hierarchy)
    assert load_hierarchy(tmp_path / "h.json") == hierarchy
    assert is_hierarchy(tmp_path / "h.json")


def test_is_json_with_format_and_version(tmp_path: Path) -> None:
    save_hierarchy(tmp_path / "h.json", clusters())
    value = json.loads((tmp_path / "h.json").read_text())
    assert (value["format"], value["version"]) == ("lstm2d hierarchy", 1)
    assert value["subclasses"][1] == {
        "name": "sky 2",
        "class_number": 0,
        "samples": 20,
        "centre": [0.3, 0.7, 0.30000000000000004],
        "group": None,
    }


def test_other_files_are_not_hierarchies(tmp_path: Path) -> None:
    (tmp_path / "h.json").write_text('{"format": "lstm2d hierarch')
    assert not is_hierarchy(tmp_path / "h.json")


Change = Callable[[dict[str, Any]], object]
DAMAGE: dict[str, Change] = {
    "this is not a label hierarchy": lambda h: h.update(format="other"),
    "of version 2": lambda h: h.update(version=2),
    "missing or unknown: common": lambda h: h.pop("common"),
    "missing or unknown: colour": lambda h: h.update(colour=1),
    "method: Input should be 'sn', 'lc' or 'ic'": lambda h: h.update(method="xx"),
    "subclasses.1.samples": lambda h: h["subclasses"][1].update(samples="many"),
    "two classes have the same name": lambda h: h.update(classes=["sky", "sky", "road"]),
    "common: sorted numbers of classes": lambda h: h.update(common=[0, 7]),
    "common: sorted numbers": lambda h: h.update(common=[1, 0]),
    "sorted by class": lambda h: h["subclasses"].reverse(),
    "one or more of each class": lambda h: h["subclasses"].pop(),
    "images: numbers of groups": lambda h: h.update(images={"a": 0}),
    "window: an odd number": lambda h: h.update(window=128),
    "numbers of samples": lambda h: h["subclasses"][2].update(samples=-1),
    "class sky: a rare class has one subclass": lambda h: h.update(common=[1]),
    "class sky: each of its subclasses has a centre": lambda h: h["subclasses"][0].update(centre=[1.0]),
    "class sky: each of its subclasses has a group": lambda h: h.update(method="sn"),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damage_is_reported(message: str, tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    save_hierarchy(path, clusters())
    value = json.loads(path.read_text())
    DAMAGE[message](value)
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match=message) as raised:
        load_hierarchy(path)
    assert raised.value.exit_code == 3
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": NaN}', '{"a": 1, "a": 2}'])
def test_not_a_hierarchy(text: str, tmp_path: Path) -> None:
    (tmp_path / "h.json").write_text(text)
    with pytest.raises(DataError, match=r"not valid JSON|not a label hierarchy"):
        load_hierarchy(tmp_path / "h.json")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file not found"):
        load_hierarchy(tmp_path / "h.json")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        save_hierarchy(tmp_path / "no" / "h.json", clusters())
