"""The work is done and saved, whatever the state of stdin, stdout and stderr."""

import errno
import fcntl
import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from lstm2d.cli import streams
from lstm2d.cli.output import Console
from lstm2d.weights.vgg16 import LAYERS

PROGRAM = (sys.executable, "-m", "lstm2d.cli")
LOST = "Error: cannot write to stdout ({})\n  do: redirect it elsewhere; all files were written\n"
CLOSED, FULL = os.strerror(errno.EBADF), os.strerror(errno.ENOSPC)

# state -> redirections of the shell, and what stderr reports about text that stdout should have got;
# "PIPE" is a pipe without a reader
STATES = {
    "stdin closed": ("<&-", None),
    "stdout closed": (">&-", LOST.format(CLOSED)),
    "stdout full": (">/dev/full", LOST.format(FULL)),
    "stdout a broken pipe": (">&PIPE", ""),
    "stderr closed": ("2>&-", None),
    "stderr full": ("2>/dev/full", None),
    "stderr a broken pipe": ("2>&PIPE", None),
    "all closed": ("<&- >&- 2>&-", ""),
    "both full": (">/dev/full 2>/dev/full", ""),
}


@dataclass(frozen=True)
class Case:
    """A command: its words, with OUT for its own folder and IN for that of the inputs, and what it does."""

    words: str
    code: int = 0
    answers: bool = False  # writes on stdout without --json
    saves: tuple[str, ...] = ()  # patterns of files whose bytes must be those of an undisturbed command


TINY = "--set model.units=[2,3,2] --set model.features=[2,2]"
CASES = {
    "help": Case("--help", answers=True),
    "version": Case("--version", answers=True),
    "no such command": Case("predcit", code=2),
    "no argument": Case("predict", code=2),
    "no such file": Case("predict outdoor IN/none.png -o OUT", code=3),
    "models": Case("models", answers=True),
    "inspect": Case("inspect outdoor", answers=True),
    "predict": Case("predict outdoor IN/scenes/images -o OUT --overlay --device cpu", saves=("*.png",)),
    "features": Case(
        "features outdoor IN/scenes/images/scene_0000.png -o OUT --device cpu", answers=True, saves=("*.png",)
    ),
    "evaluate": Case("evaluate outdoor IN/scenes --split train --device cpu", answers=True),
    "evaluate to a file": Case("evaluate outdoor IN/scenes -o OUT.csv", answers=True, saves=("*.csv",)),
    "train": Case(
        f"train lstm2d-3x3 --data IN/scenes -o OUT --epochs 2 {TINY}",
        saves=("model.safetensors", "checkpoints/*"),
    ),
    "weights import": Case("weights import IN/vgg.safetensors -o OUT.st", answers=True, saves=("*.st",)),
    "weights list": Case("weights list", answers=True),
    "doctor": Case("doctor", answers=True),
    "data synth": Case("data synth -o OUT --count 3 --width 32 --height 24", saves=("*/*.png", "*.toml")),
    "data import": Case("data import auto IN/scenes -o OUT", saves=("*/*.png", "*/*.txt", "*.toml")),
    "data check": Case("data check IN/scenes -o OUT", answers=True, saves=("*.html", "*.json")),
    "data split": Case("data split IN/scenes -o OUT", saves=("*.txt",)),
    "data stats": Case("data stats IN/scenes", answers=True),
    "data labels": Case("data labels voc", answers=True),
    "data labels to a file": Case("data labels voc -o OUT.toml", saves=("*.toml",)),
    "demo": Case("demo -o OUT --seconds 1 --scenes 10", answers=True, saves=("scenes/*/*.png",)),
}
ALL = {"predict", "train", "evaluate", "models", "no such file", "data labels to a file"}
QUICK = {"models", "no such file", "predict", "data labels to a file"}  # in a few states each
QUICK_STATES = {"stdout closed", "stderr closed", "all closed", "stdout full", "stdout a broken pipe"}


