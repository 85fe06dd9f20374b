"""Compare a model's labels with masks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.dataset import Dataset
from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.errors import DataError, Lstm2dError
from lstm2d.io.safe_open import open_regular
from lstm2d.metrics.baselines import baselines
from lstm2d.metrics.confusion import Confusion
from lstm2d.metrics.edges import edge_band
from lstm2d.pipeline.preprocess import LARGE, UNKNOWN_SIZE, Size
from lstm2d.predict.csv_text import csv_table, csv_text
from lstm2d.predict.predictor import Predictor

IMAGE_COLUMNS = ("image", "labelled_pixels", "pixel_accuracy", "class_accuracy", "mean_iou", "seconds")
TWO_CLASS_COLUMNS = (*IMAGE_COLUMNS[:-1], "foreground_iou", IMAGE_COLUMNS[-1])


@dataclass(frozen=True, slots=True)
class ImageScore:
    """Metrics of one image; None if it has no labelled pixel.

    Parameters
    ----------
    image : str
        Its stem.
    labelled_pixels : int
        Number of pixels that are evaluated.
    pixel_accuracy, class_accuracy, mean_iou : float or None
        As for a whole set, over this image alone.
    seconds : float
        Time to label it, reading excluded.
    foreground_iou : float or None
        Intersection over union of class 1 of two classes; None without foreground in truth and labels, or
        for another number of classes.
    """

    image: str
    labelled_pixels: int
    pixel_accuracy: float | None
    class_accuracy: float | None
    mean_iou: float | None
    seconds: float
    foreground_iou: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An image that was just labelled and compared with its mask.

    Parameters
    ----------
    number : int
        Number of images done, including this one.
    score : ImageScore
        Its metrics.
    image : array of shape (H, W, 3)
        Red, green, blue in 0..255.
    truth, labels : array of shape (H, W), uint8
        True and predicted class numbers.
    total : Confusion
        Counts over the images done so far.
    after : mapping of int to array of shape (H, W), uint8
        Predicted class numbers after each of the predictor's instances; the last are `labels`.
    """

    number: int
    score: ImageScore
    image: NDArray[Any]
    truth: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    total: Confusion
    after: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of a set of images.

    Parameters
    ----------
    confusion : Confusion
        The counts over all images, and the metrics.
    images : list of ImageScore
        One per image.
    figures : dict
        What ``lstm2d evaluate --json`` writes.
    """

    confusion: Confusion
    images: list[ImageScore]
    figures: dict[str, Any]


def choose_samples(dataset: DatasetFolder, split: str | None) -> tuple[str | None, list[Sample]]:
    """Return the images to evaluate on.

    Parameters
    ----------
    dataset : DatasetFolder
        The dataset.
    split : str or None
        Name of the split; None for "test", or for all images if the folder has no splits.

    Returns
    -------
    name : str or None
        The split that was chosen; None for all images.
    samples : list of Sample
        Not empty.

    Raises
    ------
    DataError
        If there is no such split, or it is empty.
    """
    if split is None and not dataset.splits:
        if not dataset.samples:
            raise DataError("no images to evaluate on", where=dataset.root)
        return None, dataset.samples
    name = split or "test"
    return name, dataset.split(name)


def check_classes(predictor: Predictor, dataset: Dataset) -> None:
    """Check that class numbers mean the same in the model and in the masks.

    Parameters
    ----------
    predictor : Predictor
        The model.
    dataset : Dataset
        The masks. Without dataset.toml only the class numbers are known; they must not exceed the model's.

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
        parts = [f"the model lacks {', '.join(unknown)}"] * bool(unknown)
        parts += [f"the dataset lacks {', '.join(absent)}"] * bool(absent)
        what = f"model and dataset have different classes ({'; '.join(parts) or 'a name occurs twice'})"
        hint = "use a model that was trained on these classes"
    raise DataError(what, where=dataset.root, expected=", ".join(ours), hint=hint)


