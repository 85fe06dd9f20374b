"""Two models side by side: which classes gain and lose, and images with truth and the labels of both."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.folder import Sample
from lstm2d.errors import OutputError
from lstm2d.io.gallery import Example, draw_side_by_side, encode_png
from lstm2d.predict.differences import class_differences, image_differences
from lstm2d.predict.evaluate import Evaluated
from lstm2d.predict.several import Result
from lstm2d.report.figures import plot_differences

SHOWN = 4  # images on each sheet

Loaded = tuple[NDArray[Any], NDArray[np.uint8]]


class KeptLabels:
    """Keeps the labels of all images of several models, compressed, in a file without a name.

    Which images two models differ most on is known only when both are evaluated; an image is not labelled
    again for a picture. Memory holds the places in the file.

    Parameters
    ----------
    folder : Path
        The disk of this folder has room for the file.

    Raises
    ------
    OutputError
        If the file cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[tuple[str, int], tuple[int, int, tuple[int, ...]]] = {}
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 -- see `close`
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):  # a full disk was reported by `keep`
            self._file.close()

    def keep(self, model: str, one: Evaluated) -> None:
        """Keep the labels of an image.

        Parameters
        ----------
        model : str
            Name of the model.
        one : Evaluated
            The image.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        data = zlib.compress(one.labels.tobytes(), level=1)
        try:
            start = self._file.seek(0, os.SEEK_END)
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error
        self._places[model, one.number] = start, len(data), one.labels.shape

    def labels(self, model: str, number: int) -> NDArray[np.uint8]:
        """Return the labels of an image.

        Parameters
        ----------
        model : str
            Name of the model.
        number : int
            Number of the image, from 1, as in `Evaluated`.

        Returns
        -------
        ndarray of uint8, shape (H, W)
            Class numbers.
        """
        start, length, shape = self._places[model, number]
        self._file.seek(start)
        return np.frombuffer(zlib.decompress(self._file.read(length)), np.uint8).reshape(shape)

    def _failed(self, error: OSError) -> OutputError:
        what = f"cannot keep the labels for the comparison ({error.strerror})"
        return OutputError(what, where=self._folder, hint="free some space or choose another folder")


def choose_images(differences: Sequence[float | None]) -> dict[str, list[int]]:
    """Choose the images to show side by side.

    Parameters
    ----------
    differences : sequence of float or None
        From `lstm2d.predict.differences.image_differences`.

    Returns
    -------
    dict of str to list of int
        Places in the sequence, the largest gain first: "gains" and "losses", where the model differs most
        from the baseline in either direction, and "between", evenly spaced among the others. At most `SHOWN`
        each; may be empty.
    """
    values = {number: value for number, value in enumerate(differences) if value is not None}
    order = sorted(values, key=lambda number: -values[number])
    gains = [number for number in order if values[number] > 0][:SHOWN]
    losses = [number for number in order if values[number] < 0][-SHOWN:]
    others = order[len(gains) : len(order) - len(losses)]
    shown = min(SHOWN, len(others))
    between = [others[(2 * k + 1) * len(others) // (2 * shown)] for k in range(shown)]
    return {"gains": gains, "between": between, "losses": losses}


def draw_pair(
    baseline: Result, result: Result, kept: KeptLabels, load: Callable[[Sample], Loaded]
) -> dict[str, bytes]:
    """Draw the differences between two models.

    Parameters
    ----------
    baseline, result : Result
        The models, evaluated on the same images.
    kept : KeptLabels
        The labels of both.
    load : callable
        Returns image and truth of a sample.

    Returns
    -------
    dict of str to bytes
        PNG files: "differences", the gain of each class, and the sheets of `choose_images`, as far as there
        is something to show.
    """
    pictures = {}
    gains = [
        (one.number, one.accuracy_difference, one.iou_difference)
        for one in class_differences(baseline.figures, result.figures)
        if one.accuracy_difference is not None and one.iou_difference is not None
    ]
    if gains:
        title = f"{result.task.name} compared with {baseline.task.name}"
        pictures["differences"] = plot_differences(title, result.classes, gains)
    for name, places in choose_images(image_differences(baseline.images, result.images)).items():
        if places:
            pictures[name] = _sheet(places, baseline, result, kept, load)
    return pictures


def _sheet(
    places: Sequence[int],
    baseline: Result,
    result: Result,
    kept: KeptLabels,
    load: Callable[[Sample], Loaded],
) -> bytes:
    """Draw images with truth and the labels of both models."""
    loaded = [load(result.task.samples[place]) for place in places]
    models: dict[str, list[Example]] = {}
    for one in (baseline, result):
        models[one.task.name] = [
            Example(image, kept.labels(one.task.name, place + 1), truth, _accuracy(baseline, one, place))
            for place, (image, truth) in zip(places, loaded, strict=True)
        ]
    stems = [result.images[place].image for place in places]
    return encode_png(draw_side_by_side(stems, models, result.classes), colours=256, classes=result.classes)


def _accuracy(baseline: Result, result: Result, place: int) -> str:
    """Return the pixel accuracy of an image, with the difference from the baseline."""
    before, accuracy = (one.images[place].pixel_accuracy or 0.0 for one in (baseline, result))
    gain = "" if result is baseline else f" ({100 * (accuracy - before):+z.1f})"
    return f"{100 * accuracy:.1f} %{gain}"
