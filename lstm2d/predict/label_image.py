"""Label one image and encode its results."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.classes import palette_of
from lstm2d.io.gallery import draw_instances, encode_png
from lstm2d.io.georeference import Georeference, read_georeference
from lstm2d.io.images import read_photo
from lstm2d.io.label_images import encode_labels, encode_overlay
from lstm2d.notes import Notes
from lstm2d.predict.fingerprint import Fingerprint
from lstm2d.predict.inputs import Task
from lstm2d.predict.outcome import Options
from lstm2d.predict.pixels import FloatArray, LabelArray
from lstm2d.predict.predictor import Predictor
from lstm2d.predict.result_names import INSTANCES, labels_kind, overlay_kind

LONGEST_NAME = 255  # bytes, in all common file systems


@dataclass(frozen=True, slots=True)
class Labelled:
    """What is recorded about a labelled image.

    Parameters
    ----------
    size : tuple of int
        Its rows and columns.
    areas : list of float
        Fraction of its pixels of each class.
    image_file : Fingerprint
        The file that was read.
    """

    size: tuple[int, int]
    areas: list[float]
    image_file: Fingerprint


def label_image(
    predictor: Predictor,
    task: Task,
    options: Options,
    notes: Notes,
    write: Callable[[PurePath, bytes], None],
) -> Labelled:
    """Label one image and encode its results; the label image is last, so if it exists, all others do.

    Parameters
    ----------
    predictor : Predictor
        The model.
    task : Task
        The image and the names of its results.
    options : Options
        What to write.
    notes : Notes
        Collects notes on what was guessed or left out.
    write : callable
        Gets the name of each result, relative to the output folder, and its bytes.

    Returns
    -------
    Labelled
        About the labels after the last instance.

    Raises
    ------
    DataError
        If the image cannot be labelled.
    """
    image_file = Fingerprint.of(task.source)  # before decoding, so that later changes are detected
    check_names(predictor, task, options)
    photo = read_photo(task.source, replace(predictor.reading, max_pixels=options.max_pixels))
    for note in photo.notes:
        notes.add(note, task.source)
    if options.probabilities:
        every, probabilities = predictor.results_of(photo.pixels, options.size, predictor.instances)
        write(task.probabilities, _npz(probabilities, predictor))
    else:
        every = predictor.labels_after(photo.pixels, options.size)
    if options.overlays:
        _draw_overlays(photo.pixels, every, predictor, task, write, legend=options.legend)
    place = georeference_of(task.source, options, notes)
    palette = palette_of(predictor.classes)
    for number, labels in every.items():
        name = task.results[labels_kind(number, predictor.instances)]
        write(name, encode_labels(labels, palette, format=options.format, georeference=place))
    n_classes = len(predictor.classes)
    counts = np.bincount(labels.ravel(), minlength=n_classes)[:n_classes]
    return Labelled((labels.shape[0], labels.shape[1]), (counts / labels.size).tolist(), image_file)


def check_names(predictor: Predictor, task: Task, options: Options) -> None:
    """Refuse an image whose results would have names that are too long.

    Parameters
    ----------
    predictor : Predictor
        The model.
    task : Task
        The image.
    options : Options
        What to write.

    Raises
    ------
    DataError
        If one is.
    """
    for name in options.outputs(task, predictor.instances):
        if len(os.fsencode(name.name)) > LONGEST_NAME:
            raise DataError("the name is too long for a result", where=task.source, expected="a shorter name")


def _draw_overlays(
    pixels: NDArray[Any],
    every: Mapping[int, LabelArray],
    predictor: Predictor,
    task: Task,
    write: Callable[[PurePath, bytes], None],
    *,
    legend: bool,
) -> None:
    """Draw an overlay for the labels after each instance, and a picture of all if there are several."""
    classes = predictor.classes
    for number, labels in every.items():
        name = task.results[overlay_kind(number, predictor.instances)]
        write(name, encode_overlay(pixels, labels, palette_of(classes), legend=classes if legend else None))
    if len(every) > 1:
        sheet = draw_instances(pixels, every, classes)
        write(task.results[INSTANCES], encode_png(sheet, colours=256, classes=classes))


def georeference_of(source: Path, options: Options, notes: Notes) -> Georeference | None:
    """Return the georeference of an image if its label file can hold one.

    Parameters
    ----------
    source : Path
        The image.
    options : Options
        Which label file is written.
    notes : Notes
        Gets a note if it is left out.

    Returns
    -------
    Georeference or None
        None if there is none, or it is left out.
    """
    georeference, note = read_georeference(source)
    if note is not None:
        notes.add(note, source)
    if georeference is not None and options.format != "tiff":
        notes.add(f"its georeference is left out of a {options.format} PNG; `format='tiff'` keeps it", source)
        return None
    return georeference


def _npz(probabilities: FloatArray, predictor: Predictor) -> bytes:
    buffer = io.BytesIO()
    names = np.array([c.name for c in predictor.classes])  # strings, not objects: loads without pickle
    np.savez(buffer, probabilities=probabilities, classes=names)
    return buffer.getvalue()
