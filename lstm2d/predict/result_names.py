"""Names of the results of an image."""

from __future__ import annotations

from pathlib import PurePath

LABELS, OVERLAY, PROBABILITIES = "labels", "overlay", "probabilities"
KINDS = (LABELS, OVERLAY, PROBABILITIES)


def result_names(labels: PurePath) -> dict[str, PurePath]:
    """Return the names of all results of an image.

    Parameters
    ----------
    labels : PurePath
        The label image, with an ending of three letters.

    Returns
    -------
    dict of str to PurePath
        Each of `KINDS`, and the file in the same folder.
    """
    stem = labels.name[:-4]
    return {
        LABELS: labels,
        OVERLAY: labels.with_name(f"{stem}_overlay.png"),
        PROBABILITIES: labels.with_name(f"{stem}.npz"),
    }
