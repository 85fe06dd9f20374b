"""Read the label hierarchy of a run, and check that it is for its data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

from lstm2d.config import RunConfig
from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.errors import ConfigError, DataError
from lstm2d.hierarchy.file import load_hierarchy
from lstm2d.hierarchy.hierarchy import Hierarchy
from lstm2d.training.checkpoint import Checkpoint
from lstm2d.training.contents import some


def read_hierarchy(
    config: RunConfig, dataset: DatasetFolder, checkpoint: Checkpoint | None
) -> Hierarchy | None:
    """Read the label hierarchy of a run.

    Parameters
    ----------
    config : RunConfig
        Names the file.
    dataset : DatasetFolder
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
        If the file cannot be read.
    """
    if config.hierarchy is None:
        return None
    path = config.hierarchy.file
    hierarchy, classes = load_hierarchy(path), [item.name for item in dataset.classes]
    if len(classes) < 2:
        what = f"a label hierarchy for the one class {classes[0]}"
        raise ConfigError(what, where=dataset.root, expected="a dataset of two classes or more")
    hint = f"build one for this dataset: lstm2d hierarchy build {dataset.root}"
    if list(hierarchy.classes) != classes:
        what = f"the label hierarchy has other classes: {some(hierarchy.classes)}"
        raise ConfigError(what, where=path, expected=some(classes), hint=hint)
    if hierarchy.dataset != dataset.name:
        what = f"the label hierarchy is for the dataset {hierarchy.dataset}"
        raise ConfigError(what, where=path, expected=dataset.name, hint=hint)
    if hierarchy.n == len(classes):
        what = "the label hierarchy divides no class: there is nothing to train with it"
        raise ConfigError(what, where=path, hint="build one with other settings, or leave [hierarchy] out")
    if checkpoint is not None and checkpoint.state.get("hierarchy") != digest(hierarchy):
        what = "the label hierarchy has changed since the run began"
        raise ConfigError(what, where=path, hint="restore the file, or start a new run with `init_from`")
    return hierarchy


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
