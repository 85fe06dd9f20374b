"""Taps of resampling: by hand, against Pillow, and cut into parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lstm2d.kernels.taps import Taps, bilinear_places, bilinear_taps, cubic_taps, part_of, transposed


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


def test_antialiased_halving_by_hand() -> None:
    """The centre of a new pixel lies 0.25, 0.75, 1.25 and 1.75 widths of the kernel from old ones."""
    near = [1.5 * d**3 - 2.5 * d**2 + 1 for d in (0.25, 0.75)]
    far = [-0.5 * (d**3 - 5 * d**2 + 8 * d - 4) for d in (1.25, 1.75)]
    side = np.array([*near, *far]) / 2
    found = matrix(cubic_taps(10, 5, antialias=True), 10)
    np.testing.assert_allclose(found[2], [0, *side[::-1], *side, 0], atol=1e-12)
    beyond = side[2] + side[3]  # two old pixels before the first one: it is repeated
    np.testing.assert_allclose(found[0, :2], [side[0] + side[1] + beyond, side[0]], atol=1e-12)


@pytest.mark.parametrize(("size", "new"), [(120, 10), (31, 9), (100, 99), (9, 20), (16, 16)])
def test_antialiased_cubic_is_pillows_away_from_the_edges(
    rng: np.random.Generator, size: int, new: int
) -> None:
    """Pillow drops what lies beyond an edge instead of repeating the edge pixel."""
    line = rng.random(size).astype(np.float32)
    expected = np.array(Image.fromarray(line[None]).resize((new, 1), Image.Resampling.BICUBIC))[0]
    found = matrix(cubic_taps(size, new, antialias=True), size) @ line
    reach = 2 * max(size / new, 1)
    centres = (np.arange(new) + 0.5) * size / new
    inner = (centres > reach) & (centres < size - reach)
    assert inner.any()
    np.testing.assert_allclose(found[inner], expected[inner], atol=2e-6)


@given(size=st.integers(1, 40), new=st.integers(1, 40))
def test_weights_add_up_to_one(size: int, new: int) -> None:
    for taps in (bilinear_taps(size, new), cubic_taps(size, new), cubic_taps(size, new, True)):
        np.testing.assert_allclose(matrix(taps, size).sum(axis=1), 1, atol=1e-12)


@given(size=st.integers(1, 30), new=st.integers(1, 30))
def test_antialiased_enlargement_is_plain_cubic(size: int, new: int) -> None:
    plain, wide = (matrix(cubic_taps(size, new, antialias), size) for antialias in (False, True))
    if new >= size:
        np.testing.assert_allclose(wide, plain, atol=1e-12)
    else:  # every old pixel counts
        assert (np.abs(wide).sum(axis=0) > 0).all()


@given(size=st.integers(1, 30), new=st.integers(1, 30), data=st.data())
def test_a_part_reads_its_own_rows_alone(size: int, new: int, data: st.DataObject) -> None:
    taps = cubic_taps(size, new, True)
    first = data.draw(st.integers(0, new - 1))
    last = data.draw(st.integers(first + 1, new))
    part, low, high = part_of(taps, first, last)
    np.testing.assert_array_equal(matrix(part, high - low), matrix(taps, size)[first:last, low:high])
    assert not matrix(taps, size)[first:last, :low].any()
    assert not matrix(taps, size)[first:last, high:].any()


def test_transposed() -> None:
    taps = cubic_taps(5, 8)
    np.testing.assert_array_equal(matrix(transposed(taps, 5), 8), matrix(taps, 5).T)
