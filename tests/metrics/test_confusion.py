"""Metrics against values worked out by hand and a slow version that counts pixel by pixel."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm2d.errors import DataError, ShapeError
from lstm2d.metrics.confusion import Confusion


def counted(truth: Any, predicted: Any, n_classes: int, ignore: int = 255) -> Confusion:
    table = Confusion(n_classes, ignore)
    table.add(np.array(truth, np.uint8), np.array(predicted, np.uint8))
    return table


def test_by_hand() -> None:
    table = counted([[0, 0, 0, 1], [1, 2, 2, 255]], [[0, 0, 1, 1], [0, 2, 2, 1]], 4)
    expected = [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0]]
    assert table.figures(["a", "b", "c", "d"]) == {
        "images": 1,
        "pixel_accuracy": 5 / 7,
        "class_accuracy": pytest.approx((2 / 3 + 1 / 2 + 1) / 3),
        "mean_iou": pytest.approx((2 / 4 + 1 / 3 + 1) / 3),
        "per_class": {
            "a": {"accuracy": 2 / 3, "iou": 0.5, "pixels": 3},
            "b": {"accuracy": 0.5, "iou": 1 / 3, "pixels": 2},
            "c": {"accuracy": 1.0, "iou": 1.0, "pixels": 2},
            "d": {"accuracy": None, "iou": None, "pixels": 0},
        },
        "confusion": expected,
    }


def test_ignored_pixels_count_nowhere() -> None:
    """Neither as truth nor as prediction: predictions there must not reduce an IoU."""
    with_ignored = counted([[0, 1, 255, 255]], [[0, 1, 0, 1]], 2)
    without = counted([[0, 1]], [[0, 1]], 2)
    assert with_ignored.figures("ab") == without.figures("ab")
    assert with_ignored.mean_iou == 1


def test_class_that_is_predicted_but_absent() -> None:
    """It counts in no mean, but its predicted pixels are wrong for other classes."""
    table = counted([[0, 0]], [[0, 1]], 3)
    assert table.ious == [0.5, None, None]
    assert table.class_accuracies == [0.5, None, None]
    assert table.mean_iou == table.class_accuracy == 0.5


def test_nothing_counted() -> None:
    for table in (Confusion(2), counted([[255, 255]], [[0, 1]], 2)):
        figures = table.figures("ab")
        for key in ("pixel_accuracy", "class_accuracy", "mean_iou", "foreground_iou"):
            assert figures[key] is None
        assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_foreground_is_averaged_over_images() -> None:
    table = Confusion(2)
    table.add(np.array([[1, 1, 1, 0]]), np.array([[1, 1, 0, 1]]))  # 2 / 4
    table.add(np.array([[1, 255]]), np.array([[1, 0]]))  # 1 / 1
    table.add(np.array([[0, 1]]), np.array([[0, 0]]))  # all background: 0
    table.add(np.array([[0, 0]]), np.array([[0, 0]]))  # no foreground anywhere: undefined
    assert table.foreground_iou == 0.5
    assert table.images == 4
    assert table.figures("ab")["foreground_iou"] == 0.5
    assert "foreground_iou" not in Confusion(3).figures("abc")


def test_two_tables_together(rng: np.random.Generator) -> None:
    both, first, second = Confusion(2), Confusion(2), Confusion(2)
    for i in range(6):
        truth, predicted = rng.integers(0, 2, (2, 4, 5))
        both.add(truth, predicted)
        (first if i < 3 else second).add(truth, predicted)
    first.merge(second)
    assert first.figures("ab") == both.figures("ab")
    with pytest.raises(ShapeError, match="different classes"):
        first.merge(Confusion(3))


def test_other_ignore_value_and_types() -> None:
    for dtype in (np.int64, np.int8, np.uint16):
        table = Confusion(2, ignore=7)
        table.add(np.array([[0, 7, 1]], dtype), np.array([[0, 0, 0]], dtype))
        np.testing.assert_array_equal(table.matrix, [[1, 0], [1, 0]])


def test_many_classes() -> None:
    labels = np.arange(255, dtype=np.uint8).reshape(5, 51)
    table = counted(labels, labels, 255)
    np.testing.assert_array_equal(table.matrix, np.eye(255))


def test_wrong_input() -> None:
    with pytest.raises(ShapeError, match=r"\(1, 3\)"):
        counted([[0, 1]], [[0, 1, 1]], 2)
    with pytest.raises(DataError, match="class 2 in the truth"):
        counted([[0, 2]], [[0, 1]], 2)
    with pytest.raises(DataError, match="class 3 in the prediction"):
        counted([[0, 1]], [[0, 3]], 2)
    table = Confusion(2)
    with pytest.raises(DataError, match="class -1 in the prediction"):
        table.add(np.array([[0]]), np.array([[-1]]))
    with pytest.raises(ShapeError, match="names"):
        table.figures(["a"])
    np.testing.assert_array_equal(table.matrix, 0)


def naive(truth: NDArray[Any], predicted: NDArray[Any], k: int) -> NDArray[np.int64]:
    table = np.zeros((k, k), np.int64)
    for t, p in zip(truth.ravel(), predicted.ravel(), strict=True):
        if t != 255:
            table[t, p] += 1
    return table


@settings(max_examples=50)
@given(seed=st.integers(0, 1000), k=st.integers(1, 6), images=st.integers(0, 3), side=st.integers(0, 6))
def test_against_counting_one_by_one(seed: int, k: int, images: int, side: int) -> None:
    rng = np.random.default_rng(seed)
    table, expected = Confusion(k), np.zeros((k, k), np.int64)
    for _ in range(images):
        truth, predicted = rng.integers(0, k, (2, side, side + 1))
        truth[rng.random(truth.shape) < 0.2] = 255
        table.add(truth, predicted)
        expected += naive(truth, predicted, k)
    np.testing.assert_array_equal(table.matrix, expected)
    ious = []
    for c in range(k):
        t, p, n = expected[c].sum(), expected[:, c].sum(), expected[c, c]
        if t:
            ious.append(n / (t + p - n))
    assert table.mean_iou == (pytest.approx(np.mean(ious)) if ious else None)
