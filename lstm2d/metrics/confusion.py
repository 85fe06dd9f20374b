"""Pixel accuracy, class accuracy and mean IoU from a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError, ShapeError


class Confusion:
    r"""Confusion matrix accumulated over any number of images.

    Parameters
    ----------
    n_classes : int
        Number of classes K.
    ignore : int
        Label of ignored pixels, which are not counted.

    Notes
    -----
    With :math:`n_{ij}` pixels of class i labelled j, :math:`t_i = \sum_j n_{ij}` and :math:`p_i = \sum_j
    n_{ji}`:

    .. math:: \text{pixel accuracy} = \frac{\sum_i n_{ii}}{\sum_i t_i}, \quad
              \text{class accuracy} = \text{mean}_i \frac{n_{ii}}{t_i}, \quad
              \text{mean IoU} = \text{mean}_i \frac{n_{ii}}{t_i + p_i - n_{ii}}

    Means are over the classes that occur in the truth; the metrics of other classes are None, not 0.
    """

    def __init__(self, n_classes: int, ignore: int = 255) -> None:
        self.n_classes = n_classes
        self.ignore = ignore
        self.images = 0
        self.matrix: NDArray[np.int64] = np.zeros((n_classes, n_classes), dtype=np.int64)
        self._per_image: list[NDArray[np.int64]] = []  # of two classes: foreground IoU is a mean over images

    def add(self, truth: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]]) -> None:
        """Count one image.

        Parameters
        ----------
        truth : array of shape (H, W), integer
            True classes, 0 to K - 1, or the ignored label.
        predicted : array of shape (H, W), integer
            Predicted classes, 0 to K - 1 except at ignored pixels.

        Raises
        ------
        ShapeError
            If the two differ in shape.
        DataError
            If a label is neither a class nor the ignored label.
        """
        if truth.shape != predicted.shape:
            raise ShapeError(
                "truth and prediction differ in shape", where=predicted.shape, expected=str(truth.shape)
            )
        k = self.n_classes
        labelled = truth != self.ignore
        if labelled.all():
            true, guess = truth.ravel(), predicted.ravel()
        else:
            true, guess = truth[labelled], predicted[labelled]
        for name, labels in (("truth", true), ("prediction", guess)):
            if labels.size and (labels.max() >= k or labels.min() < 0):
                worst = int(labels.max() if labels.max() >= k else labels.min())
                raise DataError(
                    f"class {worst} in the {name}", expected=f"0 to {k - 1}, or {self.ignore} to ignore"
                )
        pairs = true.astype(np.int32) * k + guess
        counts = np.bincount(pairs, minlength=k * k).reshape(k, k)
        self.matrix += counts
        self.images += 1
        if k == 2:
            self._per_image.append(counts)

    def merge(self, other: Confusion) -> None:
        """Add the counts of another confusion matrix.

        Parameters
        ----------
        other : Confusion
            Counts of other images with the same classes.

        Raises
        ------
        ShapeError
            If the number of classes differs.
        """
        if other.n_classes != self.n_classes:
            raise ShapeError(
                "confusion matrices of different classes", where=other.n_classes, expected=str(self.n_classes)
            )
        self.matrix += other.matrix
        self.images += other.images
        self._per_image += other._per_image

    def constant(self, label: int) -> Confusion:
        """Return the counts that labelling every pixel of the same images with one class would give.

        Parameters
        ----------
        label : int
            The class, 0 to K - 1.

        Returns
        -------
        Confusion
            As if `add` had been called with constant predictions.

        Raises
        ------
        DataError
            If there is no such class.
        """
        if not 0 <= label < self.n_classes:
            raise DataError(f"class {label} in the prediction", expected=f"0 to {self.n_classes - 1}")
        result = Confusion(self.n_classes, self.ignore)
        result.images = self.images
        result.matrix = _constant(self.matrix, label)
        result._per_image = [_constant(counts, label) for counts in self._per_image]
        return result

    @property
    def pixel_accuracy(self) -> float | None:
        """Share of the labelled pixels that are correct; None if no pixel is labelled."""
        total = int(self.matrix.sum())
        return int(self.matrix.trace()) / total if total else None

    @property
    def class_accuracies(self) -> list[float | None]:
        """Share of the pixels of each class that are correct; None for an absent class."""
        return _shares(self.matrix.diagonal(), self.matrix.sum(axis=1), self._present)

    @property
    def ious(self) -> list[float | None]:
        """Intersection over union of each class; None for a class absent from the truth."""
        right = self.matrix.diagonal()
        return _shares(right, self.matrix.sum(axis=1) + self.matrix.sum(axis=0) - right, self._present)

    @property
    def class_accuracy(self) -> float | None:
        """Mean of the class accuracies."""
        return _mean(self.class_accuracies)

    @property
    def mean_iou(self) -> float | None:
        """Mean of the intersections over union."""
        return _mean(self.ious)

    @property
    def foreground_iou(self) -> float | None:
        """Intersection over union of class 1 (foreground), averaged over the images.

        Images with foreground in neither truth nor prediction are left out. None if there are not exactly
        two classes, or if no image is left.
        """
        unions = [int(counts.sum() - counts[0, 0]) for counts in self._per_image]
        return _mean(
            [int(c[1, 1]) / union for c, union in zip(self._per_image, unions, strict=True) if union]
        )

    @property
    def totals(self) -> dict[str, float | None]:
        """``pixel_accuracy``, ``class_accuracy``, ``mean_iou``, and for two classes ``foreground_iou``."""
        totals = {
            "pixel_accuracy": self.pixel_accuracy,
            "class_accuracy": self.class_accuracy,
            "mean_iou": self.mean_iou,
        }
        return totals | ({"foreground_iou": self.foreground_iou} if self.n_classes == 2 else {})

    @property
    def _present(self) -> NDArray[np.bool_]:
        return np.asarray(self.matrix.sum(axis=1) > 0)

    def figures(self, names: Sequence[str]) -> dict[str, Any]:
        """Return all metrics by name.

        This is also the form of ``lstm2d evaluate --json``.

        Parameters
        ----------
        names : sequence of str
            Names of the K classes.

        Returns
        -------
        dict
            ``images``, ``pixel_accuracy``, ``class_accuracy``, ``mean_iou``, ``per_class`` (name to
            ``accuracy``, ``iou`` and ``pixels``), ``confusion`` (row: truth, column: prediction, in pixels),
            and for two classes ``foreground_iou``. Fractions, not percent; None if undefined.

        Raises
        ------
        ShapeError
            If the number of names is not K.
        """
        if len(names) != self.n_classes:
            raise ShapeError(
                "number of names is not that of the classes", where=len(names), expected=str(self.n_classes)
            )
        classes = zip(names, self.class_accuracies, self.ious, self.matrix.sum(axis=1).tolist(), strict=True)
        return {
            "images": self.images,
            **self.totals,
            "per_class": {n: {"accuracy": a, "iou": i, "pixels": t} for n, a, i, t in classes},
            "confusion": self.matrix.tolist(),
        }


def _constant(counts: NDArray[np.int64], label: int) -> NDArray[np.int64]:
    """Move the pixels of each true class to the column of one label."""
    result = np.zeros_like(counts)
    result[:, label] = counts.sum(axis=1)
    return result


def _shares(
    part: NDArray[np.int64], whole: NDArray[np.int64], present: NDArray[np.bool_]
) -> list[float | None]:
    return [int(p) / int(w) if here else None for p, w, here in zip(part, whole, present, strict=True)]


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [v for v in values if v is not None]
    return sum(defined) / len(defined) if defined else None
