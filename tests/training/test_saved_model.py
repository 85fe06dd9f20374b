"""The model file of a run is the one it saved; otherwise it is written again, or the run fails."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lstm2d.errors import DataError, InterruptedRun
from lstm2d.io import safe_open
from lstm2d.io.model_file import load_model
from lstm2d.training.checkpoint import Checkpoint, files, unpack
from lstm2d.training.loop import train
from lstm2d.training.runfolder import RunFolder
from tests.training.runs import Configure, Stopper, make_old, model_digest, rewrite, rows

# the first validation is the best: the weights of the last step are others
EARLY = ("train.learning_rate=1e-12", "train.schedule=constant", "train.average=0")


def resume(run: Path, dataset: Path, stopper: Stopper | None = None) -> Stopper:
    stopper = stopper or Stopper()
    train(RunFolder(run).reopen(""), dataset, run, resume=True, report=stopper)
    return stopper


def warnings(stopper: Stopper) -> list[str]:
    return [event.values["text"] for event in stopper.events if event.kind == "warning"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-2] ^= 64
    path.write_bytes(data)


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (Path.unlink, "missing"),
    (lambda path: path.write_bytes(b""), "damaged"),
    (cut, "damaged"),
    (flip, "damaged"),
    (lambda path: path.write_text("not a model"), "damaged"),
]


@pytest.mark.parametrize(("damage", "word"), DAMAGE)
@pytest.mark.parametrize("early", [(), EARLY])
def test_a_finished_runs_model_is_written_again(
    dataset: Path,
    tmp_path: Path,
    configure: Configure,
    damage: Callable[[Path], object],
    word: str,
    early: tuple[str, ...],
) -> None:
    run = tmp_path / "run"
    first = train(configure(*early), dataset, run)
    model = run / "model.safetensors"
    before = model.read_bytes()
    assert (load_model(model).metrics["step"] < first.steps) == bool(early)
    damage(model)
    left = model.read_bytes() if model.exists() else None
    (text,) = warnings(resume(run, dataset))
    assert f"{model}: {word}" in text
    assert model.read_bytes() == before
    aside = run / "model.safetensors.damaged"
    assert (aside.read_bytes() if aside.exists() else None) == left
    assert not warnings(resume(run, dataset))


def test_a_model_of_another_run_is_set_aside(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    train(configure(), dataset, run)
    train(configure("train.seed=8"), dataset, other)
    model = run / "model.safetensors"
    before, foreign = model.read_bytes(), (other / "model.safetensors").read_bytes()
    model.write_bytes(foreign)
    (text,) = warnings(resume(run, dataset))
    assert "not the model that the run saved, set aside as model.safetensors.other" in text
    assert model.read_bytes() == before
    assert (run / "model.safetensors.other").read_bytes() == foreign


@pytest.mark.parametrize("damage", [Path.unlink, cut])
def test_a_model_lost_in_the_middle_of_a_run(
    dataset: Path, tmp_path: Path, configure: Configure, damage: Callable[[Path], object]
) -> None:
    """No later validation is better, so the file can be written again only from the checkpoint."""
    straight, run = tmp_path / "straight", tmp_path / "run"
    train(configure(*EARLY), dataset, straight)
    with pytest.raises(InterruptedRun):
        train(configure(*EARLY), dataset, run, report=Stopper(7))
    damage(run / "model.safetensors")
    assert len(warnings(resume(run, dataset))) == 1
    assert model_digest(run) == model_digest(straight)


def test_a_model_lost_while_the_run_goes(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    straight, run = tmp_path / "straight", tmp_path / "run"
    train(configure(*EARLY), dataset, straight)

    class Thief(Stopper):
        def __call__(self, event: object) -> None:
            super().__call__(event)  # type: ignore[arg-type]
            if self.events[-1].kind == "step" and self.events[-1].values["step"] == 12:
                (run / "model.safetensors").unlink()

    stopper = Thief()
    result = train(configure(*EARLY), dataset, run, report=stopper)
    assert result.model.is_file()
    assert len(warnings(stopper)) == 1
    assert model_digest(run) == model_digest(straight)


def test_a_model_saved_after_the_checkpoint_needs_no_word(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    """A process that is killed between the two leaves it; what the run says about itself comes first."""
    straight, run = tmp_path / "straight", tmp_path / "run"
    train(configure(), dataset, straight)
    train(configure(), dataset, run)
    files(run / "checkpoints")[0].unlink()
    assert load_model(run / "model.safetensors").metrics["step"] == 15
    stopper = Stopper(11)
    with pytest.raises(InterruptedRun):
        resume(run, dataset, stopper)
    assert not warnings(stopper)
    assert load_model(run / "model.safetensors").metrics["step"] <= 10
    assert not warnings(resume(run, dataset))
    assert model_digest(run) == model_digest(straight)


def test_the_last_weights_of_a_run_that_goes_on_are_forgotten(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    """Weights at the end of a run within an epoch are validated; a resumed run ignores that validation."""
    straight, run = tmp_path / "straight", tmp_path / "run"
    constant = "train.schedule=constant"
    train(configure(constant), dataset, straight)
    train(configure(constant, "train.steps=7"), dataset, run)
    config = RunFolder(run).reopen("", [("train.steps=0", "--set")])
    stopper = Stopper()
    train(config, dataset, run, resume=True, report=stopper)
    assert not warnings(stopper)
    assert model_digest(run) == model_digest(straight)
    assert rows(run) == rows(straight)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EMFILE, errno.EIO])
def test_a_model_that_cannot_be_read_is_left_alone(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    run = tmp_path / "run"
    train(configure(), dataset, run)
    model, real = run / "model.safetensors", safe_open.open_regular
    before = model.read_bytes()

    def shim(path: Path) -> object:
        if path == model:
            raise DataError(os.strerror(code), where=path) from OSError(code, os.strerror(code))
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(safe_open, "open_regular", shim)
        with pytest.raises(DataError, match=os.strerror(code)):
            resume(run, dataset)
    assert model.read_bytes() == before
    assert not (run / "model.safetensors.damaged").exists()


def test_without_validation_the_last_model_is_written_again(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    (dataset / "splits" / "val.txt").unlink()
    run = tmp_path / "run"
    train(configure("data.val=0"), dataset, run)
    before = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").unlink()
    resume(run, dataset)
    assert (run / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(("damage", "word"), DAMAGE)
def test_of_the_version_before_the_last_weights_are_written_again(
    dataset: Path, tmp_path: Path, configure: Configure, damage: Callable[[Path], object], word: str
) -> None:
    run = tmp_path / "run"
    train(configure("train.steps=5", "train.epochs=1"), dataset, run)
    make_old(run)
    before = model_digest(run)
    damage(run / "model.safetensors")
    (text,) = warnings(resume(run, dataset))
    assert word in text
    assert model_digest(run) == before


def test_of_the_version_before_the_best_weights_may_be_lost(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    run = tmp_path / "run"
    train(configure(*EARLY), dataset, run)
    make_old(run)
    model = run / "model.safetensors"
    before = model.read_bytes()
    cut(model)
    with pytest.raises(DataError, match="is damaged, and no checkpoint has its weights, those of step 5"):
        resume(run, dataset)
    model.unlink()
    with pytest.raises(DataError, match="is missing, and no checkpoint"):
        resume(run, dataset)
    train(configure(*EARLY, "train.seed=4"), dataset, tmp_path / "other")
    model.write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(DataError, match="not the model that the run saved"):
        resume(run, dataset)
    model.write_bytes(before)
    assert not warnings(resume(run, dataset))
    assert model.read_bytes() == before


def test_of_the_version_before_the_best_weights_are_kept_from_now_on(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    straight, run = tmp_path / "straight", tmp_path / "run"
    train(configure(*EARLY), dataset, straight)
    with pytest.raises(InterruptedRun):
        train(configure(*EARLY), dataset, run, report=Stopper(7))
    make_old(run)
    with pytest.raises(InterruptedRun):
        resume(run, dataset, Stopper(8))
    (run / "model.safetensors").unlink()
    assert len(warnings(resume(run, dataset))) == 1
    assert model_digest(run) == model_digest(straight)


def test_the_best_weights_are_stored_once(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    """Not in addition to the weights of the checkpoint, if they are the same."""
    train(configure(*EARLY), dataset, tmp_path / "run")
    last, before = (unpack(path.read_bytes()) for path in files(tmp_path / "run" / "checkpoints"))
    assert last.state["model"]["step"] == before.state["model"]["step"] == 5
    assert any(name.startswith("best.") for name in last.tensors)
    train(configure("train.epochs=1"), dataset, tmp_path / "one")
    first = unpack(files(tmp_path / "one" / "checkpoints")[0].read_bytes())
    assert first.state["model"]["step"] == 5
    assert not any(name.startswith("best.") for name in first.tensors)


def test_a_checkpoint_of_another_network(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    train(configure("train.steps=1"), dataset, run)

    def without(checkpoint: Checkpoint) -> Checkpoint:
        first = min(name for name in checkpoint.tensors if name.startswith("weight."))
        return Checkpoint({k: a for k, a in checkpoint.tensors.items() if k != first}, checkpoint.state)

    rewrite(run, without)
    with pytest.raises(DataError, match="does not fit the network"):
        resume(run, dataset)
