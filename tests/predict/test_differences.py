"""Differences between models: classes sorted by gain, images counted."""

from typing import Any

import pytest

from lstm2d.predict.differences import (
    class_differences,
    count_images,
    difference_table,
    image_differences,
)
from lstm2d.predict.evaluate import ImageScore


def figures(**classes: tuple[float | None, float | None]) -> dict[str, Any]:
    """Return figures with accuracy and IoU of these classes."""
    return {
        "per_class": {
            name: {"accuracy": accuracy, "iou": iou, "pixels": 0 if accuracy is None else 8}
            for name, (accuracy, iou) in classes.items()
        }
    }


def test_classes_by_hand() -> None:
    """Equal gains in accuracy are sorted by IoU, then by class number."""
    before = figures(a=(0.5, 0.25), b=(0.5, 0.5), c=(None, None), d=(0.25, 0.25), e=(0.5, 0.5), f=(1.0, 0.5))
    after = figures(a=(0.5, 0.25), b=(0.5, 0.75), c=(None, None), d=(1.0, 0.5), e=(0.5, 0.75), f=(0.5, 1.0))
    found = class_differences(before, after)
    assert [(one.number, one.name) for one in found] == [
        (3, "d"),
        (1, "b"),
        (4, "e"),
        (0, "a"),
        (5, "f"),
        (2, "c"),
    ]
    assert [one.accuracy_difference for one in found] == [0.75, 0, 0, 0, -0.5, None]
    assert [one.iou_difference for one in found] == [0.25, 0.25, 0.25, 0, 0.5, None]
    assert (found[0].baseline_accuracy, found[0].accuracy, found[0].pixels) == (0.25, 1.0, 8)


def test_table() -> None:
    before = figures(**{"=sum": (1.0, 0.5), "x, y": (None, None)})
    after = figures(**{"=sum": (0.25, 0.5), "x, y": (None, None)})
    assert difference_table(class_differences(before, after)).splitlines()[1:] == [
        "'=sum,8,1.000000,0.250000,-0.750000,0.500000,0.500000,0.000000",
        '"x, y",0,,,,,,',
    ]


def test_images_by_hand() -> None:
    def scores(*accuracies: float | None) -> list[ImageScore]:
        return [ImageScore(str(k), 1, a, None, None, 0.0) for k, a in enumerate(accuracies)]

    found = image_differences(scores(0.5, 0.5, None, 0.75, 0.25), scores(1.0, 0.5, None, 0.5, 0.5))
    assert found == [0.5, 0.0, None, -0.25, 0.25]
    assert count_images(found) == {"better": 2, "worse": 1, "equal": 1}
    with pytest.raises(ValueError, match="shorter"):
        image_differences(scores(0.5, 0.5), scores(0.5))
