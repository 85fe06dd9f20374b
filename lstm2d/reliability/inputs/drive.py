"""Give bad inputs to the commands, each in a process of its own with limits on time and memory."""

from __future__ import annotations

import gc
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lstm2d.errors import ConfigError, Lstm2dError
from lstm2d.reliability.inputs.case import COMMANDS, CannotMakeError, Case, Place
from lstm2d.reliability.inputs.drawn import STEMS, labels_of, write_base
from lstm2d.reliability.inputs.judge import problems_of
from lstm2d.reliability.inputs.snapshot import Snapshot, snapshot

SECONDS = 120.0  # of the clock, for all commands of a case
CPU_SECONDS = 30  # of the processor
KIBIBYTE, MEBIBYTE = 2**10, 2**20


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has run.

    Parameters
    ----------
    code : int
        Its exit code.
    out, err : str
        What it wrote on stdout and stderr.
    """

    code: int
    out: str
    err: str


Program = Callable[[Sequence[str]], Ran]
"""Runs a command line in this process."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Parameters
    ----------
    name : str
        Name of the case.
    problems : tuple of str
        What was not as expected, with the command; empty if all was.
    codes : dict of str to int
        Exit code of each command.
    seconds : float
        Time of all commands.
    mebibytes : float
        Memory that they took at most, besides that of the program itself; 0 if unknown.
    skipped : str
        Why the case could not be made here; "" if it was.
    """

    name: str
    problems: tuple[str, ...] = ()
    codes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    mebibytes: float = 0.0
    skipped: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.problems


@dataclass
class _Answers:
    """What the process of a case has sent."""

    ran: dict[str, Ran] = field(default_factory=dict)
    kibibytes: int = 0
    ended: str = ""
    skipped: str = ""


def run_cases(
    cases: Sequence[Case], program: Program, plain: Program, folder: Path | None = None
) -> Iterator[Outcome]:
    """Run the commands on bad inputs.

    Parameters
    ----------
    cases : sequence of Case
        The inputs.
    program : callable
        Runs a command line, and returns what it wrote.
    plain : callable
        The same for trainings whose plots are not of interest: it may leave them out.
    folder : Path, optional
        For inputs and results; by default a temporary folder.

    Yields
    ------
    Outcome
        Of each case, in order.

    Raises
    ------
    ConfigError
        If the system cannot copy a process.
    Lstm2dError
        If the commands fail on good inputs.

    Notes
    -----
    The commands first run on good inputs in this process, so that all modules are loaded. Each case then runs
    in a copy of the process.
    """
    if not hasattr(os, "fork"):
        raise ConfigError("bad inputs cannot be tried on this system", expected="a system with fork")
    with tempfile.TemporaryDirectory(prefix="lstm2d-inputs-", dir=folder) as name:
        root = Path(name)
        write_base(root / "base")
        _warm(root, plain)
        before = snapshot(root / "base")
        gc.collect()
        gc.freeze()  # copies of the process share this memory
        try:
            for number, case in enumerate(cases):
                yield _run(case, _place(root, str(number)), program if case.pictures else plain)
        finally:
            gc.unfreeze()
        if snapshot(root / "base") != before:
            raise Lstm2dError("a command changed a file through a hard link", where=root / "base")


def _place(root: Path, name: str) -> Place:
    """Return the folder of a case, with hard links to the good inputs."""
    place = Place(root / name, {f"{stem}.png": labels_of(stem) for stem in STEMS})
    shutil.copytree(root / "base", place.given, copy_function=os.link)
    place.out.mkdir()
    (place.root / "tmp").mkdir()
    return place


def _warm(root: Path, program: Program) -> None:
    """Run all commands once on good inputs."""
    place = _place(root, "good")
    for command in COMMANDS:
        ran = program(place.words(command))
        if ran.code != 0:
            raise Lstm2dError(f"{command} fails on a good dataset\n{ran.err}")


def _run(case: Case, place: Place, program: Program) -> Outcome:
    try:
        case.write(place)
    except CannotMakeError as error:
        return Outcome(case.name, skipped=str(error))
    before = snapshot(place.given)
    start = time.perf_counter()
    answers = _in_a_copy(case, place, program)
    seconds = time.perf_counter() - start
    if answers.skipped:
        _remove(place.root)
        return Outcome(case.name, skipped=answers.skipped)
    problems = [
        problem
        for command, ran in answers.ran.items()
        for problem in problems_of(command, ran, case.expected[command], place)
    ]
    if answers.ended:
        missing = next(
            command for command in COMMANDS if command in case.expected.keys() - answers.ran.keys()
        )
        problems.append(f"{missing}: {answers.ended}")
    problems += _changed(before, snapshot(place.given), place)
    _remove(place.root)
    codes = {command: ran.code for command, ran in answers.ran.items()}
    return Outcome(case.name, tuple(problems), codes, seconds, answers.kibibytes / KIBIBYTE)


def _changed(before: Snapshot, after: Snapshot, place: Place) -> list[str]:
    """Return what changed among the inputs, and what was left in the folder of temporary files."""
    names = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    changed = [f"an input was changed: {name}" for name in sorted(names - place.changing)]
    left = sorted(os.listdir(place.root / "tmp"))
    left += [path.name for path in place.out.rglob(".lstm2d-*.tmp")]
    return changed + [f"a temporary file was left: {name}" for name in left]


def _remove(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:  # a case may have taken away its own permissions
        if path.is_dir() and not path.is_symlink():
            with suppress(OSError):
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _in_a_copy(case: Case, place: Place, program: Program) -> _Answers:
    """Run the commands in a copy of this process."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(source)
            _child(case, place, program, sink)
        except CannotMakeError as error:
            _send(sink, {"skipped": str(error)})
        except BaseException as error:
            _send(sink, {"error": f"{type(error).__name__}: {error}"})
        finally:
            os._exit(0)
    os.close(sink)
    try:
        answers = _listen(source, child)
    except BaseException:  # Ctrl-C
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.close(source)
        _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and not answers.ended:
        answers.ended = f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return answers


