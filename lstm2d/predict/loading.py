"""Load a trained model by the name of its file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lstm2d.io.model_file import load_model
from lstm2d.predict.instances import Instances
from lstm2d.predict.predictor import Predictor
from lstm2d.predict.zoo import find_model

if TYPE_CHECKING:
    from lstm2d.config.schema import CRFSection


def load(
    path_or_name: str | os.PathLike[str],
    *,
    crf: bool | str | CRFSection = True,
    device: str = "cpu",
    resolution: str | int | None = None,
    instances: Instances = None,
) -> Predictor:
    """Load a trained model.

    Parameters
    ----------
    path_or_name : str or path
        A model file, the folder of a run, or the name of a bundled model such as "outdoor".
    crf : bool, str or CRFSection, default True
        The fully connected CRF after the network, as for `Predictor`: True for the model's own, False for
        none, the name of a set such as "deeplab-voc", or settings.
    device : str, default "cpu"
        Where to compute: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N".
    resolution : str or int, optional
        As for `Predictor`: "1/4" computes one pixel in 4x4.
    instances : int, sequence of int or str, optional
        As for `Predictor`: predict after so many instances.

    Returns
    -------
    Predictor
        Ready to label images.

    Raises
    ------
    DataError
        If there is no such model, or its file is damaged.
    ConfigError
        If there is no such set of CRF settings, the device cannot be used, or resolution or instances do not
        fit the model.
    """
    path = find_model(path_or_name)
    return Predictor(
        load_model(path), source=path, crf=crf, device=device, resolution=resolution, instances=instances
    )
