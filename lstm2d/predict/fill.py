"""The labels of a model for the unlabelled pixels of a dataset."""

from __future__ import annotations

from lstm2d.data.dataset import Dataset
from lstm2d.hierarchy.fill import Fill
from lstm2d.predict.evaluate import check_classes
from lstm2d.predict.loading import load


def filler(model: str, dataset: Dataset, device: str) -> Fill:
    """Return the function that labels images with a model.

    Parameters
    ----------
    model : str
        A model file, a run folder that holds one, or the name of a bundled model.
    dataset : Dataset
        The dataset.
    device : str
        "cpu", "cuda" or "cuda:N".

    Returns
    -------
    callable
        Takes an image of the dataset and returns its labels.

    Raises
    ------
    ConfigError
        If there is no such model.
    DataError
        If the model has other classes than the dataset, or cannot be read.
    """
    predictor = load(model, device=device)
    check_classes(predictor, dataset)
    return predictor.labels_of
