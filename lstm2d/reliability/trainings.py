"""Small trainings in processes of their own, killed at chosen moments."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lstm2d.training.runfolder import RunFolder

# The second network is trained in two stages. Checkpoints are written every few steps, not only after epochs.
_SAVED_OFTEN = ("train.checkpoint_minutes=0.005",)
MODELS: dict[str, tuple[str, ...]] = {
    "lstm2d-1x1": (*_SAVED_OFTEN, "train.epochs=10", "train.average=0.9", "model.units=[3, 4, 5]"),
    "rcnn2": (
        *_SAVED_OFTEN,
        "train.epochs=6",
        "train.batch=1",
        "train.crop=[12, 12]",
        "train.validate_every=2",
        "model.kernels=[4, 4]",
        "model.channels=[6, 8]",
    ),
}
STAGES = {"lstm2d-1x1": 1, "rcnn2": 2}
TIMES = ("seconds", "images_per_second")  # columns of results.csv
START = "start-up"  # the moment before the first step of a process


@dataclass(frozen=True, slots=True)
class Moment:
    """When to kill a training.

    Parameters
    ----------
    name : str
        `START`, or one of the marks of `lstm2d.reliability.marked`.
    count : int
        After that many marks of this process; not used for `START`.
    delay : float
        Seconds after the mark, or after the start of the process.
    """

    name: str
    count: int
    delay: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a training process.

    Parameters
    ----------
    killed : bool
        Whether it was killed; False if it ended before.
    code : int
        Its exit code.
    errors : str
        The end of what it wrote on stderr.
    marks : tuple of (float, str)
        Seconds since its start, and the name of each mark.
    seconds : float
        Until it ended.
    """

    killed: bool
    code: int
    errors: str
    marks: tuple[tuple[float, str], ...]
    seconds: float


def command(model: str, data: Path, out: Path, *, threads: int = 1) -> list[str]:
    """Return the command line that begins a training, or resumes it if it has begun.

    Parameters
    ----------
    model : str
        One of `MODELS`.
    data : Path
        The dataset.
    out : Path
        The run folder.
    threads : int, default 1
        Threads of the process; they do not change the result.

    Returns
    -------
    list of str
        The words.
    """
    sets = [word for item in MODELS[model] for word in ("--set", item)]
    words = [sys.executable, "-m", "lstm2d.reliability.marked", "train", model, "--data", str(data)]
    words += ["-o", str(out), "--val-split", "test", "--threads", str(threads), "--quiet"]
    return words + (["--resume"] if RunFolder(out).config.is_file() else sets)


def run(words: Sequence[str], log: Path, moment: Moment | None = None) -> Ended:
    """Run a training to its end, or kill it.

    Parameters
    ----------
    words : sequence of str
        From `command`.
    log : Path
        File for what it writes on stderr.
    moment : Moment, optional
        When to kill it.

    Returns
    -------
    Ended
        How it ended.
    """
    marks: list[tuple[float, str]] = []
    begun = time.monotonic()
    with log.open("wb") as errors:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        killed = _wait(process, marks, begun, moment)
        process.stdout.read()  # to its end, so that it is never stopped by a full pipe
        code = process.wait()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    killed = killed and code not in (0, 1, 2, 3, 4, 5, 6)  # else it had ended by itself just before
    text = log.read_text(errors="replace")[-2000:]
    return Ended(killed, code, text, tuple(marks), time.monotonic() - begun)


def _wait(
    process: subprocess.Popen[bytes], marks: list[tuple[float, str]], begun: float, moment: Moment | None
) -> bool:
    """Read marks until the moment has come, and kill the process then; return whether it came."""
    assert process.stdout is not None
    left = moment.count if moment is not None else 0
    if moment is not None and moment.name == START:
        return _kill(process, moment.delay)
    for line in process.stdout:
        word, _, name = line.decode().strip().partition(" ")
        if word != "mark":
            continue
        marks.append((time.monotonic() - begun, name))
        if moment is not None and name == moment.name:
            left -= 1
            if left == 0:
                return _kill(process, moment.delay)
    return False


def _kill(process: subprocess.Popen[bytes], delay: float) -> bool:
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.kill()
        return True
    return False


def durations(ended: Ended) -> dict[str, float]:
    """Return how long each moment of a training lasts.

    Parameters
    ----------
    ended : Ended
        A training that ended by itself.

    Returns
    -------
    mapping of str to float
        Median seconds from a mark to the next one or the end; of `START` from the start to the first step.
    """
    found: dict[str, list[float]] = {}
    nexts = [*(seconds for seconds, _ in ended.marks[1:]), ended.seconds]
    for (seconds, name), then in zip(ended.marks, nexts, strict=True):
        found.setdefault(name, []).append(then - seconds)
    first = next(seconds for seconds, name in ended.marks if name == "step")
    return {START: first} | {name: sorted(times)[len(times) // 2] for name, times in found.items()}


def counts(ended: Ended) -> Mapping[str, int]:
    """Return how many marks of each name a training had."""
    names = [name for _, name in ended.marks]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def digest(run_folder: Path) -> str | None:
    """Return the SHA-256 of the final model of a run; None if there is none."""
    path = RunFolder(run_folder).model
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def record(run_folder: Path) -> list[dict[str, str]]:
    """Return the rows of results.csv of a run, without the columns that are times."""
    with (run_folder / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{key: cell for key, cell in row.items() if key not in TIMES} for row in rows]
