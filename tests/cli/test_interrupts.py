"""Signals such as Ctrl-C end a command with one line, at any moment."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

# the program, in a process that says when it starts
STARTED = "import os; os.write({}, b'x'); from lstm2d.cli import main; main()"


def interrupted(words: Sequence[str], delay: float) -> tuple[int, str]:
    """Send SIGINT some seconds after a command starts; return its exit code and stderr."""
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", STARTED.format(write), *words],
        pass_fds=(write,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(write)
        assert os.read(read, 1) == b"x"
        os.close(read)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.parametrize("delay", [0.02, 0.05, 0.1, 0.2])
def test_the_first_moments(delay: float, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    words = ["predict", str(brightness_model), str(photos), "-o", str(tmp_path / "out"), "--device", "cpu"]
    check(*interrupted(words, delay))


def check(code: int, err: str) -> None:
    """Assert that a command was stopped cleanly, or had finished."""
    assert code in (0, 130), err
    assert (code == 130) == err.endswith("Interrupted.\n"), err
    assert not re.search("Traceback|Exception ignored|Error", err), err


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "predict MODEL PHOTOS -o OUT --device cpu",
        "doctor",
        "data synth -o OUT --count 2000",
    ],
)
def test_the_first_second(words: str, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    words = words.replace("MODEL", str(brightness_model)).replace("PHOTOS", str(photos))
    for k in range(8):
        out = tmp_path / f"out{k}"
        code, err = interrupted(words.replace("OUT", str(out)).split(), 0.02 + k / 8)
        check(code, err)
        assert not list(out.rglob(".lstm2d-*")), k
        if code == 0:
            break


COMMAND = """
import os, signal, sys, time, weakref
import click
from lstm2d.cli.output import output_options
def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)
@click.command()
@output_options
def command(console):
    try:
        {body}
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
command()
"""


def run_command(body: str, folder: Path, *, ignores: str = "") -> tuple[int, str, str]:
    """Run a command with the given body, in a folder from which modules are imported."""
    script = COMMAND.replace("{body}", body.replace("\n", "\n        "))
    done = subprocess.run(
        ["/bin/sh", "-c", f'{ignores} exec "$@"', "sh", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])},
    )
    return done.returncode, done.stdout, done.stderr


CLEAN = (130, "cleaned up\n", "Interrupted.\n")


def test_in_an_import_it_waits_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.1)\nprint('imported')\n"
    )
    body = "try:\n    import slow\nexcept BaseException:\n    print('lost')"
    assert run_command(body, tmp_path) == (130, "imported\ncleaned up\n", "Interrupted.\n")


def test_in_an_import_without_the_timers_of_unix(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import signal\n"
        "for name in ('SIGALRM', 'SIGHUP', 'setitimer', 'ITIMER_REAL'):\n    delattr(signal, name)\n"
    )
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.1)\nprint('imported')\n"
    )
    body = (
        "try:\n    import slow\nexcept BaseException:\n    print('lost')\nwhile True:\n    time.sleep(0.01)"
    )
    assert run_command(body, tmp_path) == (130, "imported\ncleaned up\n", "Interrupted.\n")


def test_twice_in_an_import_it_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\n"
        "for _ in range(2):\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(0.005)\n"
        "time.sleep(60)\n"
    )
    assert run_command("import slow", tmp_path) == (130, "", "Interrupted.\n")


def test_a_script_that_is_itself_imported(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(COMMAND.replace("{body}", "send()"))
    done = subprocess.run(
        [sys.executable, "-c", "import script"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == CLEAN


def test_in_a_destructor_it_is_not_lost(tmp_path: Path) -> None:
    body = "class Thing:\n    def __del__(self):\n        send()\nThing()"
    assert run_command(body, tmp_path) == CLEAN


def test_an_interrupt_in_native_code(tmp_path: Path) -> None:
    body = (
        "try:\n    send()\n    time.sleep(1)\nexcept KeyboardInterrupt:\n    raise SystemError('no result')"
    )
    assert run_command(body, tmp_path) == CLEAN


def test_the_second_signal_of_a_closed_terminal_does_not_disturb_cleaning_up(tmp_path: Path) -> None:
    body = "try:\n    send(signal.SIGHUP)\n    time.sleep(1)\nfinally:\n    send(signal.SIGHUP)"
    assert run_command(body, tmp_path) == CLEAN


@pytest.mark.parametrize(("ignored", "other"), [("HUP", "TERM"), ("INT", "HUP"), ("TERM", "INT")])
def test_ignored_signals_stay_ignored(ignored: str, other: str, tmp_path: Path) -> None:
    body = f"send(signal.SIG{ignored})\ntime.sleep(0.05)\nos.write(1, b'goes on ')\nsend(signal.SIG{other})"
    found = run_command(body, tmp_path, ignores=f"trap '' {ignored};")
    assert found == (130, "goes on cleaned up\n", "Interrupted.\n")
