"""All files are read through `lstm2d.io.safe_open`: nothing waits for a FIFO or reads a device to the end."""

import ast
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from lstm2d.errors import DataError
from lstm2d.io.safe_open import open_regular, read_existing, read_file, read_lines, read_text

# calls that open a file, by the last name; a method of an open file or a text may have the same name
OPENING = {
    "open", "fdopen", "read_text", "read_bytes", "loadtxt", "genfromtxt", "fromfile", "memmap", "TiffFile",
    "ZipFile", "imread", "loadmat", "TTFont", "iterparse", "load_file", "safe_open", "copyfile", "copy2",
}  # fmt: skip
# functions that may call them, and why
ALLOWED = {
    ("lstm2d/io/safe_open.py", "open_regular", "open"): "the one function",
    ("lstm2d/io/safe_open.py", "_open_regular", "open"): "its opener",
    ("lstm2d/io/atomic.py", "*", "open"): "opens its own new files, and folders to flush them",
    ("lstm2d/io/locks.py", "*", "open"): "folders and temporary files, to lock them",
    ("lstm2d/io/machine_memory.py", "*", "read_text"): "files of the system in /proc and /sys",
    ("lstm2d/config/load.py", "preset_text", "read_text"): "a file of the package",
    ("lstm2d/data/conventions.py", "convention", "read_text"): "a file of the package",
    ("lstm2d/io/decoding.py", "_open", "open"): "Pillow, of an open file",
    ("lstm2d/io/class_files.py", "_is_own_legend", "open"): "Pillow, of an open file",
    ("lstm2d/data/importers/kinds/labelme.py", "_mask", "open"): "Pillow, of bytes",
    ("lstm2d/weights/zip_members.py", "*", "ZipFile"): "of an open file",
    ("lstm2d/weights/zip_members.py", "*", "open"): "a member of an open archive",
    ("lstm2d/io/fonts.py", "*", "TTFont"): "of an open file",
    ("lstm2d/io/tiff.py", "*", "TiffFile"): "of an open file",
    ("lstm2d/io/georeference.py", "*", "TiffFile"): "of an open file",
    ("lstm2d/io/photo_rows.py", "*", "TiffFile"): "of an open file",
    ("lstm2d/io/label_strips.py", "*", "TiffFile"): "of an open file, to read it back",
    ("lstm2d/io/label_strips.py", "*", "ZipFile"): "of an open file",
    ("lstm2d/io/label_strips.py", "*", "open"): "a member of an open archive",
    ("lstm2d/training/feature_cache.py", "_read", "memmap"): "of an open file",
    ("cli/streams.py", "*", "open"): "the null device, in place of a closed stream",
}


def opening(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield function, name of the call and line of each call in a source that opens a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lstm2d")
        for alias in node.names
    } | {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}

    def visit(node: ast.AST, function: str) -> Iterator[tuple[str, str, int]]:
        if isinstance(node, ast.FunctionDef):
            function = node.name
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and (
                called.attr in OPENING or ast.unparse(called) in ("np.load", "json.load", "tomllib.load")
            ):
                yield function, called.attr, node.lineno
            elif isinstance(called, ast.Name) and called.id in OPENING - own:
                yield function, called.id, node.lineno
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function)

    yield from visit(tree, "")


def test_files_are_opened_in_one_place(checkout: Path) -> None:
    links = {checkout / "lstm2d/kernels", checkout / "lstm2d/cli"}
    seen, wrong = set(), []
    for top in ("lstm2d", "cli"):
        for path in sorted((checkout / top).rglob("*.py")):
            if any(path.is_relative_to(link) for link in links):
                continue
            name = path.relative_to(checkout).as_posix()
            if name.startswith("lstm2d/reliability/"):  # reads what it has written to a temporary folder
                continue
            for function, call, line in opening(path):
                keys = {(name, function, call), (name, "*", call)} & ALLOWED.keys()
                seen |= keys
                if not keys:
                    wrong.append(f"{name}, line {line}, {function}: {call}")
    assert not wrong, "use lstm2d.io.safe_open"
    assert seen == ALLOWED.keys(), "rows that nothing needs"


def test_a_new_way_to_open_a_file_is_found(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("def f(p):\n    p.read_text()\n\n\ndef g(p):\n    return np.load(p), open(p)\n")
    assert list(opening(source)) == [("f", "read_text", 2), ("g", "load", 6), ("g", "open", 6)]


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(path.parent)  # the name of a socket has at most 107 bytes
            opened.bind(path.name)
        finally:
            os.fchdir(here)
            os.close(here)


KINDS = {
    "this is a FIFO": fifo,
    "this is a device": device,
    "this is a folder": folder,
    "this is a socket": bound,
    "Too many levels of symbolic links": loop,
}


@contextmanager
def ends_within(seconds: int) -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"waited for {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("message", KINDS)
@pytest.mark.parametrize("read", [open_regular, read_existing, read_file, read_lines, read_text])
def test_special_files_are_refused(tmp_path: Path, message: str, read: Callable[[Path], object]) -> None:
    path = tmp_path / "file"
    KINDS[message](path)
    with ends_within(20), pytest.raises(DataError, match=message):
        read(path)
