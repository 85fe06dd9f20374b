"""Where text, JSON and errors go."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import click
import numpy as np
import pytest

from lstm2d import waits
from lstm2d.cli import output
from lstm2d.cli.output import Console, output_options, to_json
from lstm2d.errors import (
    ConfigError,
    DataError,
    DivergedError,
    InterruptedRun,
    Lstm2dError,
    OutputError,
    ShapeError,
    SomeFailedError,
)
from lstm2d.shown import printable
from tests.runner import runner


def command(action: Callable[[Console], None]) -> click.Command:
    """Return a command that does `action`."""

    @click.command()
    @output_options
    def do(console: Console) -> None:
        action(console)

    return do


def fail_with(error: BaseException) -> Callable[[Console], None]:
    def action(console: Console) -> None:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Lstm2dError("x"), 1),
        (ShapeError("x"), 1),
        (ConfigError("x"), 2),
        (DataError("x"), 3),
        (SomeFailedError("x"), 4),
        (OutputError("x"), 5),
        (DivergedError("x"), 6),
        (InterruptedRun("x"), 130),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "out/a.png"), 5),
        (PermissionError(errno.EACCES, "Permission denied", "photos"), 3),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "photos/a.png"), 3),
        (OSError(errno.EIO, "Input/output error"), 3),
        (OSError("not of a file"), 1),
        (MemoryError(), 1),
        (ZeroDivisionError("a bug"), 1),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 5),
    ],
)
def test_exit_codes(error: BaseException, code: int) -> None:
    result = runner().invoke(command(fail_with(error)))
    assert result.exit_code == code
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "write",
    [lambda p: p.mkdir(), lambda p: p.unlink(), lambda p: p.rename("x"), lambda p: os.makedirs(p / "b")],
)
def test_a_failed_change_is_no_failed_read(tmp_path: Path, write: Callable[[Path], object]) -> None:
    """The same error number, ENOTDIR, is about a result if a function that writes raised it."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a"
    for act, code, what in ((write, 5, "cannot write"), (lambda p: p.read_bytes(), 3, "cannot read")):
        result = runner().invoke(command(lambda console, act=act: act(path)))
        assert result.exit_code == code
        assert result.stderr == f"Error: {what} (Not a directory): {path}\n"


def test_an_error_says_everything_on_stderr() -> None:
    error = DataError("no such thing", where="a/b.png", expected="a thing", hint="make one")
    result = runner().invoke(command(fail_with(error)))
    assert result.stderr == "Error: no such thing: a/b.png\n  expected: a thing\n  do: make one\n"


def test_an_error_as_json() -> None:
    error = DataError("no such thing", where=Path("a/b.png"), hint="make one")
    result = runner().invoke(command(fail_with(error)), ["--json"])
    assert json.loads(result.stdout) == {
        "error": {
            "kind": "DataError",
            "what": "no such thing",
            "where": "a/b.png",
            "hint": "make one",
            "exit_code": 3,
        }
    }
    assert "no such thing" in result.stderr


def test_an_error_after_the_result_writes_no_second_object() -> None:
    def action(console: Console) -> None:
        console.result({"images": 3})
        raise SomeFailedError("1 of 4 images failed")

    result = runner().invoke(command(action), ["--json"])
    assert result.exit_code == 4
    assert result.stdout == '{"images": 3}\n'
    assert "1 of 4" in result.stderr


def test_an_unforeseen_error_has_a_way_to_the_traceback() -> None:
    action = fail_with(ZeroDivisionError("a bug"))
    short = runner().invoke(command(action))
    assert short.stderr.startswith("Error: unexpected ZeroDivisionError: a bug\n  do: ")
    for args, environment in ((["--traceback"], {}), ([], {"LSTM2D_TRACEBACK": "1"})):
        long = runner().invoke(command(action), args, env=environment)
        assert long.exit_code == 1
        assert "in action\n" in long.stderr
        assert "Error: unexpected ZeroDivisionError" in long.stderr


