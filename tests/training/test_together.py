"""Runs whose steps several ranks compute: the bits and errors of one, and no rank that waits for ever."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lstm2d.config import RunConfig, apply_overrides
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import ConfigError, DataError, DivergedError, InterruptedRun, Lstm2dError, OutputError
from lstm2d.training import fit_time, step
from lstm2d.training.checkpoint import newest_file
from lstm2d.training.events import Event, Note, silent
from lstm2d.training.loop import train
from lstm2d.training.mpi import Together
from lstm2d.training.passed_errors import Elsewhere, packed, unpacked
from lstm2d.training.progress import TrainResult
from lstm2d.training.ranks import Order
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.stages import STAGES, Stage
from lstm2d.training.start import compare, start
from lstm2d.training.step import NotFiniteError
from tests.training.runs import Configure, Stopper, digest, model_digest, rows
from tests.training.test_batch_norm import CONFIG as JOINT
from tests.training.threads_as_ranks import connected, led
from tests.training.toys import fine_to_coarse

Stages = Callable[[RunConfig], Sequence[Stage]]
SETS = ("train.batch=4", "train.scale_jitter=0.2", "train.flip=true", "train.class_weights=median_frequency")


def train_with(size: int, config: RunConfig, dataset: Path, out: Path, **given: object) -> TrainResult:
    return led(size, lambda ranks: train(config, dataset, out, ranks=ranks, **given))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [2, 3, 6])
def test_bits_and_records_do_not_depend_on_the_number_of_ranks(
    size: int, dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    one, several, stopper = tmp_path / "one", tmp_path / "several", Stopper(step=3)
    train(configure(*SETS), dataset, one)
    with pytest.raises(InterruptedRun):
        train_with(size, configure(*SETS), dataset, several, report=stopper)
    newest_file(several / "checkpoints").write_bytes(b"damaged")  # type: ignore[union-attr]
    train_with(
        2 if size > 2 else 5, configure(*SETS), dataset, several, resume=True, report=(resumed := Stopper())
    )
    assert resumed.kinds().count("warning") == 1  # each rank would find it
    assert digest(several) == digest(one)
    assert model_digest(several) == model_digest(one)
    assert rows(several) == rows(one)
    texts = [event.text for event in stopper.events if isinstance(event, Note)]
    idle = "; train.batch is 4: 2 processes have nothing to do" if size == 6 else ""
    assert f"{size} processes share the images of each step{idle}" in texts


@pytest.mark.slow
def test_stages_that_are_fitted_to_a_time_are_those_of_one_rank(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STAGES, "lstm2d", fine_to_coarse)
    monkeypatch.setattr(fit_time, "steps_that_fit", lambda costs, seconds: 6)
    config = configure(*SETS, "train.max_time=9h")
    first = train(config, dataset, tmp_path / "one")
    result = train_with(3, config, dataset, tmp_path / "several")
    assert (first.steps, result.steps) == (13, 13)  # the first stage has its own number
    assert digest(tmp_path / "several") == digest(tmp_path / "one")
    assert model_digest(tmp_path / "several") == model_digest(tmp_path / "one")


@pytest.mark.parametrize("broken", ["i0", "i4"])
def test_a_file_that_breaks_ends_all_ranks(
    broken: str, dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    def spoil(event: Event) -> None:
        if event.kind == "epoch":
            (dataset / "masks" / f"{broken}.png").write_bytes(b"no picture")

    with pytest.raises(DataError, match=f"{broken}.png"):
        train_with(3, configure(*SETS, "data.cache_gib=0"), dataset, tmp_path / "run", report=spoil)
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "step-00000000.safetensors",
        "step-00000002.safetensors",
    ]


def test_a_loss_that_is_not_finite_is_reported_as_on_one_rank(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(value: object, parameters: object) -> str:
        return "a planted layer"

    monkeypatch.setattr(step, "first_not_finite", planted)
    monkeypatch.setattr(step.math, "isfinite", lambda value: value != value_of_the_fourth)
    found: list[float] = []
    monkeypatch.setattr(step, "backward", lambda value, grad: found.append(float(value.data)))
    value_of_the_fourth = np.inf
    train(configure("train.batch=5", "train.steps=1"), dataset, tmp_path / "losses")
    value_of_the_fourth = found[3]
    messages, names = [], []
    for size in (1, 2, 4):
        out, stopper = tmp_path / str(size), Stopper()
        with pytest.raises(DivergedError) as caught:
            train_with(size, configure("train.batch=5"), dataset, out, report=stopper)
        messages.append(str(caught.value).replace(str(out), "RUN"))
        names.append([event.kind for event in stopper.events if event.kind == "diverged"])
    assert "a planted layer" in messages[0]
    assert set(messages) == {messages[0]}
    assert names == [["diverged"]] * 3


def test_what_several_ranks_cannot_train_is_refused(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    with pytest.raises(ConfigError, match=r"2 processes cannot share.*a minibatch together"):
        train_with(2, JOINT, dataset, tmp_path / "run")
    with pytest.raises(ConfigError, match="the processes of one run compute on CPUs"):
        start(
            configure(),
            DatasetFolder(dataset),
            RunFolder(tmp_path / "run"),
            ranks=connected(2)[0],
            max_memory=None,
            device="cuda:0",
            report=silent,
        )
    train_with(2, apply_overrides(JOINT, ["model.normalisation=l2"]), dataset, tmp_path / "other")
    (dataset / "masks" / "i3.png").unlink()
    with pytest.raises(DataError, match="i3"):  # all ranks find it, one reports it
        train_with(2, configure(), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_ranks_with_other_files_are_refused() -> None:
    same = {"digest": "a", "host": "one"}
    compare([same, same], "a")
    with pytest.raises(DataError, match="rank 2 on two has other images"):
        compare([same, {"digest": "b", "host": "two"}], "a")
    with pytest.raises(OutputError, match="full"):
        compare([same, packed(OutputError("full", where="x"))], "a")


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("a", where="b", expected="c", hint="d"),
        DataError("a"),
        OutputError("a", where=Path("b")),
        NotFiniteError(["i1", "i2"], "layer"),
        OSError(28, "No space left on device", "file"),
        MemoryError("a lot"),
    ],
)
def test_errors_that_are_passed_on_stay_what_they_are(error: Exception) -> None:
    found = unpacked(packed(error), 3)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found).keys() == vars(error).keys()
    assert isinstance(found.__cause__, Elsewhere)
    assert "on rank 3" in str(found.__cause__)


def test_other_errors_name_their_rank() -> None:
    assert str(unpacked(packed(Lstm2dError("a", hint="b")), 1)) == str(Lstm2dError("a", hint="b"))
    assert str(unpacked(packed(KeyError("k")), 3)) == "KeyError on rank 3: 'k'"


def test_ranks_that_await_no_order_are_aborted() -> None:
    first: Together = connected(1)[0]
    first.dismiss(3)
    assert first.comm.aborted is None  # type: ignore[attr-defined]
    first.order(Order.STEP, 0, 1)
    first.dismiss(3)
    assert first.comm.aborted == 3  # type: ignore[attr-defined]
