"""Evaluate models, and write their figures and pictures to a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.atomic import check_writable, write_text
from lstm2d.io.gallery import Example, draw_comparison, encode_png
from lstm2d.io.photo import Reading
from lstm2d.io.replacing import refuse_to_replace
from lstm2d.pipeline.preprocess import Size
from lstm2d.predict.differences import class_differences, difference_table
from lstm2d.predict.evaluate import Evaluated, Evaluation, evaluate, image_table, is_image_table
from lstm2d.predict.loading import load
from lstm2d.predict.predictor import Predictor
from lstm2d.predict.several import (
    Load,
    OneAtATime,
    Result,
    Task,
    as_json,
    check_images,
    check_models,
    is_k_fold,
)
from lstm2d.predict.zoo import find_model
from lstm2d.report.evaluation_pages import DIFFERENCES, PICTURES, Pair, page_of_model, page_of_models
from lstm2d.report.plots import Extremes, Selection, class_shares, draw_evaluation
from lstm2d.report.result_folder import ResultFolder
from lstm2d.report.side_by_side import KeptLabels, draw_pair

REPORT, FIGURES, IMAGES, COMPARISON = "report.html", "metrics.json", "images.csv", "comparison.png"
CLASSES = "differences.csv"
Listener = Callable[[Task, Evaluated], None]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """An evaluated model with its pictures by name, the images to compare it with others by, how it reads."""

    result: Result
    pictures: dict[str, bytes]
    selection: list[Example]
    reading: Reading


@dataclass
class Evaluator:
    """Settings of an evaluation of one or several models, one of which is loaded at a time.

    Parameters
    ----------
    dataset : DatasetFolder
        The dataset.
    load : callable, default `lstm2d.predict.load`
        Loads a model, with options applied.
    size : "auto", "native" or float, default "auto"
        Size at which the networks see the images, see `lstm2d.predict.Predictor.predict`.
    edge : int, optional
        Also measure the pixel accuracy within this many pixels of an edge between true labels.
    listener : callable, optional
        Called with the task and the image after each image.
    remark : callable, optional
        Gets a line for what could not be drawn.
    """

    dataset: DatasetFolder
    load: Load = load
    size: Size = "auto"
    edge: int | None = None
    listener: Listener = lambda task, one: None
    remark: Callable[[str], None] = lambda line: None
    _models: OneAtATime = field(init=False)
    _sizes: set[tuple[int, int]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._models = OneAtATime(self.load)

    def run(self, tasks: Sequence[Task]) -> list[Result]:
        """Evaluate models without output files.

        Parameters
        ----------
        tasks : sequence of Task
            From `lstm2d.predict.several.plan`.

        Returns
        -------
        list of Result
            One per task.

        Raises
        ------
        DataError
            If a model cannot be loaded or has other classes than the dataset (before any is evaluated), or an
            image or mask cannot be used.
        """
        self._check(tasks)
        return [self._measured(task)[0] for task in tasks]

    def _check(self, tasks: Sequence[Task]) -> None:
        """Check all models, and read all images, before any model is evaluated."""
        check_models(tasks, self.dataset, self._models)
        self.dataset.reading = self._models(tasks[-1].model).reading
        self._sizes = check_images(tasks, self.dataset)

    def write_table(
        self, tasks: Sequence[Task], path: str | os.PathLike[str], *, overwrite: bool = False
    ) -> list[Result]:
        """Evaluate one model, and write the figures of each image as CSV.

        Parameters
        ----------
        tasks : sequence of Task
            One task.
        path : str or path
            The file.
        overwrite : bool, default False
            Replace the file even if another program wrote it; never an input file.

        Returns
        -------
        list of Result
            One.

        Raises
        ------
        ConfigError
            If there are several models, or the file may not be replaced.
        DataError
            As for `run`.
        OutputError
            If the file cannot be written; a missing folder is found before the evaluation.
        """
        if len(tasks) > 1:
            raise ConfigError(
                "a table of the images of several models",
                where=path,
                expected="one model, or a folder for the output",
                hint="give a folder: `out`",
            )
        read = [*_model_files(tasks), *files_of(self.dataset)]
        refuse_to_replace(path, is_ours=is_image_table, inputs=read, overwrite=overwrite)
        check_writable(path)
        results = self.run(tasks)
        write_text(path, _table(results[0]))
        return results

    def write_folder(
        self, tasks: Sequence[Task], path: str | os.PathLike[str], *, overwrite: bool = False
    ) -> list[Result]:
        """Evaluate models, and write a report with pictures.

        Parameters
        ----------
        tasks : sequence of Task
            From `lstm2d.predict.several.plan`.
        path : str or path
            The folder: report.html, metrics.json (the object of ``lstm2d evaluate --json``), and for one
            model images.csv, confusion.png, labelings.png, best.png and worst.png. Several models: a folder
            of these for each. If all have the same split: comparison.png, with the same images, and in the
            folder of each model after the first what it gains over the first: differences.csv,
            differences.png, gains.png, between.png and losses.png.
        overwrite : bool, default False
            Use a folder with other files, and replace files of the same names; never an input file.

        Returns
        -------
        list of Result
            One per task.

        Raises
        ------
        ConfigError, OutputError
            If the folder cannot be used, see `ResultFolder`; before any model is evaluated.
        DataError
            As for `run`.
        """
        places = [PurePath()] if len(tasks) == 1 else [PurePath(task.name) for task in tasks]
        data, models = files_of(self.dataset), _model_files(tasks)
        folder = ResultFolder(path, _names(places), data=data, models=models, overwrite=overwrite)
        self._check(tasks)
        drawn = []
        same_images = len(tasks) > 1 and not is_k_fold(tasks)
        with folder, ExitStack() as stack:
            kept = stack.enter_context(closing(KeptLabels(folder.root))) if same_images else None
            for task, place in zip(tasks, places, strict=True):
                one = self._drawn(task, kept)
                self._write_model(folder, place, one)
                drawn.append(one)
            if len(tasks) > 1:
                self._write_comparison(folder, drawn, kept)
        return [one.result for one in drawn]

    def _write_model(self, folder: ResultFolder, place: PurePath, one: _Drawn) -> None:
        """Write what belongs to one model."""
        for name, picture in one.pictures.items():
            folder.write(place / f"{name}.png", picture)
        folder.write(place / IMAGES, _encoded(_table(one.result)))
        folder.write(place / FIGURES, _json(as_json([one.result], self.dataset)))
        folder.write(place / REPORT, _encoded(page_of_model(one.result, self.dataset, one.pictures)))

    def _write_comparison(
        self, folder: ResultFolder, drawn: Sequence[_Drawn], kept: KeptLabels | None
    ) -> None:
        """Write what compares several models, with pictures if their labels were kept."""
        results = [one.result for one in drawn]
        comparison, pairs = None, []
        if kept is not None:
            classes = results[0].classes
            sheet = draw_comparison({one.result.task.name: one.selection for one in drawn}, classes)
            comparison = encode_png(sheet, colours=256, classes=classes)
            folder.write(PurePath(COMPARISON), comparison)
            self.dataset.reading = drawn[0].reading
            pairs = [self._write_pair(folder, results[0], result, kept) for result in results[1:]]
        page = page_of_models(results, self.dataset, [one.pictures for one in drawn], comparison, pairs)
        folder.write(PurePath(REPORT), _encoded(page))
        folder.write(PurePath(FIGURES), _json(as_json(results, self.dataset)))

    def _write_pair(self, folder: ResultFolder, baseline: Result, result: Result, kept: KeptLabels) -> Pair:
        """Write what a model gains over a baseline to the model's folder."""
        place = PurePath(result.task.name)
        pictures = draw_pair(baseline, result, kept, self.dataset.load)
        for name, picture in pictures.items():
            folder.write(place / f"{name}.png", picture)
        classes = class_differences(baseline.figures, result.figures)
        folder.write(place / CLASSES, _encoded(difference_table(classes)))
        return Pair(baseline, result, pictures)

    def _drawn(self, task: Task, kept: KeptLabels | None) -> _Drawn:
        """Evaluate a model and draw its pictures; keep its labels."""
        extremes, selection = Extremes(), Selection(len(task.samples))

        def keep(one: Evaluated) -> None:
            extremes(one)
            selection(one)
            if kept is not None:
                kept.keep(task.name, one)

        result, evaluation = self._measured(task, keep)
        sheets = {"labelings": [*selection.examples.values()], **extremes.examples()}
        pictures = draw_evaluation(
            evaluation, result.classes, sheets, self._frequencies(task), name=task.split or "all images"
        )
        untitled = [replace(example, title=stem) for stem, example in selection.examples.items()]
        return _Drawn(result, pictures, untitled, self.dataset.reading)

    def _measured(
        self, task: Task, keep: Callable[[Evaluated], None] = lambda one: None
    ) -> tuple[Result, Evaluation]:
        """Evaluate a model."""
        predictor = self._models(task.model)
        self.dataset.reading = predictor.reading  # each model has its own
        for height, width in sorted(self._sizes):
            predictor.check_memory(height, width, self.size)

        def listen(one: Evaluated) -> None:
            keep(one)
            self.listener(task, one)

        evaluation = evaluate(
            predictor, self.dataset, task.samples, size=self.size, edge=self.edge, listener=listen
        )
        about = predictor.model.trained_on
        result = Result(task, evaluation.figures, evaluation.images, predictor.classes, about)
        return result, evaluation

    def _frequencies(self, task: Task) -> dict[str, list[float]]:
        """Return the class frequencies of the images that a model was trained on, if they are known."""
        predictor = self._models(task.model)
        split = _training_split(predictor, self.dataset)
        try:
            if split is None:
                raise DataError("no training split in the dataset")
            if split == task.split:
                return {}
            return {split: class_shares(self.dataset, self.dataset.split(split), len(predictor.classes))}
        except DataError as error:
            self.remark(f"{task.name}: no class frequencies of the training images ({error.what})")
            return {}


