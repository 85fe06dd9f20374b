"""Files are written completely or not at all, whichever call fails."""

import errno
import os
import resource
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lstm2d.errors import OutputError
from lstm2d.io import atomic
from lstm2d.io.atomic import check_writable, make_folder, write_bytes, write_text

OLD, NEW = b"the old contents", bytes(range(256)) * 5000  # more than one block to read back
CALLS = ("open", "write", "fsync", "lseek", "read", "close", "replace", "unlink")


class Disk:
    """The functions of `os` that the writer uses; the k-th call fails."""

    def __init__(self, failing: int, error: int) -> None:
        self.failing, self.error, self.count = failing, error, 0
        self.log: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._wrap(name, real) if name in CALLS else real

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.count += 1
            self.log.append(name)
            if self.count == self.failing:
                if name == "close":
                    real(*arguments)  # the descriptor is gone even when closing reports an error
                raise OSError(self.error, os.strerror(self.error))
            return real(*arguments)

        return call


@contextmanager
def disk(monkeypatch: pytest.MonkeyPatch, failing: int, error: int = errno.EIO) -> Iterator[Disk]:
    with monkeypatch.context() as patch:
        fake = Disk(failing, error)
        patch.setattr(atomic, "os", fake)
        yield fake


def test_new_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for data in (NEW, OLD, b""):
        write_bytes(path, data)
        assert path.read_bytes() == data
        assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_every_call_fails_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool, error: int
) -> None:
    path = tmp_path / "a.bin"
    with disk(monkeypatch, failing=0) as counting:
        write_bytes(path, NEW)
    assert counting.log.count("fsync") == 2  # the file and its folder
    assert counting.log.index("fsync") < counting.log.index("read") < counting.log.index("replace")
    for failing in range(1, counting.count + 1):
        path.unlink(missing_ok=True)
        if exists:
            path.write_bytes(OLD)
        with disk(monkeypatch, failing, error) as fake, pytest.raises(OutputError, match=r"a\.bin") as e:
            write_bytes(path, NEW)
        assert os.strerror(error) in str(e.value)
        replaced = "replace" in fake.log[: failing - 1]
        expected = NEW if replaced else OLD if exists else None
        assert (path.read_bytes() if path.exists() else None) == expected, fake.log
        assert set(os.listdir(tmp_path)) <= {"a.bin"}, fake.log


def test_descriptors_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for failing in range(1, 30):
        with disk(monkeypatch, failing):
            try:
                write_bytes(tmp_path / "a.bin", NEW)
            except OutputError:
                continue
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_read_back_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lies(how: Callable[[bytes], bytes]) -> Callable[[int, int], bytes]:
        return lambda fd, size: how(os.read(fd, size))

    for how in (lambda b: b[:-1] + b"?" if b else b, lambda b: b[:-1], lambda b: b""):
        with monkeypatch.context() as patch:
            fake = Disk(0, 0)
            fake.read = lies(how)  # type: ignore[attr-defined]
            patch.setattr(atomic, "os", fake)
            with pytest.raises(OutputError, match="read back"):
                write_bytes(tmp_path / "a.bin", NEW)
        assert not any(tmp_path.iterdir())


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Disk(0, 0)
    fake.write = lambda fd, data: os.write(fd, data[:1000])  # type: ignore[attr-defined]
    monkeypatch.setattr(atomic, "os", fake)
    write_bytes(tmp_path / "a.bin", NEW)
    assert (tmp_path / "a.bin").read_bytes() == NEW
    fake.write = lambda fd, data: 0  # type: ignore[attr-defined]
    with pytest.raises(OutputError):
        write_bytes(tmp_path / "a.bin", OLD)


def test_interrupt_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.bin").write_bytes(OLD)

    def interrupted(fd: int) -> None:
        raise KeyboardInterrupt

    fake = Disk(0, 0)
    fake.fsync = interrupted  # type: ignore[attr-defined]
    monkeypatch.setattr(atomic, "os", fake)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a.bin", NEW)
    assert (tmp_path / "a.bin").read_bytes() == OLD
    assert os.listdir(tmp_path) == ["a.bin"]


def test_file_system_that_cannot_sync_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with disk(monkeypatch, 0) as counting:
        write_bytes(tmp_path / "a.bin", NEW)
    last_sync = len(counting.log) - counting.log[::-1].index("fsync")
    (tmp_path / "a.bin").unlink()
    with disk(monkeypatch, last_sync, errno.EINVAL):
        write_bytes(tmp_path / "a.bin", NEW)
    assert (tmp_path / "a.bin").read_bytes() == NEW


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_bytes(tmp_path / "a.bin", NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o666 & ~umask


def test_file_size_limit(tmp_path: Path) -> None:
    """A limit on the file size acts like a full disk: half the file could be written."""
    path = tmp_path / "a.bin"
    path.write_bytes(OLD)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(NEW) // 2, before[1]))
        with pytest.raises(OutputError, match="File too large") as e:
            write_bytes(path, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert e.value.exit_code == 5
    assert path.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["a.bin"]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "folder").mkdir()
    (tmp_path / "fifo").touch()
    (tmp_path / "fifo").unlink()
    os.mkfifo(tmp_path / "fifo")
    for name in ("missing/a.bin", "file/a.bin", "folder", "fifo", "nul\0", "x" * 256):
        with pytest.raises(OutputError) as e:
            write_bytes(tmp_path / name, NEW)
        assert "\0" not in str(e.value)
    assert sorted(os.listdir(tmp_path)) == ["fifo", "file", "folder"]
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_devices_survive() -> None:
    with pytest.raises(OutputError, match="no regular file"):
        write_bytes("/dev/null", NEW)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(OLD)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    write_bytes(tmp_path / "link", NEW)
    assert (tmp_path / "elsewhere").read_bytes() == OLD
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        write_bytes(tmp_path / "a.bin", NEW)


def test_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    write_bytes(tmp_path / ("x" * 255), NEW)
    assert (tmp_path / ("x" * 255)).read_bytes() == NEW


def test_text_is_utf8_and_keeps_odd_names(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "grün " + os.fsdecode(b"\xff"))
    assert (tmp_path / "a.txt").read_bytes() == b"gr\xc3\xbcn \xff"


def test_make_folder(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="do: choose another folder"):
        make_folder(tmp_path / "file")
    for name in ("file", "file/sub", "nul\0"):
        with pytest.raises(OutputError):
            make_folder(tmp_path / name)


def test_check_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file itself is neither made nor changed, and nothing else is left."""
    path = tmp_path / "table.csv"
    check_writable(path)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(OLD)
    check_writable(path)
    with disk(monkeypatch, 1, errno.ENOSPC), pytest.raises(OutputError, match=r"No space.*table\.csv"):
        check_writable(path)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [OLD]
    for wrong in (tmp_path, tmp_path / "no/table.csv", path / "table.csv"):
        with pytest.raises(OutputError):
            check_writable(wrong)
