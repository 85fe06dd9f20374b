"""Masks are recognised by the number of values in them, photographs are not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage.data import rocket

from lstm2d.data.importers.formats.few_values import FEW, have_few_values

Save = Callable[..., Path]
PHOTO = rocket()[::8, ::8]
OBJECT = np.zeros((60, 80), np.uint8)
OBJECT[20:40, 20:60] = 255
LEVELS = np.arange(60 * 80).reshape(60, 80)


@pytest.mark.parametrize(
    ("name", "pixels", "expected"),
    [
        ("a.png", OBJECT, True),
        ("a.png", LEVELS % FEW, True),
        ("a.png", LEVELS % (FEW + 1), False),
        ("a.png", np.stack([OBJECT, OBJECT.T.reshape(60, 80), 0 * OBJECT], axis=2), True),
        ("a.jpg", OBJECT, True),
        ("a.jpg", LEVELS % 3 * 100, False),
        ("a.jpg", PHOTO, False),
        ("a.png", PHOTO, False),
        ("a.png", PHOTO[..., 0], False),
    ],
)
def test_one_file(save: Save, name: str, pixels: np.ndarray, expected: bool) -> None:
    assert have_few_values([save(name, pixels)]) is expected


def test_the_first_the_middle_and_the_last_count(save: Save) -> None:
    files = [save(f"{k}.png", OBJECT) for k in range(5)]
    assert have_few_values(files)
    save("1.png", PHOTO)
    assert have_few_values(files)
    save("2.png", PHOTO)
    assert not have_few_values(files)


def test_none_and_damaged_files_are_no_masks(save: Save) -> None:
    assert not have_few_values([])
    assert not have_few_values([save("a.png", "no picture")])
