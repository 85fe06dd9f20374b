"""Bars and tables on a terminal: the contents of its screen, for any size and settings."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest

from lstm2d.cli.output import Console
from lstm2d.cli.tables import Table

LINES = 12


class Terminal:
    """A terminal: what is written to `stream` appears on `screen`."""

    def __init__(self, columns: int, encoding: str = "utf-8") -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
        self.stream = os.fdopen(self.slave, "w", encoding=encoding, errors="backslashreplace", closefd=False)
        self.screen = pyte.Screen(columns or 80, LINES)
        self.raw = b""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        parser = pyte.ByteStream(self.screen)
        while True:
            try:
                data = os.read(self.master, 4096)
            except OSError:  # the last program has closed it
                return
            self.raw += data
            parser.feed(data)

    def wait(self, condition: Callable[[list[str]], bool]) -> list[str]:
        """Return the lines on the screen once they are as they should be."""
        for _ in range(3000):
            found = [line.rstrip() for line in self.screen.display]
            while found and not found[-1]:
                found.pop()
            if condition(found):
                return found
            time.sleep(0.01)
        raise AssertionError(found)

    def close(self) -> None:
        """Wait for the last output."""
        self.stream.close()
        os.close(self.slave)
        self.reader.join()
        os.close(self.master)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Terminal]]:
    """Return a function that makes a terminal and lets stdout and stderr write to it."""
    opened: list[Terminal] = []
    for name in ("COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("lstm2d.cli.output.LIVE_SECONDS", 0.0)

    def make(columns: int = 80, encoding: str = "utf-8") -> Terminal:
        opened.append(Terminal(columns, encoding))
        monkeypatch.setattr(sys, "stdout", opened[-1].stream)
        monkeypatch.setattr(sys, "stderr", opened[-1].stream)
        return opened[-1]

    yield make
    for one in opened:
        if not one.stream.closed:
            one.close()


def test_a_bar(terminal: Callable[..., Terminal]) -> None:
    shown = terminal()
    console = Console()
    console.progress("6/24 images", 6, 24)
    (line,) = shown.wait(lambda lines: len(lines) == 1)
    assert re.fullmatch("━{6}[╺━]━{17} 6/24 images", line)
    console.progress("no total")
    shown.wait(lambda lines: lines == ["no total"])
    console.end_progress()
    shown.wait(lambda lines: not lines)
    assert not shown.screen.cursor.hidden
    assert b"?25l" not in shown.raw  # a process that is killed could not show it again
    assert b"\x1b[38;5" in shown.raw


def test_what_is_written_meanwhile_stays_whole(terminal: Callable[..., Terminal]) -> None:
    shown = terminal()
    console = Console()
    console.progress("1/3 images", 1, 3)
    console.warn("a warning of the command")
    console.progress("2/3 images", 2, 3)
    print("a warning of a library", file=sys.stderr)
    console.say("a note")
    console.answer("the answer")
    expected = ["Warning: a warning of the command", "a warning of a library"]
    shown.wait(lambda lines: lines == [*expected, "a note", "the answer"])


def test_nothing_is_drawn_for_what_is_done_at_once(
    terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = terminal()
    monkeypatch.setitem(sys.modules, "lstm2d.cli.terminal", None)  # importing it would fail
    Console().progress("1/1 images", 1, 1)
    Console(quiet=True).progress("1/2 images", 1, 2)
    Console().answer("text alone")
    shown.wait(lambda lines: lines == ["text alone"])


@pytest.mark.parametrize("columns", [0, 1, 2, 30])
def test_progress_fits_the_terminal(terminal: Callable[..., Terminal], columns: int) -> None:
    shown = terminal(columns)
    console = Console()
    for text in ("x" * 100, "草" * 100, "[bold]y" * 20):
        console.progress(text, 1, 2)
        begin = re.escape(text[: (columns or 80)])
        if text[0] != "草":  # two columns wide
            shown.wait(lambda lines, begin=begin: len(lines) == 1 and bool(re.match(begin, lines[0])))
    console.end_progress()
    console.say("e")
    shown.wait(lambda lines: lines == ["e"])


def test_a_table(terminal: Callable[..., Terminal]) -> None:
    shown = terminal(40)
    rows = [["0 [red]sky[/red]", "1,000"], ["1 " + "long " * 8, "7"]]
    Console().answer("a path/" + "x" * 40, Table(["class", "pixels"], rows, title="all of it"))
    lines = shown.wait(lambda lines: len(lines) == 9)
    assert lines[:5] == ["a path/" + "x" * 33, "x" * 7, "", "all of it", "class" + " " * 29 + "pixels"]
    assert lines[5] == "─" * 40
    assert lines[6] == "0 [red]sky[/red]" + " " * 19 + "1,000"
    assert [line.split() for line in lines[7:]] == [["1", *["long"] * 6, "7"], ["long"] * 2]


def test_a_table_in_json_mode_is_for_people(
    terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = sys.stdout
    shown = terminal()
    monkeypatch.setattr(sys, "stdout", out)
    console = Console(as_json=True)
    console.answer(Table(["a", "b"], [["x", "1"]]))
    console.result({"n": 1})
    shown.wait(lambda lines: lines == ["a  b", "────", "x  1"])
    assert capsys.readouterr().out == '{"n": 1}\n'


@pytest.mark.parametrize(
    ("settings", "encoding", "line"),
    [
        ({"NO_COLOR": "1"}, "utf-8", "━{12}"),
        ({}, "latin-1", "-{12}"),
        ({"COLUMNS": "30"}, "utf-8", "━{6}"),
    ],
)
def test_settings(
    terminal: Callable[..., Terminal],
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    encoding: str,
    line: str,
) -> None:
    shown = terminal(80, encoding)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    console = Console()
    console.progress("half", 12, 24)
    (found,) = shown.wait(lambda lines: len(lines) == 1)
    assert re.match(line, found)
    assert found.endswith(" half")
    console.end_progress()
    if "NO_COLOR" in settings:
        assert b"\x1b[3" not in shown.raw


def test_a_dumb_terminal_gets_plain_lines(
    terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = terminal()
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("lstm2d.cli.output.PROGRESS_SECONDS", 0.0)
    console = Console()
    console.progress("1/2 images", 1, 2)
    console.answer(Table(["a", "b"], [["x", "1"]]))
    shown.wait(lambda lines: lines == ["1/2 images", "a  b", "x  1"])
    assert b"\x1b" not in shown.raw


def test_ctrl_c_removes_the_bar(tmp_path: Path) -> None:
    shown = Terminal(80)
    words = [
        sys.executable,
        "-m",
        "lstm2d.cli",
        "data",
        "synth",
        "-o",
        str(tmp_path / "out"),
        "--count",
        "9999",
    ]
    environment = {name: os.environ[name] for name in os.environ if name not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        words,
        stdin=shown.slave,
        stdout=shown.slave,
        stderr=shown.slave,
        env=environment | {"TERM": "xterm"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    shown.wait(lambda lines: bool(lines) and lines[-1].endswith("/9999 scenes"))
    os.write(shown.master, b"\x03")
    assert process.wait(timeout=60) == 130
    shown.wait(lambda lines: lines[-1:] == ["Interrupted."] and "scenes" not in "".join(lines))
    shown.close()
