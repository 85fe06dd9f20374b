"""Drawings of figures: learning curves, and the confusion table with class frequencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.io.classes import ClassInfo
from lstm2d.io.lettering import Lettering
from lstm2d.report.canvas import INK, drawn_letterings, new_figure, to_png, use_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "loss": "#31688e",
    "pixel_accuracy": "#1b7f5c",
    "class_accuracy": "#d1762b",
    "mean_iou": "#7a4fa3",
    "foreground_iou": "#b03a48",
}
LABELS = {
    "pixel_accuracy": "pixel accuracy",
    "class_accuracy": "class accuracy",
    "mean_iou": "mean IoU",
    "foreground_iou": "foreground IoU",
}
MAX_NUMBERS = 24  # classes up to which a confusion table shows its numbers
LONGEST = 22  # characters of a class name
MOST_BARS = 60  # classes up to which a plot of differences shows its numbers
GAIN, LOSS = "#31688e", "#d1762b"


def plot_curves(rows: Sequence[Mapping[str, float | None]]) -> bytes:
    """Draw loss and metrics over the epochs.

    Parameters
    ----------
    rows : sequence of mapping
        From `lstm2d.report.runs.read_results`: one row per epoch with "epoch", "loss", and those of
        "pixel_accuracy", "class_accuracy", "mean_iou" and "foreground_iou" that were measured (fractions).

    Returns
    -------
    bytes
        A PNG file.
    """
    with new_figure(8.2, 3.1) as figure:
        left, right = figure.subplots(1, 2)
        _curve(left, rows, "loss", "training loss of a window")
        left.set_title("loss", loc="left", fontweight="bold")
        left.set_ylim(bottom=0.0)
        for name, label in LABELS.items():
            _curve(right, rows, name, label)
        right.set_title("validation", loc="left", fontweight="bold")
        right.set_ylim(0.0, 1.0)
        right.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        if right.lines:
            right.legend(loc="lower right", frameon=False)
        for axes in (left, right):
            axes.set_xlabel("epoch")
            axes.grid(True)
            axes.xaxis.get_major_locator().set_params(integer=True)
        return to_png(figure)


def _curve(axes: Axes, rows: Sequence[Mapping[str, float | None]], name: str, label: str) -> None:
    """Draw one line, with a dot at its best or only point."""
    points = [(row["epoch"], row[name]) for row in rows if row.get(name) is not None]
    if not points:
        return
    epochs, values = zip(*points, strict=True)
    axes.plot(epochs, values, color=COLOURS[name], linewidth=1.8, label=label)
    best = int(np.argmin(values) if name == "loss" else np.argmax(values))
    axes.plot(epochs[best], values[best], "o", color=COLOURS[name], markersize=4.5)
    text = f"{values[best]:.3f}" if name == "loss" else f"{100 * values[best]:.1f} %"
    near_right = best > 0.7 * len(values)
    axes.annotate(
        text,
        (epochs[best], values[best]),
        xytext=(-4 if near_right else 4, 6),
        textcoords="offset points",
        ha="right" if near_right else "left",
        color=COLOURS[name],
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0},  # readable across lines
    )


def plot_confusion(
    confusion: NDArray[np.integer[Any]] | Sequence[Sequence[int]],
    classes: Sequence[ClassInfo],
    frequencies: Mapping[str, Sequence[float]],
) -> bytes:
    """Draw the confusion table with the class frequencies beside it.

    Parameters
    ----------
    confusion : array of int, shape (K, K)
        Pixels; row: truth, column: label.
    classes : sequence of ClassInfo
        The K classes.
    frequencies : mapping of str to sequence of float
        For one or more sets of images, such as "train" and "test", the share of each class's pixels.

    Returns
    -------
    bytes
        A PNG file.

    Notes
    -----
    A class whose name no font can show appears with its number.

    After figure 3 of the 2D-LSTM paper. Each row is divided by its sum: the diagonal has the class
    accuracies.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    k = len(classes)
    side = min(max(0.42 * k + 1.2, 3.4), 11.0)
    with new_figure(side + 3.4, side) as figure:
        table, bars = figure.subplots(1, 2, width_ratios=(side, 2.6))
        _table(table, shares, _class_names(classes))
        _bars(bars, classes, frequencies)
        return to_png(figure)


