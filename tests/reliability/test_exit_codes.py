"""A bad input of any command ends with one clear error and the right exit code, and no result is lost."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.cli.program import program
from tests.callers import kernel_threads
from tests.reliability.test_reads import KINDS, ends_within
from tests.runner import runner

CLASSES = '[[classes]]\nname = "dark"\n[[classes]]\nname = "bright"\n[[classes]]\nname = "never"\n'
DEEP = 50_000
# texts that are wrong in every format that is read
TEXTS = {
    "empty": b"",
    "nul": b"\0" * 100,
    "binary": bytes(range(256)) * 20,
    "utf16": "name = 1\n".encode("utf-16"),
    "latin1": b'name = "stra\xdfe',
    "brackets": b"[" * DEEP,
    "braces": b'{"a":' * DEEP,
    "list": b"a = " + b"[" * DEEP,
    "dots": b"a." * DEEP + b"a = 1",
    "spaces": b"a" + b" " * DEEP + b"=",
    "digits": b"a = " + b"1" * DEEP,
    "json digits": b'{"a": ' + b"1" * DEEP + b"}",
    "wrong types": b'{"format": [], "images": null, "annotations": 3, "categories": {}, "shapes": 7}',
    "quotes": b'"' * DEEP,
    "hashes": b'a = "' + b"#" * DEEP,
    "xml": b"<annotations>" + b"<image>" * DEEP,
    "header": (8).to_bytes(8, "little") + b'{"a":[]}',
    "long header": (2**62).to_bytes(8, "little"),
    "log": b'{"step": [}\n"\n' * 100,
}
# name -> (the file in question, command, exit codes for a wrong file, other ones that are right)
CASES = {
    "config": ("c.toml", "config show c.toml", {2}),
    "train": ("c.toml", "train c.toml --data data -o out", {2}),
    "dataset": ("data/dataset.toml", "data stats data", {3}),
    "check": ("data/dataset.toml", "data check data", {3}),
    "evaluate": ("data/dataset.toml", "evaluate model.safetensors data --split test", {3}),
    "split": ("data/splits/test.txt", "evaluate model.safetensors data --split test", {3}),
    "mask": ("data/masks/a.png", "data stats data", {3}),
    "image": ("data/images/a.png", "evaluate model.safetensors data --split test", {3}),
    "photo": ("data/images/a.png", "predict model.safetensors data/images/a.png -o out", {3}),
    "one of two": ("data/images/a.png", "predict model.safetensors data/images -o out", {4}),
    "model": ("model.safetensors", "predict model.safetensors data/images/a.png -o out", {3}),
    "inspect": ("model.safetensors", "inspect model.safetensors", {3}),
    "features": ("model.safetensors", "features model.safetensors data/images/a.png -o out", {3}),
    "hierarchy": ("h.json", "hierarchy show h.json", {3}),
    "weights": ("w.npz", "weights import w.npz", {3}),
    "coco": ("src/instances.json", "data import coco src -o out", {3}),
    "cvat": ("src/annotations.xml", "data import cvat src -o out", {3}),
    "yolo": ("src/data.yaml", "data import yolo src -o out", {3}),
    "labelme": ("src/a.json", "data import labelme src -o out", {3}),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, brightness_model: Path) -> Path:
    """Return a folder with a dataset, a model, and images to import."""
    root = tmp_path_factory.mktemp("files")
    for name in ("images", "masks", "splits"):
        (root / "data" / name).mkdir(parents=True)
    (root / "data/dataset.toml").write_text(CLASSES)
    (root / "data/splits/test.txt").write_text("a\nb\n")
    (root / "src/images").mkdir(parents=True)
    for number, stem in enumerate("ab"):
        image = Image.fromarray(np.full((4, 5, 3), 255 * number, np.uint8))
        image.save(root / f"data/images/{stem}.png")
        image.save(root / f"src/{stem}.png")
        Image.fromarray(np.full((4, 5), number, np.uint8)).save(root / f"data/masks/{stem}.png")
    shutil.copyfile(brightness_model, root / "model.safetensors")
    return root


@pytest.fixture
def here(tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with a copy of the files."""
    root = tmp_path / "work"
    shutil.copytree(files, root)
    monkeypatch.chdir(root)
    return root


