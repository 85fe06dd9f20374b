"""Dense subclass labels: the same as those of a loop over the pixels, for any part of an image."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.hierarchy.hierarchy import Hierarchy, Subclass
from lstm2d.hierarchy.labels import IGNORED, SubclassLabels, subclass_labels
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from tests.hierarchy.examples import clusters, scenes

K = 5


def drawn(seed: int, window: int | None) -> Hierarchy:
    """Return five classes; classes 0, 2 and 3 have one to four clusters, the others one subclass."""
    rng = np.random.default_rng(seed)
    subclasses = []
    for k in range(K):
        count = int(rng.integers(1, 5)) if k in (0, 2, 3) else 1
        for j in range(count):
            centre = tuple((v := rng.random(K)) / np.linalg.norm(v)) if count > 1 else ()
            subclasses.append(Subclass(f"{k} {j}", k, 10, centre))
    return Hierarchy("lc", "drawn", tuple("abcde"), (0, 2, 3), tuple(subclasses), window)


def by_pixel(hierarchy: Hierarchy, labels: NDArray[np.uint8], ignore: int) -> NDArray[np.int32]:
    """Return the subclasses, each from the histogram of a slice of the label map."""
    found = np.full(labels.shape, IGNORED, np.int32)
    for row, column in np.argwhere(labels != ignore):
        numbers = np.flatnonzero(hierarchy.parents == labels[row, column])
        found[row, column] = numbers[0]
        if len(numbers) > 1:
            half = max(labels.shape) if hierarchy.window is None else hierarchy.window // 2
            near = labels[max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1]
            histogram = np.bincount(near[near != ignore], minlength=K).astype(float)
            histogram /= np.sqrt((histogram**2).sum())
            centres = np.array([hierarchy.subclasses[n].centre for n in numbers])
            found[row, column] = numbers[((histogram - centres) ** 2).sum(axis=1).argmin()]
    return found


@given(
    seed=st.integers(0, 2**16),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    window=st.sampled_from([None, 1, 3, 5, 9, 129]),
    ignore=st.sampled_from([4, 255]),
)
def test_clusters_agree_with_a_loop(
    seed: int, size: tuple[int, int], window: int | None, ignore: int
) -> None:
    hierarchy, rng = drawn(seed, window), np.random.default_rng(seed + 1)
    labels = rng.choice([0, 1, 2, 3, ignore], size).astype(np.uint8)
    np.testing.assert_array_equal(
        subclass_labels(hierarchy, labels, "", ignore=ignore), by_pixel(hierarchy, labels, ignore)
    )


@given(seed=st.integers(0, 2**16), data=st.data())
def test_a_part_is_that_of_the_whole(seed: int, data: st.DataObject) -> None:
    """Windows reach beyond the part; rows and columns may be skipped, repeated or turned around."""
    label = SubclassLabels(drawn(seed, data.draw(st.sampled_from([None, 3, 7]))))
    labels = np.random.default_rng(seed).integers(0, 4, (9, 13)).astype(np.uint8)
    whole = label(labels, "")
    rows, columns = (
        np.array(data.draw(st.lists(st.integers(0, side - 1), min_size=1, max_size=20))) for side in (9, 13)
    )
    place = np.ix_(rows, columns)
    np.testing.assert_array_equal(label(labels, "", place), whole[place])
    np.testing.assert_array_equal(label(labels, "", (slice(2, 8, 3), slice(1, 2))), whole[2:8:3, 1:2])


def test_the_same_bits_for_any_threads() -> None:
    label = SubclassLabels(drawn(3, 21))
    labels = np.random.default_rng(3).integers(0, 4, (200, 150)).astype(np.uint8)
    before, found = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found.append(label(labels, "").tobytes())
    finally:
        set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_by_hand() -> None:
    """Windows of 3 x 3 in a map of sky (0), tree (1) and road (2)."""
    hierarchy = replace(clusters(), window=3)
    sky, trees = (1.0, 0.0, 0.0), (0.8, 0.6, 0.0)
    parts = [replace(s, centre=c) for s, c in zip(hierarchy.subclasses[:2], (sky, trees), strict=True)]
    hierarchy = replace(hierarchy, subclasses=(*parts, *hierarchy.subclasses[2:]))
    # around column 2 there are six pixels of sky and three of trees: (2, 1) / sqrt(5) is nearer to (0.8, 0.6)
    # than to (1, 0); the unlabelled pixels of the last columns do not count
    labels = np.array([[0, 0, 0, 1, 255, 255, 0]] * 3, np.uint8)
    assert subclass_labels(hierarchy, labels, "").tolist() == [[0, 0, 1, 2, -1, -1, 0]] * 3


def test_equal_distances_give_the_first_subclass() -> None:
    hierarchy = drawn(0, 3)
    parts = tuple(replace(s, centre=(0.5,) * K if s.centre else ()) for s in hierarchy.subclasses)
    hierarchy = replace(hierarchy, subclasses=parts)
    labels = np.random.default_rng(0).integers(0, K, (6, 6)).astype(np.uint8)
    first = np.array([np.flatnonzero(hierarchy.parents == k)[0] for k in range(K)])
    np.testing.assert_array_equal(subclass_labels(hierarchy, labels, ""), first[labels])


def test_groups() -> None:
    labels = np.array([[0, 1, 2, 255]], np.uint8)
    assert subclass_labels(scenes(), labels, "a").tolist() == [[0, 2, 3, -1]]
    assert subclass_labels(scenes(), labels, "b\udcff").tolist() == [[1, 2, 4, -1]]
    with pytest.raises(DataError, match="no group for this image"):
        subclass_labels(scenes(), labels, "c")


def test_a_subclass_that_the_group_lacks_is_the_largest_of_the_class() -> None:
    """A scene in which no superpixel has the class may still have a few pixels of it."""
    hierarchy = scenes()
    hierarchy = replace(hierarchy, images={"a": 2}, groups=("coast", "street", "forest"))
    assert subclass_labels(hierarchy, np.array([[0, 1, 2]], np.uint8), "a").tolist() == [[0, 2, 3]]
