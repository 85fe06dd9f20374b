"""Several images in one call: the same results as one by one, and errors that name the image."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lstm2d.errors import ConfigError, DataError, ImageWarning, ShapeError
from lstm2d.predict import Predictor, load
from lstm2d.predict.batches import images_in
from tests.predict.test_predictor import photo, random_model


@pytest.fixture
def predictor(rng: np.random.Generator) -> Predictor:
    return Predictor(random_model(rng))


def test_a_list_gives_a_list_of_the_same_results(predictor: Predictor, rng: np.random.Generator) -> None:
    images = [photo(rng, 8, 10), photo(rng, 5, 6), photo(rng, 8, 10)]
    for given_images in (images, tuple(images)):
        labels, probabilities = predictor.predict(given_images), predictor.predict_proba(given_images)
        assert type(labels) is type(probabilities) is list
        for image, found, shares in zip(images, labels, probabilities, strict=True):
            np.testing.assert_array_equal(found, predictor.predict(image))
            np.testing.assert_array_equal(shares, predictor.predict_proba(image))
    assert predictor.predict([]) == []


@pytest.mark.parametrize("count", [1, 3])
def test_an_array_gives_an_array(predictor: Predictor, rng: np.random.Generator, count: int) -> None:
    images = np.stack([photo(rng) for _ in range(count)])
    labels, probabilities = predictor.predict(images), predictor.predict_proba(images)
    assert (labels.shape, labels.dtype) == ((count, 8, 10), np.uint8)
    assert (probabilities.shape, probabilities.dtype) == ((count, 8, 10, 4), np.float32)
    for k in range(count):
        np.testing.assert_array_equal(labels[k], predictor.predict(images[k]))
        np.testing.assert_array_equal(probabilities[k], predictor.predict_proba(images[k]))


def test_paths_and_pillow_images(brightness_model: Path, tmp_path: Path) -> None:
    """Class 1 is where red is above 127.5."""
    bright = np.zeros((4, 6, 3), np.uint8)
    bright[:2, :, 0] = 255
    Image.fromarray(bright).save(tmp_path / "a.png")
    model = load(brightness_model)
    images = [tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(bright[:, :3]), bright[1:, :, 0]]
    found = model.predict(images)
    assert [labels.shape for labels in found] == [(4, 6), (4, 6), (4, 3), (3, 6)]
    assert [labels.tolist() for labels in found[:2]] == [[[1] * 6] * 2 + [[0] * 6] * 2] * 2
    assert found[3].tolist() == [[1] * 6, [0] * 6, [0] * 6]


def test_nested_lists_are_one_image_up_to_three_deep(predictor: Predictor, rng: np.random.Generator) -> None:
    image = photo(rng)
    expected = predictor.predict(image)
    np.testing.assert_array_equal(predictor.predict(image.tolist()), expected)
    np.testing.assert_array_equal(predictor.predict(list(image)), expected)  # rows of shape (W, 3)
    (found,) = predictor.predict([image.tolist()])
    np.testing.assert_array_equal(found, expected)


GRAY = np.zeros((5, 7), np.uint8)


@pytest.mark.parametrize(
    ("images", "count"),
    [
        ([GRAY, GRAY], 2),
        ([GRAY, GRAY[:3]], 2),
        ([GRAY] * 3, 3),
        (["a.png"], 1),
        (np.zeros((2, 3, 20, 30)), 2),
        (np.zeros((5, 7, 3)), None),
        (np.zeros((0, 5, 7, 3)), None),
        (np.zeros((3, 5, 7)), None),
        (GRAY.tolist(), None),
        ([GRAY[0], GRAY[1]], None),
        ("a.png", None),
        (Path("a.png"), None),
        (None, None),
    ],
)
@pytest.mark.filterwarnings("ignore:a list of three gray")
def test_what_is_a_batch(images: Any, count: int | None) -> None:
    found = images_in(images)
    assert (None if found is None else len(found)) == count


def test_three_gray_images_may_have_been_meant_as_channels(predictor: Predictor) -> None:
    with pytest.warns(ImageWarning, match="red, green and blue") as warned:
        found = predictor.predict([GRAY] * 3)
    assert warned[0].filename == __file__
    assert len(found) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor.predict([GRAY] * 2)


def test_an_error_has_the_number_of_the_image(predictor: Predictor, rng: np.random.Generator) -> None:
    bad = photo(rng).astype(float)
    bad[2, 3] = np.nan
    with pytest.raises(DataError, match=r"images\[1\]"):
        predictor.predict([photo(rng), bad])
    with pytest.raises(ShapeError, match=r"images\[2\], \(4, 5, 2\)") as caught:
        predictor.predict_proba([photo(rng), photo(rng), np.zeros((4, 5, 2))])
    assert "image[..., 0]" in str(caught.value)
    with pytest.raises(DataError, match=r"images\[0\], .*gone\.png"):
        predictor.predict(["gone.png"])


def test_skip_labels_the_others(predictor: Predictor, rng: np.random.Generator) -> None:
    images = [photo(rng), np.zeros((4, 5, 2)), photo(rng, 5, 6)]
    with pytest.warns(ImageWarning, match=r"not labelled: image to label: images\[1\]") as warned:
        first, second, third = predictor.predict(images, on_error="skip")
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert second is None
    np.testing.assert_array_equal(first, predictor.predict(images[0]))
    np.testing.assert_array_equal(third, predictor.predict(images[2]))
    array = np.stack([photo(rng), photo(rng)]).astype(float)
    array[0, 0, 0] = np.nan
    with pytest.warns(ImageWarning, match=r"images\[0\]"):
        found = predictor.predict_proba(array, on_error="skip")
    assert found[0] is None
    np.testing.assert_array_equal(found[1], predictor.predict_proba(array[1]))


def test_an_error_of_the_call_is_no_error_of_an_image(predictor: Predictor, rng: np.random.Generator) -> None:
    images: Any = [photo(rng)]
    with pytest.raises(ConfigError, match="no such `on_error`"):
        predictor.predict(images, on_error="ignore")  # type: ignore[call-overload]
    with pytest.raises(ConfigError) as caught:
        predictor.predict(images, size=-1, on_error="skip")
    assert "images[0]" not in str(caught.value)


def test_notes_point_at_the_caller(predictor: Predictor) -> None:
    twelve = np.full((4, 5), 4095, np.uint16)
    for images in (twelve, [twelve, twelve[:3]]):
        with pytest.warns(ImageWarning, match="12") as warned:
            predictor.predict(images)
        assert {warning.filename for warning in warned} == {__file__}


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([0, 3, 4])), max_size=5))
def test_a_list_with_a_colour_image_is_always_a_batch(shapes: list[tuple[int, int, int]]) -> None:
    images = [np.zeros((h, w) if c == 0 else (h, w, c), np.uint8) for h, w, c in shapes]
    images.append(np.zeros((5, 6, 3), np.uint8))
    found = images_in(images)
    assert found is images
