"""One HTML file about one or several runs: everything inside it, no script, no network."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lstm2d.io.atomic import write_text
from lstm2d.io.safe_open import read_existing
from lstm2d.metrics.baselines import baselines
from lstm2d.metrics.confusion import Confusion
from lstm2d.report.figures import LABELS
from lstm2d.report.runs import RunSummary, read_run

TEMPLATE = "report.html.jinja"
FIGURES = {  # file in RUN/plots: title and what it shows
    "curves": ("Learning curves", "Loss on the training images, accuracy on the validation images."),
    "confusion": (
        "Confusion table",
        "Row: true class, column: label, in percent of the true class. Right: class frequencies.",
    ),
    "best": ("Best images", "The validation images with the highest pixel accuracy."),
    "worst": ("Worst images", "The validation images with the lowest pixel accuracy."),
    "instances": (
        "Labels after each instance",
        "Evenly spaced validation images, whatever their accuracy: truth, labels after each instance.",
    ),
}


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Parameters
    ----------
    title : str
        A few words.
    png : bytes
        The picture as PNG file; may be empty on a card.
    text : str
        What it shows; also the alternative text.
    """

    title: str
    png: bytes
    text: str = ""

    @property
    def uri(self) -> str:
        """The picture as data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Table:
    """A table of a report; cells are texts, the first of a row is its heading.

    Parameters
    ----------
    header : sequence of str
        Headings of the columns.
    rows : sequence of sequence of str
        The cells.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Parameters
    ----------
    title : str
        Heading.
    text : str
        A paragraph, may be empty.
    tables : sequence of Table
        Shown below the text.
    pictures : sequence of Picture
        Shown below the tables.
    details : sequence of (str, str)
        Heading and text of collapsed parts, such as a configuration.
    cards : sequence of Picture
        Small pictures side by side, shown below the pictures.
    """

    title: str
    text: str = ""
    tables: Sequence[Table] = field(default_factory=tuple)
    pictures: Sequence[Picture] = field(default_factory=tuple)
    details: Sequence[tuple[str, str]] = field(default_factory=tuple)
    cards: Sequence[Picture] = field(default_factory=tuple)


def render(title: str, intro: str, sections: Sequence[Section]) -> str:
    """Return a report as HTML.

    Parameters
    ----------
    title : str
        Title of the page.
    intro : str
        A paragraph below it.
    sections : sequence of Section
        The parts.

    Returns
    -------
    str
        The page. All texts are escaped; it needs no script, style sheet or network.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lstm2d.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(title=title, intro=intro, sections=sections)


def write_report(path: str | os.PathLike[str], title: str, intro: str, sections: Sequence[Section]) -> None:
    """Write a report.

    Parameters
    ----------
    path : str or path
        The HTML file.
    title, intro : str
        As for `render`.
    sections : sequence of Section
        As for `render`.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_text(path, render(title, intro, sections))


def report_on_runs(runs: Sequence[str | os.PathLike[str]]) -> list[Section]:
    """Return the sections of a report on runs: a table that compares them, then one section per run.

    Parameters
    ----------
    runs : sequence of str or path
        Run folders.

    Returns
    -------
    list of Section
        For `write_report`.

    Raises
    ------
    DataError
        If a run cannot be read.
    """
    summaries = [read_run(path) for path in runs]
    compared = Section("Runs", tables=(compare(summaries),))
    return [compared, *(run_section(summary) for summary in summaries)]


def compare(summaries: Sequence[RunSummary]) -> Table:
    """Return a table with one row per run.

    Parameters
    ----------
    summaries : sequence of RunSummary
        The runs.

    Returns
    -------
    Table
        Preset, size, length and validation figures; the foreground IoU if a run has two classes.
    """
    measured = [run.model.metrics.get("validation", {}) for run in summaries]
    two_classes = any("foreground_iou" in metrics for metrics in measured)
    shown = {name: label for name, label in LABELS.items() if name != "foreground_iou" or two_classes}
    header = ("run", "preset", "parameters", "epochs", "training", *shown.values())
    rows = []
    for run, metrics in zip(summaries, measured, strict=True):
        figures = [percent(metrics.get(name)) for name in shown]
        length = "-" if run.seconds is None else minutes(run.seconds)
        rows.append(
            (
                run.name,
                run.model.preset or "-",
                f"{run.parameters:,}",
                str(len(run.results)),
                length,
                *figures,
            )
        )
    return Table(header, rows)


def run_section(run: RunSummary) -> Section:
    """Return the section about a run.

    Parameters
    ----------
    run : RunSummary
        The run.

    Returns
    -------
    Section
        Figures of each class, the pictures in RUN/plots, and the configuration.
    """
    pictures = []
    for name, (title, text) in FIGURES.items():
        file = run.path / "plots" / f"{name}.png"
        data = read_existing(file)
        if data is not None:
            pictures.append(Picture(title, data, text))
    tables = []
    per_class = run.model.metrics.get("validation", {}).get("per_class")
    if isinstance(per_class, dict):
        tables += [class_table(per_class), *constant_tables(per_class)]
    details = [("Configuration", run.config)] if run.config else []
    return Section(f"Run: {run.name}", run.model.trained_on, tables, pictures, details)


def class_table(per_class: dict[str, dict[str, float | None]]) -> Table:
    """Return the figures of each class.

    Parameters
    ----------
    per_class : dict of str to dict
        Class to "accuracy", "iou" and "pixels", as in `lstm2d.predict.evaluate.Evaluation.figures`.

    Returns
    -------
    Table
        In percent.
    """
    total = sum(figures.get("pixels") or 0 for figures in per_class.values())
    rows = [
        (
            name,
            percent(figures.get("accuracy")),
            percent(figures.get("iou")),
            percent((figures.get("pixels") or 0) / total if total else None),
        )
        for name, figures in per_class.items()
    ]
    return Table(("class", "accuracy", "IoU", "share of the pixels"), rows)


def constant_tables(per_class: dict[str, dict[str, float | None]]) -> list[Table]:
    """Return the accuracy of labelling every pixel with the most frequent class.

    Parameters
    ----------
    per_class : dict of str to dict
        As for `class_table`.

    Returns
    -------
    list of Table
        One table; none if the numbers of pixels are not known or 0.
    """
    confusion = Confusion(len(per_class))
    pixels = [int(figures.get("pixels") or 0) for figures in per_class.values()]
    np.fill_diagonal(confusion.matrix, pixels)
    header = ("constant labels", "pixel accuracy", "class accuracy", "mean IoU")
    keys = ("pixel_accuracy", "class_accuracy", "mean_iou")
    rows = [(b["name"], *(percent(b[key]) for key in keys)) for b in baselines(confusion, list(per_class))]
    return [Table(header, rows)] if rows else []


def percent(fraction: object) -> str:
    """Return a fraction as percent; "absent" if it is no number.

    Parameters
    ----------
    fraction : object
        A metric; None for a class that does not occur.

    Returns
    -------
    str
        With one digit.
    """
    return f"{100 * fraction:.1f} %" if isinstance(fraction, int | float) else "absent"


def points(difference: float | None) -> str:
    """Return a difference of fractions in points, hundredths.

    Parameters
    ----------
    difference : float or None
        None for a class that does not occur.

    Returns
    -------
    str
        With sign and one digit; "absent" for None.
    """
    return "absent" if difference is None else f"{100 * difference:+z.1f}"


def minutes(seconds: float) -> str:
    """Return a duration in words.

    Parameters
    ----------
    seconds : float
        0 or more.

    Returns
    -------
    str
        Seconds up to two minutes, minutes up to two hours, then hours.
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
