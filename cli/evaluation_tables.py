"""The figures of evaluations as text and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lstm2d.cli.tables import WIDTH, Table, columns, confusion_tables, fields, percent, points, shortened

if TYPE_CHECKING:
    from lstm2d.predict.several import Result

HEADINGS = {  # of percentages
    "pixel_accuracy": "pixel",
    "class_accuracy": "class",
    "mean_iou": "mean IoU",
    "foreground_iou": "fg IoU",
    "edge_accuracy": "edge",
}
LONGEST_SPLIT = 14
LONGEST_HEADING = 14  # characters of a model's name at the head of a column


def describe(figures: dict[str, Any]) -> list[str | Table]:
    """Format the metrics of one model as text and tables.

    Parameters
    ----------
    figures : dict
        From `lstm2d.predict.evaluate.evaluate`.

    Returns
    -------
    list of str or Table
        At most 80 columns wide.
    """
    totals = [
        ("images", str(figures["images"])),
        ("pixel accuracy", f"{percent(figures['pixel_accuracy'])} %"),
        ("class accuracy", f"{percent(figures['class_accuracy'])} %"),
        ("mean IoU", f"{percent(figures['mean_iou'])} %"),
    ]
    if "foreground_iou" in figures:
        totals.append(("foreground IoU", f"{percent(figures['foreground_iou'])} %"))
    if "edge_accuracy" in figures:
        near = f"within {figures['edge_width']} of an edge"
        totals.append((near, f"{percent(figures['edge_accuracy'])} %"))
    if figures.get("size", {}).get("resized"):
        totals.append(("resized", str(figures["size"]["resized"])))
    totals += [
        ("seconds per image", f"{figures['seconds_per_image']:.4f}"),
        ("parameters", f"{figures['parameters']:,}"),
    ]
    names = list(figures["per_class"])
    pixels = sum(one["pixels"] for one in figures["per_class"].values())
    rows = [
        [
            f"{k} {shortened(name, 30)}",
            percent(one["accuracy"]),
            percent(one["iou"]),
            f"{100 * one['pixels'] / pixels:.2f}" if pixels else "-",
        ]
        for k, (name, one) in enumerate(figures["per_class"].items())
    ]
    first, *others = confusion_tables(figures["confusion"], names)
    title = "Of the pixels of each class (rows), percent labelled as (columns):"
    return [
        fields(totals),
        *instances_table([("", figures)]),
        *baselines_table(figures),
        Table(["class", "accuracy %", "IoU %", "% of pixels"], rows),
        replace(first, title=title),
        *others,
    ]


def baselines_table(figures: dict[str, Any]) -> list[Table]:
    """Return the table of constant labels; no table if no pixel is labelled."""
    keys = [key for key in HEADINGS if key in figures]
    rows = [[shortened(b["name"], 30), *(percent(b[key]) for key in keys)] for b in figures["baselines"]]
    return [Table(["constant labels", *(f"{HEADINGS[key]} %" for key in keys)], rows)] if rows else []


def instances_table(named: Sequence[tuple[str, dict[str, Any]]]) -> list[Table]:
    """Return the table of totals after each instance; no table if there is nothing besides the last one.

    Parameters
    ----------
    named : sequence of (str, dict)
        Name and figures of each model; an empty name for a single model.

    Returns
    -------
    list of Table
        One or none.
    """
    several = [
        (name, figures["instances"]) for name, figures in named if len(figures.get("instances", ())) > 1
    ]
    if not several:
        return []
    keys = [key for key in HEADINGS if key in next(iter(several[0][1].values()))]
    rows = [
        [*([name] if name else []), number, *(percent(totals[key]) for key in keys)]
        for name, after in several
        for number, totals in after.items()
    ]
    header = [*(["model"] if several[0][0] else []), "after instance"]
    return [Table([*header, *(f"{HEADINGS[key]} %" for key in keys)], rows, left=len(header))]


def describe_several(results: Sequence[Result]) -> list[str | Table]:
    """Format the metrics of several models as tables.

    Parameters
    ----------
    results : sequence of Result
        Two or more.

    Returns
    -------
    list of str or Table
        At most 80 columns wide, except that long names are wrapped on a terminal.
    """
    names = [result.task.name for result in results]
    if any(columns(name) > LONGEST_HEADING for name in names):
        heads = [str(k) for k in range(1, len(names) + 1)]
        names = [f"{k} {name}" for k, name in zip(heads, names, strict=True)]
    else:
        heads = names
    named = [(shortened(name, 30), result.figures) for name, result in zip(names, results, strict=True)]
    return [
        _totals(results, names),
        *instances_table(named),
        _costs(results, names),
        *_class_accuracies(results, heads),
        *_differences(results, heads),
    ]


def _totals(results: Sequence[Result], names: Sequence[str]) -> Table:
    """Return one row per model, mean and spread, and baselines."""
    from lstm2d.predict.several import is_k_fold, total_rows

    heads = {key: head for key, head in HEADINGS.items() if key in results[0].figures}
    splits = is_k_fold(r.task for r in results)
    room = WIDTH - (LONGEST_SPLIT + 2) * splits - sum(2 + max(len(head), 6) for head in heads.values())
    rows = []
    for number, row in enumerate(total_rows(results)):
        name = names[number] if number < len(names) else row.name
        split = [shortened(row.split or "", LONGEST_SPLIT)] if splits else []
        rows.append([shortened(name, room), *split, *(percent(row.figures[key]) for key in heads)])
    header = ["model", *(["split"] if splits else []), *heads.values()]
    return Table(header, rows, left=1 + splits, title="Accuracy and IoU in percent:")


def _costs(results: Sequence[Result], names: Sequence[str]) -> Table:
    rows = [
        [
            shortened(name, 36),
            str(result.figures["images"]),
            f"{result.figures['seconds_per_image']:.4f}",
            f"{result.figures['parameters']:,}",
        ]
        for name, result in zip(names, results, strict=True)
    ]
    return Table(["model", "images", "seconds per image", "parameters"], rows)


def _class_accuracies(results: Sequence[Result], heads: Sequence[str]) -> list[Table]:
    """Return the accuracy of each class, one column per model, in as many tables as the width needs."""
    labels = [f"{k} {shortened(c.name, 20)}" for k, c in enumerate(results[0].classes)]
    room = WIDTH - max(map(columns, ["class", *labels]))
    tables: list[Table] = []
    start = 0
    while start < len(results):
        stop, used = start, 0
        while stop < len(results) and used + (needed := 2 + max(columns(heads[stop]), 6)) <= room:
            stop, used = stop + 1, used + needed
        rows = [
            [label, *(percent(r.figures["per_class"][c.name]["accuracy"]) for r in results[start:stop])]
            for label, c in zip(labels, results[0].classes, strict=True)
        ]
        title = "Accuracy of each class in percent:" if start == 0 else ""
        tables.append(Table(["class", *heads[start:stop]], rows, title=title))
        start = stop
    return tables


def _differences(results: Sequence[Result], heads: Sequence[str]) -> list[Table]:
    """Return what each class gains from the first of two models to the second, on the same images."""
    from lstm2d.predict.differences import class_differences
    from lstm2d.predict.several import is_k_fold

    if len(results) != 2 or is_k_fold(r.task for r in results):
        return []
    rows = [
        [f"{c.number} {shortened(c.name, 30)}", points(c.accuracy_difference), points(c.iou_difference)]
        for c in class_differences(results[0].figures, results[1].figures)
    ]
    title = f"Gain of {heads[1]} over {heads[0]} in points:"
    return [Table(["class", "accuracy", "IoU"], rows, title=title)]
