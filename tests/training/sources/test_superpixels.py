"""Patches around superpixels, and runs of patch networks and FCNs on a few small images."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lstm2d.config import RunConfig, apply_overrides, resolve
from lstm2d.data.folder import DatasetFolder
from lstm2d.data.superpixels import centres, superpixels
from lstm2d.errors import ConfigError, InterruptedRun
from lstm2d.io.model_file import load_model
from lstm2d.models import FCNNetwork, build
from lstm2d.models.backbones import vgg16
from lstm2d.predict import load
from lstm2d.training.checkpoint import newest_file, unpack
from lstm2d.training.loop import train
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.samples import TrainingData
from lstm2d.training.sources.superpixels import Superpixels
from lstm2d.training.sources.whole import WholeImages
from tests.training.runs import Stopper, digest, model_digest

PATCH = ("model.width=0.03125", "model.weights=", "train.batch=3", "train.checkpoint_minutes=0")


@pytest.fixture
def scenes(dataset: Path) -> Path:
    """Return three images of 40x60 pixels, of several superpixels, and two of 9x12; one has no labels."""
    rng = np.random.default_rng(8)
    for number in range(3):
        labels = np.full((40, 60), number == 2, np.uint8)
        labels[:, 20 + 5 * number :] = 1
        labels[25:, :30] = 255
        image = np.where(labels[..., None] == 1, 200, 60) + rng.normal(0, 10, (40, 60, 3))
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(dataset / f"images/i{number}.png")
        Image.fromarray(labels).save(dataset / f"masks/i{number}.png")
    Image.fromarray(np.full((10, 10), 255, np.uint8)).resize((11, 7)).save(dataset / "masks/i3.png")
    return dataset


def configured(preset: str, *overrides: str) -> RunConfig:
    return apply_overrides(resolve(preset), [*PATCH, *overrides])


def source_of(config: RunConfig, folder: Path) -> Superpixels:
    dataset = DatasetFolder(folder)
    network = build(config.model, len(dataset.classes), np.random.default_rng(0))
    data = TrainingData(config, dataset, network.stride, padding=network.padding)
    return Superpixels(config.train, data, network)


def nearest_label(region: NDArray[np.bool_], labels: NDArray[np.uint8]) -> tuple[int, int] | None:
    """Return the labelled pixel of a region that is nearest to its centroid; None if it has none."""
    middle = np.argwhere(region).mean(axis=0)
    known = np.argwhere(region & (labels != 255))
    if not len(known):
        return None
    distance = np.round(((known - middle) ** 2).sum(axis=1), 6)  # ties: the first pixel, row by row
    row, column = known[distance.argmin()].tolist()
    return row, column


PLAIN = ("train.flip=false", "train.scale_jitter=0", "train.rotation=0")


@pytest.mark.parametrize("changes", [PLAIN, ()])
def test_patches_are_around_the_labelled_centres(scenes: Path, changes: tuple[str, ...]) -> None:
    config = configured("clarifai", *changes, "train.patches=12")
    source = source_of(config, scenes)
    assert len(source) == 5 * 12
    images, crossed = WholeImages(config.train, source.images.data), 0
    for k, epoch in ((0, 0), (2, 0), (0, 3)):
        image, labels = images.uncropped(k, epoch)
        padded = np.pad(image - np.array(config.data.mean), ((117, 117), (117, 117), (0, 0)))
        segments = superpixels(image)
        rows, columns = centres(segments)
        labelled = labels[rows, columns] != 255
        assert 2 < labelled.sum() < len(labelled)
        expected = {(r, c) for r, c in zip(rows[labelled].tolist(), columns[labelled].tolist(), strict=True)}
        others = {nearest_label(segments == k, labels) for k in np.flatnonzero(~labelled)} - {None}
        found = []
        for number in range(12 * k, 12 * k + 12):
            example = source.example(number, epoch)
            assert example.x.shape == (1, 235, 235, 3)
            corner = example.x[0, 0, 0]
            places = [p for p in expected | others if np.allclose(padded[p[0], p[1]], corner, atol=1e-3)]
            places = [
                (r, c)
                for r, c in places
                if np.allclose(padded[r : r + 235, c : c + 235], example.x[0], atol=1e-3)
            ]
            assert len(places) == 1
            assert example.labels.tolist() == [[[labels[places[0]]]]]
            assert example.names == (str(source.images.data.training[k].image_path),)
            found.append(places[0])
        count, every = len(expected), len(expected | others)
        assert set(found[:count]) == expected  # each once, then the others, then again in the same order
        assert set(found[count:every]) <= others
        assert len(set(found[:every])) == min(every, 12)
        assert found[every:] == found[: max(0, 12 - every)]
        crossed += bool(others)
    assert crossed


def test_an_epoch_draws_anew_and_a_resumed_run_draws_the_same(scenes: Path) -> None:
    config = configured("overfeat", "train.patches=4")
    source, again = source_of(config, scenes), source_of(config, scenes)
    first = [source.example(number, 0) for number in (0, 1, 5)]
    later = [source.example(number, 1) for number in (0, 1, 5)]
    for number, early, late in zip((0, 1, 5), first, later, strict=True):
        assert early.x.tobytes() != late.x.tobytes()
        assert again.example(number, 1).x.tobytes() == late.x.tobytes()  # without the epoch before
        assert source.example(number, 0).x.tobytes() == early.x.tobytes()
    assert not source.repeats


def test_an_image_without_labels_gives_patches_that_do_not_count(scenes: Path) -> None:
    source = source_of(configured("clarifai", "train.patches=2"), scenes)
    assert [source.example(number, 0).labels.item() for number in (6, 7)] == [255, 255]
    assert source.name(7) == f"{scenes / 'images/i3.png'}, patch 1"


def test_the_corners_of_a_rotated_image_are_zero_and_not_labelled(scenes: Path) -> None:
    config = configured("clarifai", "train.rotation=40", "train.scale_jitter=0", "train.flip=false")
    data = source_of(config, scenes).images.data
    images = WholeImages(config.train, data)
    outside = 0
    for epoch in range(6):
        example = images.example(0, epoch)
        filled = np.abs(example.x[0, 117:-117, 117:-117]).max(axis=2) < 1e-4
        assert (example.labels[0][filled] == 255).all()
        outside += filled[[0, 0, -1, -1], [0, -1, 0, -1]].all() and filled.sum() > 100
        assert (example.labels[0] != 255).mean() > 0.3
    assert outside >= 4
    assert not images.repeats


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["clarifai", "overfeat"])
def test_a_run_on_patches_stopped_and_resumed(scenes: Path, tmp_path: Path, preset: str) -> None:
    config = configured(preset, "train.patches=2", "train.epochs=2")
    train(config, scenes, tmp_path / "straight")
    for step in (1, 4, 5):
        run = tmp_path / f"stopped {step}"
        with pytest.raises(InterruptedRun, match=f"stopped after step {step} of 8"):
            train(config, scenes, run, report=Stopper(step))
        train(RunFolder(run).reopen(preset), scenes, run, resume=True)
        assert (digest(run), model_digest(run)) == (
            digest(tmp_path / "straight"),
            model_digest(tmp_path / "straight"),
        )
    predictor = load(tmp_path / "straight")
    assert predictor.resolution == 8
    image = np.zeros((20, 30, 3), np.uint8)
    assert predictor.predict(image).shape == (20, 30)
    assert load(tmp_path / "straight", resolution=1).resolution == 1


@pytest.mark.parametrize(
    ("preset", "change", "message"),
    [
        ("clarifai", "train.examples=images", r'train.examples = "images"\n.*"superpixels"'),
        ("clarifai", "train.crop=[8, 8]", r"train.crop = \[8, 8\]"),
        ("rcnn2", "train.examples=superpixels", r'"superpixels"\n.*"images" or "patches"'),
        ("fcn-32s", "train.examples=superpixels", r'"superpixels"\n.*"images" for this network'),
    ],
)
def test_examples_that_a_network_does_not_have(
    dataset: Path, tmp_path: Path, preset: str, change: str, message: str
) -> None:
    sets = () if preset == "rcnn2" else ("model.width=0.03125", "model.weights=")
    with pytest.raises(ConfigError, match=message):
        train(apply_overrides(resolve(preset), [*sets, change]), dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


FCN = (
    "model.width=0.03125",
    "model.weights=",
    "train.batch=2",
    "train.epochs=2",
    "train.checkpoint_minutes=0",
)
GROUPS = ("train.groups.pool4.rate=2", "train.groups.backbone.fc6.rate=0.5")


@pytest.fixture
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the width change the first blocks too."""
    monkeypatch.setattr(vgg16, "SCALED", 1)


