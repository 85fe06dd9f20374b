"""classes.json and legend.png: their contents, and files that they never replace."""

import json
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from lstm2d.errors import ConfigError, OutputError
from lstm2d.io.class_files import ClassTable, is_reserved, read_class_files, write_class_files
from lstm2d.io.classes import ClassInfo
from lstm2d.io.legend import encode_legend

OUTDOOR = ClassTable("outdoor", (ClassInfo("sky", (135, 206, 235)), ClassInfo("道路 $x$\n", (0, 1, 2))), 255)
STREET = ClassTable("street", (ClassInfo("car", (64, 0, 128)),), 11)


def test_what_the_files_hold(tmp_path: Path) -> None:
    write_class_files(tmp_path, OUTDOOR)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["classes.json", "legend.png"]
    assert json.loads((tmp_path / "classes.json").read_text(encoding="utf-8")) == {
        "format": "lstm2d classes 1",
        "model": "outdoor",
        "ignore": 255,
        "classes": [
            {"index": 0, "name": "sky", "color": [135, 206, 235], "hex": "#87ceeb"},
            {"index": 1, "name": "道路 $x$\n", "color": [0, 1, 2], "hex": "#000102"},
        ],
        "earlier": [],
    }
    assert (tmp_path / "legend.png").read_bytes() == encode_legend(OUTDOOR.classes)
    with Image.open(BytesIO((tmp_path / "legend.png").read_bytes())) as image:
        assert image.info["Software"] == "lstm2d"
    assert read_class_files(tmp_path) == [OUTDOOR]


def test_tables_of_earlier_models_stay(tmp_path: Path) -> None:
    for table in (OUTDOOR, OUTDOOR, STREET, OUTDOOR, STREET, STREET):
        write_class_files(tmp_path, table)
    assert read_class_files(tmp_path) == [STREET, OUTDOOR]
    assert (tmp_path / "legend.png").read_bytes() == encode_legend(STREET.classes)
    other = ClassTable("outdoor", OUTDOOR.classes[:1], 255)
    write_class_files(tmp_path, other)
    assert read_class_files(tmp_path) == [other, STREET, OUTDOOR]
    content = json.loads((tmp_path / "classes.json").read_text(encoding="utf-8"))
    assert [entry["model"] for entry in content["earlier"]] == ["street", "outdoor"]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    table = ClassTable("\udce9", (ClassInfo("caf\udce9", (0, 0, 0)),), 255)
    write_class_files(tmp_path, table)
    assert (
        json.loads((tmp_path / "classes.json").read_bytes().decode("utf-8"))["classes"][0]["name"]
        == "caf\udce9"
    )
    assert read_class_files(tmp_path) == [table]


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", "null", '{"classes": []}', '{"format": "other"}', '{"format": "lstm2d classes 1"}'],
)
def test_somebody_elses_table_is_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(ConfigError, match=r"table of classes is taken.*classes\.json"):
        write_class_files(tmp_path, OUTDOOR)
    assert (tmp_path / "classes.json").read_text() == text
    assert not (tmp_path / "legend.png").exists()
    assert read_class_files(tmp_path) == []
    write_class_files(tmp_path, OUTDOOR, overwrite=True)
    assert read_class_files(tmp_path) == [OUTDOOR]


@pytest.mark.parametrize("kind", ["picture", "text", "link"])
def test_somebody_elses_legend_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "legend.png"
    if kind == "picture":
        Image.new("RGB", (4, 4)).save(path)
    elif kind == "text":
        path.write_text("mine")
    else:
        path.symlink_to("nowhere")
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(ConfigError, match=r"legend is taken.*legend\.png"):
        write_class_files(tmp_path, OUTDOOR)
    assert (path.read_bytes() if path.exists() else None) == before
    assert not (tmp_path / "classes.json").exists()
    write_class_files(tmp_path, OUTDOOR, overwrite=True)
    assert path.read_bytes() == encode_legend(OUTDOOR.classes)
    write_class_files(tmp_path, STREET)  # they are ours now


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="missing"):
        write_class_files(tmp_path / "missing", OUTDOOR)


@pytest.mark.parametrize(
    ("name", "reserved"),
    [
        ("classes.json", True),
        ("Legend.PNG", True),
        ("predictions.csv", True),
        ("PREDICTIONS-1-of-4.csv", True),
        ("legend.jpg.png", False),
        ("legend.tif", False),
        ("sub/legend.png", False),
        ("my predictions.csv", False),
    ],
)
def test_reserved_names(name: str, reserved: bool) -> None:
    assert is_reserved(name) is reserved
