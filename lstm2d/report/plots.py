"""The pictures of a run: learning curves, confusion table and class frequencies, best and worst images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.io.atomic import make_folder, write_bytes
from lstm2d.io.classes import ClassInfo
from lstm2d.io.gallery import Example, after, draw_comparison, draw_gallery, encode_png
from lstm2d.predict.evaluate import Evaluated, Evaluation, evaluate
from lstm2d.predict.loading import load
from lstm2d.report.figures import plot_confusion, plot_curves
from lstm2d.report.runs import RunSummary, read_run

SHOWN = 4  # images on each of the two sheets, best and worst
CHOSEN = 6  # images on the sheet of labelings
INSTANCES = "instances"


class Extremes:
    """Keeps the images of an evaluation with the highest and lowest pixel accuracy, as its listener."""

    def __init__(self) -> None:
        self._scored = 0
        self._best: list[Evaluated] = []
        self._worst: list[Evaluated] = []

    def __call__(self, one: Evaluated) -> None:
        """Take one image; images without labelled pixels are left out."""
        if one.score.pixel_accuracy is not None:
            self._scored += 1
            self._best = sorted([*self._best, one], key=_rank)[:SHOWN]
            self._worst = sorted([*self._worst, one], key=_rank, reverse=True)[:SHOWN]

    def examples(self) -> dict[str, list[Example]]:
        """Return the "best" and "worst" images, the most extreme first; no image is in both."""
        shown = min(SHOWN, self._scored // 2)
        return {
            "best": [example_of(one) for one in self._best[:shown]],
            "worst": [example_of(one) for one in self._worst[:shown]],
        }


class Selection:
    """Keeps evenly spaced images of an evaluation, whatever their accuracy, as its listener.

    Parameters
    ----------
    count : int
        Number of images to evaluate.

    Attributes
    ----------
    examples : dict of str to Example
        The images by stem, in the order of the evaluation.
    """

    def __init__(self, count: int) -> None:
        shown = min(CHOSEN, count)
        self._numbers = {(2 * k + 1) * count // (2 * shown) + 1 for k in range(shown)}
        self.examples: dict[str, Example] = {}

    def __call__(self, one: Evaluated) -> None:
        """Take one image."""
        if one.number in self._numbers:
            self.examples[one.score.image] = example_of(one)


class AfterInstances:
    """Keeps evenly spaced images of an evaluation with the labels after each instance, as its listener.

    Parameters
    ----------
    count : int
        Number of images to evaluate.

    Attributes
    ----------
    examples : dict of str to list of Example
        The images by the instances that their labels come from, such as "after 2 instances".
    """

    def __init__(self, count: int) -> None:
        self._selection = Selection(count)
        self.examples: dict[str, list[Example]] = {}

    def __call__(self, one: Evaluated) -> None:
        """Take one image."""
        self._selection(one)
        if one.score.image in self._selection.examples:
            for instances, labels in one.after.items():
                example = Example(one.image, labels, one.truth, one.score.image)
                self.examples.setdefault(after(instances), []).append(example)


def _rank(one: Evaluated) -> tuple[float, str]:
    return -(one.score.pixel_accuracy or 0.0), one.score.image


def example_of(one: Evaluated) -> Example:
    """Return an evaluated image for a sheet, with its accuracy in the title."""
    accuracy = one.score.pixel_accuracy
    shown = "" if accuracy is None else f"  {100 * accuracy:.1f} %"
    return Example(one.image, one.labels, one.truth, f"{one.score.image}{shown}")


def write_run_plots(
    run: str | os.PathLike[str], dataset: DatasetFolder | str | os.PathLike[str] | None = None
) -> list[Path]:
    """Write the pictures of a run to RUN/plots.

    Parameters
    ----------
    run : str or path
        A run folder with a trained model.
    dataset : DatasetFolder or path, optional
        What it was trained on. Its validation images are labelled for the confusion table and the sheets of
        images; without it there are only learning curves.

    Returns
    -------
    list of Path
        The pictures: curves.png, confusion.png, best.png, worst.png, and instances.png for a recurrent
        convolutional network with several instances, as far as there is something to draw.

    Raises
    ------
    DataError
        If the run or the data cannot be read or do not fit each other.
    OutputError
        If a picture cannot be written.
    """
    return list(draw_run(run, dataset))


def pictures_of(run: str | os.PathLike[str]) -> list[str]:
    """Return the names of the pictures of a run whose data are known.

    Parameters
    ----------
    run : str or path
        A run folder with a trained model.

    Returns
    -------
    list of str
        Those of `write_run_plots`, in order, without endings.
    """
    return ["curves", "confusion", "best", "worst", *[INSTANCES] * (_instances(read_run(run)) > 1)]


def _instances(summary: RunSummary) -> int:
    """Return the instances that a run trained; 1 for a network without."""
    return int(summary.model.config["model"].get("instances", 1))


def draw_run(
    run: str | os.PathLike[str], dataset: DatasetFolder | str | os.PathLike[str] | None = None
) -> Iterator[Path]:
    """Write the pictures of a run one by one, as `write_run_plots` does.

    Parameters
    ----------
    run : str or path
        As for `write_run_plots`.
    dataset : DatasetFolder or path, optional
        As for `write_run_plots`.

    Yields
    ------
    Path
        Each picture after it is written: if an error is raised, these are done.
    """
    summary = read_run(run)
    folder = make_folder(summary.path / "plots")
    if summary.results:
        yield _written(folder, "curves", plot_curves(summary.results))
    if dataset is None:
        return
    trained = _instances(summary)
    predictor = load(summary.path, instances=range(1, trained + 1) if trained > 1 else None)
    data = (
        dataset if isinstance(dataset, DatasetFolder) else DatasetFolder(dataset, reading=predictor.reading)
    )
    training, validation = _splits(summary, data)
    if validation:
        extremes, instances = Extremes(), AfterInstances(len(validation))

        def keep(one: Evaluated) -> None:
            extremes(one)
            instances(one)

        evaluation = evaluate(predictor, data, validation, listener=keep)
        frequencies = {"training": class_shares(data, training)}
        pictures = draw_evaluation(evaluation, data.classes, extremes.examples(), frequencies)
        for name, picture in pictures.items():
            yield _written(folder, name, picture)
        if trained > 1:
            sheet = draw_comparison(instances.examples, data.classes)
            yield _written(folder, INSTANCES, encode_png(sheet, colours=256, classes=data.classes))


def _written(folder: Path, name: str, picture: bytes) -> Path:
    path = folder / f"{name}.png"
    write_bytes(path, picture)
    return path


def draw_evaluation(
    evaluation: Evaluation,
    classes: Sequence[ClassInfo],
    sheets: Mapping[str, Sequence[Example]],
    frequencies: Mapping[str, Sequence[float]],
    *,
    name: str = "evaluated",
) -> dict[str, bytes]:
    """Draw the outcome of an evaluation.

    Parameters
    ----------
    evaluation : Evaluation
        The figures.
    classes : sequence of ClassInfo
        The K classes.
    sheets : mapping of str to sequence of Example
        Images to show, such as the "best" and "worst" of `Extremes`.
    frequencies : mapping of str to sequence of float
        For other sets, such as "training", the share of each class's pixels, shown beside those of the
        evaluated images.
    name : str, default "evaluated"
        Name of the evaluated images in the legend.

    Returns
    -------
    dict of str to bytes
        PNG files: "confusion", and a sheet for each name in `sheets` that has images.
    """
    counts = evaluation.confusion.matrix.sum(axis=1)
    shares = {**frequencies, name: (counts / max(int(counts.sum()), 1)).tolist()}
    pictures = {"confusion": plot_confusion(evaluation.confusion.matrix, classes, shares)}
    for sheet, examples in sheets.items():
        if examples:
            pictures[sheet] = encode_png(draw_gallery(examples, classes), colours=256, classes=classes)
    return pictures


def class_shares(
    dataset: DatasetFolder, samples: Sequence[Sample], n_classes: int | None = None
) -> list[float]:
    """Return the share of each class's pixels in the masks of a set.

    Parameters
    ----------
    dataset : DatasetFolder
        Where the masks are; images are not read.
    samples : sequence of Sample
        The set.
    n_classes : int, optional
        Number of classes; by default those of the dataset. A dataset without dataset.toml may have fewer than
        the model.

    Returns
    -------
    list of float
        One per class; their sum is 1 if anything is labelled.
    """
    k = n_classes or len(dataset.classes)
    counts = np.zeros(k, dtype=np.int64)
    for sample in samples:
        counts += np.bincount(dataset.load_labels(sample).ravel(), minlength=256)[:k]
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
