"""Label images in another process, which may run on another machine: what is sent, and what returns.

A batch of images is answered by the bytes of its result files: only the process that asks writes. The images
are read where they are labelled. Nothing here knows how objects travel.
"""

from __future__ import annotations

import os
import threading
import traceback
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path, PurePath
from time import perf_counter
from typing import TYPE_CHECKING, Any

from lstm2d.errors import ConfigError, Lstm2dError
from lstm2d.io.atomic import write_bytes
from lstm2d.io.machine_memory import available
from lstm2d.io.model_file import model_from_bytes, model_to_bytes
from lstm2d.io.photo import Reading
from lstm2d.kernels import dispatch, isa
from lstm2d.kernels.gpu import out_of_memory
from lstm2d.kernels.machine import blas
from lstm2d.kernels.threads import set_num_threads
from lstm2d.notes import Notes
from lstm2d.predict.inputs import Task
from lstm2d.predict.jobs import Job, Progress
from lstm2d.predict.label_image import Labelled, label_image
from lstm2d.predict.outcome import Options
from lstm2d.predict.predictor import Predictor

if TYPE_CHECKING:
    from lstm2d.config.schema import CRFSection

PACKAGES = ("lstm2d", "numpy", "scipy", "pillow")  # those that could change a bit of a result
SMALLER = "use smaller images or a smaller `size`, or fewer workers on one machine"
Environment = dict[str, str]


class ProgramFault(Exception):
    """An unexpected error of the program in another process; its text names the type.

    Parameters
    ----------
    text : str
        Type and message.
    place : str
        Where it was raised.
    trace : str
        Its traceback.
    """

    def __init__(self, text: str, place: str, trace: str) -> None:
        super().__init__(text, place, trace)
        self.place, self.trace = place, trace

    def __str__(self) -> str:
        """Return type and message."""
        return str(self.args[0])


class ThereRaised(Exception):
    """The traceback of a `ProgramFault`, as its cause."""


class SentModel:
    """A model with its settings, for other processes: sent as the bytes of its file, and built once in each.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        Its name, for messages.
    arguments : dict
        Of `Predictor`.
    reading : Reading
        How photographs are read.
    max_memory : int or None
        Largest memory of a process in bytes; None for half of what there is, divided by the tasks that a
        process runs at a time.
    """

    def __init__(
        self, data: bytes, name: str, arguments: dict[str, Any], reading: Reading, max_memory: int | None
    ) -> None:
        self._sent = (data, name, arguments, reading, max_memory)
        self._predictor: Predictor | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out the network: another process builds its own."""
        return SentModel, self._sent

    @classmethod
    def of(cls, predictor: Predictor, max_memory: int | None) -> SentModel:
        """Return a model that computes what `predictor` does."""
        crf: CRFSection | bool = False if predictor.crf is None else predictor.crf
        arguments = {
            "crf": crf,
            "resolution": predictor.resolution,
            "instances": None if predictor.instances == (predictor.trained,) else predictor.instances,
        }
        data = model_to_bytes(predictor.model)
        return cls(data, predictor.name, arguments, predictor.reading, max_memory)

    def predictor(self, at_a_time: int, limit: int | None) -> Predictor:
        """Return the model, built by the first call.

        Parameters
        ----------
        at_a_time : int
            Images that this process labels at the same time.
        limit : int or None
            What the process may take in bytes, if less than the memory of the machine.

        Returns
        -------
        Predictor
            Shared by all threads.

        Raises
        ------
        DataError
            If it needs imported weights that are not stored here.
        """
        with self._lock:
            if self._predictor is None:
                data, name, arguments, reading, allowed = self._sent
                predictor = Predictor(model_from_bytes(data, name), source=name, **arguments)
                if allowed is None:
                    allowed = min(available(), limit or available()) // 2 // at_a_time
                predictor.max_memory = allowed
                predictor.reading = replace(reading, max_memory=allowed)
                self._predictor = predictor
            return self._predictor


@dataclass(frozen=True, slots=True)
class Batch:
    """Images to label in another process.

    Parameters
    ----------
    tasks : tuple of Task
        The images. Their paths are absolute.
    options : Options
        What to write.
    threads : int
        Threads of the kernels for an image.
    asked_by : dict of str to str
        What `environment` returns in the process that asks.
    """

    tasks: tuple[Task, ...]
    options: Options
    threads: int
    asked_by: Environment


@dataclass(slots=True)
class Answer:
    """The results of an image.

    Parameters
    ----------
    files : list of (PurePath, bytes)
        Names and contents, in the order in which they are to be written.
    notes : list of str
        What was guessed or left out.
    outcome : Labelled or Exception
        What is recorded, or why the image could not be labelled.
    seconds : float
        Time that it took.
    """

    files: list[tuple[PurePath, bytes]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    outcome: Labelled | Exception | None = None
    seconds: float = 0.0

    def add(self, name: PurePath, data: bytes) -> None:
        """Add a file."""
        self.files.append((name, data))


@dataclass(frozen=True, slots=True)
class Reply:
    """What a process returns for a batch.

    Parameters
    ----------
    answers : list of Answer
        One per image, in their order.
    computed_by : dict of str to str
        What `environment` returns there.
    """

    answers: list[Answer]
    computed_by: Environment


@cache
def environment() -> Environment:
    """Return what the bits of results depend on, besides the model and the image.

    Returns
    -------
    dict of str to str
        Versions of packages, instruction sets, and the kernels in use.
    """
    libraries = {f"{lib['library']} {lib['version']} {lib['architecture']}" for lib in blas()}
    return {
        **{package: version(package) for package in PACKAGES},
        "instruction set": isa.level(),
        "kernels": dispatch.chosen("lstm2d").strip("_"),
        "BLAS": ", ".join(sorted(libraries)),
    }


def difference(ours: Environment, theirs: Environment) -> str:
    """Return how two environments differ, as "numpy 2.1 instead of 2.0, ..."; "" if they are equal."""
    return ", ".join(
        f"{key} {theirs.get(key)} instead of {ours[key]}" for key in ours if theirs.get(key) != ours[key]
    )


def label_batch(model: SentModel, batch: Batch, at_a_time: int = 1, limit: int | None = None) -> Reply:
    """Label a batch of images; runs in the other process.

    Parameters
    ----------
    model : SentModel
        The model.
    batch : Batch
        The images.
    at_a_time, limit : int, optional
        As for `SentModel.predictor`.

    Returns
    -------
    Reply
        Also if images fail.

    Raises
    ------
    ConfigError
        If another version of lstm2d asks.
    DataError
        If the model cannot be built.
    """
    refuse_other_version(batch.asked_by, environment())
    set_num_threads(batch.threads)
    predictor = model.predictor(at_a_time, limit)
    return Reply([_answer(predictor, task, batch.options) for task in batch.tasks], environment())


def refuse_other_version(ours: Environment, theirs: Environment) -> None:
    """Raise ConfigError if two processes have different versions of lstm2d."""
    if ours["lstm2d"] != theirs["lstm2d"]:
        what = f"a worker has lstm2d {theirs['lstm2d']}, this program is {ours['lstm2d']}"
        raise ConfigError(what, hint="install the same version on all machines")


class _Texts(Notes):
    """Collects the texts of notes about one image."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__()
        self._texts = texts

    def add(self, text: str, where: object) -> None:
        """Keep the text."""
        self._texts.append(text)