def _listen(source: int, child: int) -> _Answers:
    """Collect what the process of a case sends, until it ends; end it if it takes too long."""
    answers, text, end = _Answers(), b"", time.monotonic() + SECONDS
    while True:
        ready, _, _ = select.select([source], [], [], max(end - time.monotonic(), 0.0))
        if not ready:
            answers.ended = f"not done in {SECONDS:.0f} s"
            os.kill(child, signal.SIGKILL)
            break
        block = os.read(source, MEBIBYTE)
        if not block:
            break
        text += block
    for line in text.splitlines():
        try:
            sent: dict[str, Any] = json.loads(line)
        except ValueError:  # cut when it was ended
            continue
        if "skipped" in sent:
            answers.skipped = sent["skipped"]
        elif "error" in sent:
            answers.ended = sent["error"]
        else:
            answers.ran[sent["command"]] = Ran(sent["code"], sent["out"], sent["err"])
            answers.kibibytes = max(answers.kibibytes, sent["kibibytes"])
    return answers


def _child(case: Case, place: Place, program: Program, sink: int) -> None:
    """Run the commands of a case, and send what they wrote."""
    os.environ["TMPDIR"] = str(place.root / "tmp")
    tempfile.tempdir = None  # found again from TMPDIR
    start = _limit(case.mebibytes)
    for command in COMMANDS:
        if command not in case.expected:
            continue
        for hook in place.hooks:
            hook(command)
        ran = program(place.words(command))
        used = max(_memory("VmHWM") - start, 0)
        _send(
            sink,
            {"command": command, "code": ran.code, "out": ran.out, "err": ran.err, "kibibytes": used},
        )


def _send(sink: int, content: dict[str, Any]) -> None:
    view = memoryview(json.dumps(content).encode() + b"\n")
    while view:
        view = view[os.write(sink, view) :]


def _limit(mebibytes: int) -> int:
    """Limit time and memory of this process; return the memory in use in KiB."""
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    reserved = _memory("VmSize")
    if reserved:
        limit = reserved * KIBIBYTE + mebibytes * MEBIBYTE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    return _memory("VmRSS")


def _memory(key: str) -> int:
    """Return a figure of this process in KiB; 0 if the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), 0)
