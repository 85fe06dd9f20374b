"""Statistics of a dataset against values worked out by hand and NumPy on all pixels at once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from lstm2d.data.folder import DatasetFolder
from lstm2d.data.stats import (
    MIN_STD,
    Statistics,
    inverse_frequency_weights,
    median_frequency_weights,
    statistics,
)
from lstm2d.errors import DataError

Maker = Callable[..., Path]


def counted(pixels: tuple[int, ...], where_present: tuple[int, ...]) -> Statistics:
    return Statistics(1, (0,) * 3, (1,) * 3, pixels, where_present, 0, {}, {})


def test_by_hand(make: Maker) -> None:
    root = make({"a": [[0, 0, 1, 255]], "b": [[0, 0], [0, 0]], "c": [[1, 255], [255, 255]]})
    for stem, colour in (("a", (0, 10, 255)), ("b", (100, 10, 255)), ("c", (200, 40, 255))):
        path = root / "images" / f"{stem}.png"
        with Image.open(path) as image:
            Image.new("RGB", image.size, colour).save(path)
    (root / "scenes.txt").write_text("a coast\nb city\nc coast\n")
    dataset = DatasetFolder(root)
    s = statistics(dataset, dataset.samples)
    assert s.images == 3
    assert s.mean == pytest.approx((100, 20, 255))
    assert s.std == pytest.approx((np.sqrt(20000 / 3), np.sqrt(200), MIN_STD))
    assert s.pixels == (6, 2, 0)
    assert s.pixels_where_present == (3 + 4, 3 + 1, 0)  # labelled pixels only
    assert s.ignored == 4
    assert s.frequencies == (0.75, 0.25, 0)
    assert s.sizes == {(2, 2): 2, (1, 4): 1}
    assert s.scenes == {"coast": 2, "city": 1}
    # freq = 6/7, 2/4; median = 19/28
    np.testing.assert_allclose(median_frequency_weights(s), [19 / 28 / (6 / 7), 19 / 28 / 0.5, 0])
    np.testing.assert_allclose(inverse_frequency_weights(s), [1 / (2 * 0.75), 1 / (2 * 0.25), 0])


def test_against_all_pixels_at_once(make: Maker, rng: np.random.Generator) -> None:
    masks = {f"i{n}": rng.integers(0, 3, (5 + n, 7)) for n in range(4)}
    root = make(masks)
    floats = rng.random((5, 7, 3)).astype(np.float32) * 200 + 50
    (root / "images" / "i0.png").unlink()
    tifffile.imwrite(root / "images" / "i0.tif", floats, photometric="rgb")
    dataset = DatasetFolder(root)
    s = statistics(dataset, dataset.samples)
    pixels = np.concatenate([dataset.load(x)[0].reshape(-1, 3).astype(np.float64) for x in dataset.samples])
    np.testing.assert_allclose(s.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(s.std, pixels.std(axis=0), rtol=1e-9)
    labels = np.concatenate([m.ravel() for m in masks.values()])
    assert s.pixels == tuple(np.bincount(labels, minlength=3).tolist())


def test_order_changes_nothing(make: Maker, rng: np.random.Generator) -> None:
    dataset = DatasetFolder(make({f"i{n}": rng.integers(0, 3, (9, 7)) for n in range(5)}))
    there, back = statistics(dataset, dataset.samples), statistics(dataset, dataset.samples[::-1])
    assert (there.mean, there.std, there.pixels) == (back.mean, back.std, back.pixels)


def test_weights_by_hand() -> None:
    stats = counted((50, 10, 0, 40), (100, 100, 0, 50))
    # freq = 0.5, 0.1, 0.8: the median is 0.5
    np.testing.assert_allclose(median_frequency_weights(stats), [1, 5, 0, 0.625])
    # share = 0.5, 0.1, 0.4, three classes occur
    np.testing.assert_allclose(inverse_frequency_weights(stats), [2 / 3, 10 / 3, 0, 5 / 6])
    assert np.dot(inverse_frequency_weights(stats), stats.frequencies) == pytest.approx(1)


def test_nothing_labelled() -> None:
    stats = counted((0, 0), (0, 0))
    assert stats.frequencies == (0, 0)
    np.testing.assert_array_equal(median_frequency_weights(stats), [0, 0])
    np.testing.assert_array_equal(inverse_frequency_weights(stats), [0, 0])


def test_no_images(make: Maker) -> None:
    dataset = DatasetFolder(make({"a": [[0]]}))
    with pytest.raises(DataError, match="no images"):
        statistics(dataset, [])
