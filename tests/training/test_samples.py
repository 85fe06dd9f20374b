"""Which images a run sees, and what is measured on them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d.config import RunConfig
from lstm2d.data.contrast import with_contrast
from lstm2d.data.folder import DatasetFolder
from lstm2d.data.stats import median_frequency_weights, statistics
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.model_file import load_model
from lstm2d.models import PREDICTION, LSTM2DNetwork, Step
from lstm2d.tensor import Tensor
from lstm2d.training.loop import train
from lstm2d.training.samples import TrainingData
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
    """There is nothing to select by: the last weights are kept, as without validation images."""
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


def first_example(config: RunConfig, dataset: Path) -> NDArray[np.float32]:
    """Return the first training image as the first epoch sees it, without the padding."""
    data = TrainingData(config, DatasetFolder(dataset), 3)
    image, _ = data.dataset.load(data.training[0])
    return data.example(0, 0).x[0, : image.shape[0], : image.shape[1]]


def test_mean_and_deviation_can_be_given(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    config = configure("train.flip=false", "data.mean=[10, 20, 30]", "data.std=[1, 2, 4]", "train.steps=1")
    folder = DatasetFolder(dataset)
    image, _ = folder.load(folder.split("train")[0])
    expected = (image.astype(float) - [10, 20, 30]) / [1, 2, 4]
    np.testing.assert_allclose(first_example(config, dataset), expected, rtol=1e-6)
    train(config, dataset, tmp_path / "run")
    model = load_model(tmp_path / "run" / "model.safetensors")
    assert (model.mean, model.std) == ((10, 20, 30), (1, 2, 4))
    half = TrainingData(configure("data.mean=[10, 20, 30]"), folder, 3)
    assert half.preprocessing.mean == (10, 20, 30)
    measured = statistics(folder, folder.split("train"))
    np.testing.assert_allclose(half.preprocessing.std, measured.std, rtol=1e-6)


def test_contrast_comes_before_mean_and_deviation(dataset: Path, configure: Configure) -> None:
    folder = DatasetFolder(dataset)
    samples = folder.split("train")
    image, _ = folder.load(samples[0])
    given = ("data.mean=[1, 2, 3]", "data.std=[4, 5, 6]")
    x = first_example(configure("train.flip=false", "data.contrast=local", *given), dataset)
    expected = (with_contrast(image, "local") - np.array([1, 2, 3])) / [4, 5, 6]
    np.testing.assert_allclose(x, expected, rtol=1e-5)
    pixels = [with_contrast(folder.load(sample)[0], "local").reshape(-1, 3) for sample in samples]
    measured = TrainingData(configure("data.contrast=local"), folder, 3)
    np.testing.assert_allclose(measured.preprocessing.mean, np.concatenate(pixels).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(measured.preprocessing.std, np.concatenate(pixels).std(axis=0), rtol=1e-4)


def test_crops_are_of_one_size_and_validation_sees_whole_images(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images of 9x12, 12x9, 10x10, 7x11 and 6x6 pixels become 8x10, padded to windows of 3."""
    seen: dict[str, list[tuple[int, ...]]] = {"training": [], "prediction": []}
    scores = LSTM2DNetwork.scores

    def looking(self: LSTM2DNetwork, z: Tensor, step: Step = PREDICTION) -> Tensor:
        seen["training" if step.training else "prediction"].append(z.shape)
        return scores(self, z, step)

    monkeypatch.setattr(LSTM2DNetwork, "scores", looking)
    train(configure("train.crop=[8, 10]", "train.epochs=1"), dataset, tmp_path / "run")
    assert seen["training"] == [(1, 9, 12, 3)] * 5
    # padded: 13x8, and 3x5 brought to the size of the training images, 8x13
    assert seen["prediction"] == [(1, 15, 9, 3), (1, 9, 15, 3)]
    config = configure("train.crop=[8, 10]", "train.batch=5", "train.epochs=1")
    monkeypatch.setattr(LSTM2DNetwork, "joint", True)
    train(config, dataset, tmp_path / "joint")
    assert seen["training"][5:] == [(5, 9, 12, 3)]


def test_a_crop_depends_on_seed_epoch_and_image_alone(dataset: Path, configure: Configure) -> None:
    overrides = ("train.crop=[4, 4]", "train.flip=false", "data.mean=[0, 0, 0]", "data.std=[1, 1, 1]")
    data = TrainingData(configure(*overrides), DatasetFolder(dataset), 1)
    again = TrainingData(configure(*overrides), DatasetFolder(dataset), 1)
    other = TrainingData(configure(*overrides, "train.seed=1"), DatasetFolder(dataset), 1)
    first = [data.example(1, epoch) for epoch in range(8)]
    for epoch in reversed(range(8)):
        np.testing.assert_array_equal(again.example(1, epoch).x, first[epoch].x)
        np.testing.assert_array_equal(again.example(1, epoch).labels, first[epoch].labels)
    assert len({example.x.tobytes() for example in first}) > 4
    assert [other.example(1, epoch).x.tobytes() for epoch in range(8)] != [e.x.tobytes() for e in first]
    image, labels = data.dataset.load(data.training[1])
    for example in first:  # labels are cut out where the image is
        spots = np.argwhere(
            (np.lib.stride_tricks.sliding_window_view(image, (4, 4, 3))[:, :, 0] == example.x[0]).all(
                (2, 3, 4)
            )
        )
        assert any((labels[r : r + 4, c : c + 4] == example.labels[0]).all() for r, c in spots)
    assert (data.repeats, TrainingData(configure(), DatasetFolder(dataset), 1).repeats) == (False, True)


def test_contrast_is_that_of_the_whole_image(dataset: Path, configure: Configure) -> None:
    given = ("data.mean=[0, 0, 0]", "data.std=[1, 1, 1]", "data.contrast=local", "train.flip=false")
    whole = TrainingData(configure(*given), DatasetFolder(dataset), 1).example(0, 0).x[0]
    part = TrainingData(configure(*given, "train.crop=[3, 3]"), DatasetFolder(dataset), 1).example(0, 0).x[0]
    assert (np.lib.stride_tricks.sliding_window_view(whole, (3, 3, 3))[:, :, 0] == part).all((2, 3, 4)).any()
