"""Write the model file of a run, and replace it if it is not the one that the run saved."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from importlib.metadata import version

from lstm2d.errors import ConfigError, DataError, OutputError
from lstm2d.io.model_file import ModelFile, load_model, save_model
from lstm2d.io.safe_open import read_existing
from lstm2d.models import model_config
from lstm2d.training.checkpoint import DAMAGED
from lstm2d.training.events import Report, Warned
from lstm2d.training.run import Run
from lstm2d.training.saved_model import SavedModel

OTHER = ".other"  # added to the name of a model that the run has not saved


def write_model(run: Run, model: SavedModel) -> None:
    """Write the model file of a run, without imported weights that are never trained.

    Parameters
    ----------
    run : Run
        The run.
    model : SavedModel
        Model to write, with its arrays; its digest is set to that of the file.

    Raises
    ------
    OutputError
        If it cannot be written; the old model is kept.
    """
    data, config = run.data, run.config
    class_weights = {}
    if data.class_weights is not None:
        pairs = zip(data.classes, data.class_weights.tolist(), strict=True)
        class_weights = {"class_weights": {item.name: weight for item, weight in pairs}}
    split = "all images" if not data.dataset.splits else f"split {config.data.train_split}"
    settings = config.model_dump()
    settings["model"] |= run.stages[model.stage].model
    contents = ModelFile(
        state=dict(model.arrays or {}),
        preset=config.preset,
        config=settings,
        classes=data.classes,
        mean=data.preprocessing.mean,
        std=data.preprocessing.std,
        ignore=data.ignore,
        library_version=version("lstm2d"),
        seed=config.train.seed,
        metrics={"validation": model.metrics, "step": model.step} | class_weights,
        trained_on=f"{data.dataset.name}, {split}: {len(data.training)} images",
        terms="",
        imported=run.imported,
        typical_size=data.preprocessing.typical_size,
        native=data.preprocessing.native,
    )
    model.sha256 = save_model(run.folder.model, contents)


def check_model(run: Run, validated: int, tell: Report) -> None:
    """Replace the model file if it is missing, damaged or another model.

    Parameters
    ----------
    run : Run
        The run, just resumed or in progress.
    validated : int
        Step of its last validation.
    tell : callable
        Gets a warning about the problem. An existing file is renamed.

    Raises
    ------
    DataError
        If the file cannot be read, or its weights are in no checkpoint.
    OutputError
        If it cannot be written.
    """
    best, path = run.saved, run.folder.model
    if best is None:
        return
    data = read_existing(path)
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    if digest == best.sha256:
        return
    found = None if data is None else _parsed(run)
    if found is not None and _is_later(found, run, best, validated):
        if best.sha256:
            write_model(run, best)
        else:  # of an earlier version: the earlier weights are lost and will be trained again
            run.saved = None
    elif found is not None and not best.sha256 and _is_same(found, best):
        best.arrays, best.sha256 = found.state, digest or ""
        best.metrics = found.metrics["validation"]
    else:
        problem = "missing"
        if data is not None:
            problem = "damaged" if found is None else "not the model that the run saved"
        _restore(run, best, problem, tell)


def _restore(run: Run, best: SavedModel, problem: str, tell: Report) -> None:
    """Replace the model file for `check_model`; rename the existing one."""
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
    write_model(run, best)
    text += f"; written again, with the weights of step {best.step}"
    tell(Warned(step=run.progress.step, text=text))


def _parsed(run: Run) -> ModelFile | None:
    try:
        return load_model(run.folder.model)
    except DataError:
        return None


def _is_same(found: ModelFile, best: SavedModel) -> bool:
    """Return whether a model has the step and the metrics of one whose digest is unknown."""
    metrics = found.metrics.get("validation")
    if found.metrics.get("step") != best.step or not isinstance(metrics, dict):
        return False
    return all(metrics.get(name) == value for name, value in best.metrics.items())


def _is_same_network(found: ModelFile, run: Run) -> bool:
    """Return whether a model has the options of the run; a file of an earlier version may lack new ones."""
    with suppress(ConfigError):
        stage = run.active.stage.model
        ours, theirs = run.config.model, found.config.get("model", {})
        return model_config({**theirs, **stage}) == model_config({**ours, **stage})
    return False


def _is_later(found: ModelFile, run: Run, best: SavedModel, validated: int) -> bool:
    """Return whether a model was saved after the checkpoint, by the session that was stopped then.

    A session also validates the last weights of a run that ends within an epoch, after the last checkpoint.
    """
    step, now = found.metrics.get("step"), run.progress.step
    if found.seed != run.config.train.seed or not _is_same_network(found, run):
        return False
    if not isinstance(step, int) or step <= best.step:
        return False
    return step > now or (step == now != validated)
