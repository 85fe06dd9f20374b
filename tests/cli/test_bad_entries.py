"""One bad entry of a folder never ends all: it is listed, and the rest is labelled."""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.errors import DataError
from lstm2d.predict.inputs import plan
from lstm2d.predict.left_out import LeftOut
from tests.cli.conftest import Ran


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of three images."""
    root = tmp_path / "in"
    for name in ("a.png", "sub/b.png", "sub/deep/c.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (3, 2)).save(root / name)
    return root


@pytest.fixture
def barred(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Return a function that makes a path unreadable: root may read everything."""
    paths: set[str] = set()

    def refuse(path: Any) -> None:
        if isinstance(path, str | os.PathLike) and os.path.realpath(path) in paths:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            refuse(path)
            return function(path, *args, **kwargs)

        return call

    for name in ("scandir", "listdir", "open"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))
    return lambda path: paths.add(os.path.realpath(path))


def found(root: Path, left_out: LeftOut) -> list[str]:
    tasks = plan([root], root.parent / "out", left_out=left_out)
    return [task.source.relative_to(root).as_posix() for task in tasks]


def test_an_unreadable_sub_folder(folder: Path, barred: Callable[[Path], None]) -> None:
    barred(folder / "sub/deep")
    left_out = LeftOut()
    assert found(folder, left_out) == ["a.png", "sub/b.png"]
    assert {path: error.what for path, error in left_out.unread.items()} == {
        folder / "sub/deep": "cannot list the folder (Permission denied)"
    }


def test_a_folder_that_is_unreadable_as_a_whole(folder: Path, barred: Callable[[Path], None]) -> None:
    barred(folder)
    with pytest.raises(DataError, match="cannot list the folder"):
        plan([folder], folder.parent / "out")
    Image.new("RGB", (3, 2)).save(folder.parent / "d.png")
    tasks = plan([folder, folder.parent / "d.png"], folder.parent / "out")
    assert [task.source.name for task in tasks] == ["d.png"]


def test_a_folder_that_fails_while_it_is_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    @contextmanager
    def failing(path: Any) -> Iterator[Iterator[Any]]:
        def entries() -> Iterator[Any]:
            with scandir(path) as real:
                yield from real
            if os.path.realpath(path) == os.path.realpath(folder):
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        yield entries()

    monkeypatch.setattr(os, "scandir", failing)
    left_out = LeftOut()
    assert found(folder, left_out) == ["a.png", "sub/b.png", "sub/deep/c.png"]
    assert [error.what for error in left_out.unread.values()] == [
        "cannot list the folder (Input/output error)"
    ]


def test_a_link_that_cannot_be_followed(folder: Path) -> None:
    """As a link into a folder without permission is: here to a name of 300 bytes."""
    (folder / "link").symlink_to("x" * 300)
    (folder / "broken").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    left_out = LeftOut()
    assert found(folder, left_out) == ["a.png", "sub/b.png", "sub/deep/c.png"]
    assert {p.name: e.what for p, e in left_out.unread.items()} == {
        "link": "cannot follow the link (File name too long)"
    }
    assert [(kind.name, len(files)) for kind, files in left_out.files.items()] == [("broken link", 2)]


def test_a_file_that_vanishes_while_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isdir = os.path.isdir

    def deletes(path: Any) -> bool:
        if str(path).endswith(("b.png", "notes")):
            os.unlink(path)
        return isdir(path)

    (folder / "sub/notes").write_text("x")
    monkeypatch.setattr(os.path, "isdir", deletes)
    left_out = LeftOut()
    assert found(folder, left_out) == ["a.png", "sub/b.png", "sub/deep/c.png"]
    assert left_out.files == {}


def test_predict_labels_the_rest(
    folder: Path, barred: Callable[[Path], None], brightness_model: Path, lstm2d: Callable[..., Ran]
) -> None:
    barred(folder / "sub/deep")
    out = folder.parent / "out"
    os.mkfifo(folder / "fifo.png")
    (folder / "folder.png").mkdir()
    (folder / "broken.png").symlink_to("nowhere")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "long.png").symlink_to("x" * 300)
    (folder / ("n" * 251 + ".png")).write_bytes((folder / "a.png").read_bytes())
    (folder / os.fsdecode(b"\xff.png")).write_bytes((folder / "a.png").read_bytes())
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(folder)  # the name of a socket is at most 108 bytes
        try:
            server.bind("socket.png")
        finally:
            os.chdir(here)
        ran = lstm2d("predict", brightness_model, folder, "-o", out, "--json", "--overlay")
    assert ran.code == 4
    result = ran.json
    assert result["images"] == 3
    reasons = {Path(one["image"]).name: one["error"] for one in result["failed"]}
    assert reasons == {
        "deep": "cannot list the folder (Permission denied)",
        "broken.png": "file not found",
        "fifo.png": "this is a FIFO",
        "loop.png": "cannot open the file (Too many levels of symbolic links)",
        "long.png": "cannot open the file (File name too long)",
        "n" * 251 + ".png": "the name is too long for a result",
        "socket.png": reasons["socket.png"],
    }
    assert "socket" in reasons["socket.png"] or "No such device" in reasons["socket.png"]
    for name in ("a.png", "sub/b.png"):
        assert np.array(Image.open(out / name)).shape == (2, 3)


def test_on_error_stop_stops_before_the_first_image(
    folder: Path, barred: Callable[[Path], None], brightness_model: Path, lstm2d: Callable[..., Ran]
) -> None:
    barred(folder / "sub")
    ran = lstm2d("predict", brightness_model, folder, "-o", folder.parent / "out", "--on-error", "stop")
    assert ran.code == 3
    assert "cannot list the folder" in ran.err
    assert not (folder.parent / "out").exists()
