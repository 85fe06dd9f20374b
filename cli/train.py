"""`lstm2d train`: train a network on a folder of images and masks."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lstm2d.cli.data.check import warn_of_findings
from lstm2d.cli.models import size_text
from lstm2d.cli.options import allowed_memory, device_options, memory_option, use_device
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.train_auto import AUTO, DEFAULT_RUN, decide
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
from lstm2d.training.lines import line_of, metric_of

if TYPE_CHECKING:
    from lstm2d.config import RunConfig
    from lstm2d.data.folder import DatasetFolder
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
  lstm2d train auto --data photos --max-time 30m
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
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Folder to create; required, except for auto.  [default: runs/auto]",
)
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Replace a value, such as train.epochs=20."
)
@click.option(
    "--train-split", metavar="SPLIT", help="Images to train on: splits/SPLIT.txt.  [default: train]"
)
@click.option("--val-split", metavar="SPLIT", help="Images to validate on.  [default: val]")
@click.option("--val", metavar="FRACTION", help="Share held out if there is no val split.  [default: 0.1]")
@click.option("--max-time", metavar="TIME", help="Train for this time at most, such as 90m or 2h.")
@click.option("--epochs", metavar="N", help="Passes over the training images.")
@click.option("--resume", is_flag=True, help="Continue the run in RUN, with its own configuration.")
@click.option(
    "--init-from", type=click.Path(path_type=Path), metavar="MODEL", help="Start from these weights."
)
@click.option("--seed", metavar="N", help="Seed for weights, image order and augmentation.")
@memory_option
@device_options
@output_options
def train(
    console: Console,
    *,
    preset: str,
    data: Path,
    out: Path | None,
    sets: tuple[str, ...],
    resume: bool,
    init_from: Path | None,
    threads: int | None,
    device: str,
    gpu_memory: float | None,
    max_memory: int | None,
    **keys: str | None,
) -> None:
    """Train a network on a folder of images and masks.

    PRESET_OR_TOML is a preset (lstm2d-5x5, lstm2d-3x3, lstm2d-1x1,
    lstm2d-5x5-paper, lstm2d-3x3-paper, n-renet, n-renet-ref, reseg, reseg-paper,
    reseg-raw, h-renet, fcn-largefov, fcn-32s, fcn-16s, clarifai, overfeat, rcnn2,
    rcnn1, cnn-133) or a TOML file. The configuration, the log, results.csv,
    checkpoints, plots and the best model (model.safetensors) are written to RUN.

    "auto" chooses preset, starting model and settings for the data and the time,
    and prints the command that does the same. With --max-time, the number of
    steps is chosen so that the learning rate falls to 0 within the time.
    """
    from lstm2d.config import resolve
    from lstm2d.training.loop import train as run_training
    from lstm2d.training.ranks import Ranks
    from lstm2d.training.runfolder import RunFolder

    ranks = click.get_current_context().find_object(Ranks) or Ranks()  # several under mpiexec
    # the processes of one run compute on CPUs
    chosen = use_device("cpu" if device == "auto" and ranks.size > 1 else device, gpu_memory, threads)
    overrides = [(item, "--set") for item in sets] + from_options(keys)
    computing = words_of(
        {"--threads": threads, "--device": device, "--gpu-memory": gpu_memory, "--max-memory": max_memory},
        but="auto",
    )
    out = run_folder(out, preset)
    if not resume:
        warn_of_findings(console, data)
    dataset: DatasetFolder | Path = data
    if preset == AUTO and not resume:
        typed = [word for item in sets for word in ("--set", item)]
        typed += words_of({option: keys[parameter(option)] for option in KEYS}) + computing
        dataset, choice = decide(console, data, out, overrides, typed, init_from)
        preset, init_from = choice.preset, choice.start
        overrides = [(item, AUTO) for item in choice.settings] + overrides
    if resume:
        config = RunFolder(out).reopen(None if preset == AUTO else preset, overrides)
    else:
        config = resolve(preset, overrides)
    command = ["lstm2d", "train", preset, "--data", str(data), "-o", str(out), "--resume", *computing]
    if ranks.size > 1:
        command = ["mpiexec", "-n", str(ranks.size), *command]
    narrator = Narrator(console, config)
    try:
        result = run_training(
            config,
            dataset,
            out,
            resume=resume,
            changes=[item.partition("=")[0].strip() for item, _ in overrides],
            init_from=init_from,
            device=chosen,
            max_memory=allowed_memory(max_memory, ranks.neighbours),
            report=narrator,
            ranks=ranks,
        )
    except InterruptedRun as error:
        raise InterruptedRun(
            error.what, where=error.where, hint=f"continue with: {shlex.join(command)}"
        ) from error
    finish(console, result, data, shlex.join(command))


def run_folder(out: Path | None, preset: str) -> Path:
    """Return the folder of the run; only `auto` has a default."""
    if out is None and preset != AUTO:
        raise click.UsageError("Missing option '--out' / '-o'.", click.get_current_context())
    return Path(DEFAULT_RUN) if out is None else out


def parameter(option: str) -> str:
    """Return the name of the parameter of an option."""
    return option[2:].replace("-", "_")


def words_of(values: Mapping[str, object], but: str | None = None) -> list[str]:
    """Return options with their values as words; those that are None or `but` are left out."""
    given = {option: value for option, value in values.items() if value is not None and value != but}
    return [word for option, value in given.items() for word in (option, str(value))]


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
        value = values[parameter(option)]
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
                self.console.say(
                    f"features of {images} computed in {duration(event.seconds)}; kept for other runs: "
                    f"{size_text(event.bytes)} in {event.folder} (`lstm2d cache` lists and clears them)"
                )
            case Warned():
                self.console.warn(event.text)
            case Note():
                self.console.say(event.text, event.dataset_toml or "")
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
        return metric_of(event, self.config.train.select)

    def line(self, event: Figures) -> str:
        """Return epoch, loss and speed as text."""
        return line_of(event, self.epochs)


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
