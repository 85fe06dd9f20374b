"""Damaged records of predictions: complete rows are kept, and nothing is lost."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.errors import DataError
from lstm2d.predict.csv_text import csv_name, csv_text
from lstm2d.predict.manifest import Manifest
from lstm2d.predict.manifest_file import read_manifest, read_table

LABELS = ["a.png", "sub/two\nlines.png", 'c"q",uote.png', "d.png"]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.csv"
    manifest = Manifest(path, ["x", "y"])
    for name in LABELS:
        manifest.add(f"in/{name}", name, seconds=1, areas=[0.25, 0.75])
    return path


def labels(path: Path) -> list[str]:
    return [row["labels"] for row in read_manifest(path)]


def test_a_whole_record(record: Path) -> None:
    table = read_table(record)
    assert not table.damaged
    assert labels(record) == LABELS
    assert Manifest(record, ["x", "y"]).damaged_copy is None


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_the_last_line_is_cut(record: Path, cut: int) -> None:
    whole = record.read_bytes()
    record.write_bytes(whole[:-cut])
    table = read_table(record)
    assert table.damaged
    assert [row["labels"] for row in table.rows] == LABELS[:3]
    assert table.fragments == ("d.png",)
    manifest = Manifest(record, ["x", "y"])
    assert manifest.damaged_copy is not None
    assert manifest.damaged_copy.read_bytes() == whole[:-cut]
    assert labels(record) == LABELS[:3]


@pytest.mark.parametrize("garbage", [b'"', b'a,"b\n', b"\0\xff\xfe\n", b"\n\n", b"a,b,c\n", b'x"y"z",\n"\n'])
@pytest.mark.parametrize("place", [1, 2, 5, 6])
def test_garbage_between_lines(record: Path, garbage: bytes, place: int) -> None:
    """A quotation mark that is never closed must not swallow the rows after it."""
    lines = record.read_bytes().split(b"\n")  # the names with a line break make a row of three
    record.write_bytes(b"\n".join(lines[:place]) + b"\n" + garbage + b"\n".join(lines[place:]))
    table = read_table(record)
    assert table.damaged
    lost = {1: "a.png", 2: LABELS[1], 5: LABELS[2], 6: "d.png"}[place]
    assert [row["labels"] for row in table.rows if row["labels"] != lost] == [n for n in LABELS if n != lost]
    if garbage.endswith(b"\n"):
        assert labels(record) == LABELS


@pytest.mark.parametrize(
    "content", [b"id,name\n1,a\n", bytes(range(256)), b"image;labels\n", b"\xff\xfei\0m\0", b"image,labels\n"]
)
def test_a_file_of_another_program_is_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "predictions.csv"
    for number in ("", "-2"):
        path.write_bytes(content)
        manifest = Manifest(path, ["x"])
        assert manifest.damaged_copy == tmp_path / f"predictions.csv.damaged{number}"
        assert manifest.damaged_copy.read_bytes() == content
        assert read_manifest(path) == []


def test_an_empty_file_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").touch()
    assert Manifest(tmp_path / "predictions.csv", ["x"]).damaged_copy is None


def test_columns_that_a_user_has_added_stay(record: Path) -> None:
    with record.open(newline="") as file:
        rows = list(csv.reader(file))
    with record.open("w", newline="") as file:
        csv.writer(file).writerows([[*row, "remark" if k == 0 else "good"] for k, row in enumerate(rows)])
    Manifest(record, ["x", "y"]).add("in/e", "e.png", seconds=1, areas=[1, 0])
    rows = read_manifest(record)
    assert [row["remark"] for row in rows] == ["good"] * 4 + [""]


def test_a_record_that_cannot_be_read_is_not_set_aside(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise DataError("file may not be read", where=path)

    before = record.read_bytes()
    monkeypatch.setattr("lstm2d.io.safe_open.open_regular", refuse)
    with pytest.raises(DataError, match="may not be read"):
        Manifest(record, ["x", "y"])
    assert record.read_bytes() == before
    assert [p.name for p in record.parent.iterdir()] == ["predictions.csv"]


@given(st.lists(st.text(st.sampled_from("'=+-@\t\r\nab,\""), min_size=1), unique=True))
def test_names_come_back(names: list[str]) -> None:
    texts = [csv_text(name) for name in names]
    assert [csv_name(text) for text in texts] == names
    assert not any(text.startswith(("=", "+", "-", "@", "\t", "\r")) for text in texts)


@given(
    st.lists(st.text(st.sampled_from("'=\r\n\x0b\x85\u2028ab,\"\udce9"), min_size=1), unique=True, max_size=6)
)
def test_any_name_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    path = tmp_path_factory.mktemp("record") / "predictions.csv"
    manifest = Manifest(path, ["x"])
    for name in names:
        manifest.add(name, name, seconds=1, areas=[1])
    table = read_table(path)
    assert [csv_name(row["labels"]) for row in table.rows] == names
    assert not table.damaged
