"""Records of a run."""

from __future__ import annotations

from lstm2d.training.events import EndMeasured, EpochDone, Event, Report, Validated
from lstm2d.training.listeners import EpochEnd, Listener, metrics_of
from lstm2d.training.recorder import Recorder
from lstm2d.training.run import Run


class Records(Listener):
    """Writes every event to log.jsonl and results.csv, then reports it.

    Parameters
    ----------
    run : Run
        The run.
    report : callable
        Gets every event.
    """

    def __init__(self, run: Run, report: Report) -> None:
        self.recorder, self.report = Recorder(run.folder.path), report
        self.metrics = metrics_of(len(run.data.classes))

    def tell(self, event: Event) -> None:
        """Record an event and report it.

        Parameters
        ----------
        event : Event
            What happened.

        Raises
        ------
        OutputError
            If it cannot be recorded.
        """
        self.recorder.write(event)
        self.report(event)

    def end_epoch(self, end: EpochEnd) -> None:
        """Record the epoch; one that is not complete only with its validation."""
        found = None
        if end.metrics:
            found = Validated(**{name: end.metrics[name] for name in self.metrics}, best=end.best)
        if end.complete:
            self.tell(EpochDone(**end.figures, validation=found))
        elif end.metrics is not None:
            self.tell(EndMeasured(**end.figures, validation=found))
