"""Accuracy of constant labels, which every model should exceed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lstm2d.metrics.confusion import Confusion


def baselines(
    confusion: Confusion, names: Sequence[str], *, edges: Confusion | None = None
) -> list[dict[str, Any]]:
    """Return the metrics of labelling every pixel with the same class.

    Parameters
    ----------
    confusion : Confusion
        Counts of the evaluated images; only the true classes matter.
    names : sequence of str
        Names of the K classes.
    edges : Confusion, optional
        Counts of the pixels near edges between true labels; adds ``edge_accuracy``.

    Returns
    -------
    list of dict
        ``name`` ("every pixel road"), ``class``, ``pixel_accuracy``, ``class_accuracy`` and ``mean_iou`` for
        the most frequent class, the lowest number of equally frequent ones. Two classes: for both, the most
        frequent first, with ``foreground_iou``. Empty if no pixel is labelled.
    """
    pixels = confusion.matrix.sum(axis=1)
    if not pixels.any():
        return []
    found = []
    for label in np.argsort(-pixels, kind="stable")[: 2 if confusion.n_classes == 2 else 1].tolist():
        constant = confusion.constant(label)
        figures: dict[str, Any] = {"name": f"every pixel {names[label]}", "class": names[label]}
        figures |= constant.totals
        if edges is not None:
            figures["edge_accuracy"] = edges.constant(label).pixel_accuracy
        found.append(figures)
    return found
