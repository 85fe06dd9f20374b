"""Measure the network on the validation images, and save it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.io.model_file import ModelFile
from lstm2d.io.model_file import save_model as write_model
from lstm2d.metrics.confusion import Confusion
from lstm2d.pipeline.resize import labels_at
from lstm2d.tensor import Tensor
from lstm2d.training.assemble import Prepared
from lstm2d.training.best_model import BestModel
from lstm2d.training.signals import StopSignal

METRICS = ("pixel_accuracy", "class_accuracy", "mean_iou")


def validate(run: Prepared, stop: StopSignal) -> dict[str, Any] | None:
    """Return the metrics of the network (with the running mean of its weights, where one is kept).

    Parameters
    ----------
    run : Prepared
        The run.
    stop : StopSignal
        Looked at before each image.

    Returns
    -------
    dict or None
        What `Confusion.figures` gives; None if the user wants to stop before it is complete.
    """
    data = run.data
    confusion = Confusion(len(data.classes), data.ignore)
    run.optimizer.swap_average()
    try:
        for sample in data.validation:
            if stop.asked:
                return None
            image, labels = data.validation_image(sample)
            confusion.add(labels, predicted(run, image, labels.shape))
    finally:
        run.optimizer.swap_average()
    return confusion.figures([item.name for item in data.classes])


def predicted(run: Prepared, image: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the most likely class of every pixel, as prediction with the saved model will.

    Parameters
    ----------
    run : Prepared
        The run.
    image : array of shape (rows, columns, 3)
        A validation image at the size at which the network sees it.
    shape : tuple of int
        Height and width of the photograph itself.

    Returns
    -------
    array of shape (height, width), uint8
        Class numbers.
    """
    rows, columns = image.shape[:2]
    z = run.features(run.data.preprocessing.network_input(image), again=True, exact=True)
    probabilities = run.network.probabilities_from(Tensor(z))[0, :rows, :columns]
    return labels_at(probabilities, *shape)


def save_model(run: Prepared, metrics: dict[str, Any]) -> None:
    """Write the network (with the running mean of its weights, where one is kept) as the run's model.

    Imported weights that are never trained are left out. The run keeps what was saved, so that `write_best`
    can write it again.

    Parameters
    ----------
    run : Prepared
        The run.
    metrics : dict
        Figures to store with it.

    Raises
    ------
    OutputError
        If it cannot be written; the model that was there stays.
    """
    run.model = BestModel(run.progress.step, metrics, run.model_arrays())
    write_best(run, run.model)


def write_best(run: Prepared, best: BestModel) -> None:
    """Write the model file of a run.

    Parameters
    ----------
    run : Prepared
        The run.
    best : BestModel
        What to write, with its arrays; gets the digest of the file.

    Raises
    ------
    OutputError
        If it cannot be written; the model that was there stays.
    """
    data, config = run.data, run.config
    class_weights = {}
    if data.class_weights is not None:
        pairs = zip(data.classes, data.class_weights.tolist(), strict=True)
        class_weights = {"class_weights": {item.name: weight for item, weight in pairs}}
    split = "all images" if not data.dataset.splits else f"split {config.data.train_split}"
    model = ModelFile(
        state=dict(best.arrays or {}),
        preset=config.preset,
        config=config.model_dump(),
        classes=data.classes,
        mean=data.preprocessing.mean,
        std=data.preprocessing.std,
        ignore=data.ignore,
        library_version=version("lstm2d"),
        seed=config.train.seed,
        metrics={"validation": best.metrics, "step": best.step} | class_weights,
        trained_on=f"{data.dataset.name}, {split}: {len(data.training)} images",
        terms="",
        imported=run.imported,
        typical_size=data.preprocessing.typical_size,
        native=data.preprocessing.native,
    )
    best.sha256 = write_model(run.folder.model, model)
