"""Every regular expression takes linear time on hostile text, or gets short texts only."""

import ast
import importlib
import inspect
import pkgutil
import re
import time
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import ModuleType
from typing import Any

import lstm2d
from lstm2d.data.importers import folder_pairs
from lstm2d.data.importers.formats import color_file
from lstm2d.data.importers.formats.split_lists import _image

LENGTH = 8000
SECONDS = 0.05  # 100 times as long as any of them takes
UNITS = (
    " ", "\t", "a", "A", "1", "é", "_", ".", "/", '"', "'", "\\", "=", "-", ",", "#", "[", "]", "(", "{", "*",
    "a.", "a ", "a/", "a=", "a,", "1 ", " a1", "1 1 1 ", "0x", ": ", '\\"', 'k="', "`size=", "ab1 ", "conv1_",
    "features.", " = ", "[a", "]]", "''",
)  # fmt: skip
SEARCHING = {"search", "findall", "finditer", "sub", "split"}
FILE_NAME = 255
# patterns that are quadratic or worse, and the length of the texts that they get
SHORT = {
    **{pattern.pattern: color_file._LONGEST for pattern in (*color_file._FORMS, color_file._ONLY_NAME)},
    folder_pairs._SPLIT.pattern: FILE_NAME,
    r"[^.].*\.[A-Za-z]\w{0,9}": FILE_NAME,
    rf"\d+ \d+ \d+|{color_file._HEX}": color_file._LONGEST,
}


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(lstm2d.__path__, "lstm2d."):
        if not found.name.startswith("lstm2d.kernels._"):
            yield importlib.import_module(found.name)


def inside(value: Any, depth: int = 4) -> Iterator[re.Pattern[Any]]:
    """Yield the patterns in a value of a module."""
    if isinstance(value, re.Pattern):
        yield value
    elif depth and isinstance(value, tuple | list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from inside(item, depth - 1)
    elif depth and is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from inside(getattr(value, field.name), depth - 1)


def used() -> Iterator[tuple[str, re.Pattern[Any], str]]:
    """Yield module, pattern and method of each use of a pattern in the package."""
    for module in modules():
        tree = ast.parse(inspect.getsource(module))
        methods: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re"), attr=method),
                    args=[ast.Constant(value=str() | bytes() as text), *_],
                ) if method != "compile":
                    yield module.__name__, re.compile(text), method
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)):
                    methods.setdefault(name, set()).add(method)
        for name, value in vars(module).items():
            for pattern in inside(value):
                for method in methods.get(name, set()) & (SEARCHING | {"match", "fullmatch"}) or {
                    "fullmatch"
                }:
                    yield module.__name__, pattern, method


def seconds(pattern: re.Pattern[Any], method: str, text: str | bytes) -> float:
    run = getattr(pattern, "search" if method == "split" else method)
    start = time.process_time()
    if method == "sub":
        run("" if isinstance(text, str) else b"", text)
    elif method == "finditer":
        list(run(text))
    else:
        run(text)
    return time.process_time() - start


def slow(pattern: re.Pattern[Any], method: str, length: int) -> str | None:
    """Return the unit of a text on which a pattern is slow; None if there is none."""
    for unit in UNITS:
        text: str | bytes = (unit * length)[:length] + "\0"
        if isinstance(pattern.pattern, bytes):
            text = (unit * length)[:length].encode() + b"\0"
        # once more: the process may have been held up
        if seconds(pattern, method, text) > SECONDS and seconds(pattern, method, text) > SECONDS:
            return unit
    return None


def test_every_pattern_is_linear() -> None:
    found = {(pattern, method): module for module, pattern, method in used()}
    assert len(found) > 50
    wrong = {
        (module, pattern.pattern, method, unit)
        for (pattern, method), module in found.items()
        if (unit := slow(pattern, method, SHORT.get(pattern.pattern, LENGTH))) is not None
    }
    assert not wrong


def test_a_slow_pattern_is_found() -> None:
    assert slow(re.compile(r"""\s*([A-Za-z0-9_."' -]+?)\s*="""), "match", 800) is not None
    assert slow(re.compile(r"(\w+)\s*="), "findall", LENGTH) is not None


def test_the_image_of_a_line_is_found_in_linear_time() -> None:
    """It was a pattern with a look-ahead over the rest of the line."""
    for unit in (",", "a,", "a ", ", ", ".a", ".a,", "a/", "/,", ";. "):
        text = unit * 50_000 + "\0"
        start = time.process_time()
        _image(text)
        assert time.process_time() - start < 1, unit
    assert _image("my photo.jpg my mask.png") == "my photo.jpg my"
    assert _image("a/b.jpg, c/d") == "a/b.jpg"
    assert _image("photo, one") == "photo, one"
    assert _image("photo one") == "photo one"
