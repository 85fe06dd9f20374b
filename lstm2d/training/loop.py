"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lstm2d.config import RunConfig, parse_duration
from lstm2d.data.dataset import Dataset
from lstm2d.errors import InterruptedRun
from lstm2d.kernels import gpu
from lstm2d.training.assemble import out_of_memory
from lstm2d.training.cache_features import fill
from lstm2d.training.diagnose import LARGEST_NORM, check_weights, diverged, exploding
from lstm2d.training.events import Note, Report, StageBegun, StepDone, Stopped, Warned, best_effort, silent
from lstm2d.training.fit_time import fit_to_time
from lstm2d.training.listeners import EpochEnd, Listener, Unfinished, metrics_of
from lstm2d.training.listeners.best_model import BestModel
from lstm2d.training.listeners.checkpoints import Checkpoints
from lstm2d.training.listeners.patience import Patience
from lstm2d.training.listeners.records import Records
from lstm2d.training.listeners.time_limit import TimeLimit
from lstm2d.training.listeners.validation import Validation
from lstm2d.training.model_file import check_model
from lstm2d.training.open_dataset import open_dataset, report_notes
from lstm2d.training.progress import TrainResult
from lstm2d.training.ranks import Ranks
from lstm2d.training.run import Run
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.signals import StopSignal
from lstm2d.training.start import shared_text, start
from lstm2d.training.step import NotFiniteError, batch_gradient

STAGE_ENDS = ("epochs", "steps", "patience", "minutes")  # reasons for the end of a stage


def train(
    config: RunConfig,
    dataset: Dataset | Path | str,
    out: Path | str,
    *,
    resume: bool = False,
    changes: Collection[str] = (),
    init_from: Path | str | None = None,
    device: str = "cpu",
    max_memory: int | None = None,
    report: Report = silent,
    ranks: Ranks | None = None,
) -> TrainResult:
    """Train a network, or resume its training.

    Parameters
    ----------
    config : RunConfig
        All settings; of a run to resume, those that `RunFolder.reopen` returns.
    dataset : Dataset or path
        Images and masks; or their folder.
    out : path
        The run folder: new or empty, or that of the run to resume.
    resume : bool, default False
        Continue from the newest valid checkpoint; the result is bit-identical to an uninterrupted run.
    changes : collection of str, optional
        Dotted keys of `config` that are changed on purpose in a run to resume, such as "train.momentum". All
        other keys that affect the weights must have their old values.
    init_from : path, optional
        Model file or run folder whose weights a new run starts from.
    device : str, default "cpu"
        Device to train on: "auto", "cpu", "cuda" or "cuda:N". A run may be resumed on another device, but the
        result is then not bit-identical to an uninterrupted run.
    max_memory : int, optional
        Largest memory of the process in bytes: a run whose steps would take more is refused before the first
        one. By default there is no limit.
    report : callable, optional
        Gets every event. Its OSErrors, from a closed pipe for example, are ignored.
    ranks : Ranks, optional
        The processes that compute the steps together, of which this one is rank 0; the others follow, see
        `lstm2d.training.follow`. They do not change the result.

    Returns
    -------
    TrainResult
        Where the best model is, and its metrics.

    Raises
    ------
    ConfigError
        If `out` is in use, `init_from` does not fit, or the device cannot be used; if data, settings or
        checkpoint are not those of the run to resume; if several processes cannot train the network.
    DataError
        If the data cannot be used.
    OutputError
        If something cannot be written.
    DivergedError
        If a loss, gradient or weight is not finite, or a weight out of any sensible range.
    InterruptedRun
        After Ctrl-C, SIGTERM or SIGHUP.
    Lstm2dError
        If memory runs out; the last checkpoint stays.
    """
    folder, device, report = RunFolder(Path(out)), gpu.resolve_device(device), best_effort(report)
    if not resume:
        folder.check_free()
    data = open_dataset(dataset, config, report)
    begun = partial(
        start,
        config,
        data,
        folder,
        ranks=Ranks() if ranks is None else ranks,
        max_memory=max_memory,
        device=device,
        report=report,
    )
    with gpu.current(device):
        run = None if resume else begun(init_from=None if init_from is None else Path(init_from))
        with folder.lock():  # after the data is checked: invalid data creates no folder
            if run is None:
                run = begun(resume=True, changes=changes)
            else:
                folder.check_free()  # second check: another run may have begun in it meanwhile
            try:
                result = Trainer(run, report).fit()
                report_notes(data, report)
                return result
            except MemoryError as error:
                failure = out_of_memory(error, run)
            raise failure  # here: raised in the handler, it would keep the arrays of the step alive