def _answer(predictor: Predictor, task: Task, options: Options) -> Answer:
    answer, start = Answer(), perf_counter()
    try:
        answer.outcome = label_image(predictor, task, options, _Texts(answer.notes), answer.add)
    except MemoryError as error:
        answer.outcome = out_of_memory(error, where=task.source, hint=SMALLER)
    except Lstm2dError as error:
        answer.outcome = error.with_traceback(None)
    except Exception as error:  # of a type that may not exist where the answer is read
        answer.outcome = _fault(error)
    answer.seconds = perf_counter() - start
    return answer


def _fault(error: Exception) -> ProgramFault:
    *_, last = traceback.extract_tb(error.__traceback__)
    trace = "".join(traceback.format_exception(error))
    text = f"{type(error).__name__}: {error}"
    return ProgramFault(text, f"{type(error).__name__}, {last.filename}:{last.lineno}", trace)


def absolute(task: Task) -> Task:
    """Return the same image with an absolute path: the other process has another working folder."""
    return Task(Path(os.path.abspath(task.source)), task.labels)


def job_of(task: Task, answer: Answer) -> Job:
    """Return the job of an image that was labelled elsewhere.

    Parameters
    ----------
    task : Task
        The image, as the user named it.
    answer : Answer
        Its results.

    Returns
    -------
    Job
        Ready to be written.
    """
    return Job(task, partial(_write, task, answer), answer.seconds)


def _write(task: Task, answer: Answer, folder: Path, notes: Notes, progress: Progress) -> Labelled:
    """Write the results; those before an error too, as when an image is labelled here."""
    for note in answer.notes:
        notes.add(note, task.source)
    for name, data in answer.files:
        write_bytes(folder / name, data)
    assert answer.outcome is not None
    if isinstance(answer.outcome, ProgramFault):
        raise answer.outcome from ThereRaised(f"\n{answer.outcome.trace}")
    if isinstance(answer.outcome, Exception):
        raise _as_named(answer.outcome, task)
    return answer.outcome


def _as_named(error: Exception, task: Task) -> Exception:
    """Return the error with the name of the image that the user gave, if it is about the image."""
    if not isinstance(error, Lstm2dError) or str(error.where) != str(absolute(task).source):
        return error
    return type(error)(error.what, where=task.source, expected=error.expected, hint=error.hint)
