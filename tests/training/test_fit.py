"""lstm2d.fit: the weights of a run on a folder, folders that go and stay, and its errors."""

import gc
import os
import pickle
import shutil
import signal
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import lstm2d
from lstm2d.config import dump_toml
from lstm2d.errors import (
    ConfigError,
    DataError,
    ImageWarning,
    InterruptedRun,
    Lstm2dError,
    TrainingWarning,
)
from lstm2d.io.model_file import load_model
from lstm2d.training.events import EpochDone, Event, Note, Started, StepDone, Warned
from lstm2d.training.fit import _as_toml, _duration, _remove, _warn
from lstm2d.training.loop import train
from tests.callers import at_once
from tests.training.conftest import CLASSES
from tests.training.runs import STRAIGHT, Configure, Stopper, model_digest, newest, rows

Arrays = list[NDArray[np.uint8]]
WEIGHTS = ("weight.", "velocity.", "average.")


@pytest.fixture
def preset(configure: Configure, tmp_path: Path) -> str:
    """Return the path of a small configuration."""
    path = tmp_path / "tiny.toml"
    path.write_text(dump_toml(configure(*STRAIGHT)))
    return str(path)


@pytest.fixture
def arrays(dataset: Path) -> tuple[Arrays, Arrays]:
    """Return the images and masks of the tiny dataset, which has no splits any more."""
    shutil.rmtree(dataset / "splits")
    images, masks = (sorted((dataset / name).iterdir()) for name in ("images", "masks"))
    return [np.array(Image.open(path)) for path in images], [np.array(Image.open(path)) for path in masks]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of temporary folders."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def state(run: Path) -> dict[str, bytes]:
    """Return weights, their running mean and the velocities of the last checkpoint of a run."""
    tensors = newest(run).tensors
    found = {name: array.tobytes() for name, array in tensors.items() if name.startswith(WEIGHTS)}
    assert {name.partition(".")[0] + "." for name in found} == set(WEIGHTS)
    return found


def test_weights_are_those_of_the_folder(
    dataset: Path, tmp_path: Path, configure: Configure, preset: str, arrays: tuple[Arrays, Arrays]
) -> None:
    train(configure(*STRAIGHT, "data.val=0.3", "train.seed=4"), dataset, tmp_path / "folder")
    images, masks = arrays
    paths = [sorted((dataset / name).iterdir()) for name in ("images", "masks")]
    mixed = [path if k % 2 else array for k, (path, array) in enumerate(zip(paths[0], images, strict=True))]
    wide = [np.where(mask == 255, -1, mask.astype(int)) for mask in masks]
    for name, given, options in (
        ("arrays", arrays, {}),
        ("named", arrays, {"classes": CLASSES}),
        ("paths", paths, {}),
        ("mixed", (mixed, masks), {}),
        ("minus 1", (images, wide), {"ignore": -1}),
    ):
        out = tmp_path / name
        model = lstm2d.fit(*given, preset=preset, val=0.3, seed=4, out=out, **options)
        assert state(out) == state(tmp_path / "folder")
        assert model_digest(out) == model_digest(tmp_path / "folder")
        assert rows(out) == rows(tmp_path / "folder")
        assert model.run == model.result.run == out
        np.testing.assert_array_equal(model.predict(images[0]), lstm2d.load(out).predict(images[0]))
    model = lstm2d.fit(*arrays, preset=preset, val=0.3, seed=4)
    assert model_digest(model.run) == model_digest(tmp_path / "folder")


def test_classes_and_settings_reach_the_model(preset: str, arrays: tuple[Arrays, Arrays]) -> None:
    settings = {
        "train.steps": np.int64(2),
        "train.class_weights": [1, 2.5, 1],
        "data.mean": np.array([10.0, 20.0, 30.0]),
        "train.flip": False,
        "train.select": "mean_iou",
    }
    model = lstm2d.fit(*arrays, preset=preset, classes=list(CLASSES), settings=settings, max_time=3600)
    assert [info.name for info in model.classes] == list(CLASSES)
    assert (model.result.steps, model.result.reason) == (2, "steps")
    assert model.model.mean == (10.0, 20.0, 30.0)
    train_settings = model.model.config["train"]
    assert train_settings["class_weights"] == [1.0, 2.5, 1.0]
    assert (train_settings["flip"], train_settings["select"]) == (False, "mean_iou")
    assert lstm2d.config.parse_duration(train_settings["max_time"]) == 3600  # type: ignore[attr-defined]
    assert repr(model).startswith("<TrainedPredictor: 3 classes (dark, bright, red), ~10 px, ")


