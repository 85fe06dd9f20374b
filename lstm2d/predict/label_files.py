"""Label many image files: what is done stays, and one broken file does not end the work."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np

from lstm2d.errors import DataError, Lstm2dError, OutputError
from lstm2d.io.atomic import make_folder, write_bytes
from lstm2d.io.classes import palette_of
from lstm2d.io.images import DEFAULT_MAX_PIXELS, read_image, read_mask, write_labels, write_overlay
from lstm2d.predict.inputs import Task
from lstm2d.predict.manifest import Manifest
from lstm2d.predict.predictor import FloatArray, LabelArray, Predictor

LONGEST_NAME = 255  # bytes, of every common file system
UNKNOWN = "unknown"  # the CRF of labels that another prediction has left without a row


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that has no labels.

    Parameters
    ----------
    image : str
        The file.
    error : Exception
        What went wrong.
    """

    image: str
    error: Exception


@dataclass(frozen=True, slots=True)
class Options:
    """What to write for each image, and what to do about failures.

    Parameters
    ----------
    overlay : bool, default False
        Also write the photograph with the labels laid over it.
    probabilities : bool, default False
        Also write class probabilities: an npz file with `probabilities` (H, W, K) float32 and `classes`.
    skip_done : bool, default False
        Leave images alone whose results are all there.
    stop_on_error : bool, default False
        Raise the first failure instead of going on.
    max_pixels : int
        Largest image to read.
    """

    overlay: bool = False
    probabilities: bool = False
    skip_done: bool = False
    stop_on_error: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS

    def outputs(self, task: Task) -> list[PurePath]:
        """Return the files that a task writes, relative to the output folder."""
        wanted = [task.labels]
        if self.overlay:
            wanted.append(task.overlay)
        if self.probabilities:
            wanted.append(task.probabilities)
        return wanted


@dataclass(slots=True)
class Outcome:
    """How far a prediction has come.

    Parameters
    ----------
    total : int
        Images that were asked for.
    done : int
        Images labelled.
    skipped : int
        Images whose results were there already.
    failed : list of Failure
        Images that could not be labelled.
    seconds : float
        Time since the start.
    """

    total: int
    done: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)
    seconds: float = 0.0


def label_files(
    predictor: Predictor,
    tasks: Sequence[Task],
    out: str | os.PathLike[str],
    *,
    options: Options | None = None,
    manifest: str = "predictions.csv",
    report: Callable[[Outcome], None] | None = None,
) -> Outcome:
    """Label image files, one after the other.

    Parameters
    ----------
    predictor : Predictor
        The model.
    tasks : sequence of Task
        From `plan`.
    out : str or path
        Output folder; made if it is not there.
    options : Options, optional
        What to write.
    manifest : str
        Name of the record in `out`.
    report : callable, optional
        Called with the `Outcome` so far after each image.

    Returns
    -------
    Outcome
        The counts and the failures.

    Raises
    ------
    OutputError
        If a result cannot be written; what was written before stays.
    DataError
        If an image cannot be labelled and `options.stop_on_error` is set.
    """
    options = options or Options()
    folder = make_folder(out)
    start = time.perf_counter()
    outcome = Outcome(total=len(tasks))
    to_do = [task for task in tasks if not (options.skip_done and _is_done(folder, task, options))]
    outcome.skipped = len(tasks) - len(to_do)
    names = [c.name for c in predictor.classes]
    record = Manifest(folder / manifest, names, frozenset(str(task.labels) for task in to_do))
    if options.skip_done:
        to_do += _complete(record, [task for task in tasks if task not in set(to_do)], folder, len(names))
        outcome.skipped = len(tasks) - len(to_do)
    for task in to_do:
        _label_one(predictor, task, folder, options, record, outcome)
        outcome.seconds = time.perf_counter() - start
        if report is not None:
            report(outcome)
    outcome.seconds = time.perf_counter() - start
    return outcome


def _is_done(folder: Path, task: Task, options: Options) -> bool:
    """Results are written in one step, so one that is there is complete."""
    return all((folder / name).is_file() for name in options.outputs(task))


def _complete(record: Manifest, done: Sequence[Task], folder: Path, n_classes: int) -> list[Task]:
    """Add the rows that are missing: a crash came before them, or other shards have written the results.

    Returns the tasks whose results turn out to be no label images.
    """
    wrong = []
    for task in done:
        if str(task.labels) in record:
            continue
        try:
            areas = _areas(read_mask(folder / task.labels), n_classes)
        except DataError:
            wrong.append(task)
        else:
            record.add(str(task.source), str(task.labels), seconds=None, crf=UNKNOWN, areas=areas)
    return wrong


def _areas(labels: LabelArray, n_classes: int) -> list[float]:
    fractions: list[float] = (np.bincount(labels.ravel(), minlength=n_classes) / labels.size).tolist()
    return fractions[:n_classes]


def _label_one(
    predictor: Predictor, task: Task, folder: Path, options: Options, record: Manifest, outcome: Outcome
) -> None:
    start = time.perf_counter()
    source, target = str(task.source), str(task.labels)
    try:
        labels = _write_results(predictor, task, folder, options)
    except OutputError:
        raise  # the next image would meet the same full disk
    except Exception as error:  # whatever one image does must not cost the others
        record.add(source, target, seconds=time.perf_counter() - start, error=_reason(error))
        outcome.failed.append(Failure(source, error))
        if options.stop_on_error:
            raise
        return
    areas = _areas(labels, len(predictor.classes))
    seconds = time.perf_counter() - start
    record.add(source, target, seconds=seconds, crf=_crf(predictor), areas=areas)
    outcome.done += 1


def _crf(predictor: Predictor) -> str:
    """Return the settings of the CRF for the record."""
    if predictor.crf is None:
        return ""
    from lstm2d.predict.crf import described

    return described(predictor.crf)


def _write_results(predictor: Predictor, task: Task, folder: Path, options: Options) -> LabelArray:
    """Label one image and write its results, the label image last: where it is, the others are."""
    for name in options.outputs(task):
        if len(os.fsencode(name.name)) > LONGEST_NAME:
            raise DataError("the name is too long for a result", where=task.source, expected="a shorter name")
    image = read_image(task.source, max_pixels=options.max_pixels)
    probabilities = predictor.probabilities_of(image) if options.probabilities else None
    labels = predictor.labels_of(image) if probabilities is None else predictor.most_likely(probabilities)
    make_folder((folder / task.labels).parent)
    if probabilities is not None:
        write_bytes(folder / task.probabilities, _npz(probabilities, predictor))
    palette = palette_of(predictor.classes)
    if options.overlay:
        write_overlay(folder / task.overlay, image, labels, palette)
    write_labels(folder / task.labels, labels, palette)
    return labels


def _npz(probabilities: FloatArray, predictor: Predictor) -> bytes:
    buffer = io.BytesIO()
    names = np.array([c.name for c in predictor.classes])  # text, not objects: loads without pickle
    np.savez(buffer, probabilities=probabilities, classes=names)
    return buffer.getvalue()


def _reason(error: Exception) -> str:
    """Return one line."""
    text = error.what if isinstance(error, Lstm2dError) else f"unexpected {type(error).__name__}: {error}"
    return " ".join(text.split())