@pytest.mark.usefixtures("_narrow")
def test_fcn16s_has_two_stages_in_one_run(dataset: Path, tmp_path: Path) -> None:
    config, run, events = apply_overrides(resolve("fcn-16s"), [*FCN, *GROUPS]), tmp_path / "run", Stopper()
    result = train(config, dataset, run, report=events)
    assert result.steps == 2 * 2 * 3  # two stages of two epochs of five images
    begun = [event for event in events.events if event.kind == "stage"]
    assert [event.values["name"] for event in begun] == ["FCN-16s"]
    model = load_model(run / "model.safetensors")
    assert model.config["model"]["finest"] == 16
    assert model.state["upsample.weight"].shape == (32, 32, 1, 1)
    assert model.state["pool4.weight"].any()
    assert load(run).predict(np.zeros((40, 50, 3), np.uint8)).shape == (40, 50)
    # the second stage begins with the weights of the first one, and new parts for pool4
    with pytest.raises(InterruptedRun):
        train(config, dataset, tmp_path / "first", report=Stopper(6))
    first = load_model(tmp_path / "first/model.safetensors")
    assert first.config["model"]["finest"] == 32
    assert first.state["upsample.weight"].shape == (64, 64, 1, 1)
    assert "pool4.weight" not in first.state
    assert load(tmp_path / "first").predict(np.zeros((40, 50, 3), np.uint8)).shape == (40, 50)


