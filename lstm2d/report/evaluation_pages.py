"""HTML reports of evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lstm2d.data.folder import DatasetFolder
from lstm2d.predict.differences import class_differences, count_images, image_differences
from lstm2d.predict.several import TOTALS, Result, is_k_fold, total_rows
from lstm2d.report.html import Picture, Section, Table, class_table, percent, points, render

PICTURES = {  # in the order of the page: title and what it shows
    "confusion": (
        "Confusion table",
        "Row: true class, column: label, in percent of the true class. Right: class frequencies.",
    ),
    "labelings": ("Labelings", "Evenly spaced images of the split, whatever their accuracy."),
    "best": ("Best images", "The images with the highest pixel accuracy."),
    "worst": ("Worst images", "The images with the lowest pixel accuracy."),
}
COMPARISON = (
    "Labelings",
    "Evenly spaced images of the split, whatever their accuracy: truth, labels of each model.",
)
DIFFERENCES = {  # of two models, as `PICTURES`
    "differences": (
        "Gain of each class",
        "Accuracy and IoU less those of the baseline, in points, sorted by accuracy. Classes that do not "
        "occur in the truth are left out.",
    ),
    "gains": (
        "Images that gain",
        "The largest gains in pixel accuracy over the baseline, the largest first. In brackets: the gain in "
        "points.",
    ),
    "between": ("Images in between", "Evenly spaced among the other images, sorted by difference."),
    "losses": (
        "Images that lose",
        "The largest losses in pixel accuracy against the baseline, the largest last.",
    ),
}
BASELINES = 'Rows "every pixel ...": the accuracy of labelling all pixels with one class.'


@dataclass(frozen=True, slots=True)
class Pair:
    """A model compared with a baseline on the same images.

    Parameters
    ----------
    baseline, result : Result
        Their figures.
    pictures : mapping of str to bytes
        PNG files by the keys of `DIFFERENCES`, as far as they exist.
    """

    baseline: Result
    result: Result
    pictures: Mapping[str, bytes]


def page_of_model(result: Result, dataset: DatasetFolder, pictures: Mapping[str, bytes]) -> str:
    """Return the report on one model.

    Parameters
    ----------
    result : Result
        Its figures.
    dataset : DatasetFolder
        The dataset.
    pictures : mapping of str to bytes
        PNG files by the keys of `PICTURES`, as far as they exist.

    Returns
    -------
    str
        The HTML page.
    """
    intro = f"{_images(result)} of {dataset.name} ({dataset.root})."
    tables = (totals_table([result]), *instances_tables(result), cost_table([result]))
    totals = Section("Totals", BASELINES, tables)
    classes = Section("Classes", tables=(class_table(result.figures["per_class"]),))
    shown = Section("Pictures", pictures=_pictures(pictures))
    about = Section("Model", result.trained_on or "The model file does not describe its training images.")
    return render(f"Evaluation of {result.task.name}", intro, [totals, classes, shown, about])


def page_of_models(
    results: Sequence[Result],
    dataset: DatasetFolder,
    pictures: Sequence[Mapping[str, bytes]],
    comparison: bytes | None,
    pairs: Sequence[Pair] = (),
) -> str:
    """Return the report that compares several models.

    Parameters
    ----------
    results : sequence of Result
        Their figures.
    dataset : DatasetFolder
        The dataset.
    pictures : sequence of mapping
        For each model its PNG files.
    comparison : bytes or None
        PNG of the same images with the labels of each model; None if the models have different splits.
    pairs : sequence of Pair
        Each model after the first, compared with it; none if the models have different splits.

    Returns
    -------
    str
        The HTML page.
    """
    if is_k_fold(r.task for r in results):
        intro = f"Each model on its own split of {dataset.name} ({dataset.root})."
        text = f"Spread: sample standard deviation over the models. {BASELINES}"
    else:
        intro = f"{_images(results[0])} of {dataset.name} ({dataset.root})."
        text = BASELINES
    sheets = () if comparison is None else (Picture(COMPARISON[0], comparison, COMPARISON[1]),)
    sections = [Section("Models", text, (totals_table(results), cost_table(results)), sheets)]
    sections += [
        Section(title, tables=(_side_by_side(results, key),))
        for key, title in (("accuracy", "Accuracy per class"), ("iou", "IoU per class"))
    ]
    sections += [_pair_section(pair) for pair in pairs]
    for result, drawn in zip(results, pictures, strict=True):
        more = f"All pictures of this model: {result.task.name}/report.html"
        confusion = {name: png for name, png in drawn.items() if name == "confusion"}
        text = f"{result.trained_on}\n{more}".strip()
        sections.append(Section(result.task.name, text, pictures=_pictures(confusion)))
    return render(f"Evaluation of {len(results)} models", intro, sections)


def _pair_section(pair: Pair) -> Section:
    """Return what a model gains and loses."""
    ours, theirs = pair.result, pair.baseline
    counts = count_images(image_differences(theirs.images, ours.images))
    shown = ", ".join(f"{number} {name}" for name, number in counts.items())
    text = (
        f"Differences in points: {ours.task.name} less {theirs.task.name}, which is the baseline.\n"
        f"Images by their pixel accuracy: {shown}."
    )
    rows = [
        (one.name, *(points(value) for value in (one.accuracy_difference, one.iou_difference)))
        for one in class_differences(theirs.figures, ours.figures)
    ]
    table = Table(("class", "accuracy", "IoU"), rows)
    title = f"{ours.task.name} compared with {theirs.task.name}"
    return Section(title, text, (table,), _pictures(pair.pictures, DIFFERENCES))


def totals_table(results: Sequence[Result]) -> Table:
    """Return the totals of models and baselines.

    Parameters
    ----------
    results : sequence of Result
        One or more.

    Returns
    -------
    Table
        One row per model, for k-fold mean and spread, and one per baseline.
    """
    keys = [key for key in TOTALS if key in results[0].figures]
    folds = is_k_fold(r.task for r in results)
    header = ("labels", *(["split"] if folds else []), *(TOTALS[key] for key in keys))
    rows = [
        (row.name, *([row.split or "-"] if folds else []), *(percent(row.figures[key]) for key in keys))
        for row in total_rows(results)
    ]
    return Table(header, rows)


def instances_tables(result: Result) -> list[Table]:
    """Return the totals after each instance of a recurrent convolutional network.

    Parameters
    ----------
    result : Result
        Figures of a model.

    Returns
    -------
    list of Table
        One table; none if the evaluation is of the last instance alone.
    """
    found = result.figures.get("instances", {})
    rows = [(number, *(percent(v) for v in totals.values())) for number, totals in found.items()]
    keys = [TOTALS[key] for totals in found.values() for key in totals][: len(rows[0]) - 1] if rows else []
    return [Table(("instances", *keys), rows)] if rows else []


def cost_table(results: Sequence[Result]) -> Table:
    """Return images, time and parameters of models.

    Parameters
    ----------
    results : sequence of Result
        One or more.

    Returns
    -------
    Table
        One row per model.
    """
    rows = [
        (
            r.task.name,
            str(r.figures["images"]),
            f"{r.figures['seconds_per_image']:.4f}",
            f"{r.figures['parameters']:,}",
        )
        for r in results
    ]
    return Table(("model", "images", "seconds per image", "parameters"), rows)


def _side_by_side(results: Sequence[Result], key: str) -> Table:
    """Return one figure of each class, one column per model."""
    names = [c.name for c in results[0].classes]
    rows = [(n, *(percent(r.figures["per_class"][n][key]) for r in results)) for n in names]
    return Table(("class", *(r.task.name for r in results)), rows)


def _images(result: Result) -> str:
    count = result.figures["images"]
    images = "1 image" if count == 1 else f"{count} images"
    return f"All {images}" if result.task.split is None else f"{images} of the split {result.task.split}"


def _pictures(
    pictures: Mapping[str, bytes], captions: Mapping[str, tuple[str, str]] = PICTURES
) -> list[Picture]:
    return [Picture(title, pictures[key], text) for key, (title, text) in captions.items() if key in pictures]
