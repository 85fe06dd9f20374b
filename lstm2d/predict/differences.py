"""Differences between two models that labelled the same images: per class and per image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lstm2d.predict.csv_text import csv_table, csv_text
from lstm2d.predict.evaluate import ImageScore

COLUMNS = (
    "class",
    "pixels",
    "baseline_accuracy",
    "accuracy",
    "accuracy_difference",
    "baseline_iou",
    "iou",
    "iou_difference",
)


@dataclass(frozen=True, slots=True)
class ClassDifference:
    """A class as two models label it; figures are None if it does not occur in the truth.

    Parameters
    ----------
    number : int
        The class.
    name : str
        Its name.
    pixels : int
        Its pixels in the truth.
    baseline_accuracy, accuracy, accuracy_difference : float or None
        Share of its pixels that the baseline labels right, and the model; model less baseline.
    baseline_iou, iou, iou_difference : float or None
        The same for the intersection over union.
    """

    number: int
    name: str
    pixels: int
    baseline_accuracy: float | None
    accuracy: float | None
    accuracy_difference: float | None
    baseline_iou: float | None
    iou: float | None
    iou_difference: float | None


def class_differences(baseline: Mapping[str, Any], model: Mapping[str, Any]) -> list[ClassDifference]:
    """Compare the figures of each class.

    Parameters
    ----------
    baseline, model : mapping
        Figures on the same images, from `lstm2d.predict.evaluate.evaluate`.

    Returns
    -------
    list of ClassDifference
        The largest gain in accuracy first, then in IoU; classes that do not occur last.
    """
    found = []
    for number, (name, one) in enumerate(model["per_class"].items()):
        other = baseline["per_class"][name]
        pairs = [(other[key], one[key], difference(other[key], one[key])) for key in ("accuracy", "iou")]
        found.append(ClassDifference(number, name, one["pixels"], *pairs[0], *pairs[1]))
    return sorted(found, key=_rank)


def _rank(one: ClassDifference) -> tuple[bool, float, float]:
    absent = one.accuracy_difference is None
    return absent, -(one.accuracy_difference or 0.0), -(one.iou_difference or 0.0)


def difference(baseline: float | None, model: float | None) -> float | None:
    """Return model less baseline; None if either is None."""
    return None if baseline is None or model is None else model - baseline


def image_differences(baseline: Sequence[ImageScore], model: Sequence[ImageScore]) -> list[float | None]:
    """Compare the pixel accuracy of each image.

    Parameters
    ----------
    baseline, model : sequence of ImageScore
        Metrics of the same images in the same order.

    Returns
    -------
    list of float or None
        Model less baseline; None for an image without labelled pixels.
    """
    return [difference(a.pixel_accuracy, b.pixel_accuracy) for a, b in zip(baseline, model, strict=True)]


def count_images(differences: Sequence[float | None]) -> dict[str, int]:
    """Count the images that the model labels better or worse than the baseline.

    Parameters
    ----------
    differences : sequence of float or None
        From `image_differences`.

    Returns
    -------
    dict of str to int
        Numbers of images: "better", "worse", and "equal". Images without labelled pixels are not counted.
    """
    defined = [value for value in differences if value is not None]
    counts = {"better": sum(v > 0 for v in defined), "worse": sum(v < 0 for v in defined)}
    return {**counts, "equal": len(defined) - sum(counts.values())}


def difference_table(classes: Sequence[ClassDifference]) -> str:
    """Return the differences of the classes as CSV.

    Parameters
    ----------
    classes : sequence of ClassDifference
        From `class_differences`.

    Returns
    -------
    str
        A header, then one line per class in the same order; cells are empty if the class does not occur.
        Fractions, not percent.
    """
    rows = [[csv_text(one.name), *(getattr(one, column) for column in COLUMNS[1:])] for one in classes]
    return csv_table(COLUMNS, rows)
