"""Events of a training run, reported to its caller and recorded in log.jsonl."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Validated:
    """Result of a validation.

    Parameters
    ----------
    pixel_accuracy, class_accuracy, mean_iou : float or None
        Metrics over all validation images, 0 to 1; None if undefined.
    best : bool
        Whether it is the best of the stage so far.
    foreground_iou : float or None
        Metric for datasets of two classes; None for others, and if it is undefined.
    """

    pixel_accuracy: float | None
    class_accuracy: float | None
    mean_iou: float | None
    best: bool
    foreground_iou: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a run.

    Attributes
    ----------
    kind : str
        Name of the event in log.jsonl.
    is_recorded : bool
        Whether it is written to log.jsonl; step events are not.
    """

    kind: ClassVar[str]
    is_recorded: ClassVar[bool] = True

    @property
    def values(self) -> dict[str, Any]:
        """The fields as JSON values, without absent ones and including those of a validation."""
        return _present(self)


def _present(values: Event | Validated) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields(values):
        value = getattr(values, field.name)
        if isinstance(value, Validated):
            found |= _present(value)
        elif value is not None or field.default is MISSING:
            found[field.name] = value
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """A run begins.

    Parameters
    ----------
    step, epoch : int
        Steps done and epochs completed before.
    seconds : float
        Time taken before.
    parameters : int
        Number of trained values.
    device : str
        "cpu" or "cuda:N".
    images, validation_images : int
        Number of images.
    batch : int
        Examples of a step.
    held_out : bool
        Whether the validation images are taken from the training split.
    classes : list of str
        Names of the classes.
    mean, std : list of float
        Channel statistics, 0..255.
    class_weights : list of float or None
        None if all classes count the same.
    stage, stages : int
        Number of the current stage, from 0, and of all.
    name : str
        Name of the stage; "" if it is the only one.
    steps, epochs : int
        Length of the run, up to the end of the current stage.
    """

    kind: ClassVar[str] = "start"
    step: int
    epoch: int
    seconds: float
    parameters: int
    device: str
    images: int
    batch: int
    validation_images: int
    held_out: bool
    classes: list[str]
    mean: list[float]
    std: list[float]
    class_weights: list[float] | None
    stage: int
    stages: int
    name: str
    steps: int
    epochs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Started):
    """A run resumes from a checkpoint."""

    kind: ClassVar[str] = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBegun(Event):
    """The second or a later stage of a run begins.

    Parameters
    ----------
    step, epoch : int
        Steps done and epochs completed before.
    stage : int
        Number of the stage, from 0.
    name : str
        Its name.
    parameters : int
        Number of trained values.
    batch : int
        Examples of a step.
    steps, epochs : int
        Length of the run, up to the end of the stage.
    """

    kind: ClassVar[str] = "stage"
    step: int
    epoch: int
    stage: int
    name: str
    parameters: int
    batch: int
    steps: int
    epochs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures(Event):
    """Metrics of the current epoch.

    Parameters
    ----------
    step : int
        Steps done.
    epoch : int
        Number of the epoch, from 1.
    seconds : float
        Time taken by the run, in all sessions.
    loss : float or None
        Mean of the loss per term, such as a pixel.
    gradient_norm : float or None
        Mean over the steps.
    clipped : float or None
        Share of the steps whose gradient was clipped.
    images_per_second : float or None
        Examples per second of training.
    """

    step: int
    epoch: int
    seconds: float
    loss: float | None
    gradient_norm: float | None
    clipped: float | None
    images_per_second: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone(Figures):
    """A step is done.

    Parameters
    ----------
    seconds_left : float
        Estimate of the time until the stage or the time limit ends.
    """

    kind: ClassVar[str] = "step"
    is_recorded: ClassVar[bool] = False
    seconds_left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDone(Figures):
    """An epoch is complete.

    Parameters
    ----------
    learning_rate : float
        Rate of the next step.
    validation : Validated or None
        None if this epoch was not validated.
    """

    kind: ClassVar[str] = "epoch"
    learning_rate: float
    validation: Validated | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndMeasured(EpochDone):
    """A run or a stage that ends within an epoch was validated."""

    kind: ClassVar[str] = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesDone(Event):
    """The features of one more image are computed before the first step.

    Parameters
    ----------
    done, total : int
        Number of images.
    """

    kind: ClassVar[str] = "features"
    is_recorded: ClassVar[bool] = False
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesFilled(Event):
    """The features of all images are kept.

    Parameters
    ----------
    step : int
        Steps done.
    computed, total : int
        Number of images whose features were computed, and of all.
    seconds : float
        Time taken.
    folder : str
        Where they are.
    bytes : int
        Size of all features of the same layers that are kept there.
    """

    kind: ClassVar[str] = "features"
    step: int
    computed: int
    total: int
    seconds: float
    folder: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Event):
    """A note.

    Parameters
    ----------
    step : int, optional
        Steps done; None before the run begins.
    text : str
        One or more lines.
    dataset_toml : str, optional
        A dataset.toml that states what was guessed.
    """

    kind: ClassVar[str] = "note"
    step: int | None = None
    text: str
    dataset_toml: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    """A warning.

    Parameters
    ----------
    step : int, optional
        Steps done; None before the run begins.
    text : str
        One line.
    """

    kind: ClassVar[str] = "warning"
    step: int | None = None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diverged(Event):
    """A value is not finite; the run ends.

    Parameters
    ----------
    step : int
        Steps done.
    what : str
        What is not finite.
    where : str
        Image, step and layer.
    """

    kind: ClassVar[str] = "diverged"
    step: int
    what: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Event):
    """A run ends.

    Parameters
    ----------
    step, epoch : int
        Steps done and epochs completed.
    reason : str
        "epochs", "steps", "patience", "minutes" (of the last stage), "time" or "signal".
    seconds : float
        Time taken, in all sessions.
    """

    kind: ClassVar[str] = "stop"
    step: int
    reason: str
    epoch: int
    seconds: float


Report = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore an event."""


def best_effort(report: Report) -> Report:
    """Return a listener that ignores output errors, so that they do not stop the run.

    Parameters
    ----------
    report : callable
        Listener. Its OSErrors, such as a full disk or a closed pipe, are ignored.

    Returns
    -------
    callable
        Replacement for `report`.
    """

    def deliver(event: Event) -> None:
        with suppress(OSError):
            report(event)

    return deliver
