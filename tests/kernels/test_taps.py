"""Taps of resampling: by hand, by the formula, and cut into parts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.kernels.taps import (
    Taps,
    bilinear_places,
    bilinear_taps,
    cubic_taps,
    part_of,
    shrinking_taps,
    transposed,
)


def matrix(taps: Taps, size: int) -> np.ndarray:
    """Return the taps as a dense matrix."""
    start, index, weight = taps
    dense = np.zeros((len(start) - 1, size))
    for k in range(len(start) - 1):
        for t in range(start[k], start[k + 1]):
            dense[k, index[t]] += weight[t]
    return dense


def test_bilinear_places_by_hand() -> None:
    first, second, part = bilinear_places(2, 4)
    assert first.tolist() == [0, 0, 0, 1]
    assert second.tolist() == [1, 1, 1, 1]
    assert part.tolist() == [0, 0.25, 0.75, 0.25]
    np.testing.assert_allclose(matrix(bilinear_taps(2, 4), 2), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])


def test_halving_by_hand() -> None:
    """The centre of a new pixel lies 0.25, 0.75, 1.25 and 1.75 new pixels from old ones."""
    side = np.array([5, 3, 1]) / 18  # 1 - 0.25 / 1.5 and so on, over the sum of both sides
    found = matrix(shrinking_taps(10, 5, 1.5), 10)
    np.testing.assert_allclose(found[2], [0, 0, *side[::-1], *side, 0, 0], atol=1e-12)
    # two old pixels lie before the first one, at 0.75 and 1.25: it is repeated
    np.testing.assert_allclose(found[0, :4], [side.sum(), *side, 0][:4], atol=1e-12)

    side = np.array([3, 1]) / 8
    np.testing.assert_allclose(
        matrix(shrinking_taps(10, 5), 10)[2], [0, 0, 0, *side[::-1], *side, 0, 0, 0], atol=1e-12
    )


def test_a_third_by_the_formula() -> None:
    found = matrix(shrinking_taps(13, 4, 1.5), 13)
    for k in range(4):
        centre = (k + 0.5) * 13 / 4
        expected = np.zeros(13)
        for pixel in range(-10, 24):
            distance = abs(pixel + 0.5 - centre) / (13 / 4)
            expected[min(max(pixel, 0), 12)] += max(0, 1 - distance / 1.5)
        np.testing.assert_allclose(found[k], expected / expected.sum(), atol=1e-12)


@given(size=st.integers(1, 40), new=st.integers(1, 40))
def test_weights_add_up_to_one(size: int, new: int) -> None:
    for taps in (bilinear_taps(size, new), cubic_taps(size, new), shrinking_taps(max(size, new), new, 1.25)):
        np.testing.assert_allclose(matrix(taps, 40).sum(axis=1), 1, atol=1e-12)


@given(size=st.integers(1, 30), new=st.integers(1, 30))
def test_every_pixel_counts_and_both_ends_are_alike(size: int, new: int) -> None:
    size, new = max(size, new), min(size, new)
    weights = matrix(shrinking_taps(size, new), size)
    assert (weights.sum(axis=0) > 0).all()
    np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-12)


@given(size=st.integers(1, 30), new=st.integers(1, 30), data=st.data())
def test_a_part_reads_its_own_rows_alone(size: int, new: int, data: st.DataObject) -> None:
    size, new = max(size, new), min(size, new)
    taps = shrinking_taps(size, new)
    first = data.draw(st.integers(0, new - 1))
    last = data.draw(st.integers(first + 1, new))
    part, low, high = part_of(taps, first, last)
    np.testing.assert_array_equal(matrix(part, high - low), matrix(taps, size)[first:last, low:high])
    assert not matrix(taps, size)[first:last, :low].any()
    assert not matrix(taps, size)[first:last, high:].any()


def test_transposed() -> None:
    taps = cubic_taps(5, 8)
    np.testing.assert_array_equal(matrix(transposed(taps, 5), 8), matrix(taps, 5).T)
