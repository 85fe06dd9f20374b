"""Reading a run folder."""

from pathlib import Path

import pytest

from lstm2d.errors import DataError
from lstm2d.report.runs import read_results, read_run


def test_read_run(run_folder: Path) -> None:
    run = read_run(run_folder)
    assert run.name == "run one"
    assert run.seconds == 150.0
    assert [row["loss"] for row in run.results] == [1.5, 0.75, 0.5]
    assert [row["pixel_accuracy"] for row in run.results] == [0.5, None, 0.75]
    assert run.config.startswith("preset")
    assert len(run.model.classes) == 3
    # one unit, no peepholes, three classes: 4 * (3 * 5 + 2 * 5 + 5) + 3 + 3
    assert run.parameters == 126


def test_a_run_without_records(run_folder: Path) -> None:
    (run_folder / "results.csv").unlink()
    (run_folder / "config.toml").unlink()
    run = read_run(run_folder)
    assert run.results == []
    assert run.seconds is None
    assert run.config == ""


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no trained model"):
        read_run(tmp_path)


@pytest.mark.parametrize("content", [b"epoch,loss\n1,abc\n", b"\xff\xfe\n", b"epoch,loss\n1,2,3\n"])
def test_damaged_results(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"results\.csv"):
        read_results(path)


def test_a_row_that_was_cut_has_nothing_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("epoch,loss\n1,2.5\n2")
    assert read_results(path) == [{"epoch": 1.0, "loss": 2.5}, {"epoch": 2.0, "loss": None}]
