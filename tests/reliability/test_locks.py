"""Several programs in one folder, and the temporary files of those that were killed."""

import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.errors import ConfigError, OutputError
from lstm2d.io import atomic, locks
from lstm2d.io.atomic import append, temporary_name, write_bytes, write_parts
from lstm2d.io.locks import locked_file, locked_folder, sweep
from lstm2d.io.new_folder import check_new_folder, new_folder
from lstm2d.predict import load
from lstm2d.predict.inputs import plan, shard
from lstm2d.predict.label_files import label_files
from lstm2d.predict.manifest import read_manifest
from lstm2d.predict.outcome import Outcome
from lstm2d.report.result_folder import ResultFolder

BUSY = ConfigError("busy", hint="wait")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs and no open files to remove there")


@contextmanager
def child(source: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """Run a program until it prints a line, and kill it after the block."""
    command = [sys.executable, "-c", textwrap.dedent(source), *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


WRITER = """
    import sys, time
    from pathlib import Path
    from lstm2d.io import atomic
    descriptor = atomic._create(atomic.temporary_name(Path(sys.argv[1])))
    print("ready", flush=True)
    sys.stdin.read()
"""
HOLDER = """
    import sys
    from pathlib import Path
    from lstm2d.errors import ConfigError
    from lstm2d.io.locks import locked_file
    with locked_file(Path(sys.argv[1]), ConfigError("busy")):
        print("ready", flush=True)
        sys.stdin.read()
"""


def temporary(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if locks.is_temporary(name)]


def test_a_file_that_a_living_process_writes_stays(tmp_path: Path) -> None:
    with child(WRITER, tmp_path):
        (name,) = temporary(tmp_path)
        sweep(tmp_path)
        assert temporary(tmp_path) == [name]
    sweep(tmp_path)  # it was killed
    assert temporary(tmp_path) == []


def test_the_next_writer_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "_swept", set())
    left = tmp_path / ".lstm2d-0123456789abcdef.tmp"
    left.write_bytes(b"half")
    (tmp_path / ".lstm2d-mine").write_bytes(b"not ours")
    os.mkfifo(tmp_path / ".lstm2d-00.tmp")
    work = tmp_path / ".lstm2d-ff.tmp"
    (work / "images").mkdir(parents=True)
    write_bytes(tmp_path / "a.bin", b"x")
    assert not left.exists()
    assert not work.exists()
    assert (tmp_path / ".lstm2d-mine").exists()
    assert temporary(tmp_path) == [".lstm2d-00.tmp"]  # no file and no folder: not ours
    left.write_bytes(b"half")
    write_bytes(tmp_path / "a.bin", b"x")  # a folder is searched once in a process
    assert left.exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a").write_text("mine")
    (tmp_path / ".lstm2d-ab.tmp").symlink_to(mine)
    sweep(tmp_path)
    assert (mine / "a").read_text() == "mine"


def test_a_file_that_was_swept_before_it_was_held_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = locks._lock, []

    def late(descriptor: int) -> bool | None:
        if not calls:
            calls.append(descriptor)
            for name in temporary(tmp_path):
                os.unlink(tmp_path / name)  # as another process between creation and lock
        return real(descriptor)

    monkeypatch.setattr(locks, "_lock", late)
    write_bytes(tmp_path / "a.bin", b"x")
    assert (tmp_path / "a.bin").read_bytes() == b"x"
    assert temporary(tmp_path) == []


def test_without_locks_only_old_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_lock", lambda descriptor: None)
    old, new = tmp_path / ".lstm2d-1.tmp", tmp_path / ".lstm2d-2.tmp"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 2 * locks.ABANDONED,) * 2)
    sweep(tmp_path)
    assert temporary(tmp_path) == [new.name]
    with locked_folder(tmp_path, "busy"), locked_folder(tmp_path, "busy"):
        pass


def test_lock_files(tmp_path: Path) -> None:
    path = tmp_path / ".x.lock"
    with locked_file(path, BUSY), pytest.raises(ConfigError, match="busy"), locked_file(path, BUSY):
        pass
    assert not path.exists()
    path.write_bytes(b"")  # left by a killed process
    with locked_file(path, BUSY):
        assert path.exists()
    assert not path.exists()
    with child(HOLDER, path) as holder:
        with pytest.raises(ConfigError, match="busy"), locked_file(path, BUSY):
            pass
        holder.kill()
        holder.wait()
        with locked_file(path, BUSY):
            pass
    with pytest.raises(OutputError, match="cannot write"), locked_file(tmp_path / "none" / "x", BUSY):
        pass


