"""Images to label: where their labels are computed, and how the results get into the output folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lstm2d.io.atomic import write_bytes
from lstm2d.notes import Notes
from lstm2d.predict.inputs import Task
from lstm2d.predict.label_image import Labelled, label_image
from lstm2d.predict.outcome import Options
from lstm2d.predict.predictor import Predictor

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Job:
    """An image whose results are asked for.

    Parameters
    ----------
    task : Task
        The image.
    write : callable
        Writes the results of the image to a folder and returns what is recorded about them. It also gets the
        collector of notes, and a function to call with the fraction of the image that is done. Raises what
        `label_image` raises, and `OutputError`.
    seconds : float, default 0
        Time that it has taken elsewhere.
    """

    task: Task
    write: Callable[[Path, Notes, Progress], Labelled]
    seconds: float = 0.0


# Computes images, and yields the jobs in the order of the tasks; may refuse options before the first one.
Way = Callable[[Predictor, Sequence[Task], Options], AbstractContextManager[Iterator[Job]]]


@contextmanager
def one_by_one(predictor: Predictor, tasks: Sequence[Task], options: Options) -> Iterator[Iterator[Job]]:
    """Compute images in this process, each when its results are asked for.

    Parameters
    ----------
    predictor : Predictor
        The model.
    tasks : sequence of Task
        The images.
    options : Options
        What to write.

    Yields
    ------
    iterator of Job
        One per image.

    Raises
    ------
    ConfigError
        If images are to be computed in strips, and the model or an option needs the whole image.
    """
    write = _whole(predictor, options) if options.stream is None else _in_strips(predictor, options)
    yield (Job(task, partial(write, task)) for task in tasks)


def _whole(predictor: Predictor, options: Options) -> Callable[[Task, Path, Notes, Progress], Labelled]:
    def write(task: Task, folder: Path, notes: Notes, progress: Progress) -> Labelled:
        return label_image(
            predictor, task, options, notes, lambda name, data: write_bytes(folder / name, data)
        )

    return write


def _in_strips(predictor: Predictor, options: Options) -> Callable[[Task, Path, Notes, Progress], Labelled]:
    from lstm2d.predict.write_streamed import strips_for, write_streamed  # loads tifffile

    strips = strips_for(predictor, options)

    def write(task: Task, folder: Path, notes: Notes, progress: Progress) -> Labelled:
        return write_streamed(strips, task, folder, options, notes, progress)

    return write
