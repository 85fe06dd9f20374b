"""Checkpoints with a right digest and wrong contents, and checkpoints that cannot be saved."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.config import RunConfig, apply_overrides, from_dict
from lstm2d.errors import ConfigError, DataError, InterruptedRun, OutputError
from lstm2d.training.checkpoint import Checkpoint, NewerFormat, files, load_newest, newest_file, pack, unpack
from lstm2d.training.checkpoint_fields import check_fields
from lstm2d.training.loop import train
from lstm2d.training.runfolder import RunFolder
from tests.training.runs import Stopper, digest

Change = Callable[[dict[str, Any], dict[str, Any]], object]
KEPT = 6  # step of the older of two checkpoints


def dataset(root: Path) -> Path:
    """Write three small images of two classes."""
    rng = np.random.default_rng(7)
    for name in ("images", "masks", "splits"):
        (root / name).mkdir(parents=True)
    for number in range(4):
        labels = (np.arange(8)[:, None] + rng.integers(0, 4, (1, 7)) > 5).astype(np.uint8)
        image = np.clip(labels[..., None] * 90 + rng.normal(80, 20, (8, 7, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"i{number}.png")
        Image.fromarray(labels).save(root / "masks" / f"i{number}.png")
    (root / "splits" / "train.txt").write_text("i0\ni1\ni2\n")
    (root / "splits" / "val.txt").write_text("i3\n")
    classes = [f'[[classes]]\nname = "{name}"\ncolor = [{k}, 0, 0]\n' for k, name in enumerate("ab")]
    (root / "dataset.toml").write_text('name = "two"\nignore = 255\n' + "".join(classes))
    return root


def configure(*overrides: str) -> RunConfig:
    model = {"kind": "lstm2d", "window": 3, "units": [2, 3], "features": [3], "peepholes": True}
    settings = {"learning_rate": 0.01, "epochs": 4, "average": 0.9, "checkpoint_minutes": 0.0}
    return apply_overrides(from_dict({"model": model, "train": settings}, "test"), overrides)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """Return a dataset, a run that was stopped in its third epoch, and the digest of its end."""
    root = tmp_path_factory.mktemp("stopped")
    data, run = dataset(root / "data"), root / "run"
    with pytest.raises(InterruptedRun):
        train(configure(), data, run, report=Stopper(8))
    assert [path.name for path in files(run / "checkpoints")] == [
        "step-00000008.safetensors",
        "step-00000006.safetensors",
    ]
    straight = shutil.copytree(run, root / "straight")
    train(RunFolder(straight).reopen(""), data, straight, resume=True)
    return data, run, digest(straight)


@pytest.fixture
def run(stopped: tuple[Path, Path, str], tmp_path: Path) -> Path:
    """Return a copy of the run."""
    return Path(shutil.copytree(stopped[1], tmp_path / "run"))


def rewrite(path: Path, change: Change) -> bytes:
    """Change the contents of a checkpoint, which gets a right digest; return the file."""
    found = unpack(path.read_bytes())
    state, tensors = json.loads(json.dumps(found.state)), dict(found.tensors)
    change(state, tensors)
    path.write_bytes(pack(Checkpoint(tensors, state)))
    return path.read_bytes()


def put(where: str, value: object) -> Change:
    """Return a change of one field of the state; `...` removes it."""

    def change(state: dict[str, Any], tensors: dict[str, Any]) -> None:
        *tables, key = where.split(".")
        for name in tables:
            state = state[name]
        if value is ...:
            del state[key]
        else:
            state[key] = value

    return change


def array(name: str, how: Callable[[np.ndarray], np.ndarray] | None) -> Change:
    """Return a change of one array; None removes it."""

    def change(state: dict[str, Any], tensors: dict[str, Any]) -> None:
        if how is None:
            del tensors[name]
        else:
            tensors[name] = how(tensors[name])

    return change


def with_nan(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flat[0] = np.nan
    return values


WEIGHT = "weight.lstm.0.weight"
# each is refused when it is read: the one before it is used
INVALID: dict[str, tuple[Change, str]] = {
    **{f"no {name}": (put(name, ...), name) for name in ("progress", "data", "settings", "run", "model")},
    **{f"no {name}": (put(f"progress.{name}", ...), name) for name in ("step", "epoch", "position", "best")},
    **{f"no {name}": (put(f"progress.{name}", ...), name) for name in ("validated", "stale", "seconds")},
    **{f"no {name}": (put(f"data.{name}", ...), name) for name in ("classes", "mean", "std", "training")},
    "negative step": (put("progress.step", -1), "progress.step is not a count"),
    "fraction": (put("progress.position", 1.5), "progress.position is not a count"),
    "text": (put("progress.epoch", "2"), "progress.epoch is not a count"),
    "true": (put("progress.stage", True), "progress.stage is not a count"),
    "step beyond all numbers": (put("progress.step", 10**30), "progress.step is not a count"),
    "epoch beyond the steps": (put("progress.epoch", 10**9), "progress.epoch is 1000000000 after 8 steps"),
    "negative time": (put("progress.seconds", -1.0), "progress.seconds is negative"),
    "loss as text": (put("progress.loss", "nan"), "progress.loss is not a finite number"),
    "stage begun later": (put("progress.stage_step", 9), "progress.stage_step is above 8"),
    "validated later": (put("progress.validated", 9), "progress.validated"),
    "best is a list": (put("progress.best", []), "progress.best is not a table"),
    "best metric": (put("progress.best.mean_iou", "x"), "progress.best.mean_iou"),
    "model saved later": (put("model.step", 9), "model.step"),
    "model without metrics": (put("model.metrics", None), "model.metrics"),
    "no deviation": (put("data.std", [1.0, 0.0, 1.0]), "data.std is not positive"),
    "other lengths": (put("data.mean", [1.0]), "data.std has another length"),
    "class weights": (put("data.class_weights", [1.0]), "data.class_weights"),
    "classes": (put("data.classes", [1, 2]), "data.classes"),
    "progress is a list": (put("progress", []), "progress is not a table"),
    "integers": (array(WEIGHT, lambda a: a.astype(np.int32)), "int32 values instead of floats"),
    "not a number": (array(WEIGHT, with_nan), "is not finite"),
    "digests of floats": (
        array("data.image", lambda a: a.astype(np.float32)),
        "data.image does not hold bytes",
    ),
    "digests cut": (array("data.image", lambda a: a[:-1]), "image digests of shape"),
    "digests missing": (array("data.labels", None), "labels digests of shape"),
}
# each is refused when the run is built: only then it is known what it must be
MISFIT: dict[str, tuple[Change, str]] = {
    "endless": (
        put("progress.position", 10**9),
        r"progress\.position is 1000000000; an epoch has 3 examples",
    ),
    "position": (put("progress.position", 1), "do not fit 2 epochs and position 1"),
    "steps": (put("progress.step", 100), "100 steps in this stage do not fit 2 epochs"),
    "epoch": (put("progress.epoch", 7), "8 steps in this stage do not fit 7 epochs"),
    "stage": (put("progress.stage", 1), "the checkpoint is of stage 2"),
    "missing": (array(WEIGHT, None), f"{WEIGHT} is missing"),
    "velocity": (array("velocity.lstm.0.weight", None), r"velocity\.lstm\.0\.weight is missing"),
    "shape": (array(WEIGHT, lambda a: a[..., :-1]), "expected float32 of shape"),
    "doubles": (array(WEIGHT, lambda a: a.astype(np.float64)), "float64 of shape"),
    "best": (
        lambda state, tensors: tensors.update({"best.lstm.0.weight": np.zeros(3, np.float32)}),
        "does not fit the network",
    ),
    "settings": (put("settings.train.learning_rate", 0.5), "the settings are not those of the run"),
    "no setting": (put("settings", {}), "its settings cannot be used"),
    "seed": (put("settings.train.seed", 5), r"train\.seed is 0, was 5"),
    "run": (put("run", "another"), "is one of another run"),
    "classes": (put("data.classes", ["a", "c"]), "the dataset has changed"),
}


@pytest.mark.parametrize("name", INVALID)
def test_a_wrong_field_is_refused_and_the_older_checkpoint_used(run: Path, name: str) -> None:
    change, reason = INVALID[name]
    newest = files(run / "checkpoints")[0]
    written = rewrite(newest, change)
    notes: list[str] = []
    found = load_newest(run / "checkpoints", notes.append, check_fields)
    assert found is not None
    assert found.state["progress"]["step"] == KEPT
    assert len(notes) == 1
    assert "\n" not in notes[0]
    assert str(newest) in notes[0]
    assert reason in notes[0], notes
    assert newest.with_name(newest.name + ".damaged").read_bytes() == written


def test_the_run_goes_on_from_the_older_one(stopped: tuple[Path, Path, str], run: Path) -> None:
    data, _, expected = stopped
    rewrite(files(run / "checkpoints")[0], put("progress.step", -1))
    report = Stopper()
    train(RunFolder(run).reopen(""), data, run, resume=True, report=report)
    warnings = [event.values["text"] for event in report.events if event.kind == "warning"]
    assert len([text for text in warnings if "progress.step is not a count" in text]) == 1
    assert digest(run) == expected


@pytest.mark.parametrize("name", MISFIT)
def test_what_does_not_fit_the_run_is_refused(stopped: tuple[Path, Path, str], run: Path, name: str) -> None:
    change, reason = MISFIT[name]
    newest = files(run / "checkpoints")[0]
    written = rewrite(newest, change)
    with pytest.raises((ConfigError, DataError), match=reason) as caught:
        train(RunFolder(run).reopen(""), stopped[0], run, resume=True)
    assert caught.value.exit_code in (2, 3)
    assert newest.read_bytes() == written  # nothing is lost


def test_a_checkpoint_of_a_newer_version(stopped: tuple[Path, Path, str], run: Path) -> None:
    """It is not damaged, and an older one would lose progress."""
    newest = files(run / "checkpoints")[0]
    found = unpack(newest.read_bytes())
    newest.write_bytes(pack(Checkpoint(found.tensors, found.state, version=2)))
    with pytest.raises(NewerFormat, match="checkpoint of format 2") as caught:
        train(RunFolder(run).reopen(""), stopped[0], run, resume=True)
    assert "install a newer lstm2d" in str(caught.value)
    assert newest.exists()


def test_all_are_wrong(stopped: tuple[Path, Path, str], run: Path) -> None:
    for path in files(run / "checkpoints"):
        rewrite(path, put("progress.step", -1))
    with pytest.raises(DataError, match="no valid checkpoint is left"):
        train(RunFolder(run).reopen(""), stopped[0], run, resume=True)


def test_a_disk_error_between_digest_and_arrays_sets_nothing_aside(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lstm2d.io import tensor_file

    def broken(*arguments: object) -> None:
        raise MemoryError

    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    monkeypatch.setattr(tensor_file.np, "empty", broken)
    with pytest.raises(DataError, match="cannot be read"):
        load_newest(run / "checkpoints", pytest.fail)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == names


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from lstm2d.cli.program import program
program(sys.argv[2:])
"""