def test_the_lock_file_of_a_process_that_ends_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is removed between opening and locking: the lock of a file without a name protects nothing."""
    path, real, calls = tmp_path / ".x.lock", locks._lock, []

    def late(descriptor: int) -> bool | None:
        if not calls:
            calls.append(descriptor)
            path.unlink()
        return real(descriptor)

    monkeypatch.setattr(locks, "_lock", late)
    with locked_file(path, BUSY):
        assert path.exists()
        with pytest.raises(ConfigError, match="busy"), locked_file(path, BUSY):
            pass


class Msvcrt:
    """The locks of Windows, by those of this system."""

    LK_NBLCK, LK_UNLCK = 1, 2

    def __init__(self) -> None:
        self.system = locks._fcntl

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        assert count == 1
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0  # the range begins at the position in the file
        free = self.system.LOCK_UN
        self.system.flock(
            descriptor, free if mode == self.LK_UNLCK else self.system.LOCK_EX | self.system.LOCK_NB
        )


@pytest.fixture
def as_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lock as on Windows, where a folder cannot be opened; return the folder of temporary files."""
    monkeypatch.setattr(locks, "_msvcrt", Msvcrt())
    monkeypatch.setattr(locks, "_fcntl", None)
    monkeypatch.setattr(locks, "WINDOWS", True)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_folder_is_locked_by_a_file_elsewhere(as_on_windows: Path, tmp_path: Path) -> None:
    folder, other = tmp_path / "a", tmp_path / "b"
    folder.mkdir()
    other.mkdir()
    with locked_folder(folder, "busy"), locked_folder(other, "busy"):
        assert len(os.listdir(as_on_windows)) == 2
        with pytest.raises(ConfigError, match="busy"), locked_folder(other / ".." / "a", "busy"):
            pass
    with locked_folder(folder, "busy"):
        assert os.listdir(folder) == []
    assert os.listdir(as_on_windows) == []


@pytest.mark.usefixtures("as_on_windows")
def test_files_are_written_and_old_ones_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "_swept", set())
    old, new, work, held = (tmp_path / f".lstm2d-{k}.tmp" for k in range(4))
    for path in (old, new):
        path.write_bytes(b"x")
    for path in (work, held):
        (path / "images").mkdir(parents=True)
    for path in (old, work, held):
        os.utime(path, (time.time() - 2 * locks.ABANDONED,) * 2)
    with locked_folder(held, "busy"):
        write_bytes(tmp_path / "a.bin", b"x")
    assert sorted(temporary(tmp_path)) == [new.name, held.name]
    assert (tmp_path / "a.bin").read_bytes() == b"x"
    with new_folder(tmp_path / "out", last="last") as inside:
        (inside / "last").write_text("first")
    assert os.listdir(tmp_path / "out") == ["last"]


@pytest.mark.usefixtures("as_on_windows")
def test_a_lock_file_as_on_windows(tmp_path: Path) -> None:
    path = tmp_path / ".x.lock"
    with locked_file(path, BUSY), pytest.raises(ConfigError, match="busy"), locked_file(path, BUSY):
        pass
    assert not path.exists()


def test_a_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_fcntl", None)
    with locked_folder(tmp_path, "busy"), locked_folder(tmp_path, "busy"):
        write_bytes(tmp_path / "a.bin", b"x")
    with locked_file(tmp_path / "x", BUSY), locked_file(tmp_path / "x", BUSY):
        pass
    assert os.listdir(tmp_path) == ["a.bin"]


def photos(folder: Path, count: int) -> Path:
    folder.mkdir()
    for k in range(count):
        Image.fromarray(np.full((4, 5, 3), 10 * k, np.uint8)).save(folder / f"{k}.png")
    return folder