def run(command: str) -> tuple[int, str]:
    with kernel_threads(), ends_within(60):
        result = runner().invoke(program, command.split())
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stderr


def check(command: str, codes: set[int]) -> None:
    """Assert that a command ends with one of some exit codes, and one error that gives a reason."""
    code, err = run(command)
    assert code in codes, err
    assert "unexpected" not in err
    assert err.count("Error: ") == 1
    assert len(err) < 10_000


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_wrong_texts(here: Path, name: str) -> None:
    file, command, codes = CASES[name]
    for text, data in TEXTS.items():
        if file.endswith(".toml") and name not in ("config", "train") and text in ("empty", "header"):
            continue  # then the classes are guessed
        (here / file).write_bytes(data)
        remove(here / "out")
        before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
        check(command, codes)
        assert all(path.read_bytes() == old for path, old in before.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_special_files(here: Path, name: str) -> None:
    """A FIFO, a device, a socket, a folder or a loop of links in place of a file never hangs a command."""
    file, command, codes = CASES[name]
    for make in KINDS.values():
        remove(here / file)
        remove(here / "out")
        make(here / file)
        if name == "one of two" and (here / file).is_dir():
            continue  # a folder without images
        check(command, codes)


@contextmanager
def failing(target: Path, number: int, *names: str) -> Iterator[None]:
    """Let some functions of `os` fail for a path, as permissions and broken disks do."""

    def failed(real: Callable[..., Any]) -> Callable[..., Any]:
        def function(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if isinstance(path, str | os.PathLike) and os.path.abspath(path) == str(target):
                raise OSError(number, os.strerror(number), os.fspath(path))
            return real(path, *args, **kwargs)

        return function

    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(os, name, failed(getattr(os, name)))
        yield


NUMBERS = (errno.EACCES, errno.EIO, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EMFILE)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_failed_reads(here: Path, name: str) -> None:
    """A read that fails is bad data, never a result that cannot be written."""
    file, command, codes = CASES[name]
    if not (here / file).exists():
        (here / file).write_text('preset = "lstm2d-5x5"\n' if file == "c.toml" else "{}")
    for number in NUMBERS:
        for names in (("open", "scandir", "listdir"), ("stat", "open", "scandir", "listdir")):
            remove(here / "out")
            with failing(here / file, number, *names):
                # a file in a folder that has no status is no file that is listed
                check(command, codes | ({3} if name == "one of two" and "stat" in names else set()))


FOLDERS = {
    "data/images": ("data stats data", "predict model.safetensors data/images -o out"),
    "data/masks": ("data stats data",),
    "data/splits": ("evaluate model.safetensors data --split test",),
    "src": ("data import auto src -o out", "data import coco src -o out"),
}


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_that_cannot_be_listed(here: Path, folder: str) -> None:
    for command in FOLDERS[folder]:
        for number in NUMBERS:
            with failing(here / folder, number, "scandir", "listdir"):
                check(command, {3})


LONG = "x" * 300
MISSING = {
    "config show X.toml": 2,
    "train X.toml --data data -o out": 2,
    "train lstm2d-5x5 --data X -o out": 3,
    "train lstm2d-5x5 --data data -o out --init-from X": 3,
    "train lstm2d-5x5 --data data -o out --set hierarchy.file=X --set hierarchy.strategy=sequential": 3,
    "train lstm2d-5x5 --data data -o X --resume": 2,
    "data check X": 3,
    "data stats X": 3,
    "data split X -o out": 3,
    "data import auto X -o out": 3,
    "data import coco X -o out": 3,
    "evaluate X data": 3,
    "evaluate model.safetensors X": 3,
    "evaluate model.safetensors data --split X": 3,
    "predict X data/images -o out": 3,
    "predict model.safetensors X -o out": 3,
    "features X data/images/a.png -o out": 3,
    "features model.safetensors X -o out": 3,
    "inspect X": 3,
    "hierarchy show X": 3,
    "hierarchy build X --method sn -o h.json": 3,
    "weights import X": 3,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", MISSING)
@pytest.mark.parametrize("path", ["missing", "data/images/a.png/b", LONG, f"data/{LONG}/b", "loop/b"])
def test_paths_that_lead_nowhere(here: Path, command: str, path: str) -> None:
    os.symlink("loop", here / "loop")
    check(command.replace("X", path), {MISSING[command]})
