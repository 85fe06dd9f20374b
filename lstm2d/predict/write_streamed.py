"""Label one image in strips and write its results, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError, Lstm2dError
from lstm2d.io.label_strips import ProbabilityRows, probability_file, write_label_strips
from lstm2d.io.photo_rows import PhotoRows
from lstm2d.kernels import arena
from lstm2d.notes import Notes
from lstm2d.predict.fingerprint import Fingerprint
from lstm2d.predict.inputs import Task
from lstm2d.predict.label_image import Labelled, check_names, georeference_of
from lstm2d.predict.outcome import Options
from lstm2d.predict.predictor import Predictor
from lstm2d.predict.streaming import StripPredictor


def strips_for(predictor: Predictor, options: Options) -> StripPredictor:
    """Return the model for images in strips.

    Parameters
    ----------
    predictor : Predictor
        The model.
    options : Options
        What to write, and the memory in `stream`.

    Returns
    -------
    StripPredictor
        Ready for any image.

    Raises
    ------
    ConfigError
        If the model, or what is to be written, needs the whole image at once.
    """
    assert options.stream is not None
    native = options.size == "native" or (options.size == "auto" and predictor.preprocessing.native)
    if not native:
        what = "`stream` labels images at their own size"
        raise ConfigError(what, where=f"size {options.size}", hint="add `size='native'`")
    if options.overlays:
        raise ConfigError(
            "`stream` draws no overlays: they would be as large as the image",
            hint="leave them out, and show the label image with the palette of classes.json",
        )
    if options.format != "tiff":
        raise ConfigError("`stream` writes tiled BigTIFF", where=options.format, expected="`format='tiff'`")
    return StripPredictor(predictor, options.stream)


def write_streamed(
    strips: StripPredictor,
    task: Task,
    folder: Path,
    options: Options,
    notes: Notes,
    progress: Callable[[float], None],
) -> Labelled:
    """Label one image and write its results; the label image is last, so if it exists, all others do.

    Parameters
    ----------
    strips : StripPredictor
        The model.
    task : Task
        The image and the names of its results.
    folder : Path
        The output folder; maps between the layers are stored on its disk.
    options : Options
        What to write.
    notes : Notes
        Collects notes on what was guessed or left out.
    progress : callable
        Called with the fraction that is done.

    Returns
    -------
    Labelled
        About the labels.

    Raises
    ------
    DataError
        If the image cannot be labelled.
    ConfigError
        If the memory is too small.
    OutputError
        If a result or a map between the layers cannot be written.
    """
    predictor = strips.predictor
    image_file = Fingerprint.of(task.source)  # before decoding, so that later changes are detected
    check_names(predictor, task, options)
    classes = [info.name for info in predictor.classes]
    counts = np.zeros(256, np.int64)
    reading = replace(predictor.reading, max_pixels=options.max_pixels, max_memory=strips.memory)
    try:
        with PhotoRows(task.source, reading) as photo, ExitStack() as stack:

            def labels() -> Generator[NDArray[np.uint8]]:
                to: ProbabilityRows | None = None
                if options.probabilities:
                    shape = (*photo.size, len(classes))
                    to = stack.enter_context(probability_file(folder / task.probabilities, shape, classes))
                found = strips.strips_of(photo, folder, progress=progress)
                with closing(found):
                    for rows, probabilities in found:
                        counts[:] += np.bincount(rows.ravel(), minlength=256)
                        if to is not None:
                            to.write(probabilities)
                        yield rows
                stack.close()

            place = georeference_of(task.source, options, notes)
            with closing(labels()) as found:
                write_label_strips(folder / task.labels, found, photo.size, georeference=place)
            for note in photo.notes:
                notes.add(note, task.source)
    except Lstm2dError as error:
        if error.where is None:
            error = type(error)(error.what, where=task.source, expected=error.expected, hint=error.hint)
        raise error
    finally:
        arena.settle()
    return Labelled(photo.size, (counts[: len(classes)] / counts.sum()).tolist(), image_file)