def test_the_temporary_folder_goes_with_the_model(
    preset: str, arrays: tuple[Arrays, Arrays], temporary: Path
) -> None:
    model = lstm2d.fit(*arrays, preset=preset, settings={"train.steps": 1})
    assert model.run.parent == temporary
    assert (model.run / "results.csv").is_file()
    image = arrays[0][0]
    expected = model.predict(image)
    copied = pickle.loads(pickle.dumps(model))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del model
        gc.collect()
    assert list(temporary.iterdir()) == []
    np.testing.assert_array_equal(copied.predict(image), expected)


def test_a_forked_process_leaves_the_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    _remove(tmp_path / "run", os.getpid() + 1)
    assert (tmp_path / "run").is_dir()
    _remove(tmp_path / "run", os.getpid())
    assert not (tmp_path / "run").exists()


def test_no_folder_stays_after_an_error(preset: str, arrays: tuple[Arrays, Arrays], temporary: Path) -> None:
    images, masks = arrays
    with pytest.raises(DataError, match=r"images\[2\]|masks\[2\]"):
        lstm2d.fit(images, [*masks[:2], masks[2][:3], *masks[3:]], preset=preset)
    stopper = Stopper(step=2)
    with pytest.raises(InterruptedRun, match="stopped after step 2") as caught:
        lstm2d.fit(*arrays, preset=preset, progress=stopper)
    assert "with `out`" in str(caught.value)
    assert "checkpoint saved" not in str(caught.value)
    assert list(temporary.iterdir()) == []


def test_an_interrupted_run_continues_to_the_same_bits(
    tmp_path: Path, preset: str, arrays: tuple[Arrays, Arrays]
) -> None:
    lstm2d.fit(*arrays, preset=preset, out=tmp_path / "straight")
    stopper = Stopper(step=5, number=signal.SIGTERM)
    with pytest.raises(InterruptedRun, match="`resume=True`"):
        lstm2d.fit(*arrays, preset=preset, out=tmp_path / "run", progress=stopper)
    images, masks = arrays
    other = [images[0] ^ 1, *images[1:]]
    with pytest.raises(ConfigError, match="the dataset has changed since the run began"):
        lstm2d.fit(other, masks, preset=preset, out=tmp_path / "run", resume=True)
    with pytest.raises(ConfigError, match="is not empty"):
        lstm2d.fit(*arrays, preset=preset, out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"train\.seed"):
        lstm2d.fit(*arrays, preset=preset, out=tmp_path / "run", resume=True, seed=9)
    lstm2d.fit(*arrays, preset=preset, out=tmp_path / "run", resume=True)
    assert state(tmp_path / "run") == state(tmp_path / "straight")
    more = {"train.epochs": 4, "train.learning_rate": 0.001}
    longer = lstm2d.fit(*arrays, preset=preset, out=tmp_path / "run", resume=True, settings=more)
    assert longer.result.epochs == 4


def test_init_from_starts_with_the_weights_of_a_run(
    tmp_path: Path, preset: str, arrays: tuple[Arrays, Arrays]
) -> None:
    first = lstm2d.fit(*arrays, preset=preset, out=tmp_path / "first")
    second = lstm2d.fit(*arrays, preset=preset, init_from=tmp_path / "first", max_time=1e-6)
    assert second.result.steps == 0
    for name, values in load_model(tmp_path / "first" / "model.safetensors").state.items():
        np.testing.assert_array_equal(second.model.state[name], values)
    assert first.model.mean == second.model.mean


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resume": True}, "`resume` without a run"),
        ({"settings": {"train.epoch": 3}}, r"train\.epoch"),
        ({"settings": {"train.epochs": "many"}}, r"train\.epochs"),
        ({"settings": {"train.groups": {"lstm": {"rate": 2}}}}, r"train\.groups\.KEY"),
        ({"settings": {"train.epochs": object()}}, "a setting is a object"),
        ({"val": 2}, r"data\.val"),
        ({"max_time": "soon"}, r"train\.max_time"),
        ({"preset": "lstm2d-5x6"}, "did you mean lstm2d-5x5"),
        ({"settings": {"data.train_split": "fold1"}}, "arrays have no splits"),
    ],
)
def test_wrong_arguments(
    preset: str, arrays: tuple[Arrays, Arrays], temporary: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        lstm2d.fit(*arrays, **{"preset": preset, **options})
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, "0.25"),
        (1e-7, "1e-07"),
        (True, "true"),
        ("a=b\u00e9\U0001f600", '"a=b\u00e9\U0001f600"'),
        ([1, 2], "[1, 2]"),
        ((1, 2), "[1, 2]"),
        (np.float32(0.5), "0.5"),
        (Path("a/b"), '"a/b"'),
    ],
)
def test_settings_in_toml(value: Any, text: str) -> None:
    assert _as_toml("key", value) == text


