"""Kill trainings, and compare what they end with after they are resumed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lstm2d.data.synth import write_dataset
from lstm2d.errors import Lstm2dError
from lstm2d.random import Purpose, generator
from lstm2d.reliability.trainings import (
    MODELS,
    STAGES,
    START,
    Ended,
    Moment,
    command,
    digest,
    durations,
    record,
    run,
)
from lstm2d.training.runfolder import RunFolder

LATEST = {"step": 8, "checkpoint": 3, "validation": 2, "stage": 1, "end": 1, START: 1}  # of a process


@dataclass(slots=True)
class Outcome:
    """What `crash` found.

    Parameters
    ----------
    moments : Counter of str
        Kills by the moment at which they were aimed.
    torn : int
        Kills during a write: they left a temporary file.
    begun_again : int
        Kills before anything was saved; the training was then begun again, not resumed.
    runs : int
        Trainings that were killed, resumed to their end and compared.
    problems : list of str
        Trainings that ended with another model, could not be resumed, or left temporary files.
    seconds : float
        Time taken.
    """

    moments: Counter[str] = field(default_factory=Counter)
    torn: int = 0
    begun_again: int = 0
    runs: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def kills(self) -> int:
        """Number of kills."""
        return self.moments.total()


@dataclass(frozen=True, slots=True)
class Straight:
    """A training that was never killed.

    Parameters
    ----------
    model : str
        One of `MODELS`.
    digest : str
        SHA-256 of its final model.
    record : list of mapping
        Rows of its results.csv, without times.
    lasts : mapping of str to float
        How long each moment lasts, in seconds.
    """

    model: str
    digest: str
    record: Sequence[Mapping[str, str]]
    lasts: Mapping[str, float]


def crash(
    folder: Path, *, kills: int, seed: int, progress: Callable[[int], None] = lambda done: None
) -> Outcome:
    """Kill trainings of two networks with SIGKILL, resume them, and compare their final models.

    Parameters
    ----------
    folder : Path
        An empty folder; everything is written to it.
    kills : int
        Number of kills. Several kills hit one training, each is followed by a resumption.
    seed : int
        Seed of the scenes and of the moments.
    progress : callable, optional
        Called with the number of kills done.

    Returns
    -------
    Outcome
        Figures and problems.

    Raises
    ------
    Lstm2dError
        If a training fails that is not killed.
    """
    begun, outcome = time.monotonic(), Outcome()
    data = folder / "data"
    write_dataset(data, count=8, seed=seed, height=24, width=32)
    straight = [_straight(model, data, folder) for model in MODELS]
    number = 0
    while outcome.kills < kills and number < 3 * kills + 3:  # a moment may be missed: the run ended before it
        rng = generator(seed, 0, number, Purpose.KILL)
        moments = draw(straight[number % len(straight)], rng)[: kills - outcome.kills]
        _killed(
            straight[number % len(straight)], data, folder / f"run-{number}", moments, rng, outcome, progress
        )
        number += 1
    outcome.seconds = time.monotonic() - begun
    return outcome


def draw(straight: Straight, rng: np.random.Generator) -> list[Moment]:
    """Draw the moments at which one training is killed.

    Parameters
    ----------
    straight : Straight
        The training that is never killed.
    rng : numpy.random.Generator
        Draws them.

    Returns
    -------
    list of Moment
        Start-up, steps, checkpoints and validations in any order, in each stage; then the change of the stage
        or the end of the training.
    """
    names: list[str] = []
    for stage in range(STAGES[straight.model]):
        middle = [START, "step", "checkpoint", "validation"]
        names += [middle[k] for k in rng.permutation(len(middle))]
        names.append("end" if stage + 1 == STAGES[straight.model] else "stage")
    return [
        Moment(name, int(rng.integers(1, LATEST[name] + 1)), rng.uniform(0, 1.2) * straight.lasts[name])
        for name in names
    ]


def _straight(model: str, data: Path, folder: Path) -> Straight:
    out = folder / f"straight-{model}"
    ended = run(command(model, data, out), folder / "stderr.txt")
    found = digest(out)
    if ended.code != 0 or found is None:
        raise Lstm2dError(
            f"the training of {model} failed with exit code {ended.code}: {ended.errors.strip()}"
        )
    return Straight(model, found, record(out), durations(ended))


def _killed(
    straight: Straight,
    data: Path,
    out: Path,
    moments: list[Moment],
    rng: np.random.Generator,
    outcome: Outcome,
    progress: Callable[[int], None],
) -> None:
    """Kill one training at all moments, let it end, and compare its model."""
    ended: Ended | None = None
    for moment in [*moments, None]:
        begins = not RunFolder(out).config.is_file()
        outcome.begun_again += begins and ended is not None
        words = command(straight.model, data, out, threads=int(rng.integers(1, 3)))
        ended = run(words, out.with_suffix(".txt"), moment)
        if not ended.killed:
            break
        assert moment is not None
        outcome.moments[moment.name] += 1
        outcome.torn += bool(RunFolder(out).temporary())
        progress(outcome.kills)
    assert ended is not None
    outcome.runs += 1
    kills = f"{straight.model}, killed at {', '.join(f'{m.name} {m.count}' for m in moments)}"
    if ended.code != 0:
        outcome.problems.append(f"{kills}: exit code {ended.code}: {ended.errors.strip()}")
    elif digest(out) != straight.digest:
        outcome.problems.append(f"{kills}: another model, SHA-256 {digest(out)}, not {straight.digest}")
    elif record(out) != straight.record:
        outcome.problems.append(f"{kills}: other rows in results.csv")
    elif left := RunFolder(out).temporary():
        outcome.problems.append(f"{kills}: left {', '.join(path.name for path in left)}")
