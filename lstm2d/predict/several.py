"""Evaluate several models: on the same images, or each on its own split (k-fold)."""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.data.importers.parallel import all_of
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.classes import ClassInfo
from lstm2d.predict.differences import class_differences, count_images, difference, image_differences
from lstm2d.predict.evaluate import ImageScore, check_classes, choose_samples
from lstm2d.predict.held_out import HELD_OUT, held_out_samples
from lstm2d.predict.predictor import Predictor
from lstm2d.predict.zoo import find_model, model_name

TOTALS = {  # in the order of tables
    "pixel_accuracy": "pixel accuracy",
    "class_accuracy": "class accuracy",
    "mean_iou": "mean IoU",
    "foreground_iou": "foreground IoU",
    "edge_accuracy": "edge accuracy",
}
LISTED = 20  # images that fail
LONGEST_NAME = 60  # characters

Model = str | os.PathLike[str]
Load = Callable[[Model], Predictor]


@dataclass(frozen=True, slots=True)
class Task:
    """A model, and the images to evaluate it on.

    Parameters
    ----------
    model : str or path
        As the caller named it.
    name : str
        Short and unique among the tasks, also where case does not matter; the name of a sub-folder.
    split : str or None
        Name of the split; None for all images.
    samples : list of Sample
        The images.
    """

    model: Model
    name: str
    split: str | None
    samples: list[Sample]


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a task.

    Parameters
    ----------
    task : Task
        The task.
    figures : dict
        From `lstm2d.predict.evaluate.evaluate`.
    images : list of ImageScore
        One per image.
    classes : tuple of ClassInfo
        Those of the model.
    trained_on : str
        What the model file says about its training images.
    """

    task: Task
    figures: dict[str, Any]
    images: list[ImageScore]
    classes: tuple[ClassInfo, ...]
    trained_on: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table of totals.

    Parameters
    ----------
    name : str
        Of the model, "mean", "spread", or of a constant baseline.
    split : str or None
        The split; None for all images, and for rows over several splits.
    figures : mapping of str to float or None
        By the keys of `TOTALS`.
    """

    name: str
    split: str | None
    figures: Mapping[str, float | None]


def plan(
    models: Sequence[Model],
    dataset: DatasetFolder,
    *,
    split: str | None = None,
    splits: Sequence[str] | None = None,
) -> list[Task]:
    """Choose the images for each model.

    Parameters
    ----------
    models : sequence of str or path
        One or more model files, run folders or names of bundled models; one may occur several times.
    dataset : DatasetFolder
        The dataset.
    split : str, optional
        The split for all models; by default "test", or all images if the folder has no splits. "held-out"
        are the images that each model's run took from its training split for validation.
    splits : sequence of str, optional
        One split per model instead.

    Returns
    -------
    list of Task
        One per model.

    Raises
    ------
    ConfigError
        If both `split` and `splits` are given, or the number of splits is not that of the models.
    DataError
        If there is no such model or split, or the held-out images are not known or have changed.
    """
    if splits is not None and split is not None:
        raise ConfigError("`split` together with `splits`", hint="leave one out")
    if splits is not None and len(splits) != len(models):
        raise ConfigError(
            f"the number of splits ({len(splits)}) is not the number of models ({len(models)})",
            where=",".join(splits),
            expected="one split per model, in the same order",
            hint="give `split` for the same split for all models",
        )
    names = unique_names([model_name(find_model(model)) for model in models])
    asked: Sequence[str | None] = splits or [split] * len(models)
    tasks = []
    for model, name, one in zip(models, names, asked, strict=True):
        if one == HELD_OUT and HELD_OUT not in dataset.splits:
            samples = held_out_samples(find_model(model), dataset)
            tasks.append(Task(model, name, HELD_OUT, samples))
        else:
            tasks.append(Task(model, name, *choose_samples(dataset, one)))
    return tasks


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names of files or folders, each only once, also where case does not matter.

    Parameters
    ----------
    names : sequence of str
        Any names.

    Returns
    -------
    list of str
        Characters other than letters, digits, spaces, "-", "_" and "." become "_", and so do the dots of a
        name that could be that of a result, such as "report.html". A number follows a repeated name.
    """
    taken: set[str] = set()
    unique = []
    for name in names:
        plain = re.sub(r"[^\w .-]", "_", name)[:LONGEST_NAME].strip(" .") or "model"
        if plain.casefold().endswith((".html", ".json", ".png", ".csv")):
            plain = plain.replace(".", "_")
        found, number = plain, 1
        while found.casefold() in taken:
            number += 1
            found = f"{plain}-{number}"
        taken.add(found.casefold())
        unique.append(found)
    return unique


class OneAtATime:
    """Loads models, and keeps only the last one.

    Parameters
    ----------
    load : callable
        Loads a model.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._model: Model | None = None
        self._predictor: Predictor | None = None

    def __call__(self, model: Model) -> Predictor:
        """Return a model, loaded again unless it is the last one."""
        if self._predictor is None or self._model != model:
            self._predictor = None  # freed first
            self._model, self._predictor = model, self._load(model)
        return self._predictor


