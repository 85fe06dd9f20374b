"""Train on images and masks in memory: `lstm2d.fit`."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm2d.config import RunConfig, resolve
from lstm2d.data.arrays import ArrayDataset
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import ConfigError, ImageWarning, InterruptedRun, Lstm2dError, TrainingWarning
from lstm2d.io.classes import ClassInfo
from lstm2d.io.model_file import load_model
from lstm2d.predict import Predictor
from lstm2d.training.choose import AUTO, decide
from lstm2d.training.events import Event, Note, Report, Warned
from lstm2d.training.lines import Lines
from lstm2d.training.loop import train
from lstm2d.training.progress import TrainResult
from lstm2d.training.runfolder import RunFolder

Progress = bool | Callable[[Event], None]


class TrainedPredictor(Predictor):
    """A predictor that `fit` has trained.

    Parameters
    ----------
    result : TrainResult
        The outcome of its training; with a model.
    source : Path, optional
        The file of the model, if the run is kept.
    device : str, default "cpu"
        Where to compute.

    Attributes
    ----------
    result : TrainResult
        Validation metrics of the model, steps, time, and why the run ended.
    run : Path
        The run folder, with results.csv, log.jsonl and checkpoints. Without `out` it is a temporary folder,
        which is deleted with this object, and at the end of the process.
    """

    def __init__(self, result: TrainResult, *, source: Path | None = None, device: str = "cpu") -> None:
        assert result.model is not None
        super().__init__(load_model(result.model), source=source, device=device)
        self.result, self.run = result, result.run


def fit(
    images: Iterable[object],
    masks: Iterable[object],
    *,
    preset: str | os.PathLike[str] = "lstm2d-5x5",
    max_time: str | float | None = None,
    classes: Sequence[str | ClassInfo] | None = None,
    ignore: int = IGNORE,
    val: float | None = None,
    seed: int | None = None,
    init_from: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    device: str = "cpu",
    progress: Progress = False,
) -> TrainedPredictor:
    """Train a network on images and masks, as ``lstm2d train`` does on a folder of them.

    Parameters
    ----------
    images : list of array, PIL image or path, or array of shape (N, H, W, 3)
        Photographs of any sizes, see `lstm2d.io.given.photo_of`.
    masks : list of array or path, or array of shape (N, H, W)
        Integers or booleans of shape (H, W): class numbers 0 to K - 1, or `ignore`.
    preset : str or path, default "lstm2d-5x5"
        Name of a preset, or path of a TOML file; or "auto", which chooses preset, starting model and settings
        for the images and the time, see `lstm2d.training.choose`.
    max_time : str or float, optional
        Longest training time, such as "30m", or a number of seconds.
    classes : sequence of str or ClassInfo, optional
        Names of the K classes. By default the masks decide: the numbers 0 to the highest one.
    ignore : int, default 255
        Mask value of pixels that count in no loss and no accuracy, for example -1 in arrays.
    val : float, optional
        Share of the images to hold out, which choose the best weights; 0 holds out none. By default that of
        the preset, 0.1.
    seed : int, optional
        Seed for weights, image order, augmentation and the hold-out. By default that of the preset, 0.
    init_from : str or path, optional
        Model file, run folder or bundled model whose weights training starts from.
    out : path, optional
        Run folder to create. Without it the run is in a temporary folder, see `TrainedPredictor`.
    resume : bool, default False
        Continue the run in `out`, with its own configuration and the same images; the result is bit-identical
        to an uninterrupted run.
    settings : mapping, optional
        Other values of the configuration by dotted key, such as ``{"train.epochs": 20}``.
    device : str, default "cpu"
        Where to train and predict: "auto", "cpu", "cuda" or "cuda:N".
    progress : bool or callable, default False
        True writes a line per epoch to stderr. A callable gets every event of `lstm2d.training.events`.

    Returns
    -------
    TrainedPredictor
        The best model of the run, ready to label images.

    Raises
    ------
    ConfigError
        If an argument or a setting cannot be used.
    DataError, ShapeError
        If images and masks cannot be used; the message has the number of the image.
    OutputError
        If something cannot be written.
    DivergedError
        If training diverges.
    InterruptedRun
        After Ctrl-C.
    Lstm2dError
        If memory or time runs out before there is a model.

    Warns
    -----
    ImageWarning
        If something about images or masks was guessed, converted or left out.
    TrainingWarning
        If the run is in danger, for example because its gradient explodes. `progress` takes the place of
        both warnings.

    See Also
    --------
    lstm2d.load : Load a trained model.

    Notes
    -----
    The weights are those of ``lstm2d train`` on a folder with the same images, named in this order, and the
    same settings, bit by bit. Several threads may train at the same time.

    Examples
    --------
    >>> import lstm2d, numpy
    >>> masks = numpy.zeros((4, 20, 30), int)
    >>> masks[:, 10:] = 1
    >>> images = (100 + 100 * masks[..., None].repeat(3, axis=3)).astype(numpy.uint8)
    >>> model = lstm2d.fit(images, masks, classes=["dark", "bright"], settings={"train.epochs": 1})
    >>> model.predict(images[0]).shape
    (20, 30)
    """
    named: dict[str, Any] = {"data.val": val, "train.seed": seed, "train.max_time": _duration(max_time)}
    chosen = {key: (value, "fit") for key, value in named.items() if value is not None}
    chosen |= {key: (value, "settings") for key, value in (settings or {}).items()}
    overrides = [(f"{key}={_as_toml(key, value)}", place) for key, (value, place) in chosen.items()]
    if resume and out is None:
        raise ConfigError("`resume` without a run", expected="`out`, the folder of the run")
    data = ArrayDataset(images, masks, classes=classes, ignore=ignore)
    start = None if init_from is None else Path(init_from)
    note = None
    if preset == AUTO and not resume:
        preset, start, overrides, note = _chosen(data, overrides, start)
    config = (
        RunFolder(Path(out)).reopen(None if preset == AUTO else os.fspath(preset), overrides)
        if resume and out is not None
        else resolve(os.fspath(preset), overrides)
    )
    report = _report(progress, config)
    if note is not None:
        report(note)

    def trained(folder: Path) -> TrainResult:
        return train(
            config,
            data,
            folder,
            resume=resume,
            changes=list(chosen),
            init_from=start,
            device=device,
            report=report,
        )

    model = _in_temporary(trained, device) if out is None else _in_folder(trained, Path(out), device)
    if not progress:
        for text, count in data.notes.counts().items():
            warnings.warn(f"{count} image{'s' * (count > 1)}: {text}", ImageWarning, stacklevel=2)
    return model


def _chosen(
    data: ArrayDataset, overrides: list[tuple[str, str]], start: Path | None
) -> tuple[str, Path | None, list[tuple[str, str]], Note]:
    """Return what preset "auto" stands for: preset, starting model, values, and a note on it."""
    if start is not None:
        hint = "leave it out, or name a preset"
        raise ConfigError('`init_from` with preset "auto", which chooses a model to start from', hint=hint)
    choice = decide(data, overrides)[1]
    settings = [(item, AUTO) for item in choice.settings]
    note = Note(text="\n  ".join([f"chosen: {choice}", *choice.reasons]))
    return choice.preset, choice.start, settings + overrides, note


def _in_folder(trained: Callable[[Path], TrainResult], out: Path, device: str) -> TrainedPredictor:
    """Return the predictor of a run that is kept."""
    try:
        result = trained(out)
    except InterruptedRun as error:
        hint = "continue with the same call and `resume=True`"
        raise InterruptedRun(error.what, where=error.where, hint=hint) from error
    _check_model(result)
    return TrainedPredictor(result, source=result.model, device=device)


def _in_temporary(trained: Callable[[Path], TrainResult], device: str) -> TrainedPredictor:
    """Return the predictor of a run in a temporary folder, which is deleted with it."""
    folder = Path(tempfile.mkdtemp(prefix="lstm2d-"))
    try:
        result = trained(folder)
        _check_model(result)
        predictor = TrainedPredictor(result, device=device)
    except InterruptedRun as error:
        shutil.rmtree(folder, ignore_errors=True)
        what = error.what.partition(",")[0]
        raise InterruptedRun(what, hint="with `out` a checkpoint is kept, to continue from") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(predictor, _remove, folder, os.getpid())
    return predictor


def _remove(folder: Path, process: int) -> None:
    """Delete a temporary folder, but not from a process that was forked later."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def _check_model(result: TrainResult) -> None:
    if result.model is None:
        what = "the run ended before it had a model, which a later stage saves"
        raise Lstm2dError(what, hint="give it a longer `max_time`")


def _report(progress: Progress, config: RunConfig) -> Report:
    """Return what gets the events of a run."""
    if progress is True:
        return Lines(config.train.select)
    return progress if callable(progress) else _warn


def _warn(event: Event) -> None:
    """Issue the warnings of a run as Python's."""
    if isinstance(event, Warned):
        warnings.warn(event.text, TrainingWarning, stacklevel=2)


def _duration(max_time: str | float | None) -> str | None:
    if max_time is None or isinstance(max_time, str):
        return max_time
    return f"{max_time:.6f}".rstrip("0").rstrip(".") + "s"


def _as_toml(key: str, value: Any) -> str:
    """Return the value of a setting in the syntax of overrides."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    expected = "numbers, texts, True or False, or lists of these"
    if isinstance(value, Mapping):
        hint = f"give its values by their own keys, such as {key}.KEY"
        raise ConfigError("a setting is a table", where=key, expected=expected, hint=hint)
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError as error:
        what = f"a setting is a {type(value).__name__}"
        raise ConfigError(what, where=key, expected=expected) from error
