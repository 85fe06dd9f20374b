"""Sheets of pictures and labels."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.errors import ShapeError
from lstm2d.io.classes import ClassInfo
from lstm2d.io.gallery import (
    EMPTY,
    NAME,
    Example,
    coloured,
    draw_comparison,
    draw_gallery,
    draw_instances,
    draw_side_by_side,
    encode_png,
)
from tests.io.made_fonts import forget, make_font, only_fonts_of

CLASSES = (ClassInfo("left", (200, 0, 0)), ClassInfo("right", (0, 0, 100)))


def halves(title: str = "halves", *, truth: bool = True) -> Example:
    """Return a grey image of 60x80 pixels, with labels of class 1 in its right half and a mask of class 0."""
    image = np.full((60, 80, 3), 100, dtype=np.uint8)
    labels = np.zeros((60, 80), dtype=np.uint8)
    labels[:, 40:] = 1
    return Example(image, labels, np.zeros_like(labels) if truth else None, title)


def count(sheet: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((sheet == np.array(colour)).all(axis=-1).sum())


def test_pixels_of_an_unscaled_sheet() -> None:
    sheet = draw_gallery([halves()], CLASSES, cell=(60, 80))
    swatch = 13 * 13  # inside the outline of 15 x 15
    assert count(sheet, (100, 100, 100)) == 60 * 80
    # truth: all; labels: half; legend
    assert count(sheet, (200, 0, 0)) == 60 * 80 + 60 * 40 + swatch
    assert count(sheet, (0, 0, 100)) == 60 * 40 + swatch
    # overlay: the mean of grey and colour, by hand
    assert count(sheet, (150, 50, 50)) == 60 * 40
    assert count(sheet, (50, 50, 100)) == 60 * 40


def test_rows_are_picture_truth_labels_overlay() -> None:
    sheet = draw_gallery([halves()], CLASSES, cell=(60, 80))
    colours = {"picture": (100,) * 3, "truth": (200, 0, 0), "labels": (0, 0, 100), "overlay": (150, 50, 50)}
    first = {
        name: np.nonzero((sheet == np.array(colour)).all(axis=-1))[0].min()
        for name, colour in colours.items()
    }
    assert list(first) == sorted(first, key=lambda name: first[name])
    assert first["truth"] - first["picture"] == 66
    assert first["overlay"] - first["labels"] == 66


def test_unknown_truth() -> None:
    mixed = draw_gallery([halves(), halves(truth=False)], CLASSES, cell=(60, 80))
    without = draw_gallery([halves(truth=False)] * 2, CLASSES, cell=(60, 80))
    assert count(mixed, EMPTY) > 60 * 80 / 2  # an empty cell with a few words
    assert count(without, EMPTY) == 0
    assert mixed.shape[0] - without.shape[0] == 66  # no row of truth


def test_other_proportions_stay_within_their_cell() -> None:
    tall = Example(np.full((300, 30, 3), 100, np.uint8), np.zeros((300, 30), np.uint8), None, "tall")
    sheet = draw_gallery([tall], CLASSES, cell=(60, 80))
    assert count(sheet, (100, 100, 100)) == 60 * 6


def test_ignored_pixels_are_black() -> None:
    labels = np.array([[0, 1, 255]])
    assert coloured(labels, CLASSES).tolist() == [[[200, 0, 0], [0, 0, 100], [0, 0, 0]]]


def test_float_images_and_odd_titles() -> None:
    example = halves("a title\nthat is <far> too long for its column $x$")
    soft = Example(example.image.astype(np.float32) + 0.4, example.labels, None, example.title)
    sheet = draw_gallery([soft], CLASSES, cell=(60, 80))
    assert count(sheet, (100, 100, 100)) == 60 * 80
    assert sheet.shape[1] == draw_gallery([halves(truth=False)], CLASSES, cell=(60, 80)).shape[1]


def test_many_classes_take_more_lines() -> None:
    many = [ClassInfo(f"a class of number {k}", (k, 255 - k, 7)) for k in range(33)]
    sheet = draw_gallery([halves()], many, cell=(60, 80))
    assert all(count(sheet, info.color) >= 13 * 13 for info in many)


def test_names_and_titles_in_any_script(tmp_path: Path) -> None:
    names = ["山", "ไ", "\U0001f333", "x" * 10_000, "a\n$b$\0"]
    classes = [ClassInfo(name, (9, 200, 50 * k)) for k, name in enumerate(names)]
    with only_fonts_of(tmp_path):
        without = draw_gallery([halves("山 1.0 %")], classes, cell=(60, 80))
        shown = ["class 0", "class 1", "class 2", *names[3:]]
        numbers = [ClassInfo(name, info.color) for name, info in zip(shown, classes, strict=True)]
        np.testing.assert_array_equal(without, draw_gallery([halves("? 1.0 %")], numbers, cell=(60, 80)))
        make_font(tmp_path / "a.ttf", "山 1.0%ไ")
        forget()
        found = draw_gallery([halves("山 1.0 %")], classes, cell=(60, 80))
    assert found.shape == without.shape
    assert (found != without).any()


def test_png_keeps_pixels_or_saves_room(rng: np.random.Generator) -> None:
    sheet = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    exact, small = encode_png(sheet), encode_png(sheet, colours=256)
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(exact))), sheet)
    assert len(small) < 0.6 * len(exact)
    near = np.asarray(Image.open(BytesIO(small)).convert("RGB")).astype(int)
    assert np.abs(near - sheet).mean() < 25


def test_wrong_sizes() -> None:
    with pytest.raises(ShapeError, match="without examples"):
        draw_gallery([], CLASSES)
    wrong = Example(np.zeros((4, 5, 3)), np.zeros((5, 4), int), None, "")
    with pytest.raises(ShapeError, match="another size"):
        draw_gallery([wrong], CLASSES)


def test_a_comparison_has_a_row_per_model() -> None:
    ours, theirs = halves(), halves()
    theirs.labels[:] = 1
    sheet = draw_comparison({"ours": [ours], "theirs": [theirs]}, CLASSES, cell=(60, 80))
    swatch = 13 * 13
    assert count(sheet, (100, 100, 100)) == 60 * 80
    # truth: all; the first model: half; legend
    assert count(sheet, (200, 0, 0)) == 60 * 80 + 60 * 40 + swatch
    # half and all
    assert count(sheet, (0, 0, 100)) == 60 * 40 + 60 * 80 + swatch
    assert count(sheet, (150, 50, 50)) == 0
    same = draw_gallery([ours], CLASSES, cell=(60, 80))
    assert sheet.shape[0] == same.shape[0]


def test_a_comparison_of_images_that_differ() -> None:
    with pytest.raises(ShapeError, match="without examples"):
        draw_comparison({}, CLASSES)
    with pytest.raises(ValueError, match="longer"):
        draw_comparison({"a": [halves()], "b": [halves(), halves()]}, CLASSES)


def test_long_names_of_models_are_cut() -> None:
    names = ["a" * 10, "b" * 1000]
    short, long = (draw_comparison({name: [halves()]}, CLASSES, cell=(60, 80)) for name in names)
    assert short.shape[1] < long.shape[1] <= short.shape[1] + NAME


def test_rare_classes_keep_their_colour(rng: np.random.Generator) -> None:
    """Also if a picture has more than 256 other colours."""
    sheet = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    sheet[5, 5:8] = [(200, 0, 0), (0, 0, 100), (255, 255, 255)]
    found = np.asarray(Image.open(BytesIO(encode_png(sheet, colours=256, classes=CLASSES))).convert("RGB"))
    assert len(np.unique(found.reshape(-1, 3), axis=0)) <= 256
    np.testing.assert_array_equal(found[5, 5:8], sheet[5, 5:8])
    assert np.abs(found.astype(int) - sheet).mean() < 20
    flat = np.zeros((20, 20, 3), np.uint8) + np.array((200, 0, 0), np.uint8)
    found = np.asarray(Image.open(BytesIO(encode_png(flat, colours=6, classes=CLASSES))).convert("RGB"))
    np.testing.assert_array_equal(found, flat)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (30, 40)])
def test_labels_after_instances(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 100, np.uint8)
    labels = {number: np.full(size, number - 1, np.uint8) for number in (1, 2)}
    classes = [ClassInfo("a", (200, 0, 0)), ClassInfo("b", (0, 0, 200))]
    sheet = draw_instances(image, labels, classes, side=160)
    height, width = (max(round(160 * n / max(size)), 1) for n in size)
    cell = max(width, NAME)
    assert sheet.shape[1] == 14 + 3 * cell + 2 * 6 + 14
    for k, colour in enumerate([(100, 100, 100), (200, 0, 0), (0, 0, 200)]):
        x, y = 14 + k * (cell + 6) + (cell - width) // 2, 14 + 15 + 12
        assert (sheet[y : y + height, x : x + width] == colour).all()
    with pytest.raises(ShapeError, match="another size"):
        draw_instances(image, {1: np.zeros((2, 3), np.uint8)}, classes)
    with pytest.raises(ShapeError, match="without examples"):
        draw_instances(image, {}, classes)


@pytest.mark.parametrize("sizes", [[(60, 80)], [(1, 1), (1, 4000)], [(4000, 1), (30, 40), (60, 80)]])
def test_models_side_by_side(sizes: list[tuple[int, int]]) -> None:
    """Each image has a row: picture, truth (class 0), the labels of both models (1 and 0), captions."""
    images = [np.full((*size, 3), 100, np.uint8) for size in sizes]

    def labelled(number: int) -> list[Example]:
        truths = [np.zeros(size, np.uint8) for size in sizes]
        return [
            Example(image, truth + np.uint8(number), truth, "50.0 %")
            for image, truth in zip(images, truths, strict=True)
        ]

    models = {"a": labelled(1), "b" * 100: labelled(0)}
    sheet = draw_side_by_side([f"image {k}" for k in range(len(sizes))], models, CLASSES, cell=(120, 160))
    fitted = []
    for rows, columns in sizes:
        scale = min(120 / rows, 160 / columns)
        fitted.append((max(round(rows * scale), 1), max(round(columns * scale), 1)))
    assert sheet.shape[1] == 14 + 4 * 160 + 3 * 6 + 14
    y = 14 + 15 + 12
    for height, width in fitted:
        for column, colour in enumerate([(100, 100, 100), (200, 0, 0), (0, 0, 100), (200, 0, 0)]):
            x = 14 + column * 166 + (160 - width) // 2
            assert (sheet[y : y + height, x : x + width] == colour).all()
        y += height
        caption = sheet[y : y + 33]
        written = [(caption[:, 14 + 166 * k : 174 + 166 * k] < 128).any() for k in range(4)]
        assert written == [True, False, True, True]
        y += 33


def test_models_side_by_side_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="without examples"):
        draw_side_by_side([], {"a": []}, CLASSES)
    wrong = Example(np.zeros((4, 5, 3)), np.zeros((5, 4), int), None, "")
    with pytest.raises(ShapeError, match="another size"):
        draw_side_by_side(["x"], {"a": [wrong]}, CLASSES)
