"""Examples of recurrent CNNs: cells of a shifted grid, patches, and the stages of a run."""

from pathlib import Path

import numpy as np
import pytest

from lstm2d.config import RunConfig, apply_overrides, resolve
from lstm2d.data.contrast import with_contrast
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import ConfigError
from lstm2d.io.model_file import load_model
from lstm2d.models import RCNNNetwork, build
from lstm2d.training.loop import train
from lstm2d.training.samples import TrainingData
from lstm2d.training.sources.cells import Cells
from lstm2d.training.sources.patches import Patches
from tests.training.runs import Configure, Stopper, digest, model_digest

TINY = (
    "model.channels=[2, 3]",
    "train.batch=1",
    "train.crop=[]",
    "train.epochs=2",
    "train.validate_every=1",
    "train.flip=false",
    "train.checkpoint_minutes=0",
)


def small(preset: str, *overrides: str) -> RunConfig:
    return apply_overrides(resolve(preset), [*TINY, *overrides])


def network_and_data(config: RunConfig, dataset: Path) -> tuple[RCNNNetwork, TrainingData]:
    folder = DatasetFolder(dataset)
    network = build(config.model, len(folder.classes), np.random.default_rng(0))
    assert isinstance(network, RCNNNetwork)
    return network, TrainingData(config, folder, network.stride, padding=network.padding)


def test_images_have_mean_0_and_variance_1_and_a_frame_of_zeros(dataset: Path) -> None:
    _, data = network_and_data(small("rcnn2"), dataset)
    for sample in data.training:
        image, _ = data.dataset.load(sample)
        x = data.preprocessing.network_input(image)
        assert x.shape == (1, image.shape[0] + 2 * 77, image.shape[1] + 2 * 77, 3)
        inner = x[0, 77:-77, 77:-77]
        assert inner.mean() == pytest.approx(0, abs=1e-5)
        assert inner.var() == pytest.approx(1, rel=1e-4)
        assert not x[0, :77].any()
        assert not x[0, :, -77:].any()


def test_every_pixel_is_a_target_at_the_middle_of_its_patch(dataset: Path) -> None:
    """A grid of 4x4 pixels: with all shifts each pixel occurs, and its patch lies around it."""
    config = small("rcnn2", "model.instances=2", "train.epochs=200")
    network, data = network_and_data(config, dataset)
    source = Cells(config.train, data, network)
    image, labels = data.dataset.load(data.training[0])
    plain = data.preprocessing.prepare_part(with_contrast(image, "image"))[0]
    seen: set[tuple[int, int]] = set()
    for epoch in range(200):
        example = source.example(0, epoch)
        top = plain.shape[0] - example.x.shape[1]  # rows that were left out
        left = plain.shape[1] - example.x.shape[2]
        seen.add((top, left))
        np.testing.assert_array_equal(example.x[0], plain[top:, left:])
        np.testing.assert_array_equal(example.labels[0], labels[top::4, left::4])
        for i, j in np.ndindex(example.labels.shape[1:]):
            middle = example.x[0, 4 * i + 33, 4 * j + 33]
            np.testing.assert_array_equal(middle, plain[33 + top + 4 * i, 33 + left + 4 * j])
    assert seen == {(i, j) for i in range(4) for j in range(4)}


@pytest.mark.parametrize("crop", [(6, 9), (500, 5), (1, 1)])
def test_the_cells_of_a_crop_see_the_image_beside_it(dataset: Path, crop: tuple[int, int]) -> None:
    config = small("rcnn2", "model.instances=2", f"train.crop={list(crop)}", "train.epochs=30")
    network, data = network_and_data(config, dataset)
    source = Cells(config.train, data, network)
    image, labels = data.dataset.load(data.training[0])
    plain = data.preprocessing.prepare_part(with_contrast(image, "image"))[0]
    height, width = (min(side, size) for side, size in zip(labels.shape, crop, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(plain[..., 0], (67, 67))
    places = set()
    for epoch in range(30):
        example = source.example(0, epoch)
        rows, columns = example.labels.shape[1:]
        assert 1 <= rows <= -(-height // 4)
        assert 1 <= columns <= -(-width // 4)
        first = example.x[0, :67, :67, 0]
        ((top, left),) = np.argwhere((windows == first).all(axis=(2, 3)))
        seen = plain[top : top + example.x.shape[1], left : left + example.x.shape[2]]
        np.testing.assert_array_equal(example.x[0], seen)
        under = labels[top : top + 4 * rows : 4, left : left + 4 * columns : 4]
        np.testing.assert_array_equal(example.labels[0], under)
        places.add((int(top), int(left)))
    assert len(places) > 10


def test_patches_are_around_random_pixels(dataset: Path) -> None:
    config = small("rcnn2", "model.instances=2", "train.examples=patches", "train.patches=50")
    network, data = network_and_data(config, dataset)
    source = Patches(config.train, data, network)
    assert len(source) == 50 * len(data.training)
    known = {}
    for sample in data.training:
        image, labels = data.dataset.load(sample)
        padded = data.preprocessing.prepare_part(with_contrast(image, "image"))[0]
        known[str(sample.image_path)] = (padded, labels)
    places = set()
    for number in range(40):
        example = source.example(number, 1)
        assert example.x.shape == (1, 67, 67, 3)
        padded, labels = known[example.names[0]]
        found = [
            (i, j)
            for i, j in np.ndindex(labels.shape)
            if np.array_equal(padded[i : i + 67, j : j + 67], example.x[0])
        ]
        assert len(found) == 1
        assert example.labels.tolist() == [[[labels[found[0]]]]]
        places.add((example.names[0], found[0]))
        again = source.example(number, 1)
        np.testing.assert_array_equal(again.x, example.x)
    assert len(places) > 30
    assert len({name for name, _ in places}) == len(known)


def test_random_instances_have_patches_of_their_size(dataset: Path) -> None:
    config = small("rcnn1", "train.examples=patches")
    network, data = network_and_data(config, dataset)
    source = Patches(config.train, data, network)
    sides = [source.example(number, 0).x.shape[1] for number in range(30)]
    assert set(sides) == {25, 121}
    assert sides == [{1: 25, 2: 121}[network.instances_of(config.train.seed, 0, n)] for n in range(30)]


@pytest.mark.slow
@pytest.mark.parametrize("examples", ["images", "patches"])
def test_two_stages_in_one_run(dataset: Path, tmp_path: Path, examples: str) -> None:
    config = small("rcnn2", f"train.examples={examples}", "train.patches=2", "train.max_time=''")
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    events = Stopper()
    train(config, dataset, straight, report=events)
    begun = [event for event in events.events if event.kind == "stage"]
    assert [event.values["name"] for event in begun] == ["3 instances"]
    model = load_model(straight / "model.safetensors")
    assert model.config["model"]["instances"] == 3
    steps = begun[0].values["step"]
    for step in (1, steps - 1, steps, steps + 1):
        run = tmp_path / f"stopped {step}"
        with pytest.raises(Exception, match="stopped after step"):
            train(config, dataset, run, report=Stopper(step))
        if step < steps:
            first = load_model(run / "model.safetensors") if (run / "model.safetensors").exists() else None
            assert first is None or first.config["model"]["instances"] == 2
        train(config, dataset, run, resume=True)
        assert digest(run) == digest(straight)
        assert model_digest(run) == model_digest(straight)
    assert not stopped.exists()


def test_patches_are_for_recurrent_cnns_alone(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    with pytest.raises(ConfigError, match=r'train.examples = "patches"'):
        train(configure("train.examples=patches"), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()
