"""Refuse a training whose steps would take too much memory, before the first one."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.errors import DataError
from lstm2d.io.machine_memory import in_words, resident
from lstm2d.kernels import arena
from lstm2d.models import Step
from lstm2d.predict.memory import MemoryUse, most_of, rehearse
from lstm2d.tape import backward
from lstm2d.tensor import Tensor
from lstm2d.training.run import Run
from lstm2d.training.sources.whole import WholeImages
from lstm2d.training.tree_sum import spare_sums

NEVER_MORE = 100_000  # bytes per pixel of a step; all presets take less, so small images need no rehearsal


def check_training_memory(run: Run, limit: int) -> None:
    """Refuse a run on whole images or crops if a step takes more memory than allowed.

    Parameters
    ----------
    run : Run
        The run, before its first step. It is not changed.
    limit : int
        Largest memory of the process in bytes.

    Raises
    ------
    DataError
        If the step on the largest training image takes more.

    Notes
    -----
    Patches are small and of one size, subclasses have other targets: neither is checked. Nor is a GPU.
    """
    if not isinstance(run.active.source, WholeImages) or run.hierarchy is not None:
        return
    if run.network.device != "cpu" or not run.data.sizes:
        return
    train = run.active.train
    rows, columns = max(run.data.sizes, key=lambda size: size[0] * size[1])
    if train.crop:
        rows, columns = min(rows, train.crop[0]), min(columns, train.crop[1])
    pixels = rows * columns * (train.batch if run.network.joint else 1)
    others = max(0, resident() - arena.footprint())
    count = 1 if run.network.joint else train.batch
    others += spare_sums(count, run.ranks) * run.active.optimizer.gradient.nbytes
    weights = sum(values.nbytes for values in run.network.arrays().values())
    if others + most_of(pixels, weights, NEVER_MORE) <= limit:
        return
    use = step_use(run)
    needed = others + use.of(pixels)
    if needed > limit:
        batch = f", {train.batch} at once" if run.network.joint and train.batch > 1 else ""
        raise DataError(
            f"a training step takes about {in_words(needed)} of memory, {in_words(limit)} are allowed",
            where=f"{columns}x{rows} pixels{batch}, {use.per_pixel} bytes per pixel",
            expected="less memory than `max_memory`",
            hint="reduce images as they are read (data.size=320), train on crops (train.crop), "
            "or choose a larger `max_memory`",
        )


def step_use(run: Run) -> MemoryUse:
    """Measure the memory of a training step on a copy of the network.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    MemoryUse
        From steps on two small images.
    """
    network, prepare, objective = deepcopy(run.network), run.data.preprocessing, run.active.objective

    def step(pixels: NDArray[Any]) -> None:
        x = network.frozen(Tensor(prepare.prepare_part(prepare.prepare_whole(pixels))))
        plain = np.zeros(pixels.shape[:2], np.uint8)
        labels = prepare.prepare_labels(plain, run.data.ignored_target)
        training = Step(seed=run.active.train.seed, epoch=0, samples=(0,), training=True)
        value = objective.loss(network, x, kernels.to_device(labels, "cpu"), training)
        backward(value, np.ones_like(value.data))
        for parameter in network.parameters():
            parameter.grad = None

    return rehearse(step)
