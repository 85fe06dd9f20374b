"""`lstm2d demo`: everything once, with drawn scenes and the model in the package."""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.options import compute_options
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import fields, percent
from lstm2d.errors import ConfigError, InterruptedRun, OutputError

if TYPE_CHECKING:
    from lstm2d.config import RunConfig
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.predict.evaluate import Evaluation
    from lstm2d.predict.predictor import Predictor
    from lstm2d.training.events import Event

FOLDER = "lstm2d-demo"
MARK = "demo.json"  # says that a folder was made by this command, which may then make it anew
FILES = ".demo-files.json"  # what it made, so that nothing else in its folders is deleted
MADE = ("scenes", "run", "labels", "gallery.png", "report.html")
BUNDLED = "outdoor"
HEIGHT, WIDTH, WINDOW = 120, 160, 5  # pixels
WINDOWS = (HEIGHT // WINDOW) * (WIDTH // WINDOW)
# small enough to learn something in a minute; says all that the preset may set otherwise
SETTINGS = (
    "model.units=[8, 16, 32]",
    "model.features=[12, 24]",
    "model.feedforward=shared",
    "model.peepholes=true",
    "model.leaky=true",
    "model.forget_bias=[0.0, 0.0]",
    f"train.learning_rate={0.1 / WINDOWS}",  # of the loss summed over the windows of a scene
    f"train.clip_norm={float(WINDOWS)}",
    "train.schedule=cosine",
    "train.warmup_steps=0",
    "train.scale_jitter=0.0",
    "train.brightness_jitter=0.0",
    "train.class_weights=none",
)


@click.command(
    epilog="""\b
Examples:
  lstm2d demo
  lstm2d demo -o demo --seconds 20
  lstm2d demo --json --quiet"""
)
@click.option("--out", "-o", metavar="DIR", default=FOLDER, show_default=True, help="Folder to make.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=1, max=86400),
    default=60.0,
    show_default=True,
    metavar="N",
    help="Time to train, about.",
)
@click.option(
    "--scenes",
    type=click.IntRange(min=10, max=10000),
    default=240,
    show_default=True,
    metavar="N",
    help="Scenes to draw: seven of ten for training.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Rules scenes and weights.",
)
@click.option(
    "--overwrite", is_flag=True, help="Also delete what was added to the folders of an earlier demo."
)
@output_options
@compute_options
def demo(
    console: Console, *, out: str, seconds: float, scenes: int, seed: int, overwrite: bool, device: str
) -> None:
    """Train, evaluate and label: everything once, no data needed.

    Draws outdoor scenes, trains a small 2D-LSTM on them for about a minute,
    measures it on scenes it has not seen, and labels these and a photograph
    that comes with scikit-image; the photograph with the model in the package.
    DIR gets the pictures and report.html.
    """
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.data.synth import write_dataset
    from lstm2d.predict import load
    from lstm2d.predict.evaluate import evaluate
    from lstm2d.report.plots import write_run_plots
    from lstm2d.report.showcase import label_all, photograph, write_pages

    bundled = load(BUNDLED, device=device)  # before the work: without it there is no demo
    began = time.monotonic()
    root = prepare_folder(Path(out), overwrite)
    console.say(f"1/4  drawing {scenes} outdoor scenes")
    write_dataset(
        root / "scenes",
        count=scenes,
        seed=seed,
        height=HEIGHT,
        width=WIDTH,
        progress=lambda done, of: console.progress(f"     {done}/{of} scenes"),
    )
    dataset = DatasetFolder(root / "scenes")
    console.say(f"2/4  training a 2D-LSTM for about {seconds:.0f} s")
    model = train_network(console, dataset, root / "run", seconds, seed, device)
    console.say(f"3/4  measuring it on {len(dataset.split('test'))} other scenes")
    samples = dataset.split("test")
    evaluation = evaluate(model, dataset, samples)
    console.say(f"     pixel accuracy {percent(evaluation.report['pixel_accuracy'])} %")
    console.say("4/4  labelling scenes and a photograph, drawing the report")
    write_run_plots(root / "run", dataset)
    if photograph() is None:
        console.warn("scikit-image is installed without its photograph rocket.jpg: only scenes are labelled")
    examples = label_all(root / "labels", dataset, samples, evaluation, model, bundled)
    write_pages(root, examples, evaluation, bundled)
    tell(console, root, evaluation, time.monotonic() - began)


def prepare_folder(root: Path, overwrite: bool) -> Path:
    """Make the output folder, or clear what an earlier demo has left in it.

    Parameters
    ----------
    root : Path
        The folder.
    overwrite : bool
        Clear the folders of an earlier demo of other files too.

    Returns
    -------
    Path
        The same.

    Raises
    ------
    OutputError
        If the folder is not empty, and not of an earlier demo.
    ConfigError
        If there are other files in the folders of an earlier demo.
    """
    from lstm2d.io.atomic import make_folder, write_text

    if root.is_dir() and any(root.iterdir()):
        if state_of(root) is None:
            raise OutputError(
                "the folder is not empty", where=root, hint="name a new folder: lstm2d demo -o DIR"
            )
        before = read_json(root / FILES)
        added = sorted(set(made_files(root)) - set(before)) if isinstance(before, list) else []
        if added and not overwrite:
            raise ConfigError(
                f"the folders of an earlier demo hold files that it did not make ({len(added)})",
                where=root / added[0],
                hint="name a new folder: lstm2d demo -o DIR; --overwrite deletes them",
            )
        for name in (FILES, *MADE):
            remove(root / name)
    make_folder(root)
    write_text(root / MARK, json.dumps({"state": "begun"}) + "\n")
    return root


def state_of(root: Path) -> str | None:
    """Return how far a demo in a folder has come: "begun" or "done"; None where there was none."""
    mark = read_json(root / MARK)
    state = mark.get("state") if isinstance(mark, dict) else None
    return state if state in ("begun", "done") else None


def read_json(path: Path) -> Any:
    """Return what a file holds; None if it is missing, or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def made_files(root: Path) -> list[str]:
    """Return the files where a demo has written, relative to its folder."""
    paths = [path for name in MADE for path in (root / name, *(root / name).rglob("*"))]
    return [path.relative_to(root).as_posix() for path in paths if path.is_symlink() or path.is_file()]


def remove(path: Path) -> None:
    """Delete a file or folder of an earlier demo; a link, not what it points to."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot replace an earlier demo ({error.strerror})", where=path) from error


