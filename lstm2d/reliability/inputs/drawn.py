"""A small dataset whose labels are known, and a model that finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lstm2d.io.model_file import ClassInfo, ModelFile, save_model
from lstm2d.models import build

SIZE = (16, 24)  # rows and columns, multiples of the blocks of a JPEG file
STEMS = ("a", "b", "c", "odd")
CLASSES = (
    ClassInfo("dark", (10, 20, 30)),
    ClassInfo("bright", (200, 210, 220)),
    ClassInfo("never", (255, 0, 0)),
)
TOML = 'name = "zoo"\nignore = 255\n' + "".join(
    f'[[classes]]\nname = "{one.name}"\ncolor = {list(one.color)}\n' for one in CLASSES[:2]
)


def brightness(classes: int = 3) -> ModelFile:
    """Return a model with known labels: class 1 if the red channel is above 127.5, else class 0.

    A 2D-LSTM with open input and output gates and closed forget gates sees only its own pixel. Class 2
    never wins.

    Parameters
    ----------
    classes : int, default 3
        Number of classes, 2 or 3.

    Returns
    -------
    ModelFile
        The model.
    """
    section: dict[str, Any] = {
        "kind": "lstm2d",
        "window": 1,
        "units": [1],
        "features": [],
        "peepholes": False,
    }
    section |= {"feedforward": "shared", "cell_scale": 1.0, "leaky": False}
    network = build(section, classes, np.random.default_rng(0))
    state = {name: np.zeros_like(values) for name, values in network.state_dict().items()}
    state["lstm.0.weight"][:, 0, 3] = 40  # candidate: red, after (x - mean) / std
    state["lstm.0.bias"][:] = [20, -20, -20, 0, 20]  # input gate, both forget gates, candidate, output gate
    state["feedforward.0.weight"][0] = [-1, 1, 0][:classes]
    state["feedforward.0.bias"][:] = [0, 0, -20][:classes]
    return ModelFile(
        state=state,
        preset="lstm2d-1x1",
        config={"preset": "lstm2d-1x1", "model": section},
        classes=CLASSES[:classes],
        mean=(127.5, 127.5, 127.5),
        std=(51.0, 51.0, 51.0),
        ignore=255,
        library_version="0.1.0",
        seed=7,
        metrics={"test": {"pixel_accuracy": 0.5, "class_accuracy": 0.25, "mean_iou": 0.125}},
        trained_on="nothing: weights set by hand",
        terms="free for all",
    )


def labels_of(stem: str) -> NDArray[np.uint8]:
    """Return the labels of an image: one bright corner, at another place in each."""
    labels = np.zeros(SIZE, np.uint8)
    row, column = {"a": (8, 8), "b": (8, 16), "c": (16, 8)}.get(stem, (8, 12))
    labels[:row, :column] = 1
    return labels


def photo_of(labels: NDArray[np.uint8], seed: int = 0) -> NDArray[np.uint8]:
    """Return a photograph with these labels: dark or bright, with noise.

    Parameters
    ----------
    labels : array of shape (H, W)
        Classes 0 and 1.
    seed : int
        Seed of the noise.

    Returns
    -------
    array of shape (H, W, 3), uint8
        Red is at most 70 where it is dark, and at least 190 where it is bright.
    """
    noise = np.random.default_rng(seed).integers(-20, 21, (*labels.shape, 3))
    return (np.where(labels[..., None] == 1, 210, 50) + noise).astype(np.uint8)


def odd_photo() -> NDArray[np.uint8]:
    """Return the photograph that a case replaces."""
    return photo_of(labels_of("odd"), STEMS.index("odd"))


def write_base(given: Path) -> None:
    """Write a good dataset and model: the splits are train (a, b, odd) and val (c).

    Parameters
    ----------
    given : Path
        The folder to create.
    """
    data = given / "data"
    for name in ("images", "masks", "splits"):
        (data / name).mkdir(parents=True)
    for seed, stem in enumerate(STEMS):
        labels = labels_of(stem)
        Image.fromarray(photo_of(labels, seed)).save(data / "images" / f"{stem}.png")
        Image.fromarray(labels).save(data / "masks" / f"{stem}.png")
    (data / "dataset.toml").write_text(TOML)
    (data / "splits" / "train.txt").write_text("a\nb\nodd\n")
    (data / "splits" / "val.txt").write_text("c\n")
    save_model(given / "model.safetensors", brightness(2))
