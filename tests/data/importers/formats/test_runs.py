"""Runs of pixels: COCO's strings, and where they lie in an image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.data.importers.formats.entries import BadEntry
from lstm2d.data.importers.formats.runs import Runs, decode_counts, runs_of, runs_of_mask


def encoded(counts: list[int]) -> str:
    """Encode run lengths as COCO does, written from its description."""
    text = ""
    for k, count in enumerate(counts):
        value = count - counts[k - 2] if k > 2 else count
        while True:
            bits = value & 31
            value >>= 5
            last = value == (-1 if bits & 16 else 0)
            text += chr((bits if last else bits | 32) + 48)
            if last:
                break
    return text


def drawn(runs: Runs, size: tuple[int, int]) -> np.ndarray:
    image = np.zeros(size, bool)
    for window, inside in runs.windows(size):
        image[window] |= inside
    return image


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", []),
        ("231N", [2, 3, 1, 1]),  # 1 - 3 = -2 is 11110 in 5 bits
        ("X1", [40]),  # 01000 with more to follow, then 00001
        ("`0", [16]),  # 10000 alone would be negative
        ("0", [0]),
    ],
)
def test_strings_by_hand(text: str, counts: list[int]) -> None:
    assert decode_counts(text) == counts


@given(st.lists(st.integers(0, 10**8)))
def test_strings_come_back(counts: list[int]) -> None:
    assert decode_counts(encoded(counts)) == counts


@pytest.mark.parametrize("text", ["X", "2p", "/", "é", "o" * 12 + "0"])
def test_damaged_strings(text: str) -> None:
    with pytest.raises(BadEntry, match="string of run lengths"):
        decode_counts(text)


def test_runs_go_along_rows_or_columns() -> None:
    assert drawn(runs_of([1, 2, 3], (2, 3)), (2, 3)).tolist() == [[0, 1, 1], [0, 0, 0]]
    assert drawn(runs_of([1, 2, 3], (2, 3), by_column=True), (2, 3)).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert runs_of([1, 2, 3], (2, 3)).area == 2


@pytest.mark.parametrize(
    ("counts", "size", "message"),
    [
        ([1, 2], (2, 3), "runs of 3 pixels in all, 3x2 = 6 are expected"),
        ([1, 2, 4], (2, 3), "runs of 7 pixels in all"),
        ([-1, 7], (2, 3), "a run of -1 pixels"),
        ([2**62, 2**62, 2**62, 2**62, 6], (2, 3), "a run of 4611686018427387904 pixels"),
        ([1.0, 5.0], (2, 3), "not whole numbers"),
        (["1"], (1, 1), "not whole numbers"),
        ([2**64], (1, 1), "not whole numbers"),
        ([0], (100_000, 100_000), "a mask of 100000x100000 pixels"),
        ([], (-1, 0), "a mask of 0x-1 pixels"),
    ],
)
def test_wrong_runs(counts: list, size: tuple[int, int], message: str) -> None:
    with pytest.raises(BadEntry, match=message):
        runs_of(counts, size)


masks = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda size: st.lists(
        st.lists(st.booleans(), min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0]
    )
)


@given(masks, st.integers(-8, 8), st.integers(-8, 8))
def test_masks_come_back_at_their_corner(rows: list[list[bool]], top: int, left: int) -> None:
    mask = np.array(rows)
    runs = runs_of_mask(mask, (top, left))
    assert runs.area == mask.sum()
    around = np.zeros((40, 40), bool)  # the image of 5x7 pixels begins at row and column 16
    around[16 + top : 16 + top + mask.shape[0], 16 + left : 16 + left + mask.shape[1]] = mask
    np.testing.assert_array_equal(drawn(runs, (5, 7)), around[16:21, 16:23])
