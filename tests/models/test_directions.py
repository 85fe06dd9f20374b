"""The directions that are named are those in which a recurrent layer scans."""

from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor
from lstm2d.models import build
from lstm2d.models.directions import directions_of

LSTM: dict[str, Any] = {"kind": "lstm2d", "window": 1, "units": [2], "features": []}
RENET: dict[str, Any] = {"kind": "n-renet", "units": [2], "patches": [1]}
ROW, COLUMN = 2, 3  # of the pixel that changes


def reached(section: dict[str, Any], layer: str) -> dict[str, set[tuple[int, int]]]:
    """Return the positions at which each direction of a layer notices a change of one pixel."""
    rng = np.random.default_rng(3)
    network = build(section, 3, rng)
    image = rng.standard_normal((1, 5, 7, 3)).astype(np.float32)
    other = image.copy()
    other[0, ROW, COLUMN] += 1
    before, after = (network.feature_maps(Tensor(x))[layer][0] for x in (image, other))
    names = directions_of(layer)
    changes = np.split((before != after), len(names), axis=-1)
    return {
        name: {(int(r), int(c)) for r, c in np.argwhere(change.any(axis=-1))}
        for name, change in zip(names, changes, strict=True)
    }


def rectangle(rows: range, columns: range) -> set[tuple[int, int]]:
    return {(r, c) for r in rows for c in columns}


def test_a_2d_lstm_scans_from_the_corners() -> None:
    down, up, right, left = range(ROW, 5), range(ROW + 1), range(COLUMN, 7), range(COLUMN + 1)
    assert reached(LSTM, "lstm1") == {
        "down-right": rectangle(down, right),
        "down-left": rectangle(down, left),
        "up-right": rectangle(up, right),
        "up-left": rectangle(up, left),
    }


def test_a_renet_sweeps_along_columns_and_then_along_rows() -> None:
    assert reached(RENET, "renet1(V)") == {
        "down": rectangle(range(ROW, 5), range(COLUMN, COLUMN + 1)),
        "up": rectangle(range(ROW + 1), range(COLUMN, COLUMN + 1)),
    }
    assert reached(RENET, "renet1(H)") == {  # every row: one of its two inputs has seen the pixel
        "right": rectangle(range(5), range(COLUMN, 7)),
        "left": rectangle(range(5), range(COLUMN + 1)),
    }


@pytest.mark.parametrize("name", ["feedforward1", "conv1", "conv1_1", "pool4", "upsample1", "scores"])
def test_other_layers_have_no_direction(name: str) -> None:
    assert directions_of(name) == ()