@pytest.mark.slow
def test_a_full_disk_ends_the_command_with_the_path_of_the_last_checkpoint(
    stopped: tuple[Path, Path, str], run: Path
) -> None:
    good = newest_file(run / "checkpoints")
    assert good is not None
    limit = good.stat().st_size - 100  # the records fit, a checkpoint does not
    words = ["train", run / "config.toml", "--data", stopped[0], "-o", run, "--resume"]
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *map(str, words)], capture_output=True, text=True
    )
    assert ran.returncode == 5, ran.stderr
    assert "File too large" in ran.stderr
    assert str(good) in ran.stderr
    assert "Traceback" not in ran.stderr
    train(RunFolder(run).reopen(""), stopped[0], run, resume=True)
    assert digest(run) == stopped[2]


@pytest.mark.parametrize("kind", ["deleted", "read-only"])
def test_a_folder_that_cannot_be_written(
    stopped: tuple[Path, Path, str], run: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run / "checkpoints"
    real = os.open

    def read_only(path: Any, flags: int, *mode: int) -> int:
        if str(path).startswith(str(folder)) and flags & os.O_CREAT:
            raise OSError(30, "Read-only file system")
        return real(path, flags, *mode)

    class Spoiler(Stopper):
        def __call__(self, event: Any) -> None:
            super().__call__(event)
            if event.kind == "step" and kind == "deleted" and run.exists():
                shutil.rmtree(run)

    if kind == "read-only":  # by a shim, as root may write everywhere
        monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(OutputError) as caught:
        train(RunFolder(run).reopen(""), stopped[0], run, resume=True, report=Spoiler())
    assert caught.value.exit_code == 5
    if kind == "read-only":
        assert "Read-only file system" in str(caught.value)
        assert str(newest_file(folder)) in str(caught.value)
