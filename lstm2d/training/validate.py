"""Measure the network on the validation images, and save it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lstm2d.io.model_file import ModelFile, save_model as write_model
from lstm2d.metrics.confusion import Confusion
from lstm2d.tape import no_grad

if TYPE_CHECKING:
    from lstm2d.training.prepare import Prepared
    from lstm2d.training.stop import StopSignal

METRICS = ("pixel_accuracy", "class_accuracy", "mean_iou")


def validate(run: Prepared, stop: StopSignal) -> dict[str, Any] | None:
    """Return the metrics of the network (of the running mean of its weights, where one is kept).

    Parameters
    ----------
    run : Prepared
        The run.
    stop : StopSignal
        Looked at after each image.

    Returns
    -------
    dict or None
        What `Confusion.report` gives; None if the user wants to stop.
    """
    data = run.data
    confusion = Confusion(len(data.classes), data.ignore)
    run.optimizer.swap_average()
    try:
        with no_grad():
            for number in range(len(data.validation)):
                if stop.asked:
                    return None
                image, mask = data.validation[number]
                confusion.add(mask, predict_labels(run.network, data.normalised(image)))
    finally:
        run.optimizer.swap_average()
    return confusion.report()