@dataclass(frozen=True)
class Ran:
    """The outcome of a process, and the files that it made."""

    code: int
    out: str
    err: str
    files: dict[str, object]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with scenes, and weights of a layer of VGG-16."""
    folder = tmp_path_factory.mktemp("inputs")
    words = f"data synth -o {folder}/scenes --count 4 --width 32 --height 24"
    subprocess.run([*PROGRAM, *words.split()], check=True, capture_output=True)
    rows, columns, channels, width = LAYERS["conv1_1"]
    layer = {
        "conv1_1.weight": np.ones((width, channels, rows, columns), np.float32),
        "conv1_1.bias": np.zeros(width, np.float32),
    }
    (folder / "vgg.safetensors").write_bytes(safetensors.numpy.save(layer))
    return folder


def run(case: Case, inputs: Path, folder: Path, redirections: str = "", *more: str) -> Ran:
    """Run a command from a shell."""
    folder.mkdir()
    words = case.words.replace("OUT", f"{folder}/out").replace("IN", str(inputs)).split()
    read, write = os.pipe()
    os.close(read)
    script = f'exec "$@" {redirections.replace("PIPE", str(write))}'
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", *PROGRAM, *words, *more],
        pass_fds=(write,),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"LSTM2D_DATA": str(folder / "data")},
    )
    os.close(write)
    files = {str(p.relative_to(folder)): content(p) for p in folder.rglob("*") if p.is_file()}
    return Ran(done.returncode, done.stdout, done.stderr, files)


def content(path: Path) -> object:
    """Return the contents of a file without times."""
    if path.suffix == ".safetensors":
        return {name: array.tobytes() for name, array in safetensors.numpy.load_file(path).items()}
    if path.suffix == ".csv":
        return [line.rpartition(",")[0] for line in path.read_text().splitlines()]
    return path.read_bytes()


@pytest.fixture(scope="module")
def undisturbed(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """Return a function that returns the results of a command with normal streams."""
    known: dict[str, Ran] = {}

    def get(name: str) -> Ran:
        if name not in known:
            known[name] = run(CASES[name], inputs, tmp_path_factory.mktemp("undisturbed") / "at")
            assert known[name].code == CASES[name].code, known[name].err
        return known[name]

    return get


def combinations() -> Iterator[object]:
    """Yield every command with every sixth state, and `ALL` with all; also with --json if stdout is lost."""
    for (i, (name, case)), (j, (state, (_, lost))) in product(
        enumerate(CASES.items()), enumerate(STATES.items())
    ):
        if (i + j) % 6 and name not in ALL:
            continue
        marks = () if name in QUICK and state in QUICK_STATES else (pytest.mark.slow,)
        if name == "demo" and state not in ("all closed", "both full"):
            continue  # it takes seconds
        if lost is None or case.answers:
            yield pytest.param(name, state, (), id=f"{name} - {state}", marks=marks)
        if lost is not None and name not in ("help", "version", "demo"):
            yield pytest.param(name, state, ("--json",), id=f"{name} --json - {state}", marks=marks)


@pytest.mark.parametrize(("name", "state", "more"), list(combinations()))
def test_the_work_is_done(
    name: str,
    state: str,
    more: tuple[str, ...],
    inputs: Path,
    undisturbed: Callable[[str], Ran],
    tmp_path: Path,
) -> None:
    case, (redirections, lost) = CASES[name], STATES[state]
    ran, expected = run(case, inputs, tmp_path / "at", redirections, *more), undisturbed(name)
    shown = lost is None or not (case.answers or more)  # everything was shown
    assert ran.code == (case.code or (0 if shown else 5)), ran.err
    assert steps_apart(ran.files) == steps_apart(expected.files)
    for pattern in case.saves:
        saved = [file for file in ran.files if Path(file).match(pattern)]
        assert saved
        for file in saved:
            assert ran.files[file] == expected.files[file], file
    assert "Traceback" not in ran.err
    assert "Exception ignored" not in ran.err
    if lost is not None and not shown and case.code == 0:
        assert ran.err.endswith(lost)
        assert ran.err.count("Error") == lost.count("Error")
    if redirections.startswith("2") or state == "stdin closed":
        assert bool(ran.out) == case.answers


def steps_apart(files: Iterable[str]) -> set[str]:
    """Return names of files; how many steps the demo takes depends on the machine."""
    return {re.sub(r"step-\d+", "step", name) for name in files}


def test_a_file_never_gets_the_text_meant_for_people(inputs: Path, tmp_path: Path) -> None:
    """Files opened first would get the numbers of closed descriptors."""
    written = ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"]
    case = CASES["data labels to a file"]
    files = [run(case, inputs, tmp_path / str(k), text, "--json").files for k, text in enumerate(written)]
    assert str(files[0]["out.toml"]).startswith("b'#")
    assert all(found == files[0] for found in files)


def test_a_pipe_that_another_program_made_non_blocking() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    sink, text = streams.Sink(write), bytes(range(256)) * 4096
    with ThreadPoolExecutor(1) as pool, open(read, "rb") as reader:
        received = pool.submit(lambda: time.sleep(0.05) or reader.read())  # the pipe is full by then
        assert sink.write(text) == len(text)
        os.close(write)
        assert received.result() == text
    assert sink.error is None


def test_a_sink_keeps_the_first_error_and_tries_again() -> None:
    read, write = os.pipe()
    os.close(read)
    sink = streams.Sink(write)
    stream = io.TextIOWrapper(sink, encoding="utf-8", write_through=True)  # type: ignore[type-var]
    assert streams.unwritten(stream) is None
    print("one", file=stream)
    error = streams.unwritten(stream)
    assert error is not None
    assert error.errno == errno.EPIPE
    back, again = os.pipe()
    os.dup2(again, write)
    print("two", file=stream)
    assert os.read(back, 99) == b"two\n"
    assert streams.unwritten(stream) is error
    for descriptor in (back, again, write):
        os.close(descriptor)


class Tee:
    """A stream as programs write them to copy their output; it lacks parts of a text stream."""

    def __init__(self) -> None:
        self.text = io.StringIO()
        self.write, self.getvalue = self.text.write, self.text.getvalue

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("replaced", [None, io.StringIO(), Tee()])
def test_streams_of_a_host(replaced: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that the host replaced are used; if there are none, text is dropped."""
    monkeypatch.setattr(sys, "stdout", replaced)
    monkeypatch.setattr(sys, "__stdout__", None)
    monkeypatch.setattr(sys, "stderr", replaced)
    monkeypatch.setattr(sys, "__stderr__", None)
    console = Console(as_json=True)
    console._shown_at = 0.0
    console.progress("half")
    console.event({"n": 1})
    streams.guard()
    if replaced is None:
        print("text")
        error = streams.unwritten(sys.stdout)
        assert error is not None
        assert error.errno == errno.EBADF
    else:
        assert sys.stdout is replaced
        assert replaced.getvalue() == 'half\n{"n": 1}\n'  # type: ignore[attr-defined]


