"""Fuzz readers with seeded mutations: python -m tests.reliability.fuzz.run GROUP --seconds 60 --seed 1."""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.reliability.fuzz.mutate import Mutator
from tests.reliability.fuzz.table import GROUPS, targets_of
from tests.reliability.fuzz.target import Reader, Target

SLICE = 0.25  # seconds at a target before the next one
HANG_SECONDS = 120  # in one slice, after which the process ends with a trace
IN_MEMORY = "/dev/shm"  # a file system on which thousands of files a second are written


@dataclass
class Outcome:
    """What fuzzing a target found.

    Parameters
    ----------
    target : Target
        The target.
    executions : int
        Inputs read.
    findings : dict of str to (str, bytes)
        By kind of problem, the first one and its input.
    """

    target: Target
    executions: int = 0
    findings: dict[str, tuple[str, bytes]] = field(default_factory=dict)


def fuzz(targets: Sequence[Target], seconds: float, seed: int) -> list[Outcome]:
    """Fuzz targets in turn.

    Parameters
    ----------
    targets : sequence of Target
        The targets.
    seconds : float
        Wall time for all of them.
    seed : int
        Input n of a target depends on the seed, its name and n alone.

    Returns
    -------
    list of Outcome
        One per target.
    """
    with work_folder() as folder:
        outcomes, sessions = [], []
        for number, target in enumerate(targets):
            own = folder / str(number)
            own.mkdir()
            reader = Reader(target, own)
            reader.warm_up()
            outcomes.append(Outcome(target))
            sessions.append((reader, Mutator(target)))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for outcome, (reader, mutator) in zip(outcomes, sessions, strict=True):
                _for_a_while(outcome, reader, mutator, seed, min(end, time.monotonic() + SLICE))
    return outcomes


@contextmanager
def work_folder() -> Iterator[Path]:
    """Yield an empty folder, which is left behind if the process crashes: it holds the last inputs."""
    place = IN_MEMORY if os.path.isdir(IN_MEMORY) else None
    with tempfile.TemporaryDirectory(prefix="lstm2d-fuzz-", dir=place) as folder:
        yield Path(folder)


def input_number(target: Target, seed: int, number: int) -> bytes:
    """Return input `number` of a target."""
    return _input(Mutator(target), target.name, seed, number)


def _input(mutator: Mutator, name: str, seed: int, number: int) -> bytes:
    return mutator.input(random.Random(f"{seed}/{name}/{number}"))


def _for_a_while(outcome: Outcome, reader: Reader, mutator: Mutator, seed: int, end: float) -> None:
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    while time.monotonic() < end:
        data = _input(mutator, outcome.target.name, seed, outcome.executions)
        problem = reader.problem(data)
        outcome.executions += 1
        if problem is not None:
            outcome.findings.setdefault(kind_of(problem), (problem, data))
    faulthandler.cancel_dump_traceback_later()


def kind_of(problem: str) -> str:
    """Return a problem without the numbers in it."""
    return "".join("0" if c.isdigit() else c for c in problem)[:200]


def main() -> int:
    """Fuzz a group, print executions per target, save the findings; return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("group", choices=(*GROUPS, "all"))
    parser.add_argument("--seconds", type=float, default=60.0, help="wall time of a group")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", help="only this one")
    parser.add_argument("-o", "--out", type=Path, default=Path("fuzz-findings"), help="folder for findings")
    options = parser.parse_args()
    faulthandler.enable()
    found = 0
    for group in GROUPS if options.group == "all" else (options.group,):
        targets = [t for t in targets_of(group) if options.target in (None, t.name)]
        for outcome in fuzz(targets, options.seconds, options.seed):
            print(f"{group:12} {outcome.target.name:20} {outcome.executions:9} executions", flush=True)
            for number, (problem, data) in enumerate(outcome.findings.values()):
                options.out.mkdir(parents=True, exist_ok=True)
                path = options.out / f"{outcome.target.name.replace(' ', '-')}-{number}"
                path.write_bytes(data)
                print(f"  {problem}\n    {path}", flush=True)
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