def test_durations() -> None:
    assert [_duration(value) for value in (None, "2h", 90, 0.5)] == [None, "2h", "90s", "0.5s"]


def test_events_and_lines(
    preset: str, arrays: tuple[Arrays, Arrays], capsys: pytest.CaptureFixture[str]
) -> None:
    events: list[Any] = []
    lstm2d.fit(*arrays, preset=preset, val=0.3, progress=events.append)
    kinds = {type(event) for event in events}
    assert kinds >= {Started, StepDone, EpochDone}
    assert sum(isinstance(event, EpochDone) for event in events) == 3
    assert capsys.readouterr() == ("", "")
    lstm2d.fit(*arrays, preset=preset, val=0.3, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0].endswith("15 steps, 5 images, validated on 2 more")
    assert [line.split()[:2] for line in lines[1:]] == [["epoch", f"{k}/3"] for k in (1, 2, 3)]
    assert "pixel accuracy" in lines[1]


def test_guesses_about_images_are_warnings(preset: str, arrays: tuple[Arrays, Arrays]) -> None:
    images = [image.astype(np.uint16) * 16 for image in arrays[0]]
    with pytest.warns(ImageWarning, match="7 images: .*12 significant bits") as warned:
        lstm2d.fit(images, arrays[1], preset=preset, settings={"train.steps": 1})
    assert (len(warned), warned[0].filename) == (1, __file__)
    events: list[Any] = []
    lstm2d.fit(images, arrays[1], preset=preset, settings={"train.steps": 1}, progress=events.append)
    assert any("images[0]" in event.text for event in events if isinstance(event, Note))


def test_warnings_of_the_run_are_warnings() -> None:
    with pytest.warns(TrainingWarning, match="the gradient explodes"):
        _warn(Warned(text="the gradient explodes"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _warn(Note(text="the channel hardly varies"))


def test_threads_train_at_the_same_time(preset: str, arrays: tuple[Arrays, Arrays]) -> None:
    def weights(seed: int) -> str:
        model = lstm2d.fit(*arrays, preset=preset, seed=seed)  # its folder goes with it
        return model_digest(model.run)

    alone = [weights(seed) for seed in range(2)]
    assert alone[0] != alone[1]
    assert at_once(2, weights) == alone


def test_a_run_without_a_model(
    preset: str, arrays: tuple[Arrays, Arrays], temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose first stages save no model, and that ends in one of them."""
    import lstm2d.training.fit as module
    from lstm2d.training.progress import TrainResult

    def ended(config: object, data: object, folder: Path, **options: object) -> TrainResult:
        return TrainResult(folder, 1, 1, 1.0, {}, None, "time")

    monkeypatch.setattr(module, "train", ended)
    with pytest.raises(Lstm2dError, match="longer `max_time`"):
        lstm2d.fit(*arrays, preset=preset)
    assert list(temporary.iterdir()) == []


def test_auto_is_the_run_of_its_choice(arrays: tuple[Arrays, Arrays], tmp_path: Path) -> None:
    texts: list[str] = []

    def progress(event: Event) -> None:
        if isinstance(event, Note):
            texts.append(event.text)

    settings = {"train.epochs": 1, "data.val": 0.0}
    found = lstm2d.fit(
        *arrays, preset="auto", max_time="9h", settings=settings, out=tmp_path / "auto", progress=progress
    )
    assert texts[0].startswith("chosen: lstm2d-5x5, started from outdoor\n  ")
    by_hand = {
        "train.init": "matching",
        "train.learning_rate": 1.25e-5,
        "train.warmup_steps": 200,
        "train.select": "mean_iou",
    }
    expected = lstm2d.fit(
        *arrays, max_time="9h", init_from="outdoor", settings=by_hand | settings, out=tmp_path / "by hand"
    )
    assert (tmp_path / "auto/config.toml").read_bytes() == (tmp_path / "by hand/config.toml").read_bytes()
    assert model_digest(found.run) == model_digest(expected.run)
    again = lstm2d.fit(
        *arrays, preset="auto", resume=True, settings={"train.epochs": 2}, out=tmp_path / "auto"
    )
    assert again.result.epochs == 2
    with pytest.raises(ConfigError, match="chooses a model to start from"):
        lstm2d.fit(*arrays, preset="auto", init_from="outdoor")