def test_the_library_needs_no_streams(brightness_model: Path, photos: Path) -> None:
    closed = "import sys; sys.stdin = sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None\n"
    if subprocess.run([sys.executable, "-c", closed + "import scipy.linalg"]).returncode:
        pytest.skip("SciPy cannot be imported without stderr: it loads f2py of an old NumPy")
    code = (
        f"{closed}"
        "import lstm2d, os\n"
        f"labels = lstm2d.load({str(brightness_model)!r}).predict({str(photos / 'a.png')!r})\n"
        "os._exit(labels.size)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 6 * 9


def test_text_that_the_terminal_cannot_show(inputs: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(
        [*PROGRAM, "data", "stats", str(inputs / "草")], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 3
    assert "inputs0/\\u8349" in done.stderr


class Terminal:
    """A process with its own terminal, which can be closed."""

    def __init__(self, words: list[str], *, ignores: bool) -> None:
        self.master, slave = pty.openpty()

        def begin() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGHUP, signal.SIG_IGN if ignores else signal.SIG_DFL)

        self.process = subprocess.Popen(
            [*PROGRAM, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=begin,
        )
        os.close(slave)

    def read_until(self, text: bytes) -> None:
        shown = b""
        while text not in shown:
            assert select.select([self.master], [], [], 60)[0]
            shown += os.read(self.master, 1000)

    def close(self) -> int:
        os.close(self.master)
        return self.process.wait(timeout=60)


def train_words(inputs: Path, out: Path, epochs: int) -> list[str]:
    words = f"train lstm2d-3x3 --data {inputs}/scenes -o {out} --epochs {epochs} {TINY}"
    return [*words.split(), "--set", "train.validate_every=100000"]


@pytest.mark.slow
def test_a_terminal_that_is_closed_stops_a_run_with_a_checkpoint(inputs: Path, tmp_path: Path) -> None:
    terminal = Terminal(train_words(inputs, tmp_path / "run", 100000), ignores=False)
    terminal.read_until(b"epoch 3/")
    assert terminal.close() == 130
    newest = max((tmp_path / "run/checkpoints").glob("step-*.safetensors"))
    assert int(newest.stem[5:]) >= 3
    resumed = subprocess.run(
        [*PROGRAM, *train_words(inputs, tmp_path / "run", 2), "--resume"], capture_output=True, text=True
    )
    assert (resumed.returncode, "all epochs done" in resumed.stderr) == (0, True), resumed.stderr


@pytest.mark.slow
def test_a_terminal_that_is_gone_does_not_matter_to_a_run_that_ignores_it(
    inputs: Path, tmp_path: Path
) -> None:
    terminal = Terminal(train_words(inputs, tmp_path / "run", 400), ignores=True)
    terminal.read_until(b"epoch 3/")
    assert terminal.process.poll() is None
    assert terminal.close() == 0
    assert (tmp_path / "run/model.safetensors").is_file()


GONE = "change to a folder that exists"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("data labels voc", 0, ""),
        ("data labels voc -o ABSOLUTE/voc.toml", 0, "written: "),
        ("predict MODEL ABSOLUTE/photos -o ABSOLUTE/out --device cpu", 0, "3 images labelled"),
        ("predict MODEL a.png -o out", 3, GONE),
        ("predict MODEL ABSOLUTE/photos -o out --device cpu", 2, GONE),
        ("data labels voc -o voc.toml", 5, GONE),
        ("data stats scenes", 3, GONE),
    ],
)
def test_the_working_folder_was_removed(
    words: str, code: int, text: str, tmp_path: Path, photos: Path, brightness_model: Path
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    words = words.replace("MODEL", str(brightness_model)).replace("ABSOLUTE", str(photos.parent))
    script = f'cd "{folder}" && rmdir "{folder}" && exec "$@"'
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", *PROGRAM, *words.split()], capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "unexpected" not in done.stderr