def train_network(
    console: Console, dataset: DatasetFolder, run: Path, seconds: float, seed: int, device: str
) -> Predictor:
    """Train for about so many seconds.

    Parameters
    ----------
    console : Console
        Where progress is shown.
    dataset : DatasetFolder
        The scenes.
    run : Path
        The run folder to make.
    seconds : float
        How long.
    seed : int
        Of weights and order.
    device : str
        Where to compute.

    Returns
    -------
    Predictor
        The best model.
    """
    from lstm2d.config import resolve
    from lstm2d.predict import load
    from lstm2d.training.loop import train

    images = len(dataset.split("train"))
    config = resolve("lstm2d-5x5", [(item, "demo") for item in (*SETTINGS, f"train.seed={seed}")])
    # the rate falls to 0 at the last step, so their number must be known before
    steps = max(int(seconds / seconds_a_step(config, dataset, device)), 10)
    plan = (
        f"train.steps={steps}",
        f"train.epochs={math.ceil(steps / images)}",
        f"train.max_time={3 * seconds:.0f}s",
    )
    config = resolve("lstm2d-5x5", [(item, "demo") for item in (*SETTINGS, f"train.seed={seed}", *plan)])
    try:
        train(config, dataset, run, device=device, report=Follower(console, config))
    except InterruptedRun as error:
        raise InterruptedRun("the demo was interrupted", where=run, hint="start it again") from error
    return load(run, device=device)


