"""The YAML of YOLO's data.yaml."""

from pathlib import Path

import pytest

from lstm2d.data.importers.formats.data_yaml import read_data_yaml
from lstm2d.errors import DataError


def read(folder: Path, text: str) -> dict:
    path = folder / "data.yaml"
    path.write_text(text)
    return read_data_yaml(path)


@pytest.mark.parametrize(
    "names",
    [
        "names: [person, 'traffic light', \"it's\", a:b, c#d]",
        "names: ['person', 'traffic light', 'it''s', 'a:b', \"c#d\", ]  # comment",
        "names:\n- person\n- traffic light\n- it's  # not a quote\n- a:b\n- c#d",
        "names:  # comment\n\n  - person\n  # comment\n  - 'traffic light'\n  - \"it's\"\n  - a:b\n  - c#d\n",
        "names: [\n  person, traffic light,  # two\n  it's,\n  'a:b', c#d\n]",
    ],
)
def test_lists(tmp_path: Path, names: str) -> None:
    expected = ["person", "traffic light", "it's", "a:b", "c#d"]
    assert read(tmp_path, f"nc: 5\n{names}\n") == {"nc": "5", "names": expected}


@pytest.mark.parametrize(
    "names", ["names: {0: a, 1: 'b c'}", "names:\n  0: a\n  1: b c # d", "names: {0: a,\n 1: b c,}"]
)
def test_tables(tmp_path: Path, names: str) -> None:
    assert read(tmp_path, names) == {"names": {"0": "a", "1": "b c"}}


def test_a_whole_file(tmp_path: Path) -> None:
    text = """\ufeff# Ultralytics, AGPL-3.0 license
---
path: ../datasets/coco8-seg  # dataset root dir
train: images/train  # train images (relative to 'path') 4 images
val: [images/val, "images/more"]
test:  # test images (optional)

names:
  0: person
  1: bicycle

# Download script/URL (optional)
download: |
  from pathlib import Path
  names: not this one
  x = {"a": [1
roboflow:
  workspace: a
  license: CC BY 4.0
"""
    assert read(tmp_path, text) == {
        "path": "../datasets/coco8-seg",
        "train": "images/train",
        "val": ["images/val", "images/more"],
        "test": "",
        "names": {"0": "person", "1": "bicycle"},
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("names: &anchor [a, b]", 1),
        ("train: a\nnames: *alias", 2),
        ("names: !!python/object:os.system x", 1),
        ("names: |\n  a\n  b", 1),
        ("names: >\n  a", 1),
        ("names: a\n  b", 2),
        ("names: [a, [b]]", 1),
        ("names: [a b", 1),
        ("names: [a}", 1),
        ("names: [a,, b]", 1),
        ("names: {a}", 1),
        ("names: {a: b, a: c}", 1),
        ("names:\n  - a\n  - b: c", 3),
        ("names:\n  - a\n    - b", 3),
        ("names:\n  - a\n  0: b", 3),
        ("names:\n  0: a\n  0: b", 3),
        ("names:\n  0: a\n   1: b", 3),
        ("names:\n  0:\n    a: b", 2),
        ("names:\n  - 'a", 2),
        ('names: ["\\x"]', 1),
        ("names: - a", 1),
    ],
)
def test_more_than_is_read(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(DataError, match=f"line {line} is more of YAML than is read here") as e:
        read(tmp_path, text)
    assert "data.yaml" in str(e.value)


def test_keys_appear_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3: nc appears twice"):
        read(tmp_path, "nc: 1\nnames: [a]\nnc: 2\n")
