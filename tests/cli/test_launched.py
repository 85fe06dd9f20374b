"""Commands that a launcher of MPI programs starts several times."""

import json
import signal
import sys
from collections.abc import Callable

import pytest

from lstm2d.cli.launched import place, run_launched
from lstm2d.training.signals import ENDING

Run = Callable[..., int | None]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (0, 1)),
        ({"PMI_SIZE": "3", "PMI_RANK": "2"}, (2, 3)),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "1", "PMIX_RANK": "1"}, (1, 4)),
        ({"SLURM_STEP_NUM_TASKS": "8", "PMIX_RANK": "7", "SLURM_NTASKS": "16"}, (7, 8)),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, (0, 1)),  # no MPI program
        ({"PMI_RANK": "2"}, (0, 1)),
        ({"PMI_SIZE": "", "PMI_RANK": "x"}, (0, 1)),
    ],
)
def test_the_launcher_says_how_many_there_are(variables: dict[str, str], expected: tuple[int, int]) -> None:
    assert place(variables) == expected


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command line as a rank of several; it returns the exit code, if any."""

    def attempt(rank: int, *words: str) -> int | None:
        monkeypatch.setenv("PMI_SIZE", "2")
        monkeypatch.setenv("PMI_RANK", str(rank))
        before = {number: signal.getsignal(number) for number in ENDING}
        try:
            run_launched(words)
        except SystemExit as end:
            return end.code  # type: ignore[return-value]
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return None

    return attempt


def test_other_commands_are_for_one_process(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(0, "evaluate", "outdoor", "photos", "--json") == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["exit_code"] == 2
    assert "`lstm2d evaluate` in 2 processes" in err
    assert run(0, "predict", "outdoor", "photo.jpg", "-o", "out") == 2
    assert "--shard" in capsys.readouterr().err
    for words in (["--help"], [], ["train", "--help"], ["evaluate", "-h"], ["nonsense"]):  # for the program
        assert run(0, *words) is None
        assert run(1, *words) == 0
    for rank in (0, 1):
        assert run(rank, "predict", "outdoor", "photos", "--shard=1/2", "-o", "out") is None
    assert run(1, "evaluate", "outdoor", "photos") == 0
    assert capsys.readouterr() == ("", "")


def test_a_missing_mpi4py_is_named_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    assert run(1, "train", "lstm2d-1x1") == 0
    assert capsys.readouterr() == ("", "")
    assert run(0, "train", "lstm2d-1x1") == 2
    assert "pip install 'lstm2d[mpi]'" in capsys.readouterr().err
