"""A NaN that is planted in an input, a weight, a gradient or in validation, in every kind of stage."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm2d.config import RunConfig, apply_overrides, from_dict, load_preset
from lstm2d.errors import DivergedError
from lstm2d.io.model_file import load_model
from lstm2d.tape import backward, inputs_first
from lstm2d.tensor import FloatArray, Tensor
from lstm2d.training.checkpoint import files, newest_file, unpack
from lstm2d.training.features import FrozenFeatures
from lstm2d.training.listeners.validation import Validation
from lstm2d.training.loop import train
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.step import NotFiniteError
from tests.training.hierarchies import CLUSTERS, RCNN, RENET, other_network, write
from tests.training.runs import Configure, model_digest

THIN = ("model.weights=", "model.width=0.0078125", "train.batch=1")
PATCHES = ("train.examples=patches", "train.patches=2", "train.batch=1")
STAGES = {  # kind of stage -> its network, settings and number of stages
    "whole images": (None, (), 1),
    "two stages": (RCNN | {"instances": 3, "feedback": True}, (), 2),
    "patches": (RCNN, PATCHES, 1),
    "superpixels": ("clarifai", (*THIN, "train.patches=2"), 1),
    "finer scores": ("fcn-16s", THIN, 2),
    "batches": ("h-renet", (*THIN[:2], "train.batch=2", "train.crop=[6, 6]", "model.units=[3]"), 1),
    "sequential": (RENET, ("hierarchy.strategy=sequential",), 4),
    "hierarchical": (RENET, ("hierarchy.strategy=hierarchical",), 2),
}


def config_of(kind: str, configure: Configure, tmp_path: Path) -> RunConfig:
    """Return the configuration of a run of two steps per stage."""
    network, sets, _ = STAGES[kind]
    sets = ("train.steps=2", "train.flip=false", *sets)
    if kind in ("sequential", "hierarchical"):
        sets += write(tmp_path, CLUSTERS)
    if isinstance(network, str):
        return apply_overrides(from_dict(load_preset(network).model_dump(), network), sets)
    return (configure if network is None else other_network(configure, network))(*sets)


class Planter:
    """Plants a NaN in the last step of a run, or in its last validation."""

    def __init__(self, patch: pytest.MonkeyPatch, place: str, step: int, batch: int) -> None:
        self.place, self.last, self.calls = place, step * batch, 0
        self.name = ""
        features = FrozenFeatures.__call__

        def planted(owner: FrozenFeatures, x: FloatArray, *, keep: bool, exact: bool = False) -> FloatArray:
            z = features(owner, x, keep=keep, exact=exact)
            self.calls += not exact
            if self.calls != self.last or (exact and place != "validation"):
                return z
            if place == "weight":
                parameter = next(p for p in owner.network.parameters() if p.requires_grad)
                parameter.data.flat[0] = np.nan
            if place == "statistics":
                trained = dict(owner.network.named_parameters())
                arrays = owner.network.stored_arrays().items()
                self.name, values = next((n, v) for n, v in arrays if n not in trained)
                values[...] = np.inf
            if place in ("input", "validation") and exact == (place == "validation"):
                z = z.copy()
                z.flat[:] = np.nan
            return z

        def spoiled(loss: Tensor, grad_y: FloatArray) -> None:
            assert loss.node is not None
            leaves = [t for t in inputs_first(loss) if t.node is None and t.requires_grad]
            backward(loss, grad_y)
            if place == "gradient" and self.calls == self.last:
                leaves[-1].grad[...] = np.inf  # type: ignore[index]

        patch.setattr(FrozenFeatures, "__call__", planted)
        patch.setattr("lstm2d.training.step.backward", spoiled)


def finite(arrays: dict[str, Any]) -> bool:
    return all(np.isfinite(a).all() for a in arrays.values() if a.dtype.kind == "f")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["input", "weight", "gradient", "validation"])
@pytest.mark.parametrize("kind", STAGES)
def test_planted(
    kind: str,
    place: str,
    dataset: Path,
    tmp_path: Path,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, steps, run = config_of(kind, configure, tmp_path), 2 * STAGES[kind][2], tmp_path / "run"
    Planter(monkeypatch, place, steps, config.train.batch)
    with pytest.raises(DivergedError) as caught:
        train(config, dataset, run)
    text = str(caught.value)
    good = newest_file(run / "checkpoints")
    assert caught.value.exit_code == 6
    assert f"the last good checkpoint is {good}" in text
    assert all(finite(unpack(path.read_bytes()).tensors) for path in files(run / "checkpoints"))
    if (run / "model.safetensors").exists():  # of an earlier validation
        assert finite(load_model(run / "model.safetensors").state)
    if place == "validation":
        assert "not finite in validation" in text
        assert f"image {dataset / 'images' / 'i5.png'}, after step {steps}, layer " in text
    else:
        assert f", step {steps}, layer " in text or f"after step {steps}, layer " in text
        assert good is not None
        assert int(good.stem.partition("-")[2]) < steps
    if place == "input":
        assert "the loss is not finite" in text
        assert "its input, the image is not finite" in text
    if place in ("input", "gradient"):
        assert "image" in text
        assert "the step was not applied" in text


def test_running_statistics(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are no parameters: a step may be finite although they are not."""
    config = config_of("batches", configure, tmp_path)
    planter = Planter(monkeypatch, "statistics", 2, config.train.batch)
    with pytest.raises(DivergedError, match="a stored value is not finite: found after step 2") as caught:
        train(config, dataset, tmp_path / "run")
    assert planter.name.endswith(("mean", "variance", "var"))
    assert f"layer {planter.name}" in str(caught.value)
    assert [path.name for path in files(tmp_path / "run" / "checkpoints")] == ["step-00000000.safetensors"]
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_the_run_goes_on_from_the_last_good_checkpoint(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the cause is removed it ends like a run that never diverged."""
    run = tmp_path / "run"
    train(configure(), dataset, tmp_path / "straight")
    with monkeypatch.context() as patch:
        Planter(patch, "input", 8, 1)
        with pytest.raises(DivergedError):
            train(configure(), dataset, run)
    train(RunFolder(run).reopen(""), dataset, run, resume=True)
    assert model_digest(run) == model_digest(tmp_path / "straight")


def test_in_a_validation_that_is_only_timed(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fit to a time limit ignores it; the validation of the run reports it."""

    def broken(self: Validation, *args: object) -> None:
        calls.append(self)
        raise NotFiniteError([], "softmax")

    calls: list[Validation] = []
    monkeypatch.setattr(Validation, "predicted", broken)
    with pytest.raises(DivergedError, match=r"in validation: image .*i5\.png, after step 5, layer softmax"):
        train(configure("train.max_time=9h"), dataset, tmp_path / "run")
    assert len({id(validation) for validation in calls}) > 1
