"""Options and outcome of a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from traceback import clear_frames

from lstm2d.errors import Lstm2dError
from lstm2d.io.photo import DEFAULT_MAX_PIXELS
from lstm2d.pipeline.preprocess import Size
from lstm2d.predict.inputs import Task
from lstm2d.predict.left_out import LeftOut
from lstm2d.predict.result_names import (
    INSTANCES,
    KINDS,
    PROBABILITIES,
    labels_kind,
    overlay_kind,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that could not be labelled.

    Parameters
    ----------
    image : str
        The file.
    error : Exception
        The error. Its traceback is kept, without the local variables of its frames.
    """

    image: str
    error: Exception

    def __post_init__(self) -> None:
        error: BaseException | None = self.error
        while error is not None:
            clear_frames(error.__traceback__)
            error = error.__cause__ or error.__context__

    @property
    def unexpected(self) -> bool:
        """Whether the error is a bug, not a problem of the image."""
        return not isinstance(self.error, Lstm2dError)

    @property
    def reason(self) -> str:
        """The error in one line; the type of an unexpected one is part of it."""
        error = self.error
        text = error.what if isinstance(error, Lstm2dError) else f"unexpected {type(error).__name__}: {error}"
        return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Options:
    """What to write for each image, and what to do about failures.

    Parameters
    ----------
    overlay : bool, default False
        Also write the photograph with its labels as an overlay.
    legend : bool, default False
        The same, with a legend of the classes that occur in it.
    format : str, default "palette"
        Format of the label images, see `lstm2d.io.label_images.write_labels`; that of the tasks' names.
    probabilities : bool, default False
        Also write class probabilities: an npz file with `probabilities` (H, W, K) float32 and `classes`.
    skip_done : bool, default False
        Skip images whose results all exist, made from the same content with the same model and settings.
    stop_on_error : bool, default False
        Raise the first failure instead of going on.
    overwrite : bool, default False
        Also replace files in the output folder that are not results.
    max_pixels : int
        Largest number of pixels of an image.
    size : "auto", "native" or float, default "auto"
        Size at which the network sees the images, see `Predictor.predict`.
    stream : int, optional
        Compute in strips of rows, within this many bytes of memory: for images larger than memory, at their
        own size. Labels are written as tiled BigTIFF.
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
    stream: int | None = None

    @property
    def overlays(self) -> bool:
        """Whether overlays are written."""
        return self.overlay or self.legend

    def kinds(self, instances: Sequence[int]) -> list[str]:
        """Return the kinds of results that are written.

        Parameters
        ----------
        instances : sequence of int
            The instances whose labels are predicted, the last of which is the result proper.

        Returns
        -------
        list of str
            Of `lstm2d.predict.result_names.KINDS`, in their order.
        """
        wanted = {PROBABILITIES: self.probabilities, INSTANCES: self.overlays and len(instances) > 1}
        for number in instances:
            wanted[labels_kind(number, instances)] = True
            wanted[overlay_kind(number, instances)] = self.overlays
        return [kind for kind in KINDS if wanted.get(kind)]

    def outputs(self, task: Task, instances: Sequence[int]) -> list[PurePath]:
        """Return the files that a task writes, relative to the output folder; `instances` as for `kinds`."""
        return [task.results[kind] for kind in self.kinds(instances)]


@dataclass(slots=True)
class Outcome:
    """Progress of a prediction.

    Parameters
    ----------
    total : int
        Number of requested images.
    done : int
        Images labelled.
    skipped : int
        Images skipped because they are done.
    failed : list of Failure
        Images that could not be labelled.
    seconds : float
        Time since the start.
    redone : dict of str to int
        Images that `skip_done` did not skip although they were labelled before, per reason.
    resized : int
        Images that were resized for the network.
    part : float
        Fraction of the next image that is labelled, if it is computed in strips.
    """

    total: int
    done: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    redone: dict[str, int] = field(default_factory=dict)
    resized: int = 0
    part: float = 0.0

    def add_unread(self, left_out: LeftOut) -> None:
        """Count folders that could not be listed as failed.

        Parameters
        ----------
        left_out : LeftOut
            From `lstm2d.predict.inputs.plan`.
        """
        self.failed[:0] = [Failure(str(path), error) for path, error in left_out.unread.items()]
        self.total += len(left_out.unread)
