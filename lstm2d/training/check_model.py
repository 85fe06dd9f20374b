"""Make sure that the model file of a run is the one that it has saved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lstm2d.errors import DataError, OutputError
from lstm2d.io.model_file import ModelFile, load_model
from lstm2d.io.safe_open import read_existing
from lstm2d.training.assemble import Prepared
from lstm2d.training.best_model import BestModel
from lstm2d.training.checkpoint import DAMAGED
from lstm2d.training.validate import write_best

OTHER = ".other"  # added to the name of a model that the run has not saved


def check_model(run: Prepared, record: Callable[[str, dict[str, Any]], None]) -> None:
    """Write the model file again if it is missing, damaged or another model.

    Parameters
    ----------
    run : Prepared
        The run, as its checkpoint says or as it goes.
    record : callable
        Gets, as an event of kind "warning", a line about what was wrong. A file that was there is not lost:
        it is renamed.

    Raises
    ------
    DataError
        If the file cannot be read, or its weights are in no checkpoint.
    OutputError
        If it cannot be written.
    """
    best, path = run.model, run.folder.model
    if best is None:
        return
    data = read_existing(path)
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    if digest == best.sha256:
        return
    found = None if data is None else _parsed(path)
    if found is not None and _is_later(found, run, best):
        if best.sha256:
            write_best(run, best)
        else:  # of an earlier version: the weights before are nowhere, and these will come again
            run.model = None
    elif found is not None and not best.sha256 and _is_same(found, best):
        best.arrays, best.sha256 = found.state, digest or ""
        best.metrics = found.metrics["validation"]
    else:
        problem = "missing"
        if data is not None:
            problem = "damaged" if found is None else "not the model that the run saved"
        _restore(run, best, problem, record)


def _restore(
    run: Prepared, best: BestModel, problem: str, record: Callable[[str, dict[str, Any]], None]
) -> None:
    """Write the model again, as `check_model` does; what was there is renamed."""
    path = run.folder.model
    if best.arrays is None:
        raise DataError(
            f"the model file is {problem}, and no checkpoint has its weights, those of step {best.step}",
            where=path,
            hint="put the file back, or start a new run",
        )
    text = f"{path}: {problem}"
    if problem != "missing":
        aside = path.with_name(path.name + (DAMAGED if problem == "damaged" else OTHER))
        try:
            path.replace(aside)
        except OSError as error:
            raise OutputError(f"cannot set the file aside ({error.strerror})", where=path) from error
        text += f", set aside as {aside.name}"
    write_best(run, best)
    record("warning", {"text": f"{text}; written again, with the weights of step {best.step}"})


def _parsed(path: Path) -> ModelFile | None:
    try:
        return load_model(path)
    except DataError:
        return None


def _is_same(found: ModelFile, best: BestModel) -> bool:
    """Tell whether a model has the step and the figures of one whose digest is not known."""
    figures = found.metrics.get("validation")
    if found.metrics.get("step") != best.step or not isinstance(figures, dict):
        return False
    return all(figures.get(name) == value for name, value in best.metrics.items())


def _is_later(found: ModelFile, run: Prepared, best: BestModel) -> bool:
    """Tell whether a model was saved after the checkpoint, by the session that was stopped then.

    A session also measures the last weights of a run that ends within an epoch, after the last checkpoint.
    """
    step, progress = found.metrics.get("step"), run.progress
    if found.seed != run.config.train.seed or found.config.get("model") != run.config.model:
        return False
    if not isinstance(step, int) or step <= best.step:
        return False
    return step > progress.step or (step == progress.step != progress.validated)
