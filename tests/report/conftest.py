"""A run folder and a dataset with known metrics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lstm2d.io.classes import palette_of
from lstm2d.io.label_images import write_image, write_labels
from lstm2d.io.model_file import load_model, save_model

RESULTS = """epoch,step,seconds,learning_rate,loss,pixel_accuracy,class_accuracy,mean_iou
1,4,2.5,0.1,1.5,0.5,0.4,0.3
2,8,5.0,0.05,0.75,,,
3,12,150.0,0.0,0.5,0.75,0.6,0.55
"""


@pytest.fixture
def run_folder(tmp_path: Path, brightness_model: Path) -> Path:
    """Return a run whose model labels bright red pixels as class 1, others as class 0."""
    folder = tmp_path / "run one"
    folder.mkdir()
    validation = {"pixel_accuracy": 0.75, "class_accuracy": 0.6, "mean_iou": None}
    model = replace(load_model(brightness_model), metrics={"validation": validation, "step": 12})
    save_model(folder / "model.safetensors", model)
    (folder / "results.csv").write_text(RESULTS)
    (folder / "config.toml").write_text('preset = "<b>bold</b>"\n')
    return folder


@pytest.fixture
def red_dataset(tmp_path: Path, brightness_model: Path) -> Path:
    """Return a dataset for that model: in validation image k, k of the ten columns are labelled wrong.

    The left half of each image is bright. Class 2 never occurs. One of four rows of the training masks is 1.
    """
    root = tmp_path / "reds"
    for name in ("images", "masks", "splits"):
        (root / name).mkdir(parents=True)
    classes = load_model(brightness_model).classes
    image = np.zeros((4, 10, 3), dtype=np.uint8)
    image[:, :5] = 250
    right = (image[..., 0] > 127).astype(np.uint8)
    quarter = np.zeros((4, 10), dtype=np.uint8)
    quarter[0] = 1
    stems: dict[str, list[str]] = {"train": [], "val": []}
    for k in range(4):
        wrong = right.copy()
        wrong[:, :k] = 0
        for split, mask in (("train", quarter), ("val", wrong)):
            stem = f"{split}{k}"
            write_image(root / "images" / f"{stem}.png", image)
            write_labels(root / "masks" / f"{stem}.png", mask, palette_of(classes))
            stems[split].append(stem)
    for split, names in stems.items():
        (root / "splits" / f"{split}.txt").write_text("\n".join(names) + "\n")
    tables = "".join(f'[[classes]]\nname = "{c.name}"\ncolor = {list(c.color)}\n' for c in classes)
    (root / "dataset.toml").write_text(f'name = "reds"\n{tables}')
    return root
