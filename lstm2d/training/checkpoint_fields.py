"""Check every field of a checkpoint before a run uses it.

A digest shows that a file is what was written, not that what was written makes sense: with a position beyond
the last example, for instance, an epoch would never end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.training.checkpoint import Checkpoint
from lstm2d.training.contents import PREFIX, check_digests

if TYPE_CHECKING:
    from lstm2d.training.run import Run

LARGEST = 2**53  # of a counter: floats hold all smaller integers
COUNTERS = ("step", "epoch", "position", "clipped", "stale")
LATER_COUNTERS = ("stage", "stage_step", "stage_epoch")  # missing in version 0.1.0 and earlier
SUMS = ("busy", "loss", "terms", "norm", "seconds")
TABLES = {0: ("progress", "data"), 1: ("progress", "data", "settings")}  # by version of the format
HINT = "move it out of the folder: `resume=True` then goes on from the checkpoint before it"


def check_fields(checkpoint: Checkpoint) -> None:
    """Check the fields of a checkpoint that mean something without its run.

    Parameters
    ----------
    checkpoint : Checkpoint
        What was read.

    Raises
    ------
    DataError
        If a field is missing, has another type, is out of range or contradicts another one.
    """
    state = checkpoint.state
    for name in TABLES[min(checkpoint.version, max(TABLES))]:
        _require(isinstance(state.get(name), dict), name, "is not a table")
    if checkpoint.version:
        _require(_is_text(state.get("run")), "run", "is not a name")
        _require("model" in state, "model", "is missing")
    _check_progress(state["progress"])
    _check_data(state["data"])
    _check_model(state.get("model"), state["progress"]["step"])
    _require(state.get("hierarchy") is None or _is_text(state["hierarchy"]), "hierarchy", "is not a digest")
    for name, values in checkpoint.tensors.items():
        if name.startswith(PREFIX):
            _require(values.dtype == np.uint8, name, "does not hold bytes")
        else:
            _require(values.dtype.kind == "f", name, f"holds {values.dtype} values instead of floats")
            _require(bool(np.isfinite(values).all()), name, "is not finite")
    try:
        check_digests(checkpoint.tensors)
    except ValueError as error:
        raise _invalid(f"{PREFIX}*", str(error)) from error


def check_place(run: Run) -> None:
    """Check that the counters of a checkpoint fit the examples and steps of its run.

    Parameters
    ----------
    run : Run
        The run, with the progress of the checkpoint.

    Raises
    ------
    DataError
        If no such run can have come to this place.
    """
    progress, active = run.progress, run.active
    examples, batch = len(active.source), active.train.batch
    position, epochs = progress.position, progress.epoch - progress.stage_epoch
    if position > examples or (position % batch and position != examples):
        reason = f"progress.position is {position}; an epoch has {examples} examples in batches of {batch}"
        raise _misplaced(reason, run)
    steps, begun = run.stage_steps, active.steps_of(position)
    if run.config.train.examples == "images":  # the number of patches may have been changed meanwhile
        expected = epochs * active.steps_of(examples) + begun
        fits = steps == expected
    else:
        expected = epochs + begun
        fits = steps >= expected
    if not fits:
        reason = f"{steps} steps in this stage do not fit {epochs} epochs and position {position}: {expected}"
        raise _misplaced(reason, run)


def check_arrays(found: Mapping[str, NDArray[Any]], expected: Mapping[str, Any]) -> None:
    """Check that a checkpoint has the arrays that a run needs.

    Parameters
    ----------
    found : mapping of str to ndarray
        Arrays of the checkpoint.
    expected : mapping of str to ndarray
        Arrays of the run, by their names in a checkpoint.

    Raises
    ------
    ValueError
        If one is missing, or has another shape or type.
    """
    for name, values in expected.items():
        if name not in found:
            raise ValueError(f"{name} is missing")
        if found[name].shape != values.shape or found[name].dtype != values.dtype:
            theirs, ours = (f"{a.dtype} of shape {tuple(a.shape)}" for a in (found[name], values))
            raise ValueError(f"{name} is {theirs}, expected {ours}")


def _check_progress(progress: Mapping[str, Any]) -> None:
    for name in (*COUNTERS, *(name for name in LATER_COUNTERS if name in progress)):
        _require(_is_counter(progress.get(name)), f"progress.{name}", "is not a count")
    for name in (*SUMS, *(name for name in ("stage_began",) if name in progress)):
        _require(_is_number(progress.get(name)), f"progress.{name}", "is not a finite number")
    for name in ("busy", "terms", "norm", "seconds"):
        _require(progress[name] >= 0, f"progress.{name}", "is negative")
    step, epoch = progress["step"], progress["epoch"]
    _require(epoch <= step, "progress.epoch", f"is {epoch} after {step} steps")
    for name, limit in (("clipped", step), ("stage_step", step), ("stage_epoch", epoch)):
        _require(progress.get(name, 0) <= limit, f"progress.{name}", f"is above {limit}")
    validated = progress.get("validated")
    known = validated == -1 or (_is_counter(validated) and validated <= step)
    _require(known, "progress.validated", "is no step of the run")
    _require(isinstance(progress.get("unfitted", False), bool), "progress.unfitted", "is not true or false")
    _require("best" in progress, "progress.best", "is missing")
    best = progress["best"]
    if best is not None:
        _require(isinstance(best, dict), "progress.best", "is not a table")
        _require(_is_counter(best.get("step", 0)), "progress.best.step", "is not a count")
        for name, value in best.items():
            _require(value is None or _is_number(value), f"progress.best.{name}", "is not a finite number")


def _check_data(data: Mapping[str, Any]) -> None:
    for name in ("training", "validation"):
        _require(_is_text(data.get(name)), f"data.{name}", "is not a digest")
    classes = data.get("classes")
    names = isinstance(classes, list) and bool(classes) and all(isinstance(name, str) for name in classes)
    _require(names, "data.classes", "is not a list of names")
    for name in ("mean", "std"):
        _require(_are_numbers(data.get(name)), f"data.{name}", "is not a list of finite numbers")
    _require(min(data["std"]) > 0, "data.std", "is not positive")
    _require(len(data["mean"]) == len(data["std"]), "data.std", "has another length than data.mean")
    weights = data.get("class_weights")
    fits = weights is None or (
        _are_numbers(weights) and len(weights) == len(data["classes"]) and min(weights) >= 0
    )
    _require(fits, "data.class_weights", "is not a weight per class")
    factor = data.get("loss_factor", 1.0)
    _require(_is_number(factor) and factor > 0, "data.loss_factor", "is not a positive number")
    _require(isinstance(data.get("meaning", {}), dict), "data.meaning", "is not a table")


def _check_model(model: Any, step: int) -> None:
    if model is None:
        return
    _require(isinstance(model, dict), "model", "is not a table")
    saved = model.get("step")
    _require(_is_counter(saved) and saved <= step, "model.step", "is no step of the run")
    _require(isinstance(model.get("metrics"), dict), "model.metrics", "is not a table")
    _require(isinstance(model.get("sha256"), str), "model.sha256", "is not a digest")
    _require(_is_counter(model.get("stage", 0)), "model.stage", "is not a count")


def _require(fits: bool, name: str, problem: str) -> None:
    if not fits:
        raise _invalid(name, problem)


def _invalid(name: str, problem: str) -> DataError:
    return DataError(f"invalid checkpoint: {name} {problem}", hint=HINT)


def _misplaced(reason: str, run: Run) -> DataError:
    return DataError(f"invalid checkpoint: {reason}", where=run.folder.checkpoints, hint=HINT)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_counter(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_number, value))