def test_two_predictions_into_one_folder(tmp_path: Path, brightness_model: Path) -> None:
    source, out = photos(tmp_path / "in", 3), tmp_path / "out"
    predictor, tasks = load(str(brightness_model)), plan([source], out)
    refused: list[str] = []

    def second(outcome: Outcome) -> None:
        with pytest.raises(ConfigError, match="another process labels images into this folder") as caught:
            label_files(predictor, tasks, out)
        refused.append(str(caught.value))
        with pytest.raises(ConfigError):
            label_files(predictor, tasks, out)

    label_files(predictor, tasks, out, progress=second)
    assert len(refused) == 3
    assert "`shard`" in refused[0]
    assert len(read_manifest(out / "predictions.csv")) == 3
    assert label_files(predictor, tasks, out).done == 3  # nothing is left locked
    assert not [name for name in os.listdir(out) if name.startswith(".")]


def test_parts_of_the_images_at_once(tmp_path: Path, brightness_model: Path) -> None:
    source, out = photos(tmp_path / "in", 4), tmp_path / "out"
    predictor, tasks = load(str(brightness_model)), plan([source], out)
    seen: list[int] = []

    def second(outcome: Outcome) -> None:
        if not seen:
            seen.append(1)
            label_files(predictor, shard(tasks, 2, 2), out, manifest="predictions-2-of-2.csv")

    label_files(predictor, shard(tasks, 1, 2), out, manifest="predictions-1-of-2.csv", progress=second)
    rows = [row["labels"] for k in (1, 2) for row in read_manifest(out / f"predictions-{k}-of-2.csv")]
    assert sorted(rows) == ["0.png", "1.png", "2.png", "3.png"]


@pytest.mark.slow
def test_three_programs_predict_into_one_folder(tmp_path: Path, brightness_model: Path) -> None:
    source, out = photos(tmp_path / "in", 12), tmp_path / "out"
    words = ["predict", brightness_model, source, "-o", out, "--threads", 1]
    command = [sys.executable, "-m", "lstm2d", *map(str, words)]
    programs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ended = [(program.communicate()[1], program.returncode) for program in programs]
    assert {code for _, code in ended} <= {0, 2}, ended
    assert any(code == 0 for _, code in ended)
    assert all("another process" in text for text, code in ended if code == 2), ended
    assert len(read_manifest(out / "predictions.csv")) == 12


def test_two_imports_into_one_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with new_folder(out, last="last") as work:
        (work / "last").write_text("first")
        with pytest.raises(ConfigError, match="another process writes into"), new_folder(out, last="last"):
            pass
        sweep(out)
        assert work.is_dir()
    assert os.listdir(out) == ["last"]
    with pytest.raises(OutputError, match="not empty"):
        check_new_folder(out)


def test_an_import_after_one_that_was_killed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".lstm2d-ab.tmp" / "images").mkdir(parents=True)
    with new_folder(out, last="last") as work:
        (work / "last").write_text("second")
    assert os.listdir(out) == ["last"]


def test_two_evaluations_into_one_folder(tmp_path: Path) -> None:
    def results() -> ResultFolder:
        return ResultFolder(tmp_path / "out", [], data=[], models=[], overwrite=True)

    with results(), pytest.raises(ConfigError, match="another process writes results"), results():
        pass
    with results():
        pass


def test_parts_are_written_in_order_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    values = np.arange(300_000, dtype=np.float32)
    write_parts(path, [b"head", values.view(np.uint8).data, b"", b"tail"])
    assert path.read_bytes() == b"head" + values.tobytes() + b"tail"
    assert temporary_name(tmp_path) != temporary_name(tmp_path)
    real = os.read
    monkeypatch.setattr(os, "read", lambda fd, size: real(fd, size) or b"more")
    with pytest.raises(OutputError, match="longer than what was written"):
        write_parts(path, [b"x"])


def test_lines_are_appended_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    with pytest.raises(OutputError):
        append(path, "a\n", create=False)
    append(path, "a\n")
    append(path, "b\udcff\n", create=False, sync=True)
    assert path.read_bytes() == b"a\nb\xff\n"
    path.write_bytes(b"a\ncut by a cra")
    append(path, "c\n")
    assert path.read_bytes() == b"a\ncut by a cra\nc\n"
    real, count = os.write, 0

    def full(descriptor: int, data: bytes) -> int:
        nonlocal count
        count += 1
        if count > 1:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OutputError, match="No space left"):
            append(path, "a long line\n")
    assert path.read_bytes() == b"a\ncut by a cra\nc\n"  # no part of the line is left
    with pytest.raises(OutputError, match="no regular file"):
        append(tmp_path, "a\n")
