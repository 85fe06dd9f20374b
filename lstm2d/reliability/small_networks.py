"""Small networks of all presets, and a store of random weights for those that start from published ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lstm2d.weights.store import store_weights
from lstm2d.weights.vgg16 import LAYERS

_CROP = ("train.batch=1", "train.crop=[16, 24]")
_EIGHTH = ("model.weights=", "model.width=0.125", "train.batch=1")
_RCNN = ("model.kernels=[4, 4]", "model.channels=[4, 6]", *_CROP)
_RENET = ("model.units=[5, 7]", "model.upsample_channels=5")
SMALL: dict[str, tuple[str, ...]] = {
    "clarifai": _EIGHTH,
    "overfeat": _EIGHTH,
    "fcn-16s": _EIGHTH,
    "fcn-32s": _EIGHTH,
    "fcn-largefov": (*_EIGHTH[:2], *_CROP[1:], "train.batch=2"),
    "h-renet": (*_EIGHTH[:2], *_CROP[1:], "train.batch=2", "model.units=[5]"),
    "cnn-133": ("model.channels=[4, 6]", *_CROP),
    "rcnn1": _RCNN,
    "rcnn2": _RCNN,
    "reseg": (*_RENET, "data.feature_cache=off"),
    "reseg-paper": (*_RENET, "data.feature_cache=off"),
    "reseg-raw": _RENET,
    "n-renet": ("model.units=[4, 5, 6]",),
    "n-renet-ref": ("model.units=[4, 5, 6]", "model.features=[7, 8]"),
}
"""Overrides that make the network of a preset small; the others are small already."""

USED = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3")
FOLDER = "LSTM2D_DATA"


@contextmanager
def random_store(folder: Path) -> Iterator[None]:
    """Use a folder with random weights of VGG-16, up to conv3_3, as the user's data folder.

    Parameters
    ----------
    folder : Path
        Created.

    Yields
    ------
    None
        Child processes use it too.
    """
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = str(folder)
    try:
        rng = np.random.default_rng(0)
        layers = {
            name: (
                np.float32(np.sqrt(2 / (9 * LAYERS[name][2])))
                * rng.standard_normal(LAYERS[name], np.float32),
                np.zeros(LAYERS[name][3], np.float32),
            )
            for name in USED
        }
        store_weights(layers, name="vgg16", convention="caffe", source="random numbers")
        yield
    finally:
        if before is None:
            del os.environ[FOLDER]
        else:
            os.environ[FOLDER] = before
