"""`lstm2d train`: train a network on a folder of images and masks."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lstm2d.cli.options import device_options, use_device
from lstm2d.cli.output import Console, output_options
from lstm2d.errors import InterruptedRun, Lstm2dError
from lstm2d.training.events import (
    EpochDone,
    Event,
    FeaturesDone,
    FeaturesFilled,
    Figures,
    Note,
    Resumed,
    StageBegun,
    Started,
    StepDone,
    Warned,
)

if TYPE_CHECKING:
    from lstm2d.config import RunConfig
    from lstm2d.training.progress import TrainResult

# option -> configuration key, and whether its value is a string
KEYS = {
    "--train-split": ("data.train_split", True),
    "--val-split": ("data.val_split", True),
    "--val": ("data.val", False),
    "--max-time": ("train.max_time", True),
    "--epochs": ("train.epochs", False),
    "--seed": ("train.seed", False),
}


@click.command(
    epilog="""\b
Examples:
  lstm2d train lstm2d-5x5 --data photos -o run
  lstm2d train lstm2d-3x3 --data photos -o quick --max-time 30m
  lstm2d train lstm2d-5x5 --data photos -o run --resume
  lstm2d train reseg --data photos -o reseg --set train.batch=1
  lstm2d train lstm2d-5x5-paper --data photos -o paper --max-time 2h
  lstm2d train lstm2d-5x5 --data photos -o fine --init-from run \\
    --set hierarchy.file=h.json --set hierarchy.strategy=sequential"""
)
@click.argument("preset", metavar="PRESET_OR_TOML")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of images and masks.",
)
@click.option(
    "--out", "-o", required=True, type=click.Path(path_type=Path), metavar="RUN", help="Folder to create."
)
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Replace a value, such as train.epochs=20."
)
@click.option(
    "--train-split", metavar="SPLIT", help="Images to train on: splits/SPLIT.txt.  [default: train]"
)
@click.option("--val-split", metavar="SPLIT", help="Images to validate on.  [default: val]")
@click.option("--val", metavar="FRACTION", help="Share held out if there is no val split.  [default: 0.1]")
@click.option("--max-time", metavar="TIME", help="Stop cleanly after this training time, such as 90m or 2h.")
@click.option("--epochs", metavar="N", help="Passes over the training images.")
@click.option("--resume", is_flag=True, help="Continue the run in RUN, with its own configuration.")
@click.option(
    "--init-from", type=click.Path(path_type=Path), metavar="MODEL", help="Start from these weights."
)
@click.option("--seed", metavar="N", help="Seed for weights, image order and augmentation.")
@device_options
@output_options
def train(
    console: Console,
    *,
    preset: str,
    data: Path,
    out: Path,
    sets: tuple[str, ...],
    resume: bool,
    init_from: Path | None,
    threads: int | None,
    device: str,
    gpu_memory: float | None,
    **keys: str | None,
) -> None:
    """Train a network on a folder of images and masks.

    PRESET_OR_TOML is a preset (lstm2d-5x5, lstm2d-3x3, lstm2d-1x1,
    lstm2d-5x5-paper, lstm2d-3x3-paper, n-renet, n-renet-ref, reseg, reseg-paper,
    reseg-raw, h-renet, fcn-largefov, fcn-32s, fcn-16s, clarifai, overfeat, rcnn2,
    rcnn1, cnn-133) or a TOML file. The configuration, the log, results.csv,
    checkpoints, plots and the best model (model.safetensors) are written to RUN.
    """
    from lstm2d.config import resolve
    from lstm2d.training.loop import train as run_training
    from lstm2d.training.runfolder import RunFolder

    chosen = use_device(device, gpu_memory, threads)
    overrides = [(item, "--set") for item in sets] + from_options(keys)
    config = RunFolder(out).reopen(preset, overrides) if resume else resolve(preset, overrides)
    command = ["lstm2d", "train", preset, "--data", str(data), "-o", str(out), "--resume"]
    for option, value in (("--threads", threads), ("--device", device), ("--gpu-memory", gpu_memory)):
        if value not in (None, "auto"):
            command += [option, str(value)]
    narrator = Narrator(console, config)
    try:
        result = run_training(
            config,
            data,
            out,
            resume=resume,
            changes=[item.partition("=")[0].strip() for item, _ in overrides],
            init_from=init_from,
            device=chosen,
            report=narrator,
        )
    except InterruptedRun as error:
        raise InterruptedRun(
            error.what, where=error.where, hint=f"continue with: {shlex.join(command)}"
        ) from error
    finish(console, result, data, shlex.join(command))


def from_options(values: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """Convert the given options of `KEYS` to overrides.

    Parameters
    ----------
    values : mapping
        Parameter name -> value, or None if not given.

    Returns
    -------
    list of (str, str)
        "key=value" and option name, as for `lstm2d.config.resolve`.
    """
    found = []
    for option, (key, is_text) in KEYS.items():
        value = values[option[2:].replace("-", "_")]
        if value is not None:  # quoted: a split name may look like a number or a date
            found.append((f"{key}={json.dumps(value) if is_text else value}", option))
    return found


class Narrator:
    """Write the events of a run as text and JSON.

    Parameters
    ----------
    console : Console
        Where to write.
    config : RunConfig
        Configuration of the run.
    """

    def __init__(self, console: Console, config: RunConfig) -> None:
        self.console, self.config = console, config
        self.metric = ""
        self.epochs = config.train.epochs
        self.steps: int | None = None

    def __call__(self, event: Event) -> None:
        """Write one event."""
        match event:
            case StepDone():
                text = f"{self.line(event)}{self.metric}  {duration(event.seconds_left)} left"
                self.console.progress(text, event.step, self.steps)
                return
            case FeaturesDone():
                text = f"features {event.done}/{event.total}"
                self.console.progress(text, event.done, event.total)
                return
            case FeaturesFilled():
                images = f"{event.computed} image{'s' if event.computed > 1 else ''}"
                self.console.say(f"features of {images} computed in {duration(event.seconds)}")
            case Warned():
                self.console.warn(event.text)
            case Note():
                self.console.say("\n".join(filter(None, (event.text, event.dataset_toml))))
            case Started():
                self.epochs, self.steps = event.epochs, event.steps
                self.console.say(beginning(event, self.config))
            case StageBegun():
                self.epochs, self.steps, self.metric = event.epochs, event.steps, ""
                self.console.say(f"stage {event.stage + 1}, {event.name}: {event.parameters:,} parameters")
            case EpochDone():
                self.metric = self.metric_of(event) or self.metric
                self.console.say(self.line(event) + self.metric)
        self.console.event({"event": event.kind, **event.values})

    def metric_of(self, event: EpochDone) -> str:
        """Return the metric that selects the best model; "" without validation."""
        select = self.config.train.select
        value = None if event.validation is None else getattr(event.validation, select)
        if event.validation is None or value is None:
            return ""
        star = " (best)" if event.validation.best else ""
        return f"  {select.replace('_', ' ')} {value:.4f}{star}"

    def line(self, event: Figures) -> str:
        """Return epoch, loss and speed as text."""
        loss = "-" if event.loss is None else f"{event.loss:.4f}"
        rate = event.images_per_second or 0.0
        return f"epoch {event.epoch}/{self.epochs}  loss {loss}  {rate:.1f} images/s"


def beginning(event: Started, config: RunConfig) -> str:
    """Describe a run that starts."""
    name = config.preset or config.model["kind"]
    checked = f"validated on {event.validation_images} {'held out' if event.held_out else 'more'}"
    images = f"{event.images} images" + (f" ({event.batch} per step)" if event.batch > 1 else "")
    device = "" if event.device == "cpu" else f", on {event.device}"
    parts = [
        f"{name}: {event.parameters:,} parameters, {event.steps:,} steps, {images}{device}",
        checked if event.validation_images else "not validated",
    ]
    lines = [", ".join(parts)]
    if event.stages > 1:
        lines.append(f"stage {event.stage + 1} of {event.stages}, {event.name}")
    if isinstance(event, Resumed):
        lines.append(f"resumed after step {event.step:,} and {duration(event.seconds)}")
    if event.class_weights is not None:
        pairs = zip(event.classes, event.class_weights, strict=True)
        lines.append("class weights: " + ", ".join(f"{name} {weight:.3g}" for name, weight in pairs))
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return a duration in words: "2 h 05 min", "3 min" or "12 s"."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    return f"{int(seconds // 60)} min" if seconds >= 60 else f"{max(0, int(seconds))} s"


REASONS = {
    "epochs": "all epochs done",
    "steps": "train.steps reached",
    "time": "--max-time reached (--resume with a longer one continues)",
    "patience": "no better validation for train.patience validations",
    "minutes": "hierarchy.minutes reached",
}


def finish(console: Console, result: TrainResult, data: Path, command: str) -> None:
    """Write the outcome of a run, and draw its plots.

    Parameters
    ----------
    console : Console
        Where to write.
    result : TrainResult
        The outcome.
    data : Path
        The dataset folder.
    command : str
        Command that resumes the run; for a finished run it only draws the plots.
    """
    figures = ", ".join(
        f"{name.replace('_', ' ')} {value:.4f}" for name, value in result.best.items() if value is not None
    )
    model = f"best model: {figures}" if figures else "model of the last step, nothing was validated"
    if result.model is None:
        model = "no model yet, a later stage saves it"
    console.say(f"{REASONS[result.reason]} after {duration(result.seconds)}; {model}")
    if result.model is not None:
        console.say(str(result.model))
        draw(console, result.run, data, command)
    console.result(
        {
            "run": str(result.run),
            "epochs": result.epochs,
            "steps": result.steps,
            "seconds": result.seconds,
            "best": result.best,
            "model": None if result.model is None else str(result.model),
        }
    )


def draw(console: Console, run: Path, data: Path, command: str) -> None:
    """Draw the plots of a run; errors are shown as warnings, as training has succeeded.

    Parameters
    ----------
    console : Console
        Where to write the warning.
    run : Path
        The run folder.
    data : Path
        The dataset folder.
    command : str
        Command that draws them later.
    """
    from lstm2d.report.plots import draw_run, pictures_of

    missing = ["all"]
    try:
        missing = pictures_of(run)
        for picture in draw_run(run, data):
            missing.remove(picture.stem)
    except Exception as error:
        expected = isinstance(error, Lstm2dError)
        reason = str(error).partition("\n")[0] if expected else type(error).__name__
        console.warn(
            f"the model is saved, but not all pictures are drawn ({', '.join(missing)} in {run / 'plots'}): "
            f"{reason}\n  draw them with: {command}"
        )
        if not expected:
            console.fault(error, run)
