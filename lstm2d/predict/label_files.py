"""Label many image files; finished results are kept, and broken files are skipped."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePath

from lstm2d.errors import ConfigError, DataError, OutputError
from lstm2d.io.atomic import make_folder
from lstm2d.io.class_files import ClassTable, write_class_files
from lstm2d.io.classes import palette_of
from lstm2d.io.locks import locked_file
from lstm2d.io.model_file import model_digest
from lstm2d.notes import Notes
from lstm2d.predict.csv_text import csv_text
from lstm2d.predict.earlier import EARLIER, Earlier, begin, end
from lstm2d.predict.fingerprint import Fingerprint
from lstm2d.predict.inputs import Task
from lstm2d.predict.jobs import Job, Way, one_by_one
from lstm2d.predict.label_image import Labelled
from lstm2d.predict.manifest import Manifest
from lstm2d.predict.manifest_file import FILES, IMAGE_FILE, NETWORK_SIZE, Row
from lstm2d.predict.outcome import Failure, Options, Outcome
from lstm2d.predict.overwriting import refuse_foreign_files
from lstm2d.predict.predictor import Predictor
from lstm2d.predict.settings_text import label_settings, settings_text
from lstm2d.predict.skip_done import FAILED, Wanted, compare
from lstm2d.predict.written import Written

UNFINISHED = "interrupted while its results were written"


def label_files(
    predictor: Predictor,
    tasks: Sequence[Task],
    out: str | os.PathLike[str],
    *,
    options: Options | None = None,
    manifest: str = "predictions.csv",
    progress: Callable[[Outcome], None] | None = None,
    remark: Callable[[str], None] | None = None,
    notes: Notes | None = None,
    way: Way = one_by_one,
) -> Outcome:
    """Label image files.

    Parameters
    ----------
    predictor : Predictor
        The model.
    tasks : sequence of Task
        From `plan`.
    out : str or path
        Output folder; created if missing.
    options : Options, optional
        What to write.
    manifest : str
        Name of the record in `out`, ``predictions*.csv``.
    progress : callable, optional
        Called with the `Outcome` so far after each image.
    remark : callable, optional
        Called with one line per message to the user, before the first image.
    notes : Notes, optional
        Collects notes on what was guessed or left out.
    way : Way, default `one_by_one`
        Where images are computed. Results are written here in any case, in the order of the tasks.

    Returns
    -------
    Outcome
        The counts and the failures.

    Raises
    ------
    ConfigError
        If a file would be replaced that is not a result, and `options.overwrite` is not set; if another
        process or thread writes the same record.
    OutputError
        If a result cannot be written, or is missing at the end; earlier results are kept.
    DataError
        If an image cannot be labelled and `options.stop_on_error` is set.
    """
    options = options or Options()
    path = make_folder(out) / manifest
    busy = ConfigError(
        "another process labels images into this folder",
        where=path,
        hint="wait for it, or choose another folder; to share the images, give each process its `shard`",
    )
    with locked_file(path.with_name(f".{path.name}.lock"), busy):
        work = _Work(predictor, Path(out), options, Notes() if notes is None else notes, progress)
        return _label(work, tasks, path, way, remark or (lambda line: None))


def _label(
    work: _Work,
    tasks: Sequence[Task],
    path: Path,
    way: Way,
    remark: Callable[[str], None],
) -> Outcome:
    """Label images for `label_files`, which has locked the record."""
    predictor, options = work.predictor, work.options
    outcome = Outcome(total=len(tasks))
    to_do, renewed = work.select(tasks, outcome)
    if not options.overwrite:
        labels = {name: task.labels for task in to_do for name in work.outputs(task)}
        refuse_foreign_files(labels, work.earlier, palette_of(predictor.classes))
    with way(predictor, to_do, options) as jobs:
        table = ClassTable(predictor.name, predictor.classes, predictor.model.ignore)
        write_class_files(work.folder, table, overwrite=options.overwrite)
        if outcome.redone:
            reasons = ", ".join(f"{reason} ({count})" for reason, count in outcome.redone.items())
            remark(f"images labelled again: {reasons}")
        record = Manifest(path, [c.name for c in predictor.classes], renewed)
        if record.damaged_copy is not None:
            remark(f"{path} was damaged, or another program's: kept as {record.damaged_copy.name}")
        begin(path, [name for task in to_do for name in work.outputs(task)])
        try:
            with record:
                for _ in work.write_all(jobs, record, outcome):
                    work.report(outcome)
        finally:
            if record.complete:
                end(path)
    outcome.seconds = work.seconds
    return outcome


class _Work:
    """State shared by all images of a prediction."""

    def __init__(
        self,
        predictor: Predictor,
        folder: Path,
        options: Options,
        notes: Notes,
        progress: Callable[[Outcome], None] | None,
    ) -> None:
        self._progress, self._start = progress, time.perf_counter()
        self.predictor, self.folder, self.options, self.notes = predictor, folder, options, notes
        self.earlier = Earlier(folder)
        digest = f"sha256:{model_digest(predictor.model)}"
        settings = label_settings(predictor, options.size, options.format, legend=options.legend)
        if options.stream is not None:
            settings["stream"] = True
        self.wanted = Wanted(digest, settings_text(settings), options.kinds(predictor.instances))
        self._folders: set[Path] = set()
        self._written = Written()

    def outputs(self, task: Task) -> list[PurePath]:
        """Return the files that are written for an image."""
        return self.options.outputs(task, self.predictor.instances)

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

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.perf_counter() - self._start

    def report(self, outcome: Outcome, part: float = 0.0) -> None:
        """Report progress; `part` is the fraction of the next image that is done."""
        outcome.seconds, outcome.part = self.seconds, part
        if self._progress is not None:
            self._progress(outcome)

    def write_all(self, jobs: Iterable[Job], record: Manifest, outcome: Outcome) -> Iterator[Task]:
        """Write the results of images and record the outcome of each; yield each image after that."""
        task = None
        try:
            for job in jobs:
                task = job.task
                self._write(job, record, outcome)
                yield task
        except OutputError as error:
            self._written.refuse_missing(error)
            raise
        finally:
            if task is not None and str(task.labels) != record.last:
                self._record_unfinished(task, record)
        self._written.refuse_missing()

    def _write(self, job: Job, record: Manifest, outcome: Outcome) -> None:
        task, start = job.task, time.perf_counter() - job.seconds
        source, target = str(task.source), str(task.labels)
        try:
            self._make_folder(task)
            labelled = job.write(self.folder, self.notes, lambda part: self.report(outcome, part))
            rows, columns = self._network_size(labelled)
            size = {NETWORK_SIZE: f"{columns}x{rows}"}  # width x height, as usual for photographs
            marks = size | {IMAGE_FILE: str(labelled.image_file), **self._marks(task)}
        except OutputError:
            raise  # the next image would meet the same full disk
        except Exception as error:  # even unexpected ones: the other images are still labelled
            failure, seconds = Failure(source, error), time.perf_counter() - start
            record.add(source, target, seconds=seconds, error=failure.reason, marks=self._left(task))
            outcome.failed.append(failure)
            if self.options.stop_on_error:
                raise
            return
        finally:
            outcome.part = 0.0
        seconds = time.perf_counter() - start
        crf, areas = _crf(self.predictor), labelled.areas
        record.add(source, target, seconds=seconds, crf=crf, areas=areas, marks=marks)
        outcome.resized += (rows, columns) != labelled.size
        outcome.done += 1

    def _network_size(self, labelled: Labelled) -> tuple[int, int]:
        height, width = labelled.size
        return self.predictor.preprocessing.network_size(height, width, self.options.size)

    def _make_folder(self, task: Task) -> None:
        """Create the folder of a result once; if it is deleted later, the missing results must be noticed."""
        parent = (self.folder / task.labels).parent
        if parent not in self._folders:
            self._folders.add(make_folder(parent))

    def _marks(self, task: Task) -> dict[str, str]:
        """Return marks that record how the results were made."""
        marks = {"model": self.wanted.model, "settings": csv_text(self.wanted.settings)}
        for kind in self.wanted.kinds:
            path = self.folder / task.results[kind]
            try:
                found = Fingerprint.of(path)
            except DataError as e:
                raise OutputError(f"a result cannot be read back ({e.what})", where=path) from e
            marks[FILES[kind]] = str(found)
            self._written.add(path, found.size)
        return {**self._left(task), **marks}

    def _left(self, task: Task) -> dict[str, str]:
        """Return marks for results that exist but are not, or not all, from this prediction."""
        there = [kind for kind, name in task.results.items() if os.path.isfile(self.folder / name)]
        return {FILES[kind]: EARLIER for kind in there if self._is_ours(task, kind)}

    def _is_ours(self, task: Task, kind: str) -> bool:
        """Return whether an existing file is a result; existing files were checked at the start."""
        checked = kind in self.wanted.kinds and not self.options.overwrite
        return checked or self.earlier.owns(task.results[kind])

    def _record_unfinished(self, task: Task, record: Manifest) -> None:
        """Record the results of an unfinished image, so that the next run may replace them."""
        marks = self._left(task)
        names = {FILES[kind]: name for kind, name in task.results.items()}
        if all(self.earlier.owns(names[column]) for column in marks):
            return
        with suppress(OutputError):  # the note of `begin` replaces the record
            record.add(str(task.source), str(task.labels), seconds=None, error=UNFINISHED, marks=marks)


def _crf(predictor: Predictor) -> str:
    """Return the settings of the CRF for the record."""
    if predictor.crf is None:
        return ""
    from lstm2d.pipeline.crf import described

    return described(predictor.crf)