def check_models(tasks: Sequence[Task], dataset: DatasetFolder, load: Load) -> None:
    """Check that all models can be loaded and have the classes of the dataset, before any is evaluated.

    Parameters
    ----------
    tasks : sequence of Task
        The models.
    dataset : DatasetFolder
        The masks.
    load : callable
        Loads a model.

    Raises
    ------
    DataError
        If a model cannot be loaded, or the classes differ.
    """
    names: list[str] = []
    for task in tasks:
        predictor = load(task.model)
        try:
            check_classes(predictor, dataset)
        except DataError as error:
            if len(tasks) == 1:
                raise
            what = f"{error.what}; the model is {task.name}"
            raise DataError(what, where=error.where, expected=error.expected, hint=error.hint) from error
        found = [c.name for c in predictor.classes]
        del predictor  # before the next one is loaded
        names = names or found
        if found != names:
            raise DataError(
                f"the models {tasks[0].name} and {task.name} have different classes",
                where=task.model,
                expected=", ".join(names),
                hint="evaluate them one by one",
            )


def check_images(tasks: Iterable[Task], dataset: DatasetFolder) -> set[tuple[int, int]]:
    """Read all images and masks once, before any model is evaluated.

    Figures without the images that fail would be misleading, and a failure after hours would lose them all.

    Parameters
    ----------
    tasks : iterable of Task
        What is evaluated.
    dataset : DatasetFolder
        The images.

    Returns
    -------
    set of tuple of int
        Rows and columns of the images.

    Raises
    ------
    DataError
        If an image or a mask cannot be used. If several cannot, the error lists the first of them.
    """
    samples = dict.fromkeys(sample for task in tasks for sample in task.samples)
    sizes, failed = set(), []
    for sample in samples:
        try:
            sizes.add(dataset.load(sample)[1].shape)
        except DataError as error:
            failed.append(error)
    if failed:
        others = f", the first {LISTED} of them" * (len(failed) > LISTED)
        what = f"{len(failed)} of {len(samples)} images cannot be evaluated{others}"
        raise all_of(failed[:LISTED], what)
    return {(rows, columns) for rows, columns in sizes}


def as_json(results: Sequence[Result], dataset: DatasetFolder) -> dict[str, Any]:
    """Return what ``lstm2d evaluate --json`` writes.

    Parameters
    ----------
    results : sequence of Result
        One per model.
    dataset : DatasetFolder
        The dataset.

    Returns
    -------
    dict
        For one model its figures with ``model``, ``data`` and ``split``; for several ``models`` (a list of
        these), ``mean`` and ``spread``, see `mean_and_spread`, and if all have the same split
        ``differences``: a list with what each model after the first gains over the first one.
    """
    data = str(dataset.root)
    models = [
        r.figures | {"model": os.fspath(r.task.model), "data": data, "split": r.task.split} for r in results
    ]
    if len(models) == 1:
        return models[0]
    mean, spread = mean_and_spread(models)
    several: dict[str, Any] = {"models": models, "mean": mean, "spread": spread}
    if not is_k_fold(r.task for r in results):
        several["differences"] = [_differences(results[0], result) for result in results[1:]]
    return several


def _differences(baseline: Result, result: Result) -> dict[str, Any]:
    """Return the figures of a model less those of the baseline."""
    ours, theirs = result.figures, baseline.figures
    classes = class_differences(theirs, ours)
    return {
        "model": os.fspath(result.task.model),
        "baseline": os.fspath(baseline.task.model),
        **{key: difference(theirs[key], ours[key]) for key in TOTALS if key in theirs},
        "images": count_images(image_differences(baseline.images, result.images)),
        "per_class": {
            c.name: {"accuracy": c.accuracy_difference, "iou": c.iou_difference, "pixels": c.pixels}
            for c in classes
        },
    }


def mean_and_spread(
    figures: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Return mean and spread of the totals over the models.

    Parameters
    ----------
    figures : sequence of mapping
        Two or more, with the same keys of `TOTALS`.

    Returns
    -------
    mean, spread : dict of str to float or None
        By metric. The spread is the sample standard deviation (divided by the number of models less one).
        None if the figure of any model is None.
    """
    mean: dict[str, float | None] = {}
    spread: dict[str, float | None] = {}
    for key in (key for key in TOTALS if key in figures[0]):
        values = [one[key] for one in figures]
        defined = None not in values
        mean[key] = statistics.fmean(values) if defined else None
        spread[key] = statistics.stdev(values) if defined else None
    return mean, spread


def is_k_fold(tasks: Iterable[Task]) -> bool:
    """Return whether the models are evaluated on different images."""
    return len({(task.split, tuple(sample.stem for sample in task.samples)) for task in tasks}) > 1


def total_rows(results: Sequence[Result]) -> list[Row]:
    """Return the totals of models and baselines as a table.

    Parameters
    ----------
    results : sequence of Result
        One per model.

    Returns
    -------
    list of Row
        One per model; for k-fold "mean" and "spread"; then the constant baselines. Those of different splits
        are averaged if all have the same baselines.
    """
    keys = [key for key in TOTALS if key in results[0].figures]
    rows = [Row(r.task.name, r.task.split, {key: r.figures[key] for key in keys}) for r in results]
    if not is_k_fold(r.task for r in results):
        baselines = results[0].figures["baselines"]
        return [*rows, *(Row(b["name"], results[0].task.split, b) for b in baselines)]
    mean, spread = mean_and_spread([r.figures for r in results])
    rows += [Row("mean", None, mean), Row("spread", None, spread)]
    by_name = [{b["name"]: b for b in r.figures["baselines"]} for r in results]
    if all(set(found) == set(by_name[0]) for found in by_name):
        return rows + [Row(n, None, mean_and_spread([found[n] for found in by_name])[0]) for n in by_name[0]]
    return rows + [Row(b["name"], r.task.split, b) for r in results for b in r.figures["baselines"]]
