"""Assemble a run, new or resumed, before its first step."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from lstm2d import kernels
from lstm2d.config import RunConfig
from lstm2d.data.dataset import Dataset
from lstm2d.errors import ConfigError, DataError, Lstm2dError
from lstm2d.hierarchy.hierarchy import Hierarchy
from lstm2d.io.model_file import Imported
from lstm2d.kernels import gpu
from lstm2d.models import Network, build, import_weights, restore_imported
from lstm2d.pipeline.preprocess import LARGE
from lstm2d.random import Purpose, generator
from lstm2d.training.cache_features import open_stores
from lstm2d.training.checkpoint import Checkpoint, newest_file
from lstm2d.training.checkpoint_fields import HINT, check_arrays, check_place
from lstm2d.training.events import Note, Report, Warned, silent
from lstm2d.training.features import FrozenFeatures
from lstm2d.training.init_from import start_from
from lstm2d.training.listeners import metrics_of
from lstm2d.training.make_optimizer import parameter_groups
from lstm2d.training.progress import Progress
from lstm2d.training.read_hierarchy import check_groups, filling, read_hierarchy
from lstm2d.training.resume import new_id, newest_checkpoint, read_data, take_up
from lstm2d.training.run import UNTRAINED, Run
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.samples import TrainingData
from lstm2d.training.saved_model import from_checkpoint
from lstm2d.training.stages import ActiveStage, Stage, begin_stage
from lstm2d.training.subclass_stages import all_stages

UNTRAINED_START = (
    "training with the label hierarchy starts from random weights, but is meant for a trained network: "
    "`init_from` starts from a model that was trained on the classes"
)
USUAL = 320  # square root of the pixel count, typical of published datasets


def prepare(
    config: RunConfig,
    dataset: Dataset,
    folder: RunFolder,
    *,
    resume: bool = False,
    changes: Collection[str] = (),
    init_from: Path | None = None,
    device: str = "cpu",
    report: Report = silent,
) -> Run:
    """Read the data, build the network, and load the newest checkpoint of a run to resume.

    Parameters
    ----------
    config : RunConfig
        All settings.
    dataset : Dataset
        Images and masks.
    folder : RunFolder
        The run folder.
    resume : bool, default False
        Continue from its newest valid checkpoint.
    changes : collection of str
        Dotted keys of the configuration that the user changes on purpose.
    init_from : Path, optional
        Model whose weights, channel mean and deviation a new run starts from.
    device : str, default "cpu"
        Device to train on, "cpu" or "cuda:N"; must already be the current one.
    report : callable, optional
        Gets notes and warnings.

    Returns
    -------
    Run
        Ready for `Trainer`.

    Raises
    ------
    ConfigError
        If `init_from` has other classes or another architecture; if a group names no part of the network; if
        run, settings or data differ from those of the checkpoint.
    DataError
        If the data cannot be used, or there is no valid checkpoint.
    """
    checkpoint = newest_checkpoint(folder, report) if resume else None
    if checkpoint is None and init_from is None and config.train.init != "all":
        raise ConfigError(f'train.init = "{config.train.init}" without a model', expected="`init_from`")
    run_id, recorded, changed = new_id(), False, list[str]()
    if checkpoint is not None:
        run_id, recorded, changed = take_up(checkpoint, config, folder, report, wanted=changes)
    _check_select(config, dataset)
    hierarchy = read_hierarchy(config, dataset, checkpoint)
    progress, stages = where_it_stands(checkpoint, config, folder, hierarchy)
    rng = generator(config.train.seed, 0, 0, Purpose.INIT)
    network = build(config.model, len(dataset.classes), rng)
    parameter_groups(config.train, network)  # a wrong name is reported before the data is read
    # with `init_from` another note lists the new layers: layers missing here may come from there
    imported = take_imported(config, network, folder, checkpoint, report if init_from is None else silent)
    fill = filling(config, hierarchy, dataset, device)
    data = read_data(config, dataset, network, checkpoint, fill)
    if config.hierarchy is not None and hierarchy is not None:
        check_groups(hierarchy, data.training, config.hierarchy.file)
        if checkpoint is None and init_from is None and network.backbone is None:
            report(Note(text=UNTRAINED_START))
    _comment(data, network, config, report)
    if checkpoint is None and init_from is not None:
        start_from(init_from, network.stored_arrays(), imported, data, config, report)
    network.to(device)
    fixed = frozenset(name for name, p in network.named_parameters() if not p.requires_grad)
    for number, stage in enumerate(stages[: progress.stage + 1]):
        begin_stage(stage, number, network, data, config.train.seed)
    active = ActiveStage(stages[progress.stage], data, network, fixed)
    run = Run(
        config=config,
        folder=folder,
        data=data,
        network=network,
        features=FrozenFeatures(network),
        imported=imported,
        stages=stages,
        active=active,
        progress=progress,
        fixed=fixed,
        resumed=resume,
        run_id=run_id,
        recorded=recorded,
        changed=changed,
        hierarchy=hierarchy,
    )
    if checkpoint is not None:
        restore(checkpoint, run)
    open_stores(config, run.features, report)
    return run


def where_it_stands(
    checkpoint: Checkpoint | None, config: RunConfig, folder: RunFolder, hierarchy: Hierarchy | None
) -> tuple[Progress, tuple[Stage, ...]]:
    """Return the counters of a run and its stages.

    Parameters
    ----------
    checkpoint : Checkpoint or None
        Of a run to resume.
    config : RunConfig
        All settings.
    folder : RunFolder
        The run folder, for messages.
    hierarchy : Hierarchy or None
        Label hierarchy of the run.

    Returns
    -------
    progress : Progress
        All zero for a new run.
    stages : tuple of Stage
        At least one.

    Raises
    ------
    DataError
        If the run does not have the stage of the checkpoint.
    """
    stages = all_stages(config, hierarchy)
    progress = Progress() if checkpoint is None else Progress.from_dict(checkpoint.state["progress"])
    if progress.stage >= len(stages):
        raise DataError(
            f"the checkpoint is of stage {progress.stage + 1}",
            where=folder.checkpoints,
            expected=f"1 to {len(stages)}, the stages of this run",
        )
    return progress, stages


def _check_select(config: RunConfig, dataset: Dataset) -> None:
    """Raise ConfigError if the metric that selects the best model is not defined for the dataset."""
    select, n_classes = config.train.select, len(dataset.classes)
    if select not in metrics_of(n_classes):
        *others, last = metrics_of(n_classes)
        raise ConfigError(
            f'train.select = "{select}" for {n_classes} classes',
            where=dataset.root,
            expected="a dataset of two classes, background and foreground",
            hint=f"set train.select to {', '.join(others)} or {last}",
        )


def _comment(data: TrainingData, network: Network, config: RunConfig, report: Report) -> None:
    """Report what is unusual about the images of a run, and the setting for it."""
    side = data.preprocessing.typical_size
    if side is not None and side * side > LARGE and config.data.size == "native":
        text = (
            f"the training images have {side * side / 1e6:.1f} megapixels (median): steps take as much more "
            "time and memory, and the network sees a small part of a photograph at a time. "
            f"data.size={USUAL} reduces images and masks as they are read"
        )
        report(Warned(text=text))
    if (factor := data.loss_factor(network)) > 1:
        text = (
            f"{100 * data.labelled:.2g} % of the pixels of the training images are labelled: the loss of an "
            f"image, a sum over its labelled pixels, is multiplied by up to {factor:.3g}, since learning "
            "rates are chosen for fully labelled images"
        )
        report(Note(text=text))
    for channel, deviation in data.even.items():
        text = (
            f"channel {channel} hardly varies in the training images (deviation {deviation:.2g} of 0..255): "
            "it is not scaled up, its deviation is set to 1; data.std sets another value"
        )
        report(Note(text=text))


def take_imported(
    config: RunConfig, network: Network, folder: RunFolder, checkpoint: Checkpoint | None, report: Report
) -> Imported | None:
    """Set the layers of a network that come from imported weights.

    Parameters
    ----------
    config : RunConfig
        Names the weights.
    network : Network
        Its backbone gets them, if it has one.
    folder : RunFolder
        The run folder, for messages.
    checkpoint : Checkpoint or None
        Checkpoint of a run to resume; its weights are used, whatever the name refers to now.
    report : callable
        Gets a note about layers that start at random values.

    Returns
    -------
    Imported or None
        The layers that are never trained.

    Raises
    ------
    ConfigError
        If the weights of that name have changed.
    DataError
        If the weights are not in the user's store or lack a layer.
    """
    if checkpoint is not None:
        try:
            imported = Imported.from_json(checkpoint.state.get("imported"))
        except ValueError as error:
            raise DataError(f"the checkpoint is damaged ({error})", where=folder.checkpoints) from error
        restore_imported(network, imported, source=folder.checkpoints)
        return imported
    imported, absent = import_weights(network, config.model.get("weights", ""))
    if absent:
        text = f"the imported weights lack {', '.join(absent)}: training starts them at random values"
        report(Note(text=text))
    return imported


def restore(checkpoint: Checkpoint, run: Run) -> None:
    """Load a checkpoint into a run.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where the run stood.
    run : Run
        Run to load the weights and all other state into.

    Raises
    ------
    DataError
        If the checkpoint belongs to another network, or no such run can have come to its place.
    """
    check_place(run)
    optimizer, untrained = run.active.optimizer, run.untrained()
    expected = optimizer.state_dict() | {f"{UNTRAINED}{name}": values for name, values in untrained.items()}
    if not any(name.startswith("average.") for name in checkpoint.tensors):  # it then begins at the weights
        expected = {name: values for name, values in expected.items() if not name.startswith("average.")}
    try:
        check_arrays(checkpoint.tensors, expected)
        optimizer.load_state_dict(checkpoint.tensors)
        for name, values in untrained.items():
            kernels.copy_into(values, checkpoint.tensors[f"{UNTRAINED}{name}"])
        run.listeners = checkpoint.state["progress"]
        run.saved = from_checkpoint(checkpoint, run.model_arrays)
        if run.saved is not None and run.saved.arrays is not None and run.saved.stage == run.progress.stage:
            check_arrays(run.saved.arrays, run.model_arrays())
    except ValueError as error:
        what = f"the checkpoint does not fit the network ({error})"
        raise DataError(what, where=run.folder.checkpoints, hint=HINT) from error


def out_of_memory(error: MemoryError, run: Run) -> Lstm2dError:
    """Return the error for memory that ran out in a step, or in a validation.

    Parameters
    ----------
    error : MemoryError
        What happened.
    run : Run
        The run.

    Returns
    -------
    Lstm2dError
        The error; it names the last good checkpoint.
    """
    hint = "use smaller images, train.crop or train.batch, or close other programs"
    if run.network.device != "cpu":
        hint += " on the GPU, or use `device='cpu'`"
    good = newest_file(run.folder.checkpoints)
    hint += f"; `resume=True` goes on from the last checkpoint, {good}" if good else ""
    return gpu.out_of_memory(error, where=f"after step {run.progress.step}", hint=hint)
