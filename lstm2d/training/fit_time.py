"""Fit the length of a run to its time limit: measure steps on a copy of the network, and set their number."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import TypeVar

import numpy as np

from lstm2d.metrics.confusion import Confusion
from lstm2d.tensor import FloatArray
from lstm2d.training.costs import StageCost, steps_that_fit
from lstm2d.training.feature_cache import FeatureCache
from lstm2d.training.features import FrozenFeatures, image_key
from lstm2d.training.listeners.validation import Validation
from lstm2d.training.ranks import Order
from lstm2d.training.run import Run
from lstm2d.training.signals import StopSignal
from lstm2d.training.stages import ActiveStage
from lstm2d.training.step import NotFiniteError, batch_gradient

MARGIN = 0.95  # share of the time that is planned: a run that is cut off loses the end of its schedule
SHARE, LONGEST = 0.03, 20.0  # of the time, and seconds, for the measurement
TOO_LONG = 3  # times that: even a single step takes so long that more are not worth their time
FEWEST, MOST = 3, 50  # measured steps of a stage, besides the first one, which compiles kernels

T = TypeVar("T")


def fit_to_time(run: Run, seconds: float, checkpoint: float, stop: StopSignal) -> str:
    """Limit the steps of a run before its first one to those that fit into a time.

    Parameters
    ----------
    run : Run
        The run. Its `train.steps` is set if not all of its epochs fit. Its weights do not change.
    seconds : float
        The time that is left; above 0.
    checkpoint : float
        Seconds that a checkpoint took.
    stop : StopSignal
        Ends the measurement.

    Returns
    -------
    str
        The result in one line; "" if it was stopped, no time is left, or a loss is not finite.
    """
    began = time.monotonic()
    share = min(LONGEST, SHARE * seconds) / len(run.stages)
    run.ranks.order(Order.COPY)
    trial = Trial(run, checkpoint, stop)
    costs = list(trial.costs(share))
    run.ranks.order(Order.DROP)
    if len(costs) < len(run.stages):
        return ""
    left = MARGIN * (seconds - (time.monotonic() - began))
    if left <= 0:
        return ""
    steps, longest = steps_that_fit(costs, left), max(cost.steps for cost in costs)
    each = " of each stage" if len(costs) > 1 else ""
    if steps >= longest:
        minutes = sum(cost.seconds(steps) for cost in costs) / 60
        return f"all {longest:,} steps{each} fit into `max_time`, in about {minutes:.2g} minutes"
    run.limit_steps(steps)
    return f"{steps:,} of {longest:,} steps{each} fit into `max_time`; {_end_of_rate(run, steps)}"


def _end_of_rate(run: Run, steps: int) -> str:
    """Describe the learning rate of the last step."""
    train = run.config.train
    if train.schedule in ("linear", "cosine"):
        return "the learning rate falls to 0 at the last one"
    if train.schedule == "step" and (train.step_at or train.step_every < steps):
        return "the learning rate falls as train.schedule says"
    return "the learning rate does not fall, train.schedule=cosine lets it fall to 0"


class Trial:
    """Steps and validations on a copy of a run, to measure their time.

    The copy has a network, an optimizer and counters of its own: what is tried leaves no trace in the run,
    except for features in the cache on disk, which the run needs too.

    Parameters
    ----------
    run : Run
        The run, before its first step.
    checkpoint : float
        Seconds that a checkpoint takes.
    stop : StopSignal
        Ends everything.
    """

    def __init__(self, run: Run, checkpoint: float, stop: StopSignal) -> None:
        self.run = on_a_copy(run)
        self.checkpoint, self.stop = checkpoint, stop
        self.feature_times: list[float] = []
        self.counted = False  # whether the features of the images are part of an earlier stage's cost
        self.done = 0

    def costs(self, seconds: float) -> Iterator[StageCost]:
        """Measure one stage after the other, each for about that many seconds, as long as that succeeds."""
        for number in range(len(self.run.stages)):
            if number:
                self.run.next_stage()
            cost = self.cost(seconds)
            if cost is None:
                return
            yield cost

    def cost(self, seconds: float) -> StageCost | None:
        """Measure the current stage.

        Parameters
        ----------
        seconds : float
            How long, about.

        Returns
        -------
        StageCost or None
            None if it was stopped, or a loss is not finite.
        """
        active, data = self.run.active, self.run.data
        examples = len(active.source)
        epoch_steps = active.steps_of(examples)
        if not active.steps:
            return StageCost(steps=0, epoch_steps=epoch_steps, step=0.0)
        times, absent = self._steps(seconds)
        if not times:
            return None
        validations, absent_validation = self._validations(seconds)
        if self.stop.asked:
            return None
        inputs = active.source.inputs()[0] if active.source.repeats else 0
        first, self.counted = not self.counted, True
        minutes = active.train.checkpoint_minutes
        return StageCost(
            steps=active.steps,
            epoch_steps=epoch_steps,
            step=_mean(times),
            validation=_mean(validations) * len(data.validation),
            validate_every=active.train.validate_every,
            checkpoint=self.checkpoint,
            checkpoint_every=60 * minutes or math.inf,
            feature=_mean(self.feature_times),
            absent=first * absent * inputs,
            absent_validation=first * absent_validation * len(data.validation),
            examples=examples,
            batch=active.train.batch,
            longest=active.stage.seconds,
        )

    def _steps(self, seconds: float) -> tuple[list[float], float]:
        """Return the times of some steps, and the share of their inputs whose features were not cached."""
        active = self.run.active
        times: list[float] = []
        absent: list[bool] = []
        try:
            for numbers in self._in_time(_batches(active), seconds):
                if active.source.repeats:
                    inputs = (active.source.example(number, 0).x for number in numbers)
                    absent += [self._computed(x, exact=False) for x in inputs]
                times.append(self._step(numbers))
                if len(active.source) > len(self.run.data.training):
                    times[-1] = self._shared(times[-1], self._step(numbers))
        except NotFiniteError:  # the first steps of the run will report it
            return [], 0.0
        return times, _mean(absent, skip=0)

    def _shared(self, first: float, second: float) -> float:
        """Return the time of a step on patches, from those of its first and its second run.

        The first patch of an image may prepare the whole image, once an epoch; the patches of a random batch
        are from different images.
        """
        active = self.run.active
        share = len(self.run.data.training) / len(active.source)
        return second + share * max(0.0, first - second)

    def _step(self, numbers: list[int]) -> float:
        """Train on some examples; return the time."""
        begun = time.monotonic()
        active = self.run.active
        with np.errstate(over="ignore", invalid="ignore"):
            batch_gradient(self.run.features, active, numbers, 0, self.run.ranks)
            norm = active.optimizer.gradient_norm()
            active.optimizer.step(active.rate(min(self.done, active.steps - 1)), norm, self.done)
        self.done += 1
        return time.monotonic() - begun

    def _validations(self, seconds: float) -> tuple[list[float], float]:
        """Return the times of some validation images, and the share of them without cached features."""
        data = self.run.data
        times: list[float] = []
        absent: list[bool] = []
        if not data.selects:
            return times, 0.0
        validation, confusion = Validation(self.run, self.stop), Confusion(len(data.classes), data.ignore)
        samples = data.validation[:: -(-len(data.validation) // (4 * FEWEST))]
        for sample in self._in_time(samples, seconds):
            image, labels = data.validation_image(sample)
            absent.append(self._computed(data.preprocessing.network_input(image), exact=True))
            begun = time.monotonic()
            with suppress(NotFiniteError):  # the run will report it
                confusion.add(labels, validation.predicted(image, labels.shape))
            times.append(time.monotonic() - begun)
        return times, _mean(absent, skip=0)

    def _computed(self, x: FloatArray, *, exact: bool) -> bool:
        """Compute the features of an input, if they are to be cached and are not yet; return whether."""
        store = self.run.features.store_of(exact)
        if not isinstance(store, FeatureCache) or not store.writes or image_key(x) in store:
            return False
        begun = time.monotonic()
        self.run.features(x, keep=True, exact=exact)
        self.feature_times.append(time.monotonic() - begun)
        return True

    def _in_time(self, items: Iterable[T], seconds: float) -> Iterator[T]:
        """Yield up to MOST items, until they take too long; FEWEST if that is possible, one in any case."""
        begun = time.monotonic()
        for done, item in enumerate(items):
            longest = seconds if done > FEWEST else TOO_LONG * seconds
            if self.stop.asked or done > MOST or (done and time.monotonic() - begun > longest):
                return
            yield item


def on_a_copy(run: Run) -> Run:
    """Return a run with a copy of the network, and with an optimizer and counters of its own."""
    network = deepcopy(run.network)
    return replace(
        run,
        network=network,
        features=FrozenFeatures(network, run.features.store, run.features.exact),
        active=ActiveStage(run.stages[run.progress.stage], run.data, network, run.fixed),
        progress=replace(run.progress),
    )


def _batches(active: ActiveStage) -> Iterator[list[int]]:
    """Yield the minibatches of the first epoch, again and again."""
    while True:
        for start in range(0, len(active.source), active.train.batch):
            yield active.minibatch(0, start)


def _mean(values: list[float] | list[bool], skip: int = 1) -> float:
    """Return the mean without the first values, which compile kernels; 0 for an empty list."""
    kept = values[skip:] or values
    return sum(kept) / len(kept) if kept else 0.0
