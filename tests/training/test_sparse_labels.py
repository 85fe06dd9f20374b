"""Training on masks with few labels: every source finds them, and sums over them are large enough."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import lstm2d
from lstm2d.config import RunConfig, apply_overrides, dump_toml, resolve
from lstm2d.data.arrays import ArrayDataset
from lstm2d.data.stats import median_frequency_weights, statistics
from lstm2d.data.superpixels import centres
from lstm2d.data.transforms import crop_with, random_crop
from lstm2d.models import build
from lstm2d.training.loop import train
from lstm2d.training.samples import TrainingData
from lstm2d.training.sources import Source
from lstm2d.training.sources.cells import Cells
from lstm2d.training.sources.labelled import labelled_crop, labelled_pixel
from lstm2d.training.sources.patches import Patches
from lstm2d.training.sources.superpixels import Superpixels
from lstm2d.training.sources.whole import WholeImages
from tests.training.runs import Configure, Stopper, digest, newest

Labels = NDArray[np.uint8]
SMALL = {"rcnn2": ("model.channels=[2, 3]",), "clarifai": ("model.width=0.03125", "model.weights=")}


def sparse(count: int, *, height: int = 40, width: int = 60, images: int = 3) -> tuple[list, list]:
    """Return images of two bands, with a number of labels each at random places."""
    rng = np.random.default_rng(6)
    photos, masks = [], []
    for _ in range(images):
        truth = np.zeros((height, width), np.uint8)
        truth[height // 2 :] = 1
        mask = np.full(truth.shape, 255, np.uint8)
        chosen = rng.choice(truth.size, count, replace=False)
        mask.flat[chosen] = truth.flat[chosen]
        photos.append(np.clip(80 + 100 * truth[..., None] + rng.normal(0, 9, (height, width, 3)), 0, 255))
        masks.append(mask)
    return [photo.astype(np.uint8) for photo in photos], masks


def data_of(config: RunConfig, images: list, masks: list) -> TrainingData:
    dataset = ArrayDataset(images, masks, classes=["a", "b"])
    network = build(config.model, 2, np.random.default_rng(0))
    return TrainingData(config, dataset, network.stride, padding=network.padding)


def source_of(preset: str, kind: type, *overrides: str) -> tuple[Source, TrainingData]:
    """Return a source of images that have 3 labels each, 0.1 % of their pixels."""
    config = apply_overrides(
        resolve(preset), [*SMALL.get(preset, ()), "data.val=0", "train.scale_jitter=0", *overrides]
    )
    data = data_of(config, *sparse(3))
    if kind is WholeImages:
        return WholeImages(config.train, data), data
    return kind(config.train, data, build(config.model, 2, np.random.default_rng(0))), data


@pytest.mark.parametrize(
    ("preset", "kind", "overrides"),
    [
        ("lstm2d-5x5", WholeImages, ("train.crop=[10, 10]",)),
        ("rcnn2", Cells, ("train.crop=[12, 12]",)),
        ("rcnn2", Cells, ("train.crop=[]",)),
        ("rcnn2", Patches, ("train.examples=patches", "train.patches=3")),
        ("clarifai", Superpixels, ("train.patches=3",)),
    ],
)
def test_every_example_has_a_label(preset: str, kind: type, overrides: tuple[str, ...]) -> None:
    source, data = source_of(preset, kind, *overrides)
    seen: set[tuple[int, int]] = set()
    for epoch in range(3):
        for number in range(len(source)):
            labels = source.example(number, epoch).labels
            assert (labels != data.ignored_target).any()
            again = source.example(number, epoch).labels
            np.testing.assert_array_equal(labels, again)
            seen |= {(number, int(value)) for value in labels[labels != 255]}
    assert len({value for _, value in seen}) == 2


@pytest.mark.parametrize("kind", [WholeImages, Cells, Patches, Superpixels])
def test_images_without_labels_give_examples_that_do_not_count(kind: type) -> None:
    presets = {WholeImages: "lstm2d-5x5", Superpixels: "clarifai"}
    patches = {Patches: ("train.examples=patches", "train.patches=1"), Superpixels: ("train.patches=1",)}
    crop = () if kind is Superpixels else ("train.crop=[8, 8]",)
    source, data = source_of(presets.get(kind, "rcnn2"), kind, *crop, *patches.get(kind, ()))
    blank = np.full((40, 60), 255, np.uint8)
    loaded = data.dataset.load
    data.dataset.load = lambda sample: (loaded(sample)[0], blank)  # type: ignore[method-assign]
    for number in range(len(source)):
        assert (source.example(number, 0).labels == 255).all()


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 15), st.integers(1, 15)),
    st.integers(0, 10**6),
)
def test_crops_contain_the_pixel(shape: tuple[int, int], size: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixel = (int(rng.integers(shape[0])), int(rng.integers(shape[1])))
    labels = np.full(shape, 255, np.uint8)
    labels[pixel] = 3
    place = crop_with(pixel, shape, rng, size=size)
    assert labels[place].shape == size
    assert (labels[place] == 3).any()
    if all(have > want for have, want in zip(shape, size, strict=True)):
        rows, columns = (axis.ravel() for axis in place)
        assert np.array_equal(rows, np.arange(rows[0], rows[0] + size[0]))  # inside: nothing is reflected
        assert np.array_equal(columns, np.arange(columns[0], columns[0] + size[1]))
    assert (labels[labelled_crop(labels, 255, rng, size=size)] == 3).any()


def test_all_crops_with_the_pixel_are_drawn() -> None:
    rng = np.random.default_rng(0)
    tops = {int(crop_with((3, 0), (10, 4), rng, size=(4, 4))[0][0, 0]) for _ in range(100)}
    assert tops == {0, 1, 2, 3}
    tops = {int(crop_with((9, 0), (10, 4), rng, size=(4, 4))[0][0, 0]) for _ in range(20)}
    assert tops == {6}


def test_labelled_crops_are_those_of_before() -> None:
    labels = np.zeros((30, 40), np.uint8)
    for seed in range(20):
        before = random_crop(labels.shape, np.random.default_rng(seed), size=(8, 9))
        found = labelled_crop(labels, 255, np.random.default_rng(seed), size=(8, 9))
        for axis, expected in zip(found, before, strict=True):
            np.testing.assert_array_equal(axis, expected)


def test_labelled_pixels_are_equally_likely() -> None:
    labels = np.full((5, 6), 255, np.uint8)
    labels[1, 2] = labels[4, 5] = labels[0, 0] = 1
    rng = np.random.default_rng(0)
    drawn = [labelled_pixel(labels, 255, rng) for _ in range(300)]
    counts = [drawn.count(place) for place in ((1, 2), (4, 5), (0, 0))]
    assert sum(counts) == 300
    assert min(counts) > 70
    assert labelled_pixel(np.full((5, 6), 255, np.uint8), 255, rng) is None


def test_centres_among_some_pixels() -> None:
    segments = np.array([[0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 2, 2]])
    among = np.zeros(segments.shape, bool)
    among[0, 0] = among[1, 2] = among[2, 4] = True  # of superpixels 0, 0 and 2
    rows, columns = centres(segments, among)
    assert (rows.tolist(), columns.tolist()) == ([1, 2], [2, 4])
    np.testing.assert_array_equal(centres(segments, np.ones(segments.shape, bool)), centres(segments))


def test_statistics_of_few_labels() -> None:
    images, masks = sparse(3)
    masks[1][...] = 255
    dataset = ArrayDataset(images, masks, classes=["a", "b", "never"])
    found = statistics(dataset, dataset.samples)
    assert found.labelled == pytest.approx(6 / (3 * 2400))
    assert found.unlabelled == 1
    weights = median_frequency_weights(found)
    assert np.isfinite(weights).all()
    assert weights[2] == 0


def test_what_a_run_says(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    images, masks = sparse(24)  # 1 % of 2400 pixels
    masks[1][...] = 255
    arrays = ArrayDataset(images, masks, classes=["a", "b"])
    stopper = Stopper()
    train(configure("data.val=0", "train.epochs=1"), arrays, tmp_path / "run", report=stopper)
    notes = [event.values["text"] for event in stopper.events if event.kind == "note"]
    assert any("0.67 % of the pixels" in text and "up to 75" in text for text in notes)
    assert any("no pixel of 1 of 3 training images is labelled" in text for text in notes)
    stopper = Stopper()
    train(configure("train.epochs=1"), dataset, tmp_path / "dense", report=stopper)
    assert not any("multiplied" in event.values.get("text", "") for event in stopper.events)


def test_a_run_of_an_earlier_version_goes_on_without_the_factor(tmp_path: Path, configure: Configure) -> None:
    arrays = ArrayDataset(*sparse(24), classes=["a", "b"])
    config = configure("data.val=0", "train.epochs=1")
    train(config, arrays, tmp_path / "run")
    assert newest(tmp_path / "run").state["data"]["loss_factor"] == 50
    data = TrainingData(config, arrays, 3)
    state = newest(tmp_path / "run").state["data"]
    data.load_dict(state, {})
    assert data.largest_factor == 50
    del state["loss_factor"]
    data.load_dict(state, {})
    assert data.largest_factor == 1


def test_a_step_is_as_long_as_with_complete_masks(tmp_path: Path, configure: Configure) -> None:
    """The learning rate of a preset suits sums over complete masks: without the factor a step is 1/100."""
    images, masks = sparse(24)
    complete = [np.repeat(np.arange(2, dtype=np.uint8), 20)[:, None].repeat(60, axis=1)] * 3
    norms = {}
    for name, truth in (("sparse", masks), ("complete", complete)):
        stopper = Stopper()
        config = configure("data.val=0", "train.epochs=1", "train.learning_rate=1e-9", "train.flip=false")
        train(config, ArrayDataset(images, truth, classes=["a", "b"]), tmp_path / name, report=stopper)
        (epoch,) = [event for event in stopper.events if event.kind == "epoch"]
        norms[name] = epoch.values["gradient_norm"]
        assert epoch.values["loss"] == pytest.approx(np.log(2), abs=0.3)  # shown per labelled window
    assert 0.3 < norms["sparse"] / norms["complete"] < 1.2


@pytest.mark.slow
def test_one_percent_of_the_labels_train_a_network(tmp_path: Path, configure: Configure) -> None:
    """Bands of two colours: random pixels teach nearly as much as complete masks."""
    path = tmp_path / "tiny.toml"
    config = configure("train.epochs=30", "train.learning_rate=0.001", "train.clip_norm=200")
    path.write_text(dump_toml(config))
    images, masks = sparse(24, images=8)
    truth = np.zeros((40, 60), np.uint8)
    truth[20:] = 1
    accuracy = {}
    for name, given_masks in (("sparse", masks), ("complete", [truth] * 8)):
        model = lstm2d.fit(images, given_masks, preset=path, val=0, classes=["a", "b"])
        accuracy[name] = np.mean([model.predict(image) == truth for image in images])
    assert accuracy["complete"] > 0.95
    assert accuracy["sparse"] > accuracy["complete"] - 0.05


def test_stopped_and_resumed(tmp_path: Path, configure: Configure) -> None:
    arrays = ArrayDataset(*sparse(24), classes=["a", "b"])
    config = configure("data.val=0.3", "train.crop=[6, 6]")
    train(config, arrays, tmp_path / "straight")
    with pytest.raises(Exception, match="stopped after step 3"):
        train(config, arrays, tmp_path / "run", report=Stopper(3))
    train(config, arrays, tmp_path / "run", resume=True)
    assert digest(tmp_path / "run") == digest(tmp_path / "straight")
