"""The images of a run, and statistics of them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d.data.folder import DatasetFolder
from lstm2d.data.stats import median_frequency_weights, statistics
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.model_file import load_model
from lstm2d.training.loop import train
from tests.training.runs import Configure, Stopper, digest


def test_hold_out_where_there_is_no_val_split(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    (dataset / "splits" / "val.txt").unlink()
    stopper = Stopper()
    train(configure("data.val=0.4"), dataset, tmp_path / "run", report=stopper)
    assert stopper.events[0].values["images"] == 3
    assert stopper.events[0].values["validation_images"] == 2


def test_images_that_do_not_fit_into_memory_change_nothing(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    train(configure(), dataset, tmp_path / "kept")
    train(configure("data.cache_gib=0"), dataset, tmp_path / "read")
    train(configure("data.cache_gib=1e-6"), dataset, tmp_path / "some")  # 1074 bytes: two or three of seven
    assert digest(tmp_path / "kept") == digest(tmp_path / "read") == digest(tmp_path / "some")


def test_guessed_folder_is_reported(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    (dataset / "dataset.toml").unlink()
    stopper = Stopper()
    train(configure("train.steps=1"), dataset, tmp_path / "run", report=stopper)
    assert stopper.kinds()[0] == "note"
    assert "[[classes]]" in stopper.events[0].values["dataset_toml"]


def test_empty_and_missing_splits(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    with pytest.raises(DataError, match="no such split: fold9"):
        train(configure("data.val_split=fold9"), dataset, tmp_path / "run")
    with pytest.raises(DataError):
        train(configure("data.train_split=fold9"), dataset, tmp_path / "run")
    (dataset / "splits" / "train.txt").write_text("\n")
    with pytest.raises(DataError, match="train"):
        train(configure(), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nothing_labelled(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    from PIL import Image

    for path in (dataset / "masks").iterdir():
        with Image.open(path) as mask:
            blank = np.full((mask.height, mask.width), 255, np.uint8)
        Image.fromarray(blank).save(path)
    with pytest.raises(DataError, match="no pixel of the training images is labelled"):
        train(configure(), dataset, tmp_path / "run")


def relabel(dataset: Path, split: str, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> None:
    """Replace the masks of a split."""
    from PIL import Image

    for stem in (dataset / "splits" / f"{split}.txt").read_text().split():
        path = dataset / "masks" / f"{stem}.png"
        with Image.open(path) as mask:
            labels = change(np.array(mask))
        Image.fromarray(labels).save(path)


def notes(stopper: Stopper) -> list[str]:
    return [event.values["text"] for event in stopper.events if event.kind == "note"]


def test_a_class_that_only_validation_images_have(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    relabel(dataset, "train", lambda labels: np.where(labels == 2, 1, labels).astype(np.uint8))
    stopper = Stopper()
    train(configure("train.steps=1"), dataset, tmp_path / "run", report=stopper)
    assert notes(stopper) == ["only validation images have red: the network cannot learn what they look like"]
    relabel(dataset, "val", lambda labels: np.where(labels == 2, 1, labels).astype(np.uint8))
    stopper = Stopper()
    train(configure("train.steps=1"), dataset, tmp_path / "without", report=stopper)
    assert notes(stopper) == []


def test_validation_images_without_a_label(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    """There is no metric to select by: the last weights are kept, as without validation images."""
    relabel(dataset, "val", lambda labels: np.full_like(labels, 255))
    stopper = Stopper()
    result = train(configure("train.patience=1"), dataset, tmp_path / "run", report=stopper)
    assert notes(stopper) == [
        "no pixel of the 2 validation images is labelled: the last weights are kept, not the best"
    ]
    assert (result.steps, result.reason) == (15, "epochs")
    assert set(result.best.values()) == {None}
    assert load_model(result.model).metrics["step"] == 15


def test_measured_class_weights_are_reported_and_stored(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    stopper = Stopper()
    config = configure("train.steps=1", "train.class_weights=median_frequency")
    train(config, dataset, tmp_path / "run", report=stopper)
    folder = DatasetFolder(dataset)
    expected = median_frequency_weights(statistics(folder, folder.split("train"))).tolist()
    assert stopper.events[0].values["class_weights"] == expected
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert events[0]["class_weights"] == expected
    weights = load_model(tmp_path / "run" / "model.safetensors").metrics["class_weights"]
    assert weights == dict(zip(("dark", "bright", "red"), expected, strict=True))
    train(configure("train.steps=1"), dataset, tmp_path / "none")
    assert "class_weights" not in load_model(tmp_path / "none" / "model.safetensors").metrics


def test_class_weights(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    stopper = Stopper()
    train(
        configure("train.steps=1", "train.class_weights=[1,2,0.5]"), dataset, tmp_path / "run", report=stopper
    )
    assert stopper.events[0].values["class_weights"] == [1, 2, 0.5]
    with pytest.raises(ConfigError, match=r"train\.class_weights has 2 values, the data has 3 classes"):
        train(configure("train.class_weights=[1,2]"), dataset, tmp_path / "other")
