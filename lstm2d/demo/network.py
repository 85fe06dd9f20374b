"""Train the small network of the demo in a given time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lstm2d import kernels
from lstm2d.config import RunConfig, resolve
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import InterruptedRun
from lstm2d.kernels import gpu
from lstm2d.models import Step, build
from lstm2d.pipeline.preprocess import Preprocessing
from lstm2d.tape import backward
from lstm2d.tensor import Tensor
from lstm2d.training.events import Event
from lstm2d.training.loop import train

HEIGHT, WIDTH, WINDOW = 120, 160, 5  # pixels
WINDOWS = (HEIGHT // WINDOW) * (WIDTH // WINDOW)
# small enough to learn something in a minute; independent of the values in the preset
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


def train_network(
    dataset: DatasetFolder,
    run: Path,
    *,
    seconds: float,
    seed: int,
    device: str,
    listener: Callable[[Event], None],
) -> None:
    """Train for about a given time.

    Parameters
    ----------
    dataset : DatasetFolder
        The scenes.
    run : Path
        The run folder to create.
    seconds : float
        The training time.
    seed : int
        Seed for weights and image order.
    device : str
        "cpu" or "cuda:N".
    listener : callable
        Gets the events of the run.
    """
    overrides = [*SETTINGS, f"train.seed={seed}"]
    config = _resolved(overrides)
    images = len(dataset.split("train"))
    # the learning rate falls to 0 at the last step, so the number of steps must be known before
    steps = max(int(seconds / seconds_per_step(config, dataset, device)), 10)
    plan = (
        f"train.steps={steps}",
        f"train.epochs={math.ceil(steps / images)}",
        f"train.max_time={3 * seconds:.0f}s",
    )
    try:
        train(_resolved([*overrides, *plan]), dataset, run, device=device, report=listener)
    except InterruptedRun as error:
        raise InterruptedRun("the demo was interrupted", where=run, hint="start it again") from error


def _resolved(overrides: list[str]) -> RunConfig:
    return resolve("lstm2d-5x5", [(item, "demo") for item in overrides])


def seconds_per_step(config: RunConfig, dataset: DatasetFolder, device: str) -> float:
    """Measure the duration of a training step on this machine.

    Parameters
    ----------
    config : RunConfig
        The network.
    dataset : DatasetFolder
        Its first scene is used; the network is discarded.
    device : str
        "cpu" or "cuda:N".

    Returns
    -------
    float
        Seconds, with a rough allowance for validation and records.
    """
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
