"""Names of the results of an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from lstm2d.models.rcnn_config import MAX_INSTANCES

LABELS, OVERLAY, PROBABILITIES = "labels", "overlay", "probabilities"
EVERY_MODEL = (LABELS, OVERLAY, PROBABILITIES)  # kinds that results of every model may have
INSTANCES = "instances"  # a picture of the labels after each instance
_EARLIER = range(1, MAX_INSTANCES)  # instances that may not be the last one


def labels_kind(instance: int, instances: Sequence[int]) -> str:
    """Return the kind of the labels after one of several instances; the last ones are the result proper."""
    return LABELS if instance == instances[-1] else f"i{instance} labels"


def overlay_kind(instance: int, instances: Sequence[int]) -> str:
    """Return the kind of the overlay of these labels."""
    return OVERLAY if instance == instances[-1] else f"i{instance} overlay"


KINDS = (
    *EVERY_MODEL,
    *(kind(n, (n, MAX_INSTANCES)) for n in _EARLIER for kind in (labels_kind, overlay_kind)),
    INSTANCES,
)


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
    stem, suffix = labels.name[:-4], labels.name[-4:]
    names = {LABELS: labels.name, OVERLAY: f"{stem}_overlay.png", PROBABILITIES: f"{stem}.npz"}
    for n in _EARLIER:
        several = (n, MAX_INSTANCES)
        names[labels_kind(n, several)] = f"{stem}.i{n}{suffix}"
        names[overlay_kind(n, several)] = f"{stem}.i{n}_overlay.png"
    names[INSTANCES] = f"{stem}.instances.png"
    return {kind: labels.with_name(name) for kind, name in names.items()}
