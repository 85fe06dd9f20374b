"""Sheets of feature maps: where tiles are, what they show, and what is written."""

from __future__ import annotations

import numpy as np
import pytest

from lstm2d.io.classes import ClassInfo
from lstm2d.io.gallery import GAP, MARGIN
from lstm2d.io.lettering import Lettering, Pen
from lstm2d.predict.layer_maps import LayerMaps
from lstm2d.report.feature_sheets import (
    Subject,
    draw_layer,
    draw_overview,
    drawn_channels,
    overview_row,
    photo_tile,
    span_text,
)

TILE = (150, 200)  # of a photograph of 3x4 pixels
SHADES = "0.00 to 0.78"  # percentiles 2 and 98 of a one and eleven zeros: 0.98 * 11 = 10 + 0.78
CLASSES = (ClassInfo("sky", (0, 0, 255)), ClassInfo("tree", (0, 255, 0)))


@pytest.fixture
def subject() -> Subject:
    """Return a photograph whose pixels are red or black."""
    pixels = np.zeros((3, 4, 3), np.uint8)
    pixels[1, 2, 0] = 255
    return Subject(photo_tile(pixels, "photo.jpg"), (3, 4), "model", CLASSES)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float, str]]:
    """Return the lines that are written, with column and row."""
    lines: list[tuple[float, float, str]] = []
    write = Pen.write

    def record(
        self: Pen,
        draw: object,
        place: tuple[float, float],
        text: Lettering | str,
        *rest: object,
        **more: object,
    ) -> None:
        lines.append((*place, text if isinstance(text, str) else text.text))
        write(self, draw, place, text, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Pen, "write", record)
    return lines


def layer_of(name: str, channels: int) -> LayerMaps:
    """Return a layer whose map k is 1 at position k, counted by row, and 0 elsewhere."""
    values = np.eye(12, dtype=np.float32)[:channels].T.reshape(3, 4, channels)
    return LayerMaps(name, values, 1)


def white_squares(sheet: np.ndarray, count: int, columns: int, top: int) -> list[int]:
    """Return the position that is white on each tile; all others must be black."""
    found = []
    for k in range(count):
        y, x = top + k // columns * (TILE[0] + 18 + GAP), MARGIN + k % columns * (TILE[1] + GAP)
        tile = sheet[y : y + TILE[0], x : x + TILE[1]]
        squares = tile.reshape(3, 50, 4, 50, 3)
        assert (squares == squares[:, :1, :, :1]).all()  # each position is 50x50 pixels of one colour
        levels = squares[:, 0, :, 0].reshape(12, 3)
        assert sorted(levels.sum(axis=1)) == [0] * 11 + [765]
        found.append(int(levels.sum(axis=1).argmax()))
    return found


def tops(written: list[tuple[float, float, str]], channel: int) -> int:
    """Return the top of the row of a channel's tile."""
    (y,) = {y for _, y, text in written if text == str(channel)}
    return int(y) - 9 - TILE[0]


def test_the_photograph_is_the_first_tile(subject: Subject) -> None:
    sheet = draw_layer(layer_of("conv1", 5), subject, "layer 1 of 1", most=64)
    tile = sheet[MARGIN : MARGIN + 150, MARGIN : MARGIN + 200]
    assert (tile[50:100, 100:150] == (255, 0, 0)).all()
    assert tile.sum() == 50 * 50 * 255


def test_tiles_are_in_the_order_of_the_channels(
    subject: Subject, written: list[tuple[float, float, str]]
) -> None:
    sheet = draw_layer(layer_of("conv1", 7), subject, "layer 2 of 3", most=64)
    assert white_squares(sheet, 7, 7, tops(written, 0)) == list(range(7))
    texts = [text for _, _, text in written]
    assert texts[:5] == [
        "photo.jpg",
        "conv1",
        "layer 2 of 3, model model",
        "4x3 positions, one per pixel of 4x3",
        "7 channels; values from 0.0 to 1.0",
    ]
    numbers = [text for text in texts if text.isdigit()]
    assert numbers == [str(k) for k in range(7)]
    assert texts.count(SHADES) == 7
    assert not any("are drawn" in text for text in texts)


