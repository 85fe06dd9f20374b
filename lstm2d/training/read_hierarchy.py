"""Read the label hierarchy of a run, and check that it is for its data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

from lstm2d.config import RunConfig
from lstm2d.data.dataset import Dataset
from lstm2d.data.layout import Sample
from lstm2d.errors import ConfigError, DataError
from lstm2d.hierarchy.examples import check_dataset
from lstm2d.hierarchy.file import load_hierarchy
from lstm2d.hierarchy.fill import Fill
from lstm2d.hierarchy.hierarchy import Hierarchy
from lstm2d.predict.fill import filler
from lstm2d.training.checkpoint import Checkpoint
from lstm2d.training.contents import some


def read_hierarchy(config: RunConfig, dataset: Dataset, checkpoint: Checkpoint | None) -> Hierarchy | None:
    """Read the label hierarchy of a run.

    Parameters
    ----------
    config : RunConfig
        Names the file.
    dataset : Dataset
        The data of the run.
    checkpoint : Checkpoint or None
        Of a run to resume.

    Returns
    -------
    Hierarchy or None
        None if the run has none.

    Raises
    ------
    ConfigError
        If it is for other data or divides no class; if it has changed since the run began.
    DataError
        If the file cannot be read, or has other classes.
    """
    if config.hierarchy is None:
        return None
    path = config.hierarchy.file
    hierarchy, classes = load_hierarchy(path), [item.name for item in dataset.classes]
    if len(classes) < 2:
        what = f"a label hierarchy for the one class {classes[0]}"
        raise ConfigError(what, where=dataset.root, expected="a dataset of two classes or more")
    check_dataset(hierarchy, dataset)
    if hierarchy.dataset != dataset.name:
        hint = f"build one for this dataset: lstm2d hierarchy build {dataset.root}"
        what = f"the label hierarchy is for the dataset {hierarchy.dataset}"
        raise ConfigError(what, where=path, expected=dataset.name, hint=hint)
    if hierarchy.n == len(classes):
        what = "the label hierarchy divides no class: there is nothing to train with it"
        raise ConfigError(what, where=path, hint="build one with other settings, or leave [hierarchy] out")
    if checkpoint is not None and checkpoint.state.get("hierarchy") != digest(hierarchy):
        what = "the label hierarchy has changed since the run began"
        raise ConfigError(what, where=path, hint="restore the file, or start a new run with `init_from`")
    return hierarchy


def filling(config: RunConfig, hierarchy: Hierarchy | None, dataset: Dataset, device: str) -> Fill | None:
    """Return what fills the unlabelled pixels of training images, as when the hierarchy was built.

    Parameters
    ----------
    config : RunConfig
        Says whether they are filled.
    hierarchy : Hierarchy or None
        Names the model.
    dataset : Dataset
        The data of the run.
    device : str
        "cpu" or "cuda:N".

    Returns
    -------
    Fill or None
        None if nothing is filled.

    Raises
    ------
    ConfigError
        If the hierarchy was built without filling, or the model is missing.
    DataError
        If the model cannot be used.
    """
    if config.hierarchy is None or hierarchy is None or not config.hierarchy.train_on_filled:
        return None
    model = hierarchy.settings.get("fill_with")
    if not isinstance(model, str):
        raise ConfigError(
            "hierarchy.train_on_filled = true, but the hierarchy was built without filling",
            where=config.hierarchy.file,
            hint="build it with a model to fill with (`fill_with`)",
        )
    return filler(model, dataset, device)


def digest(hierarchy: Hierarchy) -> str:
    """Return a digest of the contents of a hierarchy, wherever its file is."""
    return hashlib.sha256(json.dumps(asdict(hierarchy), sort_keys=True).encode()).hexdigest()


def check_groups(hierarchy: Hierarchy, samples: Sequence[Sample], path: str) -> None:
    """Check that a hierarchy knows every training image.

    Parameters
    ----------
    hierarchy : Hierarchy
        The hierarchy.
    samples : sequence of Sample
        The training images.
    path : str
        Its file, for messages.

    Raises
    ------
    DataError
        If an image has no scene or cluster of images.
    """
    missing = [sample.stem for sample in samples if sample.stem not in hierarchy.images]
    if hierarchy.method != "lc" and missing:
        raise DataError(
            f"the label hierarchy has no scene or cluster for {some(missing)}",
            where=path,
            expected="one for every training image",
            hint="build it again with all of them in its split",
        )