class Trainer:
    """Run the steps and stages of a run; listeners do everything else.

    Parameters
    ----------
    run : Run
        Run to start or resume.
    report : callable
        Gets every event.
    """

    def __init__(self, run: Run, report: Report) -> None:
        self.run = run
        self.stop = StopSignal()
        self.records = Records(run, report)
        self.tell = self.records.tell
        self.validation = Validation(run, self.stop, self.tell)
        self.model = BestModel(run)
        self.patience = Patience(run)
        self.checkpoints = Checkpoints(run, self.tell, self.state_dict)
        self.clock = TimeLimit(run, parse_duration(run.config.train.max_time))
        self.warned = False  # of a gradient that explodes; once is enough
        # the order in which they act on the end of an epoch, and in which `why_stop` is called
        self.listeners: list[Listener] = [
            self.validation,
            self.model,
            self.patience,
            self.records,
            self.checkpoints,
            self.stop,
            self.clock,
        ]
        if run.resumed:
            for listener in self.listeners:
                listener.load_state_dict(run.listeners)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of all listeners, for a checkpoint."""
        return {key: v for listener in self.listeners for key, v in listener.state_dict().items()}

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
            If a loss or gradient is not finite; that step is not applied. If weights are not finite, or out
            of any sensible range; they are not saved.
        OutputError
            If something cannot be written.
        """
        with self.stop:
            self.begin()
            reason = self.train_stage()
            while reason in STAGE_ENDS and self.run.progress.stage + 1 < len(self.run.stages):
                self.next_stage()
                reason = self.train_stage()
            check_model(self.run, self.validation.validated, self.tell)
            return self.result(reason)

    def begin(self) -> None:
        """Bring the run folder in line with the progress of the run, and report its start."""
        run, progress = self.run, self.run.progress
        run.folder.sweep()
        for text in self.records.recorder.rewind(progress.step, progress.epoch):
            self.tell(Warned(step=progress.step, text=text))
        finished = self.nothing_left() if run.resumed else ""
        if run.resumed:
            check_model(run, self.validation.validated, self.tell)
        fitted = ""
        if not finished and (self.clock.is_unfitted or not run.recorded):
            # The checkpoint comes before config.toml: a folder with config.toml can always be resumed. And a
            # folder that cannot be written is reported now, not after the first epoch.
            began = time.monotonic()
            self.checkpoints.save(anew=True)
            run.folder.write_id(run.run_id, run.data.held_out_digests())
            fitted = self.fit_to_time(time.monotonic() - began)
            run.folder.write_config(run.config)
            if fitted:
                self.checkpoints.save(anew=True)
        elif run.recorded and not run.folder.lists_held_out():  # the run is of an earlier version
            run.folder.write_id(run.run_id, run.data.held_out_digests())
        self.tell(run.description(self.clock.before))
        notes = run.data.notes()
        if shared := shared_text(run):
            notes.append(shared)
        if fitted:
            notes.append(fitted)
        if finished:
            notes.append(finished)
        elif run.changed:
            notes.append(f"changed from step {progress.step} on: {'; '.join(run.changed)}")
        for text in notes:
            self.tell(Note(step=progress.step, text=text))

    def fit_to_time(self, checkpoint: float) -> str:
        """Limit the steps of a new run with a time limit to those that fit.

        Parameters
        ----------
        checkpoint : float
            Seconds that a checkpoint took.

        Returns
        -------
        str
            The result in one line; "" if nothing was fitted.
        """
        clock = self.clock
        if not clock.is_unfitted or clock.seconds_left <= 0 or self.stop.asked:
            return ""
        self.records.report(Note(text="timing some steps, to fit their number to the time"))
        fitted = fit_to_time(self.run, clock.limit - clock.seconds, checkpoint, self.stop)
        clock.begin_stage()  # the time of its own that the first stage may have begins now
        # a resumed run does it if nothing was done here
        clock.is_unfitted = not fitted and (self.stop.asked or clock.seconds_left <= 0)
        return fitted

    def nothing_left(self) -> str:
        """Return why a run has nothing left to train; "" if it continues, or would with more time."""
        progress, train = self.run.progress, self.run.active.train
        hierarchy = self.run.config.hierarchy
        key = "hierarchy.epochs" if hierarchy is not None and hierarchy.epochs else "train.epochs"
        texts = {
            "epochs": f"{progress.epoch} epochs are done already, {key} is {train.epochs}",
            "steps": f"{progress.step} steps are done already, train.steps is {train.steps}",
            "patience": f"{self.patience.stale} validations since the best one, "
            f"train.patience is {train.patience}",
        }
        reason = self.why_stop()
        if reason not in texts or progress.stage + 1 < len(self.run.stages):
            return ""
        return f"nothing is left to train: {texts[reason]}; a higher number goes on"

    def why_stop(self) -> str:
        """Return why the stage or the run ends here; "" if it continues."""
        run, progress = self.run, self.run.progress
        if not run.epoch_is_full:
            if progress.epoch - progress.stage_epoch >= run.active.train.epochs:
                return "epochs"
            if run.steps_left == 0:
                return "steps"
        return next((reason for listener in self.listeners if (reason := listener.why_stop())), "")

    def train_stage(self) -> str:
        """Train to the end of the current stage; return why it ended."""
        run = self.run
        if run.active.repeats_examples:
            fill(run, self.tell, self.why_stop)
        while not (reason := self.why_stop()):
            if not run.epoch_is_full:
                with np.errstate(over="ignore", invalid="ignore"):  # reported by an error of its own
                    self.step()
            if run.epoch_is_full and self.end_epoch(complete=True):
                run.progress.next_epoch()
            for listener in self.listeners:
                listener.after_step()
        self.checkpoints.save()
        # The last weights are validated after the last checkpoint, so that a run resumed from it equals one
        # that was never stopped.
        if reason != "signal" and not self.end_epoch(complete=False):
            return "signal"
        return reason

    def step(self) -> None:
        """Train on one minibatch."""
        begun = time.monotonic()
        run, progress, active = self.run, self.run.progress, self.run.active
        numbers = active.minibatch(progress.epoch, progress.position)
        names = [active.source.name(number) for number in numbers]
        try:
            loss, terms = batch_gradient(run.features, active, numbers, progress.epoch, run.ranks)
        except NotFiniteError as error:
            what = "the loss is not finite"
            raise diverged(run, self.tell, what, names, error.layer, error.names) from error
        norm = active.optimizer.gradient_norm()
        if not math.isfinite(norm):
            layers = ", ".join(active.optimizer.not_finite()) or "all parameters together"
            raise diverged(run, self.tell, "the gradient is not finite", names, layers)
        if norm > LARGEST_NORM and not self.warned:
            self.warned = True
            self.tell(exploding(run, norm, names))
        active.optimizer.step(active.rate(run.stage_steps), norm, run.stage_steps)
        progress.step += 1
        progress.position += len(numbers)
        progress.loss += loss
        progress.terms += terms
        progress.norm += norm
        progress.clipped += int(0 < active.train.clip_norm < norm)
        progress.busy += time.monotonic() - begun
        left = min(run.seconds_left(), self.clock.seconds_left)
        self.tell(StepDone(**run.figures(self.clock.seconds), seconds_left=left))

    def end_epoch(self, *, complete: bool) -> bool:
        """Run the listeners at the end of an epoch.

        Parameters
        ----------
        complete : bool
            Whether all of its examples were used; if not, the run or a stage ends within it.

        Returns
        -------
        bool
            False if the user stopped the validation; a resumed run does it first.
        """
        run = self.run
        check_weights(run, self.tell)  # before they are validated, and saved as a model
        rate = run.active.rate(run.stage_steps)
        end = EpochEnd(complete, run.figures(self.clock.seconds) | {"learning_rate": rate})
        try:
            for listener in self.listeners:
                listener.end_epoch(end)
        except Unfinished:
            return False
        return True

    def next_stage(self) -> None:
        """Start the next stage, with a checkpoint of its beginning."""
        run, progress = self.run, self.run.progress
        run.next_stage()
        for listener in self.listeners:
            listener.begin_stage()
        self.checkpoints.save()
        self.tell(
            StageBegun(
                step=progress.step,
                epoch=progress.epoch,
                stage=progress.stage,
                name=run.active.stage.name,
                parameters=run.parameters,
                batch=run.active.train.batch,
                steps=run.last_step,
                epochs=run.last_epoch,
            )
        )

    def result(self, reason: str) -> TrainResult:
        """Return the result of the run, or raise InterruptedRun."""
        progress, folder, seconds = self.run.progress, self.run.folder, self.clock.seconds
        self.tell(Stopped(step=progress.step, reason=reason, epoch=progress.epoch, seconds=seconds))
        if reason == "signal":
            raise InterruptedRun(
                f"stopped after step {progress.step} of {self.run.last_step}, checkpoint saved",
                where=folder.checkpoints,
            )
        is_saved, names = self.run.saved is not None, metrics_of(len(self.run.data.classes))
        best = {name: (self.model.best or {}).get(name) if is_saved else None for name in names}
        model = folder.model if is_saved else None
        return TrainResult(folder.path, progress.epoch, progress.step, seconds, best, model, reason)
