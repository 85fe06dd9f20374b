"""Label many image files: what is done stays, and one broken file does not end the work."""

from __future__ import annotations

import io
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

import numpy as np

from lstm2d.errors import DataError, Lstm2dError, OutputError
from lstm2d.io.atomic import make_folder, write_bytes
from lstm2d.io.class_files import ClassTable, write_class_files
from lstm2d.io.classes import palette_of
from lstm2d.io.georeference import Georeference, read_georeference
from lstm2d.io.images import read_photo
from lstm2d.io.label_images import write_labels, write_overlay
from lstm2d.io.model_file import model_digest
from lstm2d.io.photo import DEFAULT_MAX_PIXELS
from lstm2d.notes import Notes
from lstm2d.pipeline.preprocess import Size
from lstm2d.predict.csv_text import csv_text
from lstm2d.predict.earlier import EARLIER, Earlier, begin, end
from lstm2d.predict.fingerprint import Fingerprint
from lstm2d.predict.inputs import Task
from lstm2d.predict.manifest import Manifest
from lstm2d.predict.manifest_file import FILES, IMAGE_FILE, NETWORK_SIZE, Row
from lstm2d.predict.overwriting import refuse_foreign_files
from lstm2d.predict.predictor import FloatArray, LabelArray, Predictor
from lstm2d.predict.result_names import KINDS, LABELS, OVERLAY, PROBABILITIES
from lstm2d.predict.settings_text import label_settings, settings_text
from lstm2d.predict.skip_done import FAILED, Wanted, compare
from lstm2d.predict.written import Written

LONGEST_NAME = 255  # bytes, of every common file system
UNFINISHED = "interrupted while its results were written"


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
    legend : bool, default False
        The same, with a legend of the classes that occur in it.
    format : str, default "palette"
        Format of the label images, see `lstm2d.io.label_images.write_labels`; that of the tasks' names.
    probabilities : bool, default False
        Also write class probabilities: an npz file with `probabilities` (H, W, K) float32 and `classes`.
    skip_done : bool, default False
        Leave images alone whose results are all there, made from the same content with the same model and
        settings.
    stop_on_error : bool, default False
        Raise the first failure instead of going on.
    overwrite : bool, default False
        Replace files in the output folder that no prediction has written.
    max_pixels : int
        Largest image to read.
    size : "auto", "native" or float, default "auto"
        At which the network sees the images, see `Predictor.predict`.
    """

    overlay: bool = False
    legend: bool = False
    format: str = "palette"
    probabilities: bool = False
    skip_done: bool = False
    stop_on_error: bool = False
    overwrite: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS
    size: Size = "auto"

    @property
    def kinds(self) -> list[str]:
        """Which results are written."""
        wanted = {LABELS: True, OVERLAY: self.overlay or self.legend, PROBABILITIES: self.probabilities}
        return [kind for kind in KINDS if wanted[kind]]

    def outputs(self, task: Task) -> list[PurePath]:
        """Return the files that a task writes, relative to the output folder."""
        return [task.results[kind] for kind in self.kinds]


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
    redone : dict of str to int
        Images that `skip_done` did not leave alone although they were labelled before, per reason.
    resized : int
        Images that the network has seen at another size than their own.
    """

    total: int
    done: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    redone: dict[str, int] = field(default_factory=dict)
    resized: int = 0


