"""Killed trainings end as one that was never killed; `lstm2d selftest crash` finds those that do not."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from lstm2d.cli.program import program
from lstm2d.reliability import crash as module
from lstm2d.reliability.crash import Straight, crash, draw
from lstm2d.reliability.marked import MARKS
from lstm2d.reliability.trainings import MODELS, STAGES, START, Ended, Moment, durations, record, run
from tests.runner import runner

KILLS = int(os.environ.get("LSTM2D_TEST_KILLS", "8"))


@pytest.mark.slow
def test_killed_trainings_end_with_the_same_model(tmp_path: Path) -> None:
    done: list[int] = []
    outcome = crash(tmp_path, kills=KILLS, seed=1, progress=done.append)
    assert outcome.problems == []
    assert outcome.kills == KILLS
    assert done == list(range(1, KILLS + 1))
    assert outcome.runs >= len(MODELS)
    assert set(outcome.moments) >= {START, "step", "checkpoint", "validation"}


def test_moments_are_drawn_for_every_stage() -> None:
    middle = {START, "step", "checkpoint", "validation"}
    lasts = dict.fromkeys([START, *MARKS], 0.5)
    for model, stages in STAGES.items():
        moments = draw(Straight(model, "", [], lasts), np.random.default_rng(0))
        names = [moment.name for moment in moments]
        assert len(names) == 5 * stages
        for stage in range(stages):
            part = names[5 * stage : 5 * stage + 5]
            assert set(part[:4]) == middle
            assert part[4] == ("end" if stage + 1 == stages else "stage")
        assert all(0 <= moment.delay <= 0.6 for moment in moments)
    repeated = draw(Straight(model, "", [], lasts), np.random.default_rng(0))
    assert repeated == moments
    assert draw(Straight(model, "", [], lasts), np.random.default_rng(1)) != moments


def test_durations_are_those_until_the_next_mark() -> None:
    marks = ((1.0, "checkpoint"), (2.0, "step"), (2.5, "step"), (2.75, "validation"), (4.0, "end"))
    found = durations(Ended(False, 0, "", marks, 9.0))
    assert found == {START: 2.0, "checkpoint": 1.0, "step": 0.5, "validation": 1.25, "end": 5.0}


def test_times_are_left_out_of_a_record(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("epoch,seconds,loss,images_per_second\n1,2.5,0.5,9\n2,3,0.25,8\n")
    assert record(tmp_path) == [{"epoch": "1", "loss": "0.5"}, {"epoch": "2", "loss": "0.25"}]


PROGRAM = """
import sys, time
print("mark step", flush=True)
print("another line", flush=True)
print("mark step", flush=True)
sys.stderr.write("a message")
sys.stderr.flush()
time.sleep({seconds})
sys.exit({code})
"""


def words(seconds: float = 0, code: int = 0) -> list[str]:
    return [sys.executable, "-S", "-c", PROGRAM.format(seconds=seconds, code=code)]


def test_a_process_is_killed_at_its_mark(tmp_path: Path) -> None:
    ended = run(words(seconds=100), tmp_path / "log", Moment("step", 2, 0.2))
    assert ended.killed
    assert ended.code == -9
    assert [name for _, name in ended.marks] == ["step", "step"]
    assert 0.2 <= ended.seconds < 50
    assert ended.errors == "a message"


@pytest.mark.parametrize("moment", [None, Moment("step", 3, 0), Moment("end", 1, 0), Moment(START, 1, 60)])
@pytest.mark.parametrize("code", [0, 5])
def test_a_process_that_ends_before_is_not_killed(tmp_path: Path, moment: Moment | None, code: int) -> None:
    ended = run(words(code=code), tmp_path / "log", moment)
    assert (ended.killed, ended.code) == (False, code)


class Fake:
    """Stands for trainings: the third process that is not killed ends with another model, or fails."""

    def __init__(self, patch: pytest.MonkeyPatch, code: int, digest: str) -> None:
        self.code, self.digest, self.ended = code, digest, 0
        patch.setattr(module, "run", self.run)
        patch.setattr(module, "record", lambda out: [])
        patch.setattr(module, "digest", lambda out: self.digest if self.ended > 2 else "right")

    def run(self, words: list[str], log: Path, moment: Moment | None = None) -> Ended:
        marks = tuple((float(k), name) for k, name in enumerate([START, *MARKS]))
        if moment is not None:
            return Ended(True, -9, "", marks, 9.0)
        self.ended += 1
        code = self.code if self.ended > 2 else 0
        return Ended(False, code, "why it failed", marks, 9.0)


@pytest.mark.parametrize(
    ("code", "digest", "message"),
    [(0, "wrong", "another model, SHA-256 wrong, not right"), (5, "right", "exit code 5: why it failed")],
)
def test_other_ends_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, digest: str, message: str
) -> None:
    Fake(monkeypatch, code, digest)
    outcome = crash(tmp_path, kills=7, seed=0)
    assert outcome.runs == 2
    assert len(outcome.problems) == 2
    assert all(problem.endswith(message) for problem in outcome.problems)
    assert "killed at" in outcome.problems[0]


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    Fake(monkeypatch, 0, "right")
    given = ["selftest", "crash", "--kills", "7", "--json"]
    ran = runner().invoke(program, given)
    assert ran.exit_code == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert (found["kills"], found["runs"], found["differences"]) == (7, 2, [])
    assert sum(found["moments"].values()) == 7
    Fake(monkeypatch, 0, "wrong")
    ran = runner().invoke(program, given[:-1])
    assert ran.exit_code == 1
    assert "2 of 2 killed trainings ended otherwise" in ran.stderr
    assert "trainings compared: 2; different: 2" in ran.stdout
    assert list(tmp_path.iterdir()) == []
