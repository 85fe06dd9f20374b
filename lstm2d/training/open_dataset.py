"""Open the dataset of a run: images are read as configured, and notes on them are reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lstm2d.config import RunConfig
from lstm2d.data.dataset import Dataset
from lstm2d.data.folder import DatasetFolder
from lstm2d.training.events import Note, Report

GUESSED = (
    "no dataset.toml defines the classes; this one says what was guessed, save it and correct what is wrong:"
)


def open_dataset(dataset: Dataset | Path | str, config: RunConfig, report: Report) -> Dataset:
    """Open a dataset for a run.

    Parameters
    ----------
    dataset : Dataset or path
        Images and masks; or their folder.
    config : RunConfig
        How images are read.
    report : callable
        Gets a note about what was guessed, and the first note of each kind about images as they are read.

    Returns
    -------
    Dataset
        The dataset.

    Raises
    ------
    DataError
        If there is no such folder, or its contents are inconsistent.
    """
    data: Dataset = DatasetFolder(dataset) if isinstance(dataset, str | Path) else dataset

    def note(text: str) -> None:
        report(Note(text=text))

    data.notes.listener = note
    # also stored in the model file: prediction reads its images in the same way
    red, green, blue = config.data.background
    data.reading = replace(data.reading, bits=config.data.bits or None, background=(red, green, blue))
    if data.guessed_toml is not None:
        report(Note(text=GUESSED, dataset_toml=data.guessed_toml))
    return data


def report_notes(dataset: Dataset, report: Report) -> None:
    """Report the number of images with each kind of note."""
    for line in dataset.notes.summary():
        report(Note(text=line))