def evaluate(
    predictor: Predictor,
    dataset: DatasetFolder,
    samples: Sequence[Sample],
    *,
    size: Size = "auto",
    edge: int | None = None,
    listener: Callable[[Evaluated], None] | None = None,
) -> Evaluation:
    """Label images and compare with their masks.

    Parameters
    ----------
    predictor : Predictor
        The model.
    dataset : DatasetFolder
        The dataset.
    samples : sequence of Sample
        The images.
    size : "auto", "native" or float, default "auto"
        Size at which the network sees the images, see `Predictor.predict`; labels are compared at the masks'
        size.
    edge : int, optional
        Also measure the pixel accuracy within this many pixels of an edge between true labels:
        ``edge_accuracy`` in the figures, with ``edge_width`` and ``edge_pixels``.
    listener : callable, optional
        Called after each image.

    Returns
    -------
    Evaluation
        The metrics.

    Raises
    ------
    DataError
        If the classes differ, or any image or mask cannot be used: metrics of the others would be misleading.
    ConfigError
        If `edge` or `size` is out of its range.

    Notes
    -----
    An unexpected exception gets a note with the name of the image.
    """
    check_classes(predictor, dataset)
    names = [c.name for c in predictor.classes]
    total, edges = (Confusion(len(names), dataset.ignore) for _ in range(2))
    after = {number: Confusion(len(names), dataset.ignore) for number in predictor.instances[:-1]}
    scores, resized = [], 0
    # warm-up: the first call loads BLAS
    predictor.predict(np.zeros((1, 1), dtype=np.uint8))
    for number, sample in enumerate(samples, start=1):
        try:
            one, counts = _evaluated(predictor, dataset, sample, size, number, total)
        except Exception as error:
            if not isinstance(error, Lstm2dError):  # these already name the file
                error.add_note(str(sample.image_path))
            raise
        total.merge(counts)
        truth, labels = one.truth, one.labels
        for instance, earlier in after.items():
            earlier.add(truth, one.after[instance])
        if edge is not None:
            edges.add(np.where(edge_band(truth, edge), truth, truth.dtype.type(dataset.ignore)), labels)
        height, width = labels.shape
        resized += predictor.preprocessing.network_size(height, width, size) != (height, width)
        scores.append(one.score)
        if listener is not None:
            listener(one)
    seconds = sum(score.seconds for score in scores) / max(len(scores), 1)
    figures = total.figures(names) | {
        "baselines": baselines(total, names, edges=None if edge is None else edges),
        "seconds_per_image": seconds,
        "parameters": predictor.parameters,
    }
    if resized or size != "auto":
        figures["size"] = {"asked": size, "model": predictor.preprocessing.typical_size, "resized": resized}
    figures |= predictor.selection
    if "instances" in figures:
        after[predictor.instances[-1]] = total
        figures["instances"] = {str(number): counts.totals for number, counts in after.items()}
    if edge is not None:
        figures |= {
            "edge_accuracy": edges.pixel_accuracy,
            "edge_width": edge,
            "edge_pixels": int(edges.matrix.sum()),
        }
    if predictor.crf is not None:
        figures["crf"] = predictor.crf.model_dump()
    return Evaluation(total, scores, figures)


def _evaluated(
    predictor: Predictor, dataset: DatasetFolder, sample: Sample, size: Size, number: int, total: Confusion
) -> tuple[Evaluated, Confusion]:
    """Label one image; return it with the counts of its pixels."""
    image, truth = dataset.load(sample)
    start = time.perf_counter()
    after = predictor.labels_after(image, size)
    labels = after[predictor.instances[-1]]
    seconds = time.perf_counter() - start
    if size == "auto" and predictor.size_is_unknown and labels.size > LARGE:
        dataset.notes.add(UNKNOWN_SIZE, sample.image_path)
    counts = Confusion(len(predictor.classes), dataset.ignore)
    counts.add(truth, labels)
    score = ImageScore(
        sample.stem,
        int(counts.matrix.sum()),
        counts.pixel_accuracy,
        counts.class_accuracy,
        counts.mean_iou,
        seconds,
        counts.foreground_iou,
    )
    return Evaluated(number, score, image, truth, labels, total, after), counts


def is_image_table(path: Path) -> bool:
    """Return whether the text of a file is from `image_table`.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    bool
        False also if it cannot be read.
    """
    try:
        with open_regular(path) as file:
            line = file.readline(1000)
    except (DataError, OSError):
        return False
    return line in [",".join(columns).encode() + b"\n" for columns in (IMAGE_COLUMNS, TWO_CLASS_COLUMNS)]


def image_table(scores: Sequence[ImageScore], *, two_classes: bool = False) -> str:
    """Return the metrics of each image as CSV.

    Parameters
    ----------
    scores : sequence of ImageScore
        The metrics.
    two_classes : bool, default False
        Also write the foreground IoU.

    Returns
    -------
    str
        A header, then one line per image; cells are empty if there is nothing to count.
    """
    columns = TWO_CLASS_COLUMNS if two_classes else IMAGE_COLUMNS
    rows = [[csv_text(score.image), *(getattr(score, name) for name in columns[1:])] for score in scores]
    return csv_table(columns, rows)