def files_of(dataset: DatasetFolder) -> list[Path]:
    """Return the files of a dataset: images, masks and text files."""
    texts = [path for pattern in ("*.toml", "*.txt", "splits/*") for path in dataset.root.glob(pattern)]
    return [*dataset.files, *texts]


def _training_split(predictor: Predictor, dataset: DatasetFolder) -> str | None:
    """Return the split that a model was trained on, "train" if it is not known; None if there is none."""
    data = predictor.model.config.get("data", {})
    own = data.get("train_split") if isinstance(data, dict) else None
    return next((name for name in (own, "train") if name in dataset.splits), None)


def _names(places: Sequence[PurePath]) -> list[PurePath]:
    """Return all files that may be written for models with these folders."""
    of_model = [REPORT, FIGURES, IMAGES, *(f"{picture}.png" for picture in PICTURES)]
    of_model += [CLASSES, *(f"{picture}.png" for picture in DIFFERENCES)] if len(places) > 1 else []
    common = [PurePath(name) for name in (REPORT, FIGURES, COMPARISON)]
    return list(dict.fromkeys([*common, *(place / name for place in places for name in of_model)]))


def _model_files(tasks: Sequence[Task]) -> list[Path]:
    return [find_model(task.model) for task in tasks]


def _table(result: Result) -> str:
    return image_table(result.images, two_classes=len(result.classes) == 2)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()
