"""Whole images and crops as examples of a run."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d.config import RunConfig
from lstm2d.data.contrast import with_contrast
from lstm2d.data.folder import DatasetFolder
from lstm2d.data.stats import statistics
from lstm2d.io.model_file import load_model
from lstm2d.models import PREDICTION, LSTM2DNetwork, Step
from lstm2d.tensor import Tensor
from lstm2d.training.loop import train
from lstm2d.training.samples import TrainingData
from lstm2d.training.sources import epoch_order
from lstm2d.training.sources.whole import WholeImages
from tests.training.runs import Configure


def test_order_of_an_epoch() -> None:
    first = epoch_order(100, seed=3, epoch=0)
    np.testing.assert_array_equal(np.sort(first), np.arange(100))
    np.testing.assert_array_equal(first, epoch_order(100, seed=3, epoch=0))
    assert first.tolist() != epoch_order(100, seed=3, epoch=1).tolist()
    assert first.tolist() != epoch_order(100, seed=4, epoch=0).tolist()
    assert epoch_order(0, seed=0, epoch=0).size == 0


def whole_images(config: RunConfig, dataset: Path, stride: int = 1) -> WholeImages:
    """Return the training images of a folder as a source."""
    return WholeImages(config.train, TrainingData(config, DatasetFolder(dataset), stride))


def first_example(config: RunConfig, dataset: Path) -> NDArray[np.float32]:
    """Return the first training image of the first epoch, without padding."""
    source = whole_images(config, dataset, 3)
    image, _ = source.data.dataset.load(source.data.training[0])
    return source.example(0, 0).x[0, : image.shape[0], : image.shape[1]]


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
    trained: list[tuple[int, ...]] = []
    validated: list[tuple[int, ...]] = []
    scores = LSTM2DNetwork.scores

    def looking(self: LSTM2DNetwork, z: Tensor, step: Step = PREDICTION) -> Tensor:
        (trained if step.training else validated).append(z.shape)
        return scores(self, z, step)

    monkeypatch.setattr(LSTM2DNetwork, "scores", looking)
    train(configure("train.crop=[8, 10]", "train.epochs=1"), dataset, tmp_path / "run")
    assert trained == [(1, 9, 12, 3)] * 5
    # padded: 13x8, and 3x5 brought to the size of the training images, 8x13
    assert validated == [(1, 15, 9, 3), (1, 9, 15, 3)]
    config = configure("train.crop=[8, 10]", "train.batch=5", "train.epochs=1")
    monkeypatch.setattr(LSTM2DNetwork, "joint", True)
    train(config, dataset, tmp_path / "joint")
    assert trained[5:] == [(5, 9, 12, 3)]


def test_a_crop_depends_on_seed_epoch_and_image_alone(dataset: Path, configure: Configure) -> None:
    overrides = ("train.crop=[4, 4]", "train.flip=false", "data.mean=[0, 0, 0]", "data.std=[1, 1, 1]")
    source = whole_images(configure(*overrides), dataset)
    second = whole_images(configure(*overrides), dataset)
    other = whole_images(configure(*overrides, "train.seed=1"), dataset)
    first = [source.example(1, epoch) for epoch in range(8)]
    for epoch in reversed(range(8)):
        np.testing.assert_array_equal(second.example(1, epoch).x, first[epoch].x)
        np.testing.assert_array_equal(second.example(1, epoch).labels, first[epoch].labels)
    assert len({example.x.tobytes() for example in first}) > 4
    assert [other.example(1, epoch).x.tobytes() for epoch in range(8)] != [e.x.tobytes() for e in first]
    image, labels = source.data.dataset.load(source.data.training[1])
    for example in first:  # labels are cropped at the same place as the image
        spots = np.argwhere(
            (np.lib.stride_tricks.sliding_window_view(image, (4, 4, 3))[:, :, 0] == example.x[0]).all(
                (2, 3, 4)
            )
        )
        assert any((labels[r : r + 4, c : c + 4] == example.labels[0]).all() for r, c in spots)
    assert (source.repeats, whole_images(configure(), dataset).repeats) == (False, True)


def test_contrast_is_that_of_the_whole_image(dataset: Path, configure: Configure) -> None:
    given = ("data.mean=[0, 0, 0]", "data.std=[1, 1, 1]", "data.contrast=local", "train.flip=false")
    whole = whole_images(configure(*given), dataset).example(0, 0).x[0]
    part = whole_images(configure(*given, "train.crop=[3, 3]"), dataset).example(0, 0).x[0]
    assert (np.lib.stride_tricks.sliding_window_view(whole, (3, 3, 3))[:, :, 0] == part).all((2, 3, 4)).any()


@pytest.mark.parametrize("mirrored", [True, False])
def test_inputs_are_those_of_all_epochs(dataset: Path, configure: Configure, mirrored: bool) -> None:
    source = whole_images(configure(f"train.flip={str(mirrored).lower()}"), dataset)
    count, inputs = source.inputs()
    found = {x.tobytes() for x in inputs}
    assert count == len(found) == 5 * (1 + mirrored)
    seen = {source.example(number, epoch).x.tobytes() for number in range(5) for epoch in range(12)}
    assert found == seen
