"""The band along edges between labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.errors import ConfigError, ShapeError
from lstm2d.metrics.edges import edge_band


def brute(labels: np.ndarray, width: int) -> np.ndarray:
    """Compare every pair of pixels."""
    places = np.argwhere(np.ones(labels.shape))
    near = ((places[:, None] - places[None]) ** 2).sum(axis=2) <= width**2
    values = labels.ravel()
    return (near & (values[:, None] != values[None])).any(axis=1).reshape(labels.shape)


def test_by_hand() -> None:
    labels = np.array([[0, 0, 0, 1, 1, 1, 1]])
    assert edge_band(labels, 1).astype(int).tolist() == [[0, 0, 1, 1, 0, 0, 0]]
    assert edge_band(labels, 2).astype(int).tolist() == [[0, 1, 1, 1, 1, 0, 0]]
    corner = np.zeros((4, 4), np.uint8)
    corner[0, 0] = 255  # the ignored label is an edge too
    assert edge_band(corner, 1).astype(int).tolist() == [[1, 1, 0, 0], [1, 0, 0, 0], [0] * 4, [0] * 4]
    assert edge_band(corner, 2).sum() == 6  # with (1, 1) and the two at distance 2


@given(
    height=st.integers(1, 9),
    columns=st.integers(1, 9),
    width=st.integers(1, 12),
    seed=st.integers(0, 2**32),
)
def test_as_every_pair_says(height: int, columns: int, width: int, seed: int) -> None:
    labels = np.random.default_rng(seed).choice(4, (height, columns), p=[0.85, 0.05, 0.05, 0.05])
    np.testing.assert_array_equal(edge_band(labels, width), brute(labels, width))


def test_no_edges() -> None:
    assert not edge_band(np.full((5, 6), 3), 4).any()
    assert edge_band(np.zeros((0, 4), np.uint8), 2).shape == (0, 4)


@pytest.mark.parametrize("width", [0, -1, 101])
def test_wrong_width(width: int) -> None:
    with pytest.raises(ConfigError, match="1 to 100"):
        edge_band(np.zeros((2, 2), int), width)


def test_wrong_axes() -> None:
    with pytest.raises(ShapeError, match=r"\(H, W\)"):
        edge_band(np.zeros((2, 2, 1), int), 1)
