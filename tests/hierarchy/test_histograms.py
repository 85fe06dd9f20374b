"""Label histograms, against counting one window after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.hierarchy.histograms import label_counts, normalised


def test_by_hand() -> None:
    labels = np.array([[0, 0, 1], [255, 2, 1], [2, 2, 255]], np.uint8)
    rows, columns = np.array([0, 1, 2]), np.array([0, 1, 2])
    assert label_counts(labels, rows, columns, 3, 4).tolist() == [[2, 0, 1, 0], [2, 2, 3, 0], [0, 1, 2, 0]]
    assert label_counts(labels, rows, columns, None, 4).tolist() == [[2, 2, 3, 0]] * 3


@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from([3, 5, 9, 31, 101]),
    st.integers(1, 6),
    st.integers(0, 2**20),
)
def test_as_one_by_one(height: int, width: int, window: int, n_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice([*range(n_classes), 255], (height, width)).astype(np.uint8)
    rows, columns = rng.integers(0, height, 15), rng.integers(0, width, 15)
    found = label_counts(labels, rows, columns, window, n_classes)
    for row, column, counts in zip(rows, columns, found, strict=True):
        expected = [0] * n_classes
        for r in range(row - window // 2, row + window // 2 + 1):
            for c in range(column - window // 2, column + window // 2 + 1):
                if 0 <= r < height and 0 <= c < width and labels[r, c] != 255:
                    expected[labels[r, c]] += 1
        assert counts.tolist() == expected


def test_lengths_are_one() -> None:
    assert normalised(np.array([[3, 0, 4], [0, 0, 0], [0, 7, 0]])) == pytest.approx(
        np.array([[0.6, 0, 0.8], [0, 0, 0], [0, 1, 0]])
    )
