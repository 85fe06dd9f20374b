"""Compare a model's labels with masks."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.errors import DataError
from lstm2d.io.safe_open import open_regular
from lstm2d.metrics.confusion import Confusion
from lstm2d.metrics.edges import edge_band
from lstm2d.pipeline.preprocess import LARGE, UNKNOWN_SIZE, Size
from lstm2d.predict.csv_text import csv_text
from lstm2d.predict.predictor import Predictor

IMAGE_COLUMNS = ("image", "labelled_pixels", "pixel_accuracy", "class_accuracy", "mean_iou", "seconds")


@dataclass(frozen=True, slots=True)
class ImageScore:
    """Figures of one image; None where it has no labelled pixel.

    Parameters
    ----------
    image : str
        Its stem.
    labelled_pixels : int
        Pixels that count.
    pixel_accuracy, class_accuracy, mean_iou : float or None
        As for a whole set, over this image alone.
    seconds : float
        Time to label it, without reading it.
    """

    image: str
    labelled_pixels: int
    pixel_accuracy: float | None
    class_accuracy: float | None
    mean_iou: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of a set of images.

    Parameters
    ----------
    confusion : Confusion
        The counts over all images, and the metrics.
    images : list of ImageScore
        One for each image.
    report : dict
        What ``evaluate --json`` writes.
    """

    confusion: Confusion
    images: list[ImageScore]
    report: dict[str, Any]


def choose_samples(dataset: DatasetFolder, split: str | None) -> tuple[str | None, list[Sample]]:
    """Return the images to evaluate on.

    Parameters
    ----------
    dataset : DatasetFolder
        Where they are.
    split : str or None
        Which split; None for "test", or for all images where the folder has no splits.

    Returns
    -------
    name : str or None
        The split that was taken; None for all images.
    samples : list of Sample
        Not empty.

    Raises
    ------
    DataError
        If there is no such split, or nothing in it.
    """
    if split is None and not dataset.splits:
        if not dataset.samples:
            raise DataError("no images to evaluate on", where=dataset.root)
        return None, dataset.samples
    name = split or "test"
    return name, dataset.split(name)


def check_classes(predictor: Predictor, dataset: DatasetFolder) -> None:
    """Make sure that a class number means the same in the model and in the masks.

    Parameters
    ----------
    predictor : Predictor
        The model.
    dataset : DatasetFolder
        The masks. Of a folder without dataset.toml only the numbers are known; they must not exceed the
        model's.

    Raises
    ------
    DataError
        If the classes differ.
    """
    ours = [c.name for c in predictor.classes]
    theirs = [c.name for c in dataset.classes]
    if dataset.guessed:
        if len(theirs) > len(ours):
            raise DataError(
                f"the masks have class {len(theirs) - 1}, the model has the classes 0 to {len(ours) - 1}",
                where=dataset.root,
                expected=", ".join(f"{k} {name}" for k, name in enumerate(ours)),
            )
        return
    if ours == theirs:
        return
    if sorted(ours) == sorted(theirs):
        what = "the dataset has the model's classes in another order"
        hint = "sort [[classes]] and the mask values as the model has them, or train a model on this dataset"
    else:
        unknown = [name for name in theirs if name not in ours]
        absent = [name for name in ours if name not in theirs]
        parts = [f"the model does not know {', '.join(unknown)}"] * bool(unknown)
        parts += [f"the dataset lacks {', '.join(absent)}"] * bool(absent)
        what = f"model and dataset have different classes ({'; '.join(parts) or 'a name stands twice'})"
        hint = "use a model that was trained on these classes"
    raise DataError(what, where=dataset.root, expected=", ".join(ours), hint=hint)


def evaluate(
    predictor: Predictor,
    dataset: DatasetFolder,
    samples: Sequence[Sample],
    *,
    size: Size = "auto",
    edge: int | None = None,
    report: Callable[[int, Confusion], None] | None = None,
) -> Evaluation:
    """Label images and compare with their masks.

    Parameters
    ----------
    predictor : Predictor
        The model.
    dataset : DatasetFolder
        Where the images are.
    samples : sequence of Sample
        Which ones.
    size : "auto", "native" or float, default "auto"
        At which the network sees the images, see `Predictor.predict`; labels are compared at the masks' size.
    edge : int, optional
        Also measure the pixel accuracy within so many pixels of an edge between true labels:
        ``edge_accuracy`` in the report, with ``edge_width`` and ``edge_pixels``.
    report : callable, optional
        Called after each image with the number of images done and the counts so far.

    Returns
    -------
    Evaluation
        The figures.

    Raises
    ------
    DataError
        If the classes differ, or any image or mask cannot be used: figures over the rest would mislead.
    ConfigError
        If `edge` or `size` is out of its range.
    """
    check_classes(predictor, dataset)
    names = [c.name for c in predictor.classes]
    total, edges = (Confusion(len(names), dataset.ignore) for _ in range(2))
    scores, resized = [], 0
    # the first call loads BLAS, which is no image's time
    predictor.predict(np.zeros((1, 1), dtype=np.uint8))
    for number, sample in enumerate(samples, start=1):
        image, truth = dataset.load(sample)
        start = time.perf_counter()
        labels = predictor.labels_of(image, size)
        height, width = labels.shape
        if size == "auto" and predictor.size_is_unknown and height * width > LARGE:
            dataset.notes.add(UNKNOWN_SIZE, sample.image_path)
        resized += predictor.preprocessing.network_size(height, width, size) != (height, width)
        seconds = time.perf_counter() - start
        one = Confusion(len(names), dataset.ignore)
        one.add(truth, labels)
        total.merge(one)
        if edge is not None:
            edges.add(np.where(edge_band(truth, edge), truth, truth.dtype.type(dataset.ignore)), labels)
        scores.append(
            ImageScore(
                sample.stem,
                int(one.matrix.sum()),
                one.pixel_accuracy,
                one.class_accuracy,
                one.mean_iou,
                seconds,
            )
        )
        if report is not None:
            report(number, total)
    seconds = sum(score.seconds for score in scores) / max(len(scores), 1)
    figures = total.report(names) | {"seconds_per_image": seconds, "parameters": predictor.parameters}
    if resized or size != "auto":
        figures["size"] = {"asked": size, "model": predictor.preprocessing.typical_size, "resized": resized}
    if edge is not None:
        figures |= {
            "edge_accuracy": edges.pixel_accuracy,
            "edge_width": edge,
            "edge_pixels": int(edges.matrix.sum()),
        }
    if predictor.crf is not None:
        figures["crf"] = predictor.crf.model_dump()
    return Evaluation(total, scores, figures)


def is_image_table(path: Path) -> bool:
    """Tell whether a file is one that `image_table` made the text of.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    bool
        False too where it cannot be read.
    """
    header = ",".join(IMAGE_COLUMNS).encode() + b"\n"
    try:
        with open_regular(path) as file:
            return file.read(len(header)) == header
    except (DataError, OSError):
        return False


def image_table(scores: Sequence[ImageScore]) -> str:
    """Return the figures of each image as CSV.

    Parameters
    ----------
    scores : sequence of ImageScore
        The figures.

    Returns
    -------
    str
        A header, then a line an image; empty cells where there is nothing to count.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(IMAGE_COLUMNS)
    for score in scores:
        cells = [getattr(score, name) for name in IMAGE_COLUMNS[1:]]
        writer.writerow([csv_text(score.image), *(f"{v:.6f}" if isinstance(v, float) else v for v in cells)])
    return text.getvalue()
