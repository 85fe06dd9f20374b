"""The progress of a run as lines of text."""

from __future__ import annotations

import sys

from lstm2d.training.events import EpochDone, Event, Figures, Note, Started, Warned


def line_of(event: Figures, epochs: int) -> str:
    """Return epoch, loss and speed as text.

    Parameters
    ----------
    event : Figures
        Metrics of the current epoch.
    epochs : int
        Epochs of the run.

    Returns
    -------
    str
        One line.
    """
    loss = "-" if event.loss is None else f"{event.loss:.4f}"
    rate = event.images_per_second or 0.0
    return f"epoch {event.epoch}/{epochs}  loss {loss}  {rate:.1f} images/s"


def metric_of(event: EpochDone, select: str) -> str:
    """Return the metric that selects the best model as text.

    Parameters
    ----------
    event : EpochDone
        The end of an epoch.
    select : str
        Name of the metric, ``train.select``.

    Returns
    -------
    str
        Begins with two spaces; "" if it was not measured.
    """
    value = None if event.validation is None else getattr(event.validation, select)
    if event.validation is None or value is None:
        return ""
    star = " (best)" if event.validation.best else ""
    return f"  {select.replace('_', ' ')} {value:.4f}{star}"


class Lines:
    """Write a line to stderr for each epoch, and for each note and warning.

    Parameters
    ----------
    select : str
        Metric that selects the best model.
    """

    def __init__(self, select: str) -> None:
        self.select, self.epochs = select, 0

    def __call__(self, event: Event) -> None:
        """Write an event."""
        match event:
            case Started():
                self.epochs = event.epochs
                text = f"{event.parameters:,} parameters, {event.steps:,} steps, {event.images} images"
                if event.validation_images:
                    text += f", validated on {event.validation_images} more"
            case EpochDone():
                text = line_of(event, self.epochs) + metric_of(event, self.select)
            case Note() | Warned():
                text = event.text
            case _:
                return
        print(text, file=sys.stderr)
