"""Which images a run sees, and what is measured on them."""

from pathlib import Path

import numpy as np
import pytest

from lstm2d.errors import ConfigError, DataError
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


def test_guessed_folder_is_said(dataset: Path, tmp_path: Path, configure: Configure) -> None:
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


def test_class_weights(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    stopper = Stopper()
    train(
        configure("train.steps=1", "train.class_weights=[1,2,0.5]"), dataset, tmp_path / "run", report=stopper
    )
    assert stopper.events[0].values["class_weights"] == [1, 2, 0.5]
    with pytest.raises(ConfigError, match=r"train\.class_weights has 2 values, the data has 3 classes"):
        train(configure("train.class_weights=[1,2]"), dataset, tmp_path / "other")
