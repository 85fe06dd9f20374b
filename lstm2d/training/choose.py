"""Choose preset, starting model and settings for a dataset and a time: `lstm2d train auto`.

The reasons, with figures, are in docs/how-to/train-auto.md.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lstm2d.config import parse_duration, resolve
from lstm2d.data.dataset import Dataset
from lstm2d.predict.zoo import bundled_models
from lstm2d.weights.store import stored_weights
from lstm2d.weights.vgg16 import LAYERS

AUTO = "auto"  # in place of a preset
SIZE = 320  # square root of the pixel count that images are reduced to
LARGEST = 1.5 * SIZE  # up to here they stay as they are
FEATURES_UP_TO = "conv3_3"  # the layers of VGG-16 that reseg-paper needs
SECONDS_PER_IMAGE = 0.8  # of 320x240 pixels; the features of VGG-16 then take half of the time or less
START = "outdoor"
ANY_PRESET = "lstm2d-5x5"  # for the values that all presets share
RATE, WARMUP = 1.25e-5, 200  # half of the preset's rate, after twice its warm-up
WARMUP_ADADELTA = 100  # steps; figures in docs/how-to/train-auto.md
SAMPLE = 16  # images whose size is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the choice depends on.

    Parameters
    ----------
    images : int
        Number of images to train on, those held out included.
    classes : int
        Number of classes.
    size : float
        Typical square root of the pixel count.
    native : bool
        Whether pixels have a fixed scale, so that images must not be resized.
    vgg16 : bool
        Whether conv1_1 to conv3_3 of VGG-16 are imported.
    seconds : float
        Time of the training; infinity for no limit.
    """

    images: int
    classes: int
    size: float
    native: bool
    vgg16: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to train.

    Parameters
    ----------
    preset : str
        Name of the preset.
    init_from : str or None
        Bundled model to start from.
    settings : tuple of str
        Values that differ from the preset, "key=value".
    reasons : tuple of str
        Why, one line each.
    """

    preset: str
    init_from: str | None
    settings: tuple[str, ...]
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """Return preset and starting model in words."""
        return self.preset + (f", started from {self.init_from}" if self.init_from else "")

    @property
    def start(self) -> Path | None:
        """The model to start from: its name, or its file if something here has the same name."""
        if self.init_from is None or not os.path.lexists(self.init_from):
            return None if self.init_from is None else Path(self.init_from)
        return bundled_models()[self.init_from]


def look_at(dataset: Dataset, train_split: str, seconds: float) -> Facts:
    """Collect what the choice depends on.

    Parameters
    ----------
    dataset : Dataset
        Images and masks.
    train_split : str
        Name of the split to train on.
    seconds : float
        Time of the training.

    Returns
    -------
    Facts
        The size is that of some images.

    Raises
    ------
    DataError
        If there is no such split, or an image cannot be read.
    """
    samples, _ = dataset.training_splits(train_split, train_split, fraction=0)
    some = samples[:: -(-len(samples) // SAMPLE)]
    sizes = sorted(math.sqrt(math.prod(dataset.size_of(sample))) for sample in some)
    return Facts(
        images=len(samples),
        classes=len(dataset.classes),
        size=sizes[len(sizes) // 2],
        native=dataset.native,
        vgg16=has_vgg16(),
        seconds=seconds,
    )


def has_vgg16() -> bool:
    """Return whether the layers of VGG-16 that reseg-paper needs are imported, under one digest."""
    names = list(LAYERS)[: list(LAYERS).index(FEATURES_UP_TO) + 1]
    found = [stored.digest_of(names) for stored in stored_weights()[0] if stored.name == "vgg16"]
    return len({digest for digest in found if digest is not None}) == 1


def decide(dataset: Dataset, overrides: Iterable[tuple[str, str]]) -> tuple[Facts, Choice]:
    """Look at a dataset and choose how to train on it.

    Parameters
    ----------
    dataset : Dataset
        Images and masks.
    overrides : iterable of (str, str)
        The user's values, as for `lstm2d.config.resolve`; time and split count.

    Returns
    -------
    facts : Facts
        What the choice is based on.
    choice : Choice
        The choice.

    Raises
    ------
    ConfigError
        If a value is not valid.
    DataError
        If the data cannot be used.
    """
    common = [item for item in overrides if item[0].strip().startswith(("train.", "data."))]
    config = resolve(ANY_PRESET, common)
    facts = look_at(dataset, config.data.train_split, parse_duration(config.train.max_time))
    return facts, choose(facts)


def choose(facts: Facts) -> Choice:
    """Choose how to train.

    Parameters
    ----------
    facts : Facts
        Of the dataset, the installation and the time.

    Returns
    -------
    Choice
        It depends on the facts alone.
    """
    settings, reasons = [], []
    side = facts.size
    if side > LARGEST and not facts.native:
        side = SIZE
        settings.append(f"data.size={SIZE}")
        reasons.append(f"images above {LARGEST:.0f} pixels are reduced to {SIZE}, for more steps in the time")
    if facts.classes == 2:
        settings.append("train.select=foreground_iou")
        reasons.append("two classes: the best model is the one with the best IoU of the second one")
    needed = SECONDS_PER_IMAGE * facts.images * side**2 / (320 * 240)
    if facts.vgg16 and facts.seconds >= needed:
        reasons.append("VGG-16 is imported, and the time is enough for its features")
        settings.append(f"train.warmup_steps={WARMUP_ADADELTA}")
        reasons.append("a warm-up keeps the steps small while all weights are random")
        if math.isfinite(facts.seconds):
            settings.append("train.schedule=cosine")
            reasons.append("the rate falls to 0 within the time")
        return Choice("reseg-paper", None, tuple(settings), tuple(reasons))
    if facts.vgg16:
        reasons.append(f"the features of VGG-16 need about {needed / 60:.2g} minutes of training or more")
    reasons.append(f"{START} has learned from outdoor photographs what layers before the last one need")
    reasons.append("half of the preset's rate, after a longer warm-up, keeps what it has learned")
    settings += [
        "train.init=matching",
        f"train.learning_rate={RATE}",
        f"train.warmup_steps={WARMUP}",
        *(["train.select=mean_iou"] if facts.classes != 2 else []),
    ]
    return Choice("lstm2d-5x5", START, tuple(settings), tuple(reasons))
