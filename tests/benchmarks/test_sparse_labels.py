"""The script that thins out masks: shares, strokes inside objects, and the folder it makes."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lstm2d.data.folder import DatasetFolder
from lstm2d.data.synth import write_dataset


@pytest.fixture(scope="module")
def script(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("sparse_labels")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of drawn scenes with splits."""
    root = tmp_path_factory.mktemp("synth") / "scenes"
    write_dataset(root, count=6, seed=3)
    return root


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), share=st.floats(0.01, 0.3), kind=st.sampled_from(["scribbles", "pixels"]))
def test_labels_stay_or_are_ignored(script: ModuleType, seed: int, share: float, kind: str) -> None:
    rng = np.random.default_rng(seed)
    labels = ndimage.zoom(rng.integers(0, 3, (3, 4)), 6, order=0).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.1] = 255
    found = script.thinned(labels, share, kind, rng)
    kept = found != 255
    np.testing.assert_array_equal(found[kept], labels[kept])
    objects = sum(ndimage.label(labels == label)[1] for label in range(3))
    expected = share * (labels != 255).sum()
    slack = 1 if kind == "pixels" else objects  # each is rounded up or down
    assert abs(kept.sum() - expected) <= slack
    np.testing.assert_array_equal(script.thinned(labels, 1.0, kind, rng), labels)


def test_every_large_object_gets_strokes_of_its_share(script: ModuleType) -> None:
    labels = np.zeros((60, 80), np.uint8)
    labels[:, 40:] = 1
    labels[20:40, 10:30] = 2
    found = script.thinned(labels, 0.05, "scribbles", np.random.default_rng(0))
    for label, area in ((0, 60 * 40 - 400), (1, 60 * 40), (2, 400)):
        assert (found == label).sum() == round(0.05 * area)
    strokes, count = ndimage.label(found != 255, structure=np.ones((3, 3)))
    assert count < 12  # lines, not single pixels
    assert np.bincount(strokes.ravel())[1:].max() > 30


def test_rounding_is_right_on_average(script: ModuleType) -> None:
    rng = np.random.default_rng(0)
    drawn = [script.rounded(2.25, rng) for _ in range(4000)]
    assert set(drawn) == {2, 3}
    assert np.mean(drawn) == pytest.approx(2.25, abs=0.03)


@pytest.mark.parametrize("link", [False, True])
def test_the_folder(script: ModuleType, scenes: Path, tmp_path: Path, link: bool) -> None:
    before, after = script.make(scenes, tmp_path / "out", 0.02, "scribbles", "test", 0, link)
    assert after / before == pytest.approx(0.02, rel=0.2)
    old, new = DatasetFolder(scenes), DatasetFolder(tmp_path / "out")
    assert (new.classes, new.splits, new.name) == (old.classes, old.splits, old.name)
    tested = {sample.stem for sample in old.split("test")}
    total = 0
    for ours, theirs in zip(new.samples, old.samples, strict=True):
        assert ours.stem == theirs.stem
        assert ours.image_path.read_bytes() == theirs.image_path.read_bytes()
        labels, truth = new.load_labels(ours), old.load_labels(theirs)
        if ours.stem in tested:
            np.testing.assert_array_equal(labels, truth)
        else:
            assert ((labels == truth) | (labels == 255)).all()
            total += int((labels != 255).sum())
    assert total == after
    script.make(scenes, tmp_path / "again", 0.02, "scribbles", "test", 0, link)
    for path in (tmp_path / "out" / "masks").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / "masks" / path.name).read_bytes()
