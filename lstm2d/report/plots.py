"""The pictures of a run: learning curves, confusion table and class frequencies, best and worst images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.io.atomic import make_folder, write_bytes
from lstm2d.predict.evaluate import Evaluation, evaluate
from lstm2d.predict.predictor import Predictor, load
from lstm2d.report.figures import plot_confusion, plot_curves
from lstm2d.report.gallery import Example, draw_gallery, encode_png
from lstm2d.report.runs import RunSummary, read_run

SHOWN = 4  # images in each of the sheets of best and worst


def write_run_plots(
    run: str | os.PathLike[str], dataset: DatasetFolder | str | os.PathLike[str] | None = None
) -> list[Path]:
    """Fill RUN/plots with pictures.

    Parameters
    ----------
    run : str or path
        A run folder with a trained model.
    dataset : DatasetFolder or path, optional
        What it was trained on. Its validation images are labelled for the confusion table and the sheets of
        best and worst images; without it there are only learning curves.

    Returns
    -------
    list of Path
        The pictures: curves.png, confusion.png, best.png, worst.png, as far as there is something to draw.

    Raises
    ------
    DataError
        If the run or the data cannot be read or do not fit each other.
    OutputError
        If a picture cannot be written.
    """
    summary = read_run(run)
    folder = make_folder(summary.path / "plots")
    pictures: dict[str, bytes] = {}
    if summary.results:
        pictures["curves"] = plot_curves(summary.results)
    if dataset is not None:
        data = dataset if isinstance(dataset, DatasetFolder) else DatasetFolder(dataset)
        training, validation = _splits(summary, data)
        if validation:
            predictor = load(summary.path)
            evaluation = evaluate(predictor, data, validation)
            pictures |= draw_evaluation(predictor, data, validation, evaluation, {"training": training})
    for name, picture in pictures.items():
        write_bytes(folder / f"{name}.png", picture)
    return [folder / f"{name}.png" for name in pictures]


def draw_evaluation(
    predictor: Predictor,
    dataset: DatasetFolder,
    samples: Sequence[Sample],
    evaluation: Evaluation,
    others: dict[str, Sequence[Sample]],
) -> dict[str, bytes]:
    """Draw what an evaluation has found.

    Parameters
    ----------
    predictor : Predictor
        The model.
    dataset : DatasetFolder
        Where the images are.
    samples : sequence of Sample
        The images that were evaluated.
    evaluation : Evaluation
        The figures.
    others : dict of str to sequence of Sample
        Sets whose class frequencies are shown beside those of `samples`, such as "training".

    Returns
    -------
    dict of str to bytes
        PNG files: "confusion", "best" and "worst".
    """
    counts = evaluation.confusion.matrix.sum(axis=1)
    shares = {name: class_shares(dataset, chosen) for name, chosen in others.items()}
    shares["evaluated"] = (counts / max(int(counts.sum()), 1)).tolist()
    pictures = {"confusion": plot_confusion(evaluation.confusion.matrix, dataset.classes, shares)}
    scored = [
        (score.pixel_accuracy, sample)
        for score, sample in zip(evaluation.images, samples, strict=True)
        if score.pixel_accuracy is not None
    ]
    scored.sort(key=lambda pair: (-pair[0], pair[1].stem))
    shown = min(SHOWN, len(scored) // 2)
    chosen_sets = {"best": scored[:shown], "worst": scored[::-1][:shown]}
    for name, chosen in chosen_sets.items():
        if chosen:
            examples = [label_sample(predictor, dataset, sample, accuracy) for accuracy, sample in chosen]
            pictures[name] = encode_png(draw_gallery(examples, dataset.classes), colours=256)
    return pictures


def label_sample(predictor: Predictor, dataset: DatasetFolder, sample: Sample, accuracy: float) -> Example:
    """Label an image of a dataset for a sheet.

    Parameters
    ----------
    predictor : Predictor
        The model.
    dataset : DatasetFolder
        Where the image is.
    sample : Sample
        The image.
    accuracy : float
        Its pixel accuracy, for the title.

    Returns
    -------
    Example
        Image, truth and labels.
    """
    image, truth = dataset.load(sample)
    labels = predictor.labels_of(image)
    return Example(image, labels, truth, f"{sample.stem}  {100 * accuracy:.1f} %")


def class_shares(dataset: DatasetFolder, samples: Sequence[Sample]) -> list[float]:
    """Return the share of each class's pixels in the masks of a set.

    Parameters
    ----------
    dataset : DatasetFolder
        Where the masks are.
    samples : sequence of Sample
        The set.

    Returns
    -------
    list of float
        One a class; their sum is 1 where anything is labelled.
    """
    k = len(dataset.classes)
    counts = np.zeros(k, dtype=np.int64)
    for sample in samples:
        _, labels = dataset.load(sample)
        counts += np.bincount(labels.ravel(), minlength=256)[:k]
    shares: list[float] = (counts / max(int(counts.sum()), 1)).tolist()
    return shares


def _splits(summary: RunSummary, data: DatasetFolder) -> tuple[list[Sample], list[Sample]]:
    """Return the images the run was trained and validated on."""
    config: dict[str, Any] = summary.model.config
    chosen, seed = config.get("data", {}), config.get("train", {}).get("seed", 0)
    return data.training_splits(
        chosen.get("train_split", "train"),
        chosen.get("val_split", "val"),
        fraction=chosen.get("val", 0.1),
        seed=seed,
    )