def everything(console: Console) -> None:
    console.say("said")
    console.warn("warned")
    console.answer("answered")
    console.event({"n": 1})
    console.result({"n": 2})


@pytest.mark.parametrize(
    ("args", "out", "err"),
    [
        ([], "answered\n", "said\nWarning: warned\n"),
        (["--quiet"], "answered\n", "Warning: warned\n"),
        (["--json"], '{"n": 1}\n{"n": 2}\n', "said\nWarning: warned\nanswered\n"),
        (["--json", "-q"], '{"n": 1}\n{"n": 2}\n', "Warning: warned\n"),
    ],
)
def test_where_text_goes(args: list[str], out: str, err: str) -> None:
    result = runner().invoke(command(everything), args)
    assert (result.exit_code, result.stdout, result.stderr) == (0, out, err)


def test_progress_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100, 4))
    monkeypatch.setattr("lstm2d.cli.output.time.monotonic", lambda: float(next(clock)))

    def action(console: Console) -> None:
        for k in range(6):
            console.progress(f"{k} of 6")

    result = runner().invoke(command(action))
    lines = result.stderr.splitlines()
    assert 0 < len(lines) < 6
    assert set(lines) < {f"{k} of 6" for k in range(6)}
    assert runner().invoke(command(action), ["--quiet"]).stderr == ""


def test_a_fault_is_shown_once_per_place() -> None:
    def action(console: Console) -> None:
        for number in range(6):
            try:
                if number == 5:
                    raise MemoryError
                [1, 2][number // 2 * 2]
                {}[number]
            except Exception as error:
                console.fault(error, f"image {number}")

    result = runner().invoke(command(action))
    assert result.exit_code == 0
    lines = [line for line in result.stderr.splitlines() if line.startswith("Warning: ")]
    assert lines == [
        f"Warning: image {number}: an error in the program, please report it" for number in (0, 2)
    ]
    assert result.stderr.count("Traceback") == 2
    assert result.stderr.count("KeyError: 0\n") == result.stderr.count("IndexError: ") == 1


def test_json_holds_what_json_can() -> None:
    content = {
        "path": PurePosixPath("a/b"),
        "array": np.arange(3, dtype=np.float32),
        "number": np.int64(7),
        "nan": [float("nan"), float("inf"), np.float32("nan")],
        3: (1, None, True),
    }
    assert json.loads(to_json(content)) == {
        "path": "a/b",
        "array": [0, 1, 2],
        "number": 7,
        "nan": [None, None, None],
        "3": [1, None, True],
    }
    assert "\n" not in to_json({"text": "two\nlines"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines", "two\nlines"),
        ("Grün 草", "Grün 草"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("bell\a\r", "bell\\x07\\r"),
        (os.fsdecode(b"caf\xe9"), "caf\\udce9"),
    ],
)
def test_names_cannot_steer_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


WAITS = """
import time, click
from lstm2d.cli.output import output_options
@click.command()
@output_options
def wait(console):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
wait()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_cleanly(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == "cleaned up\n"
    assert err == "Interrupted.\n"


def test_a_reader_that_goes_away(brightness_model: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "lstm2d.cli", "inspect", str(brightness_model)],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert process.returncode == 5
    assert process.stderr == ""


def test_a_long_wait_is_shown_once_and_then_as_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "PROGRESS_SECONDS", 0.0)

    def wait(console: Console) -> None:
        for seconds in (1.0, 3.0, 4.2):
            waits.report("Something compiles", seconds)

    ran = runner().invoke(command(wait))
    assert ran.stderr.splitlines() == [
        "Something compiles ...",
        "Something compiles: 3 s",
        "Something compiles: 4 s",
    ]
    assert runner().invoke(command(wait), ["--quiet"]).stderr == ""
    waits.report("Something compiles", 5.0)  # after the command: nobody listens