@pytest.mark.slow
@pytest.mark.usefixtures("_narrow")
def test_fcn16s_stopped_in_each_stage(dataset: Path, tmp_path: Path) -> None:
    config = apply_overrides(resolve("fcn-16s"), [*FCN, *GROUPS])
    train(config, dataset, tmp_path / "straight")
    expected = digest(tmp_path / "straight"), model_digest(tmp_path / "straight")
    for step in (2, 5, 6, 7, 11):
        run = tmp_path / f"stopped {step}"
        with pytest.raises(InterruptedRun, match=f"stopped after step {step} of"):
            train(config, dataset, run, report=Stopper(step))
        newest = newest_file(run / "checkpoints")
        assert newest is not None
        assert unpack(newest.read_bytes()).state["progress"]["stage"] == (step > 6)
        train(RunFolder(run).reopen("fcn-16s"), dataset, run, resume=True)
        assert (digest(run), model_digest(run)) == expected


@pytest.mark.usefixtures("_narrow")
def test_a_named_part_of_fcn32s_must_exist(dataset: Path, tmp_path: Path) -> None:
    config = apply_overrides(resolve("fcn-32s"), [*FCN, "train.groups.pool4.rate=2"])
    network = build(config.model, 3, np.random.default_rng(0))
    assert isinstance(network, FCNNetwork)
    assert network.pool4 is None
    with pytest.raises(ConfigError, match="pool4 is no part of this network"):
        train(config, dataset, tmp_path / "run")