def label_files(
    predictor: Predictor,
    tasks: Sequence[Task],
    out: str | os.PathLike[str],
    *,
    options: Options | None = None,
    manifest: str = "predictions.csv",
    report: Callable[[Outcome], None] | None = None,
    remark: Callable[[str], None] | None = None,
    notes: Notes | None = None,
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
        Name of the record in `out`, ``predictions*.csv``.
    report : callable, optional
        Called with the `Outcome` so far after each image.
    remark : callable, optional
        Called, before the first image, with a line for each thing that the user should know.
    notes : Notes, optional
        Gets what was guessed or left out of images, and of their results.

    Returns
    -------
    Outcome
        The counts and the failures.

    Raises
    ------
    ConfigError
        If a file would be replaced that is no result, and `options.overwrite` is not set.
    OutputError
        If a result cannot be written, or is gone at the end; what was written before stays.
    DataError
        If an image cannot be labelled and `options.stop_on_error` is set.
    """
    options = options or Options()
    remark = remark or (lambda line: None)
    start = time.perf_counter()
    outcome = Outcome(total=len(tasks))
    work = _Work(predictor, Path(out), options, Notes() if notes is None else notes)
    to_do, renewed = work.select(tasks, outcome)
    if not options.overwrite:
        labels = {name: task.labels for task in to_do for name in options.outputs(task)}
        refuse_foreign_files(labels, work.earlier, palette_of(predictor.classes))
    path = make_folder(out) / manifest
    table = ClassTable(predictor.name, predictor.classes, predictor.model.ignore)
    write_class_files(out, table, overwrite=options.overwrite)
    if outcome.redone:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in outcome.redone.items())
        remark(f"images that are labelled again: {reasons}")
    record = Manifest(path, [c.name for c in predictor.classes], renewed)
    if record.damaged_copy is not None:
        remark(f"{path} was damaged, or another program's: kept as {record.damaged_copy.name}")
    begin(path, [name for task in to_do for name in options.outputs(task)])
    try:
        with record:
            for _ in work.label_all(to_do, record, outcome):
                outcome.seconds = time.perf_counter() - start
                if report is not None:
                    report(outcome)
    finally:
        if record.complete:
            end(path)
    outcome.seconds = time.perf_counter() - start
    return outcome


class _Work:
    """What stays the same from image to image, and what was written so far."""

    def __init__(self, predictor: Predictor, folder: Path, options: Options, notes: Notes) -> None:
        self.predictor, self.folder, self.options, self.notes = predictor, folder, options, notes
        self.earlier = Earlier(folder)
        digest = f"sha256:{model_digest(predictor.model)}"
        settings = label_settings(predictor, options.size, options.format, legend=options.legend)
        self.wanted = Wanted(digest, settings_text(settings), options.kinds)
        self._folders: set[Path] = set()
        self._written = Written()

    def select(self, tasks: Sequence[Task], outcome: Outcome) -> tuple[list[Task], list[Row]]:
        """Return the images to label, and the records of those that are done."""
        if not self.options.skip_done:
            return list(tasks), []
        to_do, done, reasons = [], [], Counter[str]()
        for task in tasks:
            row, reason = compare(task, self.earlier.rows(task.labels), self.folder, self.wanted)
            if row is not None:
                done.append(row)
                continue
            to_do.append(task)
            if reason not in ("", FAILED):
                reasons[reason] += 1
        outcome.skipped = len(done)
        outcome.redone = dict(reasons.most_common())
        return to_do, done

    def label_all(self, tasks: Iterable[Task], record: Manifest, outcome: Outcome) -> Iterator[Task]:
        """Label images and record what comes of each; yield each image that is done with."""
        task = None
        try:
            for task in tasks:
                self._label(task, record, outcome)
                yield task
        except OutputError as error:
            self._written.refuse_missing(error)
            raise
        finally:
            if task is not None and str(task.labels) not in record.added:
                self._record_unfinished(task, record)
        self._written.refuse_missing()

    def _label(self, task: Task, record: Manifest, outcome: Outcome) -> None:
        start = time.perf_counter()
        source, target = str(task.source), str(task.labels)
        try:
            image_file = Fingerprint.of(task.source)  # before it is decoded: a later change is seen next time
            self._make_folder(task)
            labels = _write_results(self.predictor, task, self.folder, self.options, self.notes)
            rows, columns = self._network_size(labels)
            size = {NETWORK_SIZE: f"{columns}x{rows}"}  # width x height, as programs for photographs write it
            marks = size | {IMAGE_FILE: str(image_file), **self._marks(task)}
            areas = _areas(labels, len(self.predictor.classes))
        except OutputError:
            raise  # the next image would meet the same full disk
        except Exception as error:  # whatever one image does must not cost the others
            seconds = time.perf_counter() - start
            record.add(source, target, seconds=seconds, error=_reason(error), marks=self._left(task))
            outcome.failed.append(Failure(source, error))
            if self.options.stop_on_error:
                raise
            return
        seconds = time.perf_counter() - start
        record.add(source, target, seconds=seconds, crf=_crf(self.predictor), areas=areas, marks=marks)
        outcome.resized += (rows, columns) != labels.shape
        outcome.done += 1

    def _network_size(self, labels: LabelArray) -> tuple[int, int]:
        height, width = labels.shape
        return self.predictor.preprocessing.network_size(height, width, self.options.size)

    def _make_folder(self, task: Task) -> None:
        """Make the folder of a result once: one that is deleted later must not hide that results are gone."""
        parent = (self.folder / task.labels).parent
        if parent not in self._folders:
            self._folders.add(make_folder(parent))

    def _marks(self, task: Task) -> dict[str, str]:
        """Return what tells a later prediction how the results were made."""
        marks = {"model": self.wanted.model, "settings": csv_text(self.wanted.settings)}
        for kind in self.options.kinds:
            path = self.folder / task.results[kind]
            try:
                found = Fingerprint.of(path)
            except DataError as e:
                raise OutputError("a result is gone as soon as it was written", where=path) from e
            marks[FILES[kind]] = str(found)
            self._written.add(path, found.size)
        return {**self._left(task), **marks}

    def _left(self, task: Task) -> dict[str, str]:
        """Return marks for results that lie there and are not this labelling's, or not all of them."""
        there = [kind for kind, name in task.results.items() if os.path.isfile(self.folder / name)]
        return {FILES[kind]: EARLIER for kind in there if self._is_ours(task, kind)}

    def _is_ours(self, task: Task, kind: str) -> bool:
        """Tell whether a file that is there is a result: what was there at the start was looked at then."""
        checked = kind in self.options.kinds and not self.options.overwrite
        return checked or self.earlier.owns(task.results[kind])

    def _record_unfinished(self, task: Task, record: Manifest) -> None:
        """Record results that were written when the image was not finished: the next run may replace them."""
        marks = self._left(task)
        names = {FILES[kind]: name for kind, name in task.results.items()}
        if all(self.earlier.owns(names[column]) for column in marks):
            return
        with suppress(OutputError):  # the note of what was begun then stands for the record
            record.add(str(task.source), str(task.labels), seconds=None, error=UNFINISHED, marks=marks)


def _areas(labels: LabelArray, n_classes: int) -> list[float]:
    fractions: list[float] = (np.bincount(labels.ravel(), minlength=n_classes) / labels.size).tolist()
    return fractions[:n_classes]


def _crf(predictor: Predictor) -> str:
    """Return the settings of the CRF for the record."""
    if predictor.crf is None:
        return ""
    from lstm2d.pipeline.crf import described

    return described(predictor.crf)


def _write_results(
    predictor: Predictor, task: Task, folder: Path, options: Options, notes: Notes
) -> LabelArray:
    """Label one image and write its results, the label image last: where it is, the others are."""
    for name in options.outputs(task):
        if len(os.fsencode(name.name)) > LONGEST_NAME:
            raise DataError("the name is too long for a result", where=task.source, expected="a shorter name")
    photo = read_photo(task.source, replace(predictor.reading, max_pixels=options.max_pixels))
    for note in photo.notes:
        notes.add(note, task.source)
    if options.probabilities:
        labels, probabilities = predictor.labels_and_probabilities(photo.pixels, options.size)
        write_bytes(folder / task.probabilities, _npz(probabilities, predictor))
    else:
        labels = predictor.labels_of(photo.pixels, options.size)
    palette = palette_of(predictor.classes)
    if OVERLAY in options.kinds:
        legend = predictor.classes if options.legend else None
        write_overlay(folder / task.overlay, photo.pixels, labels, palette, legend=legend)
    place = _georeference(task.source, options, notes)
    write_labels(folder / task.labels, labels, palette, format=options.format, georeference=place)
    return labels


def _georeference(source: Path, options: Options, notes: Notes) -> Georeference | None:
    """Return where an image lies on the earth, if its label file can hold that."""
    georeference, note = read_georeference(source)
    if note is not None:
        notes.add(note, source)
    if georeference is not None and options.format != "tiff":
        notes.add(f"its georeference is left out of a {options.format} PNG; --format tiff keeps it", source)
        return None
    return georeference


def _npz(probabilities: FloatArray, predictor: Predictor) -> bytes:
    buffer = io.BytesIO()
    names = np.array([c.name for c in predictor.classes])  # text, not objects: loads without pickle
    np.savez(buffer, probabilities=probabilities, classes=names)
    return buffer.getvalue()


def _reason(error: Exception) -> str:
    """Return one line."""
    text = error.what if isinstance(error, Lstm2dError) else f"unexpected {type(error).__name__}: {error}"
    return " ".join(text.split())
