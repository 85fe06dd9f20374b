"""The demonstration from beginning to end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

from lstm2d.data.folder import DatasetFolder
from lstm2d.data.synth import write_dataset
from lstm2d.demo.folder import finish_folder, prepare_folder
from lstm2d.demo.network import HEIGHT, WIDTH, train_network
from lstm2d.demo.showcase import SceneSheet, label_all, photograph, write_pages
from lstm2d.predict import load
from lstm2d.predict.evaluate import Evaluation, evaluate
from lstm2d.report.plots import write_run_plots
from lstm2d.training.events import EpochDone, Event, Started, StepDone, Validated, Warned

BUNDLED = "outdoor"
METRICS = ("pixel_accuracy", "class_accuracy", "mean_iou")


class Audience(Protocol):
    """Gets what there is to show while the demo runs."""

    def say(self, text: str) -> None:
        """Take the beginning or the result of a part."""

    def warn(self, text: str) -> None:
        """Take a warning."""

    def progress(self, text: str, done: float | None = None, total: float | None = None) -> None:
        """Take how far a part is."""


def run_demo(
    root: Path,
    audience: Audience,
    *,
    seconds: float = 60.0,
    scenes: int = 240,
    seed: int = 0,
    overwrite: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """Draw scenes, train a small network on them, evaluate it, and label scenes and a photograph.

    Parameters
    ----------
    root : Path
        Folder to create.
    audience : Audience
        Gets messages and progress.
    seconds : float, default 60.0
        Training time.
    scenes : int, default 240
        Scenes to draw, 10 or more; seven of ten are for training.
    seed : int, default 0
        Seed for scenes and weights.
    overwrite : bool, default False
        Also delete files that were added to the folders of an earlier demo.
    device : str, default "cpu"
        "cpu" or "cuda:N".

    Returns
    -------
    dict
        Where the results are, and the figures of the test scenes; also written to demo.json.

    Raises
    ------
    DataError
        If the bundled model is missing.
    ConfigError, OutputError
        If the folder cannot be used.
    InterruptedRun
        If the training is interrupted.
    """
    bundled = load(BUNDLED, device=device)  # first: without it there is no demo
    began = time.monotonic()
    prepare_folder(root, overwrite)
    audience.say(f"1/4  drawing {scenes} outdoor scenes")
    write_dataset(
        root / "scenes",
        count=scenes,
        seed=seed,
        height=HEIGHT,
        width=WIDTH,
        progress=lambda done, of: audience.progress(f"     {done}/{of} scenes", done, of),
    )
    dataset = DatasetFolder(root / "scenes")
    audience.say(f"2/4  training a 2D-LSTM for about {seconds:.0f} s")
    follower = Follower(audience)
    train_network(dataset, root / "run", seconds=seconds, seed=seed, device=device, listener=follower)
    samples = dataset.split("test")
    audience.say(f"3/4  measuring it on {len(samples)} other scenes")
    sheet = SceneSheet()
    evaluation = evaluate(load(root / "run", device=device), dataset, samples, listener=sheet)
    constant = evaluation.figures["baselines"][0]
    audience.say(
        f"     pixel accuracy {_percent(evaluation.figures['pixel_accuracy'])} "
        f"({constant['name']}: {_percent(constant['pixel_accuracy'])})"
    )
    audience.say("4/4  labelling scenes and a photograph, drawing the report")
    write_run_plots(root / "run", dataset)
    if photograph() is None:
        audience.warn("scikit-image is installed without its photograph rocket.jpg: only scenes are labelled")
    examples = label_all(root / "labels", dataset, sheet, bundled)
    write_pages(root, examples, evaluation, bundled)
    result = _result(root, evaluation, time.monotonic() - began)
    finish_folder(root, result)
    return result


def _result(root: Path, evaluation: Evaluation, seconds: float) -> dict[str, Any]:
    figures = evaluation.figures
    return {
        "out": str(root),
        "report": str(root / "report.html"),
        "gallery": str(root / "gallery.png"),
        "labels": str(root / "labels"),
        "run": str(root / "run"),
        "model": str(root / "run" / "model.safetensors"),
        "images": figures["images"],
        **{name: figures[name] for name in METRICS},
        "parameters": figures["parameters"],
        "seconds_per_image": figures["seconds_per_image"],
        "seconds": seconds,
    }


class Follower:
    """Shows how far the training is.

    Parameters
    ----------
    audience : Audience
        Gets it.
    """

    def __init__(self, audience: Audience) -> None:
        self.audience, self.accuracy = audience, ""
        self.epochs = self.steps = 0

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Started():
                self.epochs, self.steps = event.epochs, event.steps
            case EpochDone(validation=Validated(pixel_accuracy=float(accuracy))):
                self.accuracy = f"  pixel accuracy {_percent(accuracy)}"
            case Warned():
                self.audience.warn(event.text)
            case StepDone():
                loss = "-" if event.loss is None else f"{event.loss:.3f}"
                left = max(event.seconds_left, 0.0)
                text = (
                    f"     epoch {event.epoch}/{self.epochs}  loss {loss}{self.accuracy}  {left:.0f} s left"
                )
                self.audience.progress(text, event.step, self.steps)


def _percent(fraction: float | None) -> str:
    return "absent" if fraction is None else f"{100 * fraction:.2f} %"
