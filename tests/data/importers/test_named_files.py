"""Files that annotations name, and the names of imported images."""

import os
import unicodedata
from pathlib import Path

import pytest

from lstm2d.data.importers.formats.entries import BadEntry
from lstm2d.data.importers.named_files import files_in, locate, split_of, stems_of
from lstm2d.errors import DataError


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_the_first_folder_wins(tmp_path: Path) -> None:
    touched(tmp_path / "b/x.jpg")
    assert locate("x.jpg", tmp_path, (tmp_path / "a", tmp_path / "b")) == tmp_path / "b/x.jpg"
    touched(tmp_path / "a/x.jpg")
    assert locate("x.jpg", tmp_path, (tmp_path / "a", tmp_path / "b")) == tmp_path / "a/x.jpg"
    assert locate("../b/x.jpg", tmp_path, (tmp_path / "a",)) == tmp_path / "b/x.jpg"
    assert locate("..\\b\\x.jpg", tmp_path, (tmp_path / "a",)) == tmp_path / "b/x.jpg"
    assert locate("y.jpg", tmp_path, (tmp_path / "a",)) is None
    assert locate(".", tmp_path, (tmp_path,)) is None  # a folder is no file


@pytest.mark.parametrize(
    "name",
    [
        "../x.jpg",
        "a/../../x.jpg",
        "..\\x.jpg",
        "/x.jpg",
        "\\\\server\\x.jpg",
        "C:x.jpg",
        "c:\\x",
        "x\0.jpg",
        "",
        " ",
        3,
    ],
)
def test_names_that_lead_out(tmp_path: Path, name: object) -> None:
    touched(tmp_path / "x.jpg")
    root = tmp_path / "src"
    root.mkdir()
    with pytest.raises(BadEntry, match="the file name"):
        locate(name, root, (root,))


def test_a_relative_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path / "src/x.jpg")
    touched(tmp_path / "y.jpg")
    monkeypatch.chdir(tmp_path / "src")
    assert locate("x.jpg", Path("."), (Path("."),)) == tmp_path / "src/x.jpg"
    with pytest.raises(BadEntry, match="leads out"):
        locate("../y.jpg", Path("."), (Path("."),))


def test_names_in_any_unicode_form(tmp_path: Path) -> None:
    on_disk = touched(tmp_path / unicodedata.normalize("NFD", "bäume.jpg"))
    assert locate("bäume.jpg", tmp_path, (tmp_path,)) == on_disk
    assert list(files_in(tmp_path, (".jpg",))) == ["bäume"]
    assert stems_of([unicodedata.normalize("NFD", "bäume")], tmp_path) == ["bäume"]


def test_files_are_listed_by_path(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.regions.txt", "sub/c.txt", ".hidden.txt", ".git/d.txt", "e.png"):
        touched(tmp_path / name)
    found = files_in(tmp_path, (".regions.txt", ".txt", ".jpg"))
    assert list(found) == ["a", "b", "sub/c"]
    assert found["sub/c"] == tmp_path / "sub/c.txt"
    assert files_in(tmp_path / "none", (".txt",)) == {}
    touched(tmp_path / "b.txt")
    with pytest.raises(DataError, match=r"two files with the same stem: b\.(JPG|txt) and b\.(JPG|txt)"):
        files_in(tmp_path, (".txt", ".jpg"))


def test_links_are_followed_once(tmp_path: Path) -> None:
    touched(tmp_path / "elsewhere/a.txt")
    (tmp_path / "src").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "src/link")
    os.symlink(tmp_path / "src", tmp_path / "elsewhere/loop")
    assert list(files_in(tmp_path / "src", (".txt",))) == ["link/a"]


def test_names_of_images(tmp_path: Path) -> None:
    assert stems_of(["train/a", "val/b"], tmp_path) == ["a", "b"]
    assert stems_of(["train/a", "val/a", "val/b"], tmp_path) == ["train_a", "val_a", "b"]
    with pytest.raises(DataError, match="two images with the name 'x_a'"):
        stems_of(["x/a", "y/a", "x_a"], tmp_path)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train2017", "train"),
        ("instances_val2014", "val"),
        ("Validation", "val"),
        ("sub/Test", "test"),
        ("TestSet1", "test"),
        ("default", ""),
        ("trainer", ""),
        ("valley", ""),
        (".", ""),
    ],
)
def test_splits(name: str, split: str) -> None:
    assert split_of(name) == split
