"""The training loop: steps, validation, checkpoints, clean stops."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.config import RunConfig
from lstm2d.data.batches import epoch_order
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import DivergedError, InterruptedRun
from lstm2d.kernels import gpu
from lstm2d.training.assemble import Prepared, out_of_memory, prepare
from lstm2d.training.cache_features import fill
from lstm2d.training.check_model import check_model
from lstm2d.training.checkpoint import newest_file, save_checkpoint
from lstm2d.training.events import Event, Report, best_effort, silent
from lstm2d.training.open_dataset import open_dataset, report_notes
from lstm2d.training.progress import TrainResult, nothing_left
from lstm2d.training.recorder import Recorder
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.schedule import learning_rate
from lstm2d.training.signals import StopSignal
from lstm2d.training.step import NotFiniteError, batch_gradient, images_text
from lstm2d.training.validate import METRICS, save_model, validate


def train(
    config: RunConfig,
    dataset: DatasetFolder | Path | str,
    out: Path | str,
    *,
    resume: bool = False,
    changes: Collection[str] = (),
    init_from: Path | str | None = None,
    device: str = "cpu",
    report: Report = silent,
) -> TrainResult:
    """Train a network, or go on training it.

    Parameters
    ----------
    config : RunConfig
        All values; of a run to resume, those that `RunFolder.reopen` returns.
    dataset : DatasetFolder or path
        Images and masks.
    out : path
        The run folder: new or empty, or that of the run to resume.
    resume : bool, default False
        Go on after the newest valid checkpoint, to the bits that an uninterrupted run would have given.
    changes : collection of str, optional
        Dotted keys of `config` that are changed on purpose in a run to resume, such as "train.momentum". Any
        other key that decides weights must have the value it had.
    init_from : path, optional
        Model file or run folder whose weights a new run starts from.
    device : str, default "cpu"
        "auto", "cpu", "cuda" or "cuda:N": where to compute. A run may go on on another device than it began
        on; then its bits are not those of a run on one.
    report : callable, optional
        Told about everything that happens. Its OSErrors, from a closed pipe for example, are ignored.

    Returns
    -------
    TrainResult
        Where the best model is, and how good.

    Raises
    ------
    ConfigError
        If `out` is in use, `init_from` does not fit, or the device cannot be used; if data, settings or
        checkpoint are not those of the run to resume.
    DataError
        If the data cannot be used.
    OutputError
        If something cannot be written.
    DivergedError
        If a loss or gradient is not finite.
    InterruptedRun
        After Ctrl-C, SIGTERM or SIGHUP.
    Lstm2dError
        If memory runs out; the last checkpoint stands.
    """
    folder, device, report = RunFolder(Path(out)), gpu.resolve_device(device), best_effort(report)
    if not resume:
        folder.check_free()
    data = open_dataset(dataset, config, report)
    start = None if init_from is None else Path(init_from)
    ready = partial(prepare, config, data, folder, device=device, report=report)
    with gpu.current(device):
        run = None if resume else ready(init_from=start)
        with folder.lock():  # not before a new run's data is known to be good: a wrong one leaves no folder
            if run is None:
                run = ready(resume=True, changes=changes)
            else:
                folder.check_free()  # again: another run may have begun in it meanwhile
            try:
                result = Trainer(run, report).fit()
                report_notes(data, report)
                return result
            except MemoryError as error:
                told = out_of_memory(error, run)
            raise told  # only now: in the handler it would keep the arrays of the step alive


class Trainer:
    """Carries out a prepared run.

    Parameters
    ----------
    run : Prepared
        Configuration, network, data and where the run stands.
    report : callable
        Told about everything that happens.
    """

    def __init__(self, run: Prepared, report: Report) -> None:
        self.run, self.train, self.data = run, run.config.train, run.data
        self.progress, self.optimizer = run.progress, run.optimizer
        self.recorder = Recorder(run.folder.path)
        self.stop = StopSignal()
        self.report = report
        self.samples = len(run.data.training)
        every = self.train.epochs * self.steps_of(self.samples)
        self.total = min(every, self.train.steps) if self.train.steps else every
        self.seconds_before = run.progress.seconds
        self.started = self.saved_at = time.monotonic()
        self.saved: tuple[int, int] | None = None  # step and epoch of the last checkpoint
        self.order: tuple[int, NDArray[np.intp]] | None = None  # an epoch and its order

    def fit(self) -> TrainResult:
        """Train until the end, a limit or a signal.

        Returns
        -------
        TrainResult
            The best model is in the run folder.

        Raises
        ------
        InterruptedRun
            After Ctrl-C, SIGTERM or SIGHUP; a checkpoint is saved.
        DivergedError
            If a loss or gradient is not finite; nothing of that step is applied.
        OutputError
            If something cannot be written.
        """
        with self.stop:
            self.begin()
            if self.total * self.train.batch > self.samples:  # else no image comes a second time
                fill(self.run.features, self.data, self.report, self.tell, self.why_stop)
            reason = self.why_stop()
            while not reason:
                if self.progress.position < self.samples:
                    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite has its own error
                        self.step()
                if self.progress.position == self.samples:
                    self.end_epoch()
                reason = self.why_stop()
                if time.monotonic() - self.saved_at > 60 * (self.train.checkpoint_minutes or math.inf):
                    self.save()
            self.save()
            if reason != "signal" and not self.validate_the_end():
                reason = "signal"
            check_model(self.run, self.tell)
            return self.result(reason)

    def begin(self) -> None:
        """Bring the run folder to where the run stands, and say what it is."""
        progress, folder, run = self.progress, self.run.folder, self.run
        folder.sweep()
        self.recorder.rewind(progress.step, progress.epoch)
        finished = nothing_left(self.why_stop(), progress, self.train) if run.resumed else ""
        if run.resumed:
            self.saved = (progress.step, progress.epoch)
            check_model(run, self.tell)
        if not run.recorded and not finished:
            # The checkpoint comes before config.toml: a folder with config.toml can always be resumed. And a
            # folder that cannot be written shows now, not after the first epoch.
            self.saved = None
            self.save()
            folder.write_id(run.run_id)
            folder.write_config(run.config)
        length = {"steps": self.total, "epochs": -(-self.total // self.steps_of(self.samples))}
        self.tell("resume" if run.resumed else "start", run.description() | length)
        notes = run.data.notes()
        if finished:
            notes.append(finished)
        elif run.changed:
            notes.append(f"changed from step {progress.step} on: {'; '.join(run.changed)}")
        for text in notes:
            self.tell("note", {"text": text})

    def why_stop(self) -> str:
        """Return why the run ends here; "" if it goes on."""
        progress, train = self.progress, self.train
        between = progress.position < self.samples  # else the epoch's validation is still to come
        if between and progress.epoch >= train.epochs:
            return "epochs"
        if between and progress.step >= self.total:
            return "steps"
        if between and train.patience and progress.stale >= train.patience:
            return "patience"
        if self.stop.asked:
            return "signal"
        return "time" if self.seconds() >= self.run.seconds_limit else ""

    def seconds(self) -> float:
        """Return how long the run has taken, in all its sessions."""
        return self.seconds_before + time.monotonic() - self.started

    def step(self) -> None:
        """Train on one minibatch."""
        begun = time.monotonic()
        progress, train = self.progress, self.train
        numbers = self.minibatch()
        names = [self.data.name(number) for number in numbers]
        self.optimizer.zero_grad()
        try:
            loss, terms = batch_gradient(self.run.features, self.data, numbers, progress.epoch)
        except NotFiniteError as error:
            raise self.diverged("the loss is not finite", names, error.layer, error.names) from None
        norm = self.optimizer.gradient_norm()
        if not math.isfinite(norm):
            layers = ", ".join(self.optimizer.not_finite()) or "all parameters together"
            raise self.diverged("the gradient is not finite", names, layers)
        self.optimizer.step(self.rate(), norm, progress.step)
        progress.step += 1
        progress.position += len(numbers)
        progress.loss += loss
        progress.terms += terms
        progress.norm += norm
        progress.clipped += int(0 < train.clip_norm < norm)
        progress.busy += time.monotonic() - begun
        self.report(Event("step", self.numbers() | {"seconds_left": self.seconds_left()}))

    def minibatch(self) -> list[int]:
        """Return the numbers of the next step's images: what is left of the epoch, in its order."""
        progress = self.progress
        if self.order is None or self.order[0] != progress.epoch:
            order = epoch_order(self.samples, seed=self.train.seed, epoch=progress.epoch)
            self.order = (progress.epoch, order)
        found: list[int] = self.order[1][progress.position :][: self.train.batch].tolist()
        return found

    def steps_of(self, images: int) -> int:
        """Return the steps that so many images of an epoch take."""
        return -(-images // self.train.batch)

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        train = self.train
        return learning_rate(
            self.progress.step,
            self.total,
            rate=train.learning_rate,
            schedule=train.schedule,
            warmup_steps=train.warmup_steps,
            step_factor=train.step_factor,
            step_every=train.step_every,
            step_at=train.step_at,
        )

    def diverged(
        self, what: str, names: Sequence[str], layer: str, culprits: Sequence[str] = ()
    ) -> DivergedError:
        """Return the error for a number that is not finite, in a step on some images."""
        good = newest_file(self.run.folder.checkpoints)
        where = f"{images_text(names, culprits)}, step {self.progress.step + 1}, layer {layer}"
        self.tell("diverged", {"what": what, "where": where})
        return DivergedError(
            f"training diverged, {what}",
            where=where,
            expected="finite numbers; the step was not applied",
            hint="start a new run with a lower train.learning_rate or train.clip_norm; "
            f"the last good checkpoint is {good}",
        )

    def end_epoch(self) -> None:
        """Validate, record and save; nothing where the user wants to stop before that is done."""
        progress, train = self.progress, self.train
        numbers = self.numbers() | {"learning_rate": self.rate()}
        last = progress.epoch + 1 >= train.epochs or progress.step >= self.total
        if last or (progress.epoch + 1) % train.validate_every == 0:
            found = self.measure()
            if found is None:
                return
            numbers |= found
        progress.next_epoch()
        self.tell("epoch", numbers)
        self.save()

    def measure(self) -> dict[str, Any] | None:
        """Validate and keep the model if it is the best; without labelled validation images the last one is.

        Returns
        -------
        dict or None
            The metrics, and whether they are the best. None if the validation did not come to its end.
        """
        progress = self.progress
        if not self.data.selects:
            save_model(self.run, {})
            progress.validated = progress.step
            return {}
        metrics = validate(self.run, self.stop)
        if metrics is None:
            return None
        progress.validated = progress.step
        select, before = self.train.select, progress.best
        best = before is None or (metrics[select] or 0.0) > (before[select] or 0.0)
        progress.stale = 0 if best else progress.stale + 1
        if best:
            progress.best = {name: metrics[name] for name in METRICS} | {"step": progress.step}
            save_model(self.run, metrics)
        return {name: metrics[name] for name in METRICS} | {"best": best}

    def validate_the_end(self) -> bool:
        """Give the last weights of a run that ends within an epoch their chance.

        This comes after the last checkpoint: a run resumed from it must not differ from one never stopped.

        Returns
        -------
        bool
            Whether it came to its end. If the user stopped it, it is the first thing a resumed run does.
        """
        if self.progress.validated != self.progress.step:
            found = self.measure()
            if found is None:
                return False
            self.tell("end", self.numbers() | {"learning_rate": self.rate()} | found)
        return True

    def save(self) -> None:
        """Write a checkpoint, unless the last one holds just this."""
        progress = self.progress
        self.saved_at = time.monotonic()
        if self.saved == (progress.step, progress.epoch):
            return
        if not self.optimizer.is_finite():
            raise self.diverged("the weights are not finite", ["(any)"], "(all)")
        progress.seconds = self.seconds()
        save_checkpoint(self.run.folder.checkpoints, progress.step, self.run.checkpoint())
        self.saved = (progress.step, progress.epoch)

    def numbers(self) -> dict[str, Any]:
        """Return where the run stands, for people and for the records."""
        progress = self.progress
        steps = self.steps_of(progress.position)
        return {
            "epoch": progress.epoch + 1,
            "step": progress.step,
            "seconds": self.seconds(),
            "loss": progress.loss / progress.terms if progress.terms else None,
            "gradient_norm": progress.norm / steps if steps else None,
            "clipped": progress.clipped / steps if steps else None,
            "images_per_second": progress.position / progress.busy if progress.busy else None,
        }

    def seconds_left(self) -> float:
        """Return an estimate of the time until the run ends."""
        progress = self.progress
        left = (self.total - progress.step) * progress.busy / self.steps_of(progress.position)
        return min(left, self.run.seconds_limit - self.seconds())

    def tell(self, kind: str, values: dict[str, Any]) -> None:
        """Record an event and report it."""
        event = Event(kind, {"step": self.progress.step} | values)
        self.recorder.write(event)
        self.report(event)

    def result(self, reason: str) -> TrainResult:
        """Return what the run has led to, or raise what says that it was interrupted."""
        progress, folder = self.progress, self.run.folder
        self.tell("stop", {"reason": reason, "epoch": progress.epoch, "seconds": self.seconds()})
        if reason == "signal":
            raise InterruptedRun(
                f"stopped after step {progress.step} of {self.total}, checkpoint saved",
                where=folder.checkpoints,
            )
        best = {name: (progress.best or {}).get(name) for name in METRICS}
        return TrainResult(
            folder.path, progress.epoch, progress.step, self.seconds(), best, folder.model, reason
        )
