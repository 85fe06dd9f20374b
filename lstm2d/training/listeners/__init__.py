"""Listeners: what a run does besides its steps. They act in the order of one list, see `Trainer`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def metrics_of(n_classes: int) -> tuple[str, ...]:
    """Return the names of the metrics that a run records for a dataset of this many classes."""
    names = ("pixel_accuracy", "class_accuracy", "mean_iou")
    return (*names, "foreground_iou") if n_classes == 2 else names


@dataclass(slots=True)
class EpochEnd:
    """The end of an epoch, filled in by one listener after the other.

    Parameters
    ----------
    complete : bool
        Whether all examples of the epoch were seen; if not, the run or a stage ends within it.
    figures : dict
        The fields of `lstm2d.training.events.EpochDone`, without the validation.
    metrics : dict or None
        Metrics of the validation; None if there was none, empty if no validation image is labelled.
    best : bool
        Whether the metrics are the best of the stage so far.
    """

    complete: bool
    figures: dict[str, Any]
    metrics: dict[str, Any] | None = None
    best: bool = False


class Unfinished(Exception):
    """The user stopped a validation: the epoch stays as it is, and a resumed run validates first."""


class Listener:
    """Base class. Every method may be left as it is."""

    def end_epoch(self, end: EpochEnd) -> None:
        """Act on the end of an epoch, before it is counted.

        Raises
        ------
        Unfinished
            If the user stops the run meanwhile; the listeners that follow are not called.
        """

    def after_step(self) -> None:
        """Act after each step, after the end of an epoch if the step was its last one."""

    def begin_stage(self) -> None:
        """Act on the beginning of the second and of later stages."""

    def why_stop(self) -> str:
        """Return why the stage or the run ends here; "" if it goes on."""
        return ""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs, as values that JSON holds; all listeners share one dict."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the values of `state_dict` from those of all listeners."""