def test_tiles_are_grouped_by_direction(subject: Subject, written: list[tuple[float, float, str]]) -> None:
    sheet = draw_layer(layer_of("lstm1", 12), subject, "layer 1 of 1", most=8)
    names = ["down-right", "down-left", "up-right", "up-left"]
    headings = {text: y for x, y, text in written if text in names and x == MARGIN}
    assert list(headings) == names
    assert sorted(headings.values()) == list(headings.values())
    for k, name in enumerate(names):
        top = tops(written, 3 * k)
        assert white_squares(sheet, 2, 2, top) == [3 * k, 3 * k + 1]
        assert headings[name] < top
        assert k == 3 or top + TILE[0] < headings[names[k + 1]]
    texts = [text for _, _, text in written]
    assert "12 channels, 3 in each of 4 directions; values from 0.0 to 1.0" in texts
    assert "8 of 12 channels are drawn" in texts


def test_sweeps_have_two_directions() -> None:
    assert drawn_channels(layer_of("renet1(V)", 6), 64) == {"down": [0, 1, 2], "up": [3, 4, 5]}
    assert drawn_channels(layer_of("renet3(H)", 6), 3) == {"right": [0, 1], "left": [3]}
    assert drawn_channels(layer_of("lstm2", 12), 1) == {"down-right": [0]}
    assert drawn_channels(layer_of("conv1", 6), 4) == {"": [0, 1, 2, 3]}


def test_scores_name_their_classes(subject: Subject, written: list[tuple[float, float, str]]) -> None:
    draw_layer(layer_of("scores", 2), subject, "layer 1 of 1", most=64)
    assert [text for _, _, text in written if text in ("0 sky", "1 tree")] == ["0 sky", "1 tree"]


def test_a_constant_map_is_gray(subject: Subject, written: list[tuple[float, float, str]]) -> None:
    sheet = draw_layer(LayerMaps("conv1", np.zeros((3, 4, 1), np.float32), 1), subject, "layer", most=64)
    top = tops(written, 0)
    assert (sheet[top : top + 150, MARGIN : MARGIN + 200] == 128).all()
    assert "0 everywhere" in [text for _, _, text in written]


def test_the_overview_has_a_row_per_layer(subject: Subject, written: list[tuple[float, float, str]]) -> None:
    names = ("lstm1", "renet1(V)", "conv1")
    rows = [overview_row(layer_of(name, 12), subject) for name in names]
    tiles = [[(tile.left, tile.right) for tile in row.tiles[1:]] for row in rows]
    assert tiles == [
        [("0", "down-right"), ("3", "down-left"), ("6", "up-right"), ("9", "up-left")],
        [("0", "down"), ("1", "down"), ("6", "up"), ("7", "up")],
        [(str(k), SHADES) for k in range(4)],
    ]
    sheet = draw_overview(rows, subject)
    places = {text: y for _, y, text in written if text in names}
    assert list(places) == list(names)
    assert np.diff(list(places.values())).tolist() == [150 + 18 + GAP] * 2
    red = np.argwhere((sheet == (255, 0, 0)).all(axis=-1) & (np.arange(sheet.shape[1]) < 320)[None, :])
    assert len(red) == 3 * 50 * 50  # the photograph in each row


def test_long_sides_are_limited() -> None:
    def size(height: int, width: int) -> tuple[int, ...]:
        return photo_tile(np.zeros((height, width, 3), np.float32), "a").picture.shape[:2]

    assert size(240, 320) == (150, 200)
    assert size(320, 240) == (200, 150)
    assert size(1, 1) == (173, 173)
    assert size(1, 3000) == (1, 600)
    thin = Subject(photo_tile(np.zeros((3000, 1, 3)), "a"), (3000, 1), "m", ())
    assert thin.cell == (600 + 18 + GAP, 40 + GAP)  # room for the line below


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-1.0, 1.0, "-1.0 to 1.0"),
        (0.0, 261.4, "0 to 261"),
        (1.2e-7, 0.99, "0.00 to 0.99"),
        (-0.76, -3.2e-8, "-0.76 to 0.00"),
        (-23.4, 10.2, "-23 to 10"),
        (0.5, 0.50001, "0.5 to 0.5"),
        (1e-9, 2e-9, "1e-09 to 2e-09"),
    ],
)
def test_numbers_have_two_digits_of_their_span(low: float, high: float, text: str) -> None:
    assert span_text(low, high) == text


def test_columns_leave_few_places_empty(subject: Subject) -> None:
    def columns(count: int) -> int:
        layer = LayerMaps("conv1", np.zeros((3, 4, count), np.float32), 1)
        width = draw_layer(layer, subject, "layer", most=64).shape[1]
        return (width - 2 * MARGIN + GAP) // (TILE[1] + GAP)

    assert [columns(n) for n in (1, 4, 5, 8, 10, 12, 20, 24, 64)] == [4, 4, 5, 8, 10, 6, 10, 8, 8]
