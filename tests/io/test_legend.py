"""Legends: every colour with its name; those of an overlay list the classes in it."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lstm2d.io import legend
from lstm2d.io.classes import ClassInfo, default_color
from lstm2d.io.legend import PAPER, encode_legend, with_legend
from lstm2d.io.lettering import Lettering, Pen
from tests.io.made_fonts import only_fonts_of

NAMES = ("sky", "道路", "مسار", "सड़क", "\U0001f333", "x" * 10_000, "a\n$b$\0", "", "\udcff", "שלום")


def classes(count: int) -> list[ClassInfo]:
    return [ClassInfo(NAMES[k % len(NAMES)], default_color(k + 1)) for k in range(count)]


def pixels(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def areas(picture: np.ndarray) -> dict[tuple[int, ...], int]:
    """Return how many pixels have each colour."""
    packed, counts = np.unique(picture.astype(np.uint32) @ [1 << 16, 1 << 8, 1], return_counts=True)
    return {
        (int(p) >> 16, int(p) >> 8 & 255, int(p) & 255): int(n) for p, n in zip(packed, counts, strict=True)
    }


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the texts that are drawn."""
    texts: list[str] = []
    write = Pen.write

    def keep(self: Pen, draw: Any, place: Any, text: Lettering | str, *args: Any, **options: Any) -> None:
        texts.append(text if isinstance(text, str) else text.text)
        write(self, draw, place, text, *args, **options)

    monkeypatch.setattr(Pen, "write", keep)
    return texts


@pytest.mark.parametrize("count", [1, 2, 12, 13, 60, 150, 254])
def test_every_colour_has_its_swatch(count: int) -> None:
    picture = pixels(encode_legend(classes(count)))
    side = legend.TEXT + legend.TEXT // 2 - 2
    found = areas(picture)
    assert all(found[info.color] >= side**2 for info in classes(count))
    height, width = picture.shape[:2]
    assert max(height, width) < 3000
    assert count <= 12 or 0.35 < height / width < 1.6
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert (edge == PAPER).all()  # nothing is cut off


def test_numbers_and_names(written: list[str], tmp_path: Path) -> None:
    with only_fonts_of(tmp_path):
        encode_legend(classes(10))
    expected = ["sky", "class 1", "مسار", "class 3", "class 4", "x", "a $b$", "class 7", "\ufffd", "שלום"]
    if not legend_shapes():
        expected[2], expected[9] = "class 2", "class 9"
    names = written[1::2]
    assert written[::2] == [str(k) for k in range(10)]
    assert names[5].startswith("xxx")
    assert names[5].endswith("…")
    assert [*names[:5], "x", *names[6:]] == expected


def legend_shapes() -> bool:
    from PIL import features

    return bool(features.check("raqm"))


def test_same_bytes_each_time() -> None:
    assert encode_legend(classes(20)) == encode_legend(classes(20))


def test_only_what_occurs_with_its_share(written: list[str]) -> None:
    labels = np.zeros((100, 120), np.uint8)
    labels[:30] = 2
    labels[30, :] = 255  # ignored, not counted
    labels[31, 0] = 3
    named = [ClassInfo(name, (50 * k + 1, 7, 200)) for k, name in enumerate("abcde")]
    picture = np.full((100, 120, 3), 77, np.uint8)
    found = with_legend(picture, labels, named)
    assert written == ["a", "69.0 %", "c", "30.0 %", "d", "< 0.1 %"]
    present = [areas(found).get(info.color, 0) > 100 for info in named]
    assert present == [True, False, True, True, False]
    assert found.shape[0] > 100
    np.testing.assert_array_equal(found[:100, :120], picture)


def test_below_a_wide_picture_beside_an_upright_one() -> None:
    for shape, grown in (((300, 400), (True, False)), ((400, 300), (False, True))):
        found = with_legend(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8), classes(3))
        assert (found.shape[0] > shape[0], found.shape[1] > shape[1]) == grown


def test_text_grows_with_the_picture(written: list[str]) -> None:
    heights = []
    for side in (100, 1000, 4000):
        labels = np.zeros((side, side + 1), np.uint8)
        found = with_legend(np.zeros((*labels.shape, 3), np.uint8), labels, classes(1))
        heights.append(found.shape[0] - side)
    assert heights[0] < heights[1] < heights[2] < 400
    assert set(written) == {"sky", "100.0 %"}


def test_a_picture_without_classes_stays_as_it_is() -> None:
    picture = np.zeros((4, 5, 3), np.uint8)
    assert with_legend(picture, np.full((4, 5), 255, np.uint8), classes(3)) is picture


@settings(max_examples=25)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 150))
def test_any_size_and_number(height: int, width: int, count: int) -> None:
    labels = (np.arange(height * width) % count).astype(np.uint8).reshape(height, width)
    picture = np.full((height, width, 3), 77, np.uint8)
    info = [ClassInfo(f"class {k}", default_color(k + 1)) for k in range(count)]
    found = with_legend(picture, labels, info)
    np.testing.assert_array_equal(found[:height, :width], picture)
    beside = found.copy()
    beside[:height, :width] = 0
    counts = areas(beside)
    assert all(counts[info[k].color] >= 10 * 10 for k in np.unique(labels))
