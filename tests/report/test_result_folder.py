"""The output folder of a command: which files are replaced, kept and removed."""

import json
from collections.abc import Iterable
from pathlib import Path, PurePath

import pytest

from lstm2d.errors import ConfigError, OutputError
from lstm2d.report.result_folder import EVALUATION, HIERARCHY, RECORD, ResultFolder

MARK = RECORD.format(kind=EVALUATION)


def folder(
    root: Path, *names: str, data: Iterable[Path] = (), models: Iterable[Path] = (), overwrite: bool = False
) -> ResultFolder:
    """Return a folder for these files."""
    return ResultFolder(root, map(PurePath, names), data=[*data], models=[*models], overwrite=overwrite)


def write(root: Path, *names: str, overwrite: bool = False) -> None:
    """Write these files."""
    with folder(root, *names, overwrite=overwrite) as out:
        for name in names:
            out.write(PurePath(name), b"new")


def contents(root: Path) -> dict[str, str]:
    """Return the files and empty folders below a folder."""
    paths = [p for p in root.rglob("*") if p.is_file() or not any(p.iterdir())]
    return {
        p.relative_to(root).as_posix(): p.read_text() if p.is_file() else "folder"
        for p in paths
        if p.name != MARK
    }


def test_a_later_evaluation_replaces_an_earlier_one(tmp_path: Path) -> None:
    root = tmp_path / "a/b"
    write(root, "report.html", "one/best.png", "two/best.png")
    (root / "report.html").write_text("old")
    (root / "notes.txt").write_text("mine")
    (root / "two/mine.txt").write_text("mine")
    write(root, "report.html", "best.png")
    assert contents(root) == {
        "report.html": "new",
        "best.png": "new",
        "notes.txt": "mine",
        "two/mine.txt": "mine",
    }
    assert json.loads((root / MARK).read_text())["files"] == ["best.png", "report.html"]


def test_files_that_were_planned_but_not_written_again_are_removed(tmp_path: Path) -> None:
    write(tmp_path / "out", "report.html", "best.png")
    with folder(tmp_path / "out", "report.html", "best.png") as out:
        out.write(PurePath("report.html"), b"new")
    assert contents(tmp_path / "out") == {"report.html": "new"}


@pytest.mark.parametrize("name", ["best.png", "one/best.png"])
def test_files_of_somebody_else(tmp_path: Path, name: str) -> None:
    """They are not replaced, also in the folder of an earlier evaluation, which recorded others."""
    write(tmp_path / "out", "report.html")
    mine = tmp_path / "out" / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(ConfigError, match="did not write it") as caught:
        folder(tmp_path / "out", "report.html", name)
    assert "`overwrite=True`" in (caught.value.hint or "")
    assert mine.read_text() == "mine"
    write(tmp_path / "out", "report.html", name, overwrite=True)
    assert mine.read_text() == "new"


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / MARK).write_text(json.dumps({"format": "another", "files": ["notes.txt"]}))
    with pytest.raises(ConfigError, match="not from an earlier evaluation"):
        folder(tmp_path, "report.html")
    write(tmp_path, "report.html", overwrite=True)
    assert contents(tmp_path) == {"notes.txt": "mine", "report.html": "new"}


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", "report.html")
    assert contents(tmp_path / "out") == {"report.html": "new"}


@pytest.mark.parametrize("name", ["../mine.txt", "/etc/hostname", "sub/../../mine.txt", "", 5])
def test_a_forged_record_removes_nothing_outside(tmp_path: Path, name: object) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    root = tmp_path / "out"
    write(root, "report.html")
    (root / MARK).write_text(json.dumps({"format": "lstm2d evaluation 1", "files": [name, "report.html"]}))
    write(root, "report.html")
    assert mine.read_text() == "mine"
    assert Path("/etc/hostname").exists()


def test_links_to_other_folders_are_not_followed(tmp_path: Path) -> None:
    root, other = tmp_path / "out", tmp_path / "other"
    write(root, "report.html", "one/best.png")
    (root / "one").rename(other)
    (root / "one").symlink_to(other)
    with pytest.raises(ConfigError, match="did not write it"):
        folder(root, "report.html", "one/best.png")
    write(root, "report.html")
    assert contents(other) == {"best.png": "new"}


def test_a_failed_evaluation_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "old", "report.html", "one/best.png")
    record = (tmp_path / "old" / MARK).read_bytes()
    (tmp_path / "empty").mkdir()
    for name in ("old", "empty", "new/deeper"):
        with pytest.raises(ZeroDivisionError), folder(tmp_path / name, "report.html", "two/best.png"):
            raise ZeroDivisionError
    assert contents(tmp_path / "old") == {"report.html": "new", "one/best.png": "new"}
    assert (tmp_path / "old" / MARK).read_bytes() == record
    assert [*(tmp_path / "empty").iterdir()] == []
    assert not (tmp_path / "new/deeper").exists()


def test_what_a_failed_evaluation_wrote_is_its_own(tmp_path: Path) -> None:
    def write_half(out: ResultFolder) -> None:
        out.write(PurePath("a/best.png"), b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), folder(tmp_path / "out", "a/best.png", "b/best.png") as out:
        write_half(out)
    assert contents(tmp_path / "out") == {"a/best.png": "half"}
    write(tmp_path / "out", "report.html")
    assert contents(tmp_path / "out") == {"report.html": "new"}


def test_inputs(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    image, model = tmp_path / "images/a.jpg", tmp_path / "out/report.html"
    image.touch()
    with pytest.raises(ConfigError, match="among the images"):
        folder(tmp_path / "images", "report.html", data=[image], overwrite=True)
    model.parent.mkdir()
    model.write_text("model")
    with pytest.raises(ConfigError, match="an input file"):
        folder(tmp_path / "out", "report.html", models=[model], overwrite=True)
    folder(tmp_path / "out", "other.html", models=[model], overwrite=True)


def test_names_that_are_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="the name of a file"):
        folder(tmp_path / "file", "report.html", overwrite=True)
    (tmp_path / "out/report.html").mkdir(parents=True)
    with pytest.raises(OutputError, match="a folder has the name"):
        folder(tmp_path / "out", "report.html", overwrite=True)
    with pytest.raises(OutputError, match="cannot write"), folder(tmp_path / "file/out", "report.html"):
        pass
    assert (tmp_path / "file").read_text() == "mine"


def test_other_kinds_of_results_are_files_of_others(tmp_path: Path) -> None:
    write(tmp_path / "out", "report.html")
    with pytest.raises(ConfigError, match="not from an earlier hierarchy"):
        ResultFolder(
            tmp_path / "out", [PurePath("a.png")], data=[], models=[], overwrite=False, kind=HIERARCHY
        )
