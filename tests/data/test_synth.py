"""The synthetic scenes: deterministic, complete, and with colours that classes share."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d.data.folder import DatasetFolder
from lstm2d.data.synth import CLASSES, draw_scene, split_sizes, write_dataset
from lstm2d.errors import ConfigError, OutputError
from lstm2d.io.images import read_photo
from lstm2d.io.masks import read_mask

SKY, TREE, ROAD, GRASS, WATER, BUILDING, MOUNTAIN, FOREGROUND = range(8)


@pytest.fixture(scope="module")
def scenes() -> list[tuple[np.ndarray, np.ndarray]]:
    return [draw_scene(5, index, 60, 80) for index in range(80)]


def test_classes_are_those_of_stanford_background() -> None:
    names = ["sky", "tree", "road", "grass", "water", "building", "mountain", "foreground"]
    assert [c.name for c in CLASSES] == names
    assert CLASSES[0].color == (135, 206, 235)
    assert CLASSES[7].color == (220, 60, 120)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**63 - 1),
    index=st.integers(0, 10**6),
    height=st.integers(16, 90),
    width=st.integers(16, 90),
)
def test_any_seed_number_and_size(seed: int, index: int, height: int, width: int) -> None:
    image, labels = draw_scene(seed, index, height, width)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert labels.shape == (height, width)
    assert labels.dtype == np.uint8
    assert labels.max() < len(CLASSES)
    assert image.std() > 5  # a picture, not one colour


def test_a_picture_of_a_few_rows_has_boats_too() -> None:
    """In this scene the far shore comes before the near one."""
    image, _ = draw_scene(0, 65535, 16, 50)
    assert image.shape == (16, 50, 3)


def test_a_scene_depends_on_seed_and_number_alone() -> None:
    alone = draw_scene(3, 7, 48, 64)
    for index in (6, 8, 2):
        draw_scene(3, index, 48, 64)
    again = draw_scene(3, 7, 48, 64)
    np.testing.assert_array_equal(alone[0], again[0])
    np.testing.assert_array_equal(alone[1], again[1])
    for other in (draw_scene(3, 8, 48, 64), draw_scene(4, 7, 48, 64)):
        assert (other[0] != alone[0]).mean() > 0.5


def test_another_process_draws_the_same() -> None:
    code = (
        "import hashlib; from lstm2d.data.synth import draw_scene;"
        "print(hashlib.sha256(draw_scene(1, 2, 48, 64)[0].tobytes()).hexdigest())"
    )
    import hashlib

    here = hashlib.sha256(draw_scene(1, 2, 48, 64)[0].tobytes()).hexdigest()
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_a_larger_picture_shows_the_same_scene() -> None:
    """Sizes scale with the picture: labels of the small and of the large one agree except at edges."""
    small, large = draw_scene(2, 11, 60, 80)[1], draw_scene(2, 11, 120, 160)[1]
    assert (small == large[1::2, 1::2]).mean() > 0.9


def test_every_class_occurs_often_enough(scenes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    counts = np.bincount(np.concatenate([labels.ravel() for _, labels in scenes]), minlength=8)
    shares = counts / counts.sum()
    assert shares.min() > 0.01
    assert shares.max() < 0.35
    images_with = [sum((labels == k).any() for _, labels in scenes) for k in range(8)]
    assert min(images_with) >= 20


@pytest.mark.parametrize(("first", "second"), [(SKY, WATER), (ROAD, BUILDING), (TREE, MOUNTAIN)])
def test_colours_are_shared(first: int, second: int, scenes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Within one scene most colours of a class have a close neighbour among those of its partner."""
    shares = []
    for image, labels in scenes:
        a, b = (image[labels == k].astype(float)[::5] for k in (first, second))
        if min(len(a), len(b)) < 60:
            continue
        nearest = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=-1)).min(axis=1)
        shares.append((nearest < 20.0).mean())
    assert len(shares) >= 8
    assert np.median(shares) > 0.6


def test_sky_is_above_the_ground(scenes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Context decides: sky lies above water, mountains above grass, in every scene that has both."""
    for above, below in ((SKY, WATER), (MOUNTAIN, GRASS)):
        pairs = [
            (np.nonzero(labels == above)[0].mean(), np.nonzero(labels == below)[0].mean())
            for _, labels in scenes
            if (labels == above).any() and (labels == below).any()
        ]
        assert len(pairs) >= 10
        assert all(high < low for high, low in pairs)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"height": 8}, "height 8"),
        ({"width": 5000}, "width 5000"),
        ({"index": -1}, "no scene -1"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_numbers(options: dict[str, int], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        draw_scene(**({"seed": 0, "index": 0} | options))


def test_split_sizes() -> None:
    assert split_sizes(100) == {"train": 70, "val": 10, "test": 20}
    assert split_sizes(3) == {"train": 1, "val": 1, "test": 1}
    assert all(sum(split_sizes(n).values()) == n and min(split_sizes(n).values()) >= 1 for n in range(3, 60))


def test_dataset_folder_reads_back(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    sizes = write_dataset(
        tmp_path / "scenes",
        count=10,
        seed=4,
        height=30,
        width=40,
        progress=lambda n, of: calls.append((n, of)),
    )
    assert sizes == {"train": 7, "val": 1, "test": 2}
    assert calls == [(n, 10) for n in range(1, 11)]
    dataset = DatasetFolder(tmp_path / "scenes")
    assert dataset.classes == CLASSES
    assert not dataset.guessed
    assert [s.stem for s in dataset.split("val")] == ["scene_0007"]
    assert [s.stem for s in dataset.split("test")] == ["scene_0008", "scene_0009"]
    for index, sample in enumerate(dataset.samples):
        image, labels = draw_scene(4, index, 30, 40)
        np.testing.assert_array_equal(read_photo(sample.image_path).pixels, image)
        np.testing.assert_array_equal(read_mask(sample.mask_path), labels)


def test_dataset_touches_no_folder_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        write_dataset(tmp_path, count=3, seed=0, height=16, width=16)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("options", [{"count": 2}, {"count": 3, "height": 1}, {"count": 3, "seed": -1}])
def test_dataset_with_wrong_numbers_writes_nothing(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        write_dataset(tmp_path / "out", **({"seed": 0} | options))
    assert not (tmp_path / "out").exists()
