"""Validation at the end of epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.data.layout import Sample
from lstm2d.errors import DivergedError
from lstm2d.metrics.confusion import Confusion
from lstm2d.pipeline.finite import first_layer
from lstm2d.pipeline.resize import labels_at
from lstm2d.tensor import Tensor
from lstm2d.training.diagnose import diverged
from lstm2d.training.events import Report, silent
from lstm2d.training.listeners import EpochEnd, Listener, Unfinished
from lstm2d.training.run import Run
from lstm2d.training.signals import StopSignal
from lstm2d.training.step import NotFiniteError


class Validation(Listener):
    """Measures the network, with the running mean of its weights if one is kept.

    It does so after every `train.validate_every` epochs and at the end of a stage.

    Parameters
    ----------
    run : Run
        The run.
    stop : StopSignal
        Checked before each image.
    tell : callable, optional
        Gets the event if the network's output is not finite.
    """

    def __init__(self, run: Run, stop: StopSignal, tell: Report = silent) -> None:
        self.run, self.stop, self.tell = run, stop, tell
        self.validated = -1  # step of the last validation

    def end_epoch(self, end: EpochEnd) -> None:
        """Set the metrics if a validation is due."""
        progress = self.run.progress
        if self._is_due(end):
            end.metrics = self.measure() if self.run.data.selects else {}
            self.validated = progress.step

    def _is_due(self, end: EpochEnd) -> bool:
        progress, train = self.run.progress, self.run.active.train
        if not end.complete:
            return self.validated != progress.step
        epochs = progress.epoch + 1 - progress.stage_epoch
        last = epochs >= train.epochs or self.run.steps_left == 0
        return last or epochs % train.validate_every == 0

    def measure(self) -> dict[str, Any]:
        """Return the metrics over all validation images.

        Returns
        -------
        dict
            As `Confusion.figures` returns them.

        Raises
        ------
        Unfinished
            If the user stops the run before the last image.
        DivergedError
            If class probabilities are not finite.
        """
        data, optimizer = self.run.data, self.run.active.optimizer
        confusion = Confusion(len(data.classes), data.ignore)
        optimizer.swap_average()
        try:
            for sample in data.validation:
                if self.stop.asked:
                    raise Unfinished
                image, labels = data.validation_image(sample)
                try:
                    confusion.add(labels, self.predicted(image, labels.shape))
                except NotFiniteError as error:
                    raise self._diverged(sample, error.layer) from error
        finally:
            optimizer.swap_average()
        return confusion.figures([item.name for item in data.classes])

    def _diverged(self, sample: Sample, layer: str) -> DivergedError:
        """Return the error for an image whose class probabilities are not finite."""
        what, names = "the output of the network is not finite in validation", [str(sample.image_path)]
        expected = "finite numbers; the weights are not saved as a model"
        return diverged(self.run, self.tell, what, names, layer, expected=expected, is_step=False)

    def predicted(self, image: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return the most likely class of every pixel, as prediction with the saved model will.

        Parameters
        ----------
        image : array of shape (rows, columns, C)
            A validation image at the size at which the network sees it.
        shape : tuple of int
            Height and width of the photograph itself.

        Returns
        -------
        array of shape (height, width), uint8
            Class numbers.

        Raises
        ------
        NotFiniteError
            If class probabilities are not finite.
        """
        run = self.run
        rows, columns = image.shape[:2]
        x = run.data.preprocessing.network_input(image)
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            z = run.features(x, keep=True, exact=True)
            probabilities = run.active.objective.probabilities(run.network, Tensor(z))[0, :rows, :columns]
            finite = math.isfinite(float(probabilities.sum()))
        if not finite:
            raise NotFiniteError([], first_layer(run.network, kernels.to_device(x, run.network.device)))
        return labels_at(probabilities, *shape)

    def begin_stage(self) -> None:
        """Validate nothing before the first step: the weights are those of the stage before, or new."""
        self.validated = self.run.progress.step

    def state_dict(self) -> dict[str, Any]:
        """Return the step of the last validation."""
        return {"validated": self.validated}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the step of the last validation."""
        self.validated = state["validated"]