def seconds_a_step(config: RunConfig, dataset: DatasetFolder, device: str) -> float:
    """Measure what one training step takes here.

    Parameters
    ----------
    config : RunConfig
        The network.
    dataset : DatasetFolder
        The first of its scenes is learnt from, and forgotten again.
    device : str
        Where to compute.

    Returns
    -------
    float
        Seconds; validation and records included, about.
    """
    import numpy as np

    from lstm2d import kernels
    from lstm2d.kernels import gpu
    from lstm2d.models import Step, build
    from lstm2d.pipeline.preprocess import Preprocessing
    from lstm2d.tape import backward
    from lstm2d.tensor import Tensor

    times = []
    with gpu.current(device):
        network = build(config.model, len(dataset.classes), np.random.default_rng(0)).to(device)
        image, labels = dataset.load(dataset.samples[0])
        preprocessing = Preprocessing((128.0,) * 3, (64.0,) * 3, network.stride)
        x = kernels.to_device(preprocessing.network_input(image), device)
        truth = kernels.to_device(labels[np.newaxis], device)
        for _ in range(8):
            start = time.perf_counter()
            backward(network.compare(network.scores(Tensor(x), Step(training=True)), truth))
            gpu.synchronize(device)
            times.append(time.perf_counter() - start)
    return 1.15 * float(np.median(times)) + 5e-4


class Follower:
    """Shows how a training run goes on, on one line.

    Parameters
    ----------
    console : Console
        Where to.
    config : RunConfig
        Of the run.
    """

    def __init__(self, console: Console, config: RunConfig) -> None:
        self.console, self.epochs = console, config.train.epochs
        self.accuracy = ""

    def __call__(self, event: Event) -> None:
        """Show one event."""
        values = event.values
        if event.kind == "epoch" and values.get("pixel_accuracy") is not None:
            self.accuracy = f"  pixel accuracy {percent(values['pixel_accuracy'])} %"
        elif event.kind == "warning":
            self.console.warn(values["text"])
        elif event.kind == "step":
            loss = "-" if values["loss"] is None else f"{values['loss']:.3f}"
            left = max(values["seconds_left"], 0.0)
            self.console.progress(
                f"     epoch {values['epoch']}/{self.epochs}  loss {loss}{self.accuracy}  {left:.0f} s left"
            )


def tell(console: Console, root: Path, evaluation: Evaluation, seconds: float) -> None:
    """Show what there is now, and write it to demo.json.

    Parameters
    ----------
    console : Console
        Where to show it.
    root : Path
        Folder of the demo.
    evaluation : Evaluation
        Figures of the test scenes.
    seconds : float
        That the demo took.
    """
    from lstm2d.io.atomic import write_text

    report = evaluation.report
    metrics = {name: report[name] for name in ("pixel_accuracy", "class_accuracy", "mean_iou")}
    result: dict[str, Any] = {
        "out": str(root),
        "report": str(root / "report.html"),
        "gallery": str(root / "gallery.png"),
        "labels": str(root / "labels"),
        "run": str(root / "run"),
        "model": str(root / "run" / "model.safetensors"),
        "images": report["images"],
        **metrics,
        "parameters": report["parameters"],
        "seconds_per_image": report["seconds_per_image"],
        "seconds": seconds,
    }
    write_text(root / FILES, json.dumps(made_files(root)) + "\n")
    write_text(root / MARK, json.dumps({"state": "done"} | result, indent=2) + "\n")
    shown = [
        ("pixel accuracy", f"{percent(metrics['pixel_accuracy'])} %"),
        ("class accuracy", f"{percent(metrics['class_accuracy'])} %"),
        ("report", result["report"]),
        ("pictures", result["gallery"]),
        ("labels", result["labels"]),
        ("model", result["model"]),
        ("your photos", f"lstm2d predict {BUNDLED} photo.jpg -o out"),
    ]
    console.answer(fields(shown))
    console.result(result)