def _table(axes: Axes, shares: NDArray[np.float64], names: Sequence[Lettering]) -> None:
    """Draw the table itself."""
    k = len(names)
    axes.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0.0, vmax=1.0, aspect="equal")
    size = 8.0 if k <= MAX_NUMBERS else max(3.0, 200.0 / k)
    shown = [name.text for name in names]
    axes.set_xticks(range(k), shown, rotation=45, ha="right", fontsize=size, parse_math=False)
    axes.set_yticks(range(k), shown, fontsize=size, parse_math=False)
    use_fonts(axes.get_xticklabels(), names)
    use_fonts(axes.get_yticklabels(), names)
    axes.tick_params(length=0)
    axes.set_xlabel("label")
    axes.set_ylabel("truth")
    axes.set_title("labels of each class, % of its pixels", loc="left", fontweight="bold")
    axes.spines[:].set_visible(False)
    if k > MAX_NUMBERS:
        return
    for row, column in np.ndindex(k, k):
        share = shares[row, column]
        text = "-" if np.isnan(share) else f"{100 * share:.0f}"
        colour = "white" if share > 0.55 else "#8a9099" if not share >= 0.005 else INK
        axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color=colour)


def _bars(axes: Axes, classes: Sequence[ClassInfo], frequencies: Mapping[str, Sequence[float]]) -> None:
    """Draw the frequencies, one bar per class and set."""
    k, thick = len(classes), 0.78 / max(len(frequencies), 1)
    colours = [np.array(info.color) / 255.0 for info in classes]
    largest = 0.0
    for number, (name, values) in enumerate(frequencies.items()):
        places = np.arange(k) + (number - 0.5 * (len(frequencies) - 1)) * thick
        fade = 1.0 - 0.55 * number / max(len(frequencies) - 1, 1)
        axes.barh(
            places,
            [100.0 * value for value in values],
            height=0.9 * thick,
            color=[(*colour, fade) for colour in colours],
            edgecolor="#6e737a",
            linewidth=0.6,
            hatch="" if number == 0 else "////",
            label=name,
        )
        largest = max([largest, *values])
    axes.set_ylim(k - 0.5, -0.5)
    axes.set_xlim(0.0, max(112.0 * largest, 1.0))
    axes.set_yticks([])
    axes.set_xlabel("% of the pixels")
    axes.set_title("class frequency", loc="left", fontweight="bold")
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    if frequencies:
        legend = axes.legend(loc="lower right", frameon=False)
        for handle in legend.legend_handles:
            if handle is not None and hasattr(handle, "set_facecolor"):
                handle.set_facecolor("#d5d8dc")


def plot_differences(
    title: str, classes: Sequence[ClassInfo], differences: Sequence[tuple[int, float, float]]
) -> bytes:
    """Draw what a model gains and loses per class.

    Parameters
    ----------
    title : str
        A few words, such as the names of both models. Left out if no font can show them.
    classes : sequence of ClassInfo
        The K classes.
    differences : sequence of (int, float, float)
        Class number, difference in accuracy and in IoU (fractions), in the order of the bars; one or more.

    Returns
    -------
    bytes
        A PNG file.

    Notes
    -----
    A class whose name no font can show appears with its number.

    After figure 7 of the paper on label hierarchies, with the IoU beside the accuracy.
    """
    numbers, *values = zip(*differences, strict=True)
    names = _class_names(classes)
    shown = [names[number] for number in numbers]
    gains = 100.0 * np.array(values)
    low, high = min(gains.min(), 0.0), max(gains.max(), 0.0)
    margin = max(0.15 * (high - low), 0.5)  # room for numbers
    with new_figure(8.2, min(0.24 * len(shown) + 1.3, 14.0)) as figure:
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, label, one in zip(panels, ("accuracy", "IoU"), gains, strict=True):
            _gains(axes, one.tolist())
            axes.set_title(label, loc="left", fontweight="bold")
        panels[0].set_xlim(low - margin, high + margin)
        size = min(8.0, 450.0 / len(shown))
        texts = [name.text for name in shown]
        panels[0].set_yticks(range(len(shown)), texts, fontsize=size, parse_math=False)
        use_fonts(panels[0].get_yticklabels(), shown)
        (heading,) = drawn_letterings([title], [""], 2 * LONGEST + 20)
        text = figure.suptitle(heading.text, fontsize=10.0, parse_math=False)
        use_fonts([text], [heading])
        return to_png(figure)


def _gains(axes: Axes, gains: Sequence[float]) -> None:
    """Draw one bar per class, in points, with its number if there is room."""
    colours = [GAIN if gain > 0 else LOSS for gain in gains]
    bars = axes.barh(range(len(gains)), gains, height=0.72, color=colours)
    if len(gains) <= MOST_BARS:
        texts = [f"{gain:+z.1f}" for gain in gains]
        axes.bar_label(bars, texts, padding=2, fontsize=7.5)
    axes.set_ylim(len(gains) - 0.5, -0.5)
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_xlabel("points")
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)


def _class_names(classes: Sequence[ClassInfo]) -> list[Lettering]:
    """Return the class names as matplotlib can show them."""
    numbers = [str(number) for number in range(len(classes))]
    return drawn_letterings([info.name for info in classes], numbers, LONGEST)
