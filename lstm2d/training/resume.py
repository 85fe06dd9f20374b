"""Check that checkpoint, settings and data of a run to resume match."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection

from lstm2d.config import RunConfig, from_dict
from lstm2d.data.dataset import Dataset
from lstm2d.errors import ConfigError, DataError
from lstm2d.hierarchy.fill import Fill
from lstm2d.models import Network
from lstm2d.training.checkpoint import Checkpoint, load_newest, newest_file
from lstm2d.training.checkpoint_fields import HINT, check_fields
from lstm2d.training.contents import Contents, has_contents, some
from lstm2d.training.events import Note, Report, Warned
from lstm2d.training.runfolder import FREE, RunFolder, changes, is_fixed
from lstm2d.training.samples import TrainingData, changed_data, other_keys


def newest_checkpoint(folder: RunFolder, report: Report) -> Checkpoint:
    """Return the newest valid checkpoint of a run; report damaged ones, raise DataError if there is none."""
    checkpoint = load_newest(folder.checkpoints, lambda text: report(Warned(text=text)), check_fields)
    if checkpoint is None:
        raise DataError("no checkpoint to resume from", where=folder.checkpoints, hint="start a new run")
    return checkpoint


def take_up(
    checkpoint: Checkpoint,
    config: RunConfig,
    folder: RunFolder,
    report: Report,
    *,
    wanted: Collection[str] = (),
) -> tuple[str, bool, list[str]]:
    """Check that a checkpoint and the settings belong to the run in a folder.

    Parameters
    ----------
    checkpoint : Checkpoint
        The newest in the folder.
    config : RunConfig
        The settings.
    folder : RunFolder
        The run folder.
    report : callable
        Gets a note about what cannot be checked.
    wanted : collection of str
        Dotted keys of the settings that the user changes on purpose.

    Returns
    -------
    run_id : str
        Name of the run; a new one if it has none.
    recorded : bool
        Whether checkpoint and folder contain everything that the next resume checks.
    changed : list of str
        Settings that change, with both values.

    Raises
    ------
    ConfigError
        If the checkpoint belongs to another run, or the settings differ.
    """

    def note(text: str) -> None:
        report(Note(text=text))

    run_id, complete = check_run(checkpoint, folder, note)
    changed = check_settings(checkpoint, config, wanted, folder)
    return run_id or new_id(), complete and not changed, changed


def new_id() -> str:
    """Return a unique name for a run."""
    return secrets.token_hex(16)


def check_run(
    checkpoint: Checkpoint, folder: RunFolder, note: Callable[[str], None]
) -> tuple[str | None, bool]:
    """Check that a checkpoint belongs to the run in its folder.

    Parameters
    ----------
    checkpoint : Checkpoint
        The newest in the folder.
    folder : RunFolder
        The run folder.
    note : callable
        Gets a line about what cannot be checked.

    Returns
    -------
    run_id : str or None
        Name of the run; None if neither has it.
    complete : bool
        Whether everything could be checked.

    Raises
    ------
    ConfigError
        If it belongs to another run.
    """
    found: str | None = checkpoint.state.get("run")
    expected = folder.read_id()
    if found is not None and expected is not None and found != expected:
        raise ConfigError(
            "the newest checkpoint is one of another run",
            where=newest_file(folder.checkpoints) or folder.checkpoints,
            expected=f"one of the run that {folder.identity.name} names",
            hint="take it out of the folder: `resume=True` then goes on from the one before it",
        )
    missing = {
        "the run": found is None,
        "settings": "settings" not in checkpoint.state,
        "images and masks": not has_contents(checkpoint.tensors),
    }
    if any(missing.values()):
        names = ", ".join(name for name, absent in missing.items() if absent)
        note(f"the checkpoint is of an earlier version: cannot check that these are the same: {names}")
    elif expected is None:
        note(f"no valid {folder.identity}: cannot check that the checkpoint belongs to this run")
    return found or expected, found == expected and not any(missing.values())


def check_settings(
    checkpoint: Checkpoint, config: RunConfig, wanted: Collection[str], folder: RunFolder
) -> list[str]:
    """Check that a run is resumed with its own settings.

    Parameters
    ----------
    checkpoint : Checkpoint
        The newest of the run, with its settings.
    config : RunConfig
        The settings to resume with.
    wanted : collection of str
        Dotted keys that the user changes on purpose.
    folder : RunFolder
        The run folder.

    Returns
    -------
    list of str
        Descriptions of the changes.

    Raises
    ------
    ConfigError
        If a setting differs that affects more than the end of the run and is not in `wanted`, or one that can
        never be changed.
    DataError
        If the checkpoint has no valid settings.
    """
    if "settings" not in checkpoint.state:
        return []
    try:
        before = from_dict(checkpoint.state["settings"], str(folder.checkpoints))
    except ConfigError as error:
        what = f"invalid checkpoint: its settings cannot be used ({error.what})"
        raise DataError(what, where=folder.checkpoints, hint=HINT) from error
    found = changes(before, config)
    texts = {name: f"{name} is {new!r}, was {old!r}" for name, (old, new) in found.items()}
    fixed = [name for name in found if is_fixed(name)]
    wrong = fixed or [name for name in found if name not in FREE and not _is_wanted(name, wanted)]
    if wrong:
        other = "start a new run" if fixed else f"go on with the new value: `overrides={wrong[0]}=VALUE`"
        raise ConfigError(
            f"the settings are not those of the run: {'; '.join(texts[name] for name in wrong)}",
            where=folder.config,
            hint=f"set back what differs, or {other}",
        )
    return list(texts.values())


def _is_wanted(name: str, wanted: Collection[str]) -> bool:
    """Return whether a key, or one inside its table, is among those that the user changes."""
    return any(key == name or key.startswith(f"{name}.") for key in wanted)


def read_data(
    config: RunConfig,
    dataset: Dataset,
    network: Network,
    checkpoint: Checkpoint | None,
    fill: Fill | None = None,
) -> TrainingData:
    """Read the images of a run.

    Parameters
    ----------
    config : RunConfig
        All values.
    dataset : Dataset
        Images and masks.
    network : Network
        Says how images are padded.
    checkpoint : Checkpoint or None
        Checkpoint of the run to resume; its channel statistics and class weights are used.
    fill : callable, optional
        Fills unlabelled pixels of training images.

    Returns
    -------
    TrainingData
        The images.

    Raises
    ------
    ConfigError
        If images, labels or classes have changed since the run began.
    DataError
        If they cannot be used.
    """
    if checkpoint is None:
        return TrainingData(config, dataset, network.stride, padding=network.padding, fill=fill)
    before = checkpoint.state["data"]
    classes = [item.name for item in dataset.classes]
    if before["classes"] != classes:
        raise changed_data([f"other classes, {some(classes)} instead of {some(before['classes'])}"], dataset)
    try:
        known = Contents.from_tensors(checkpoint.tensors)
        data = TrainingData(config, dataset, network.stride, known, padding=network.padding, fill=fill)
    except DataError as error:
        keys = other_keys(dataset, before)
        if not keys:
            raise
        raise changed_data([f"dataset.toml has another {', '.join(keys)} ({error})"], dataset) from error
    data.load_dict(before, checkpoint.tensors)
    return data
