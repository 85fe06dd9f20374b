"""Constant baselines: by hand, and as an evaluation of constant labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.errors import DataError
from lstm2d.metrics.baselines import baselines
from lstm2d.metrics.confusion import Confusion


def counted(*images: tuple[list[int], list[int]], n_classes: int) -> Confusion:
    table = Confusion(n_classes)
    for truth, labels in images:
        table.add(np.array([truth]), np.array([labels]))
    return table


def test_three_classes_by_hand() -> None:
    table = counted(([0, 1, 1, 255], [0, 0, 0, 0]), ([1, 0, 0, 1], [2, 2, 2, 2]), n_classes=4)
    assert baselines(table, ["sky", "road", "car", "tree"]) == [
        {
            "name": "every pixel road",
            "class": "road",
            "pixel_accuracy": 4 / 7,
            "class_accuracy": 1 / 2,
            "mean_iou": pytest.approx(4 / 7 / 2),
        }
    ]


def test_two_classes_by_hand() -> None:
    """Both are given, the most frequent first; the foreground IoU is a mean over images."""
    images = (
        ([1, 0, 0, 0], [0, 0, 0, 0]),  # foreground: 1 of 4
        ([1, 1, 0, 255], [0, 0, 0, 0]),  # 2 of 3
        ([0, 0], [1, 1]),  # none: 0 for all foreground, left out for all background
        ([255], [0]),
    )
    background, foreground = baselines(counted(*images, n_classes=2), ["back", "front"])
    assert background == {
        "name": "every pixel back",
        "class": "back",
        "pixel_accuracy": 6 / 9,
        "class_accuracy": 1 / 2,
        "mean_iou": pytest.approx(6 / 9 / 2),
        "foreground_iou": 0.0,
    }
    assert foreground == {
        "name": "every pixel front",
        "class": "front",
        "pixel_accuracy": 3 / 9,
        "class_accuracy": 1 / 2,
        "mean_iou": pytest.approx(3 / 9 / 2),
        "foreground_iou": pytest.approx((1 / 4 + 2 / 3 + 0) / 3),
    }


def test_ties_go_to_the_lowest_class() -> None:
    assert baselines(counted(([2, 1], [0, 0]), n_classes=3), "abc")[0]["class"] == "b"


def test_edges() -> None:
    """The class is the most frequent one of all pixels, not of those near edges."""
    table, edges = counted(([0, 0, 0, 1], [0] * 4), n_classes=3), counted(([0, 1, 1], [0] * 3), n_classes=3)
    assert baselines(table, "abc", edges=edges)[0]["edge_accuracy"] == 1 / 3


def test_nothing_is_labelled() -> None:
    assert baselines(Confusion(2), "ab") == []
    assert baselines(counted(([255], [0]), n_classes=3), "abc") == []


def test_an_unknown_class() -> None:
    for label in (-1, 3):
        with pytest.raises(DataError, match=f"class {label} in the prediction"):
            Confusion(3).constant(label)


@given(seed=st.integers(0, 1000), k=st.integers(1, 5), images=st.integers(0, 4), label=st.integers(0, 4))
def test_constant_is_an_evaluation_of_constant_labels(seed: int, k: int, images: int, label: int) -> None:
    rng = np.random.default_rng(seed)
    label %= k
    table, other, expected = Confusion(k), Confusion(k), Confusion(k)
    for number in range(images):
        shape = rng.integers(0, 5, 2)
        truth, predicted = rng.integers(0, k, (2, *shape))
        truth[rng.random(truth.shape) < rng.choice([0.0, 0.3, 1.0])] = 255
        (table if number % 2 else other).add(truth, predicted)
        expected.add(truth, np.full(shape, label))
    table.merge(other)
    found = table.constant(label)
    for ours, theirs in ((found, expected), (found.constant(0), expected.constant(0))):
        assert ours.totals == pytest.approx(theirs.totals)
        assert (ours.images, ours.matrix.tolist()) == (images, theirs.matrix.tolist())
