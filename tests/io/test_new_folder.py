"""Folders whose contents appear when all of them are written."""

from pathlib import Path

import pytest

from lstm2d.errors import OutputError
from lstm2d.io.new_folder import check_new_folder, new_folder


def fill(work: Path) -> None:
    (work / "sub").mkdir()
    (work / "sub" / "a").write_text("1")
    (work / "last").write_text("2")


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


@pytest.mark.parametrize("existing", [False, True])
def test_contents_appear_at_the_end(tmp_path: Path, existing: bool) -> None:
    out = tmp_path / "deep" / "out"
    if existing:
        out.mkdir(parents=True)
    with new_folder(out, last="last") as work:
        fill(work)
        assert work.parent == out
        assert not (out / "last").exists()
        assert work.name.startswith(".lstm2d-")
    assert names(out) == ["last", "sub", "sub/a"]
    assert (out / "sub" / "a").read_text() == "1"


def test_the_last_file_is_moved_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from os import rename

    moved: list[str] = []

    def record(source: Path, target: Path) -> None:
        moved.append(target.name)
        rename(source, target)

    monkeypatch.setattr("lstm2d.io.new_folder.os.rename", record)
    with new_folder(tmp_path / "out", last="last") as work:
        fill(work)
        (work / "z").write_text("")
    assert moved == ["sub", "z", "last"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["mine/a/b", "mine"])
def test_a_failure_leaves_nothing(tmp_path: Path, error: type[BaseException], place: str) -> None:
    (tmp_path / "mine").mkdir()

    def fail() -> None:
        with new_folder(tmp_path / place, last="last") as work:
            fill(work)
            raise error

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == ["mine"]


def test_folders_that_are_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for taken in (tmp_path, tmp_path / "file", tmp_path / "file" / "below", tmp_path / "a\0b"):
        with pytest.raises(OutputError), new_folder(taken, last="last"):
            raise AssertionError("not reached")
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(OutputError, match="the folder is not empty"):
        check_new_folder(tmp_path)
    check_new_folder(tmp_path / "new")
