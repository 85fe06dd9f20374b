"""Plots of label hierarchies: how frequent classes and subclasses are, and what filling changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lstm2d.hierarchy.hierarchy import METHODS, Hierarchy
from lstm2d.report.canvas import INK, drawn_letterings, new_figure, to_png, use_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COMMON, RARE = "#31688e", "#d1762b"
MOST_NAMES = 60  # bars up to which each has its name
LONGEST = 22  # characters of a name
BEFORE = "samples_before_filling"


def plot_frequencies(hierarchy: Hierarchy) -> bytes:
    """Draw how frequent classes and subclasses are.

    Parameters
    ----------
    hierarchy : Hierarchy
        The hierarchy.

    Returns
    -------
    bytes
        A PNG file: the superpixels of each class, the share of all superpixels that the most frequent classes
        have together, and the superpixels of each subclass, each in descending order. After figure 2 of the
        paper.
    """
    counts = hierarchy.samples
    classes = sorted(range(len(counts)), key=lambda k: -counts[k])
    parts = sorted(hierarchy.subclasses, key=lambda one: -one.samples)
    rare = len(counts) - len(hierarchy.common)
    with new_figure(10.0, 9.6) as figure:
        top, middle, bottom = figure.subplots(3, 1)
        is_common = [number in hierarchy.common for number in classes]
        names = [hierarchy.classes[number] for number in classes]
        _bars(top, [counts[number] for number in classes], is_common, names)
        _title(top, f"{len(counts)} classes: {len(hierarchy.common)} common, {rare} rare")
        _legend(top)
        _shares(middle, [counts[number] for number in classes], is_common, hierarchy.settings.get("rho"))
        of_common = [one.class_number in hierarchy.common for one in parts]
        _bars(bottom, [one.samples for one in parts], of_common, [one.name for one in parts])
        _title(bottom, f"{hierarchy.n} subclasses by {METHODS[hierarchy.method]}")
        return to_png(figure)


def plot_filling(hierarchy: Hierarchy) -> bytes | None:
    """Draw how frequent classes are before and after images were filled.

    Parameters
    ----------
    hierarchy : Hierarchy
        The hierarchy.

    Returns
    -------
    bytes or None
        A PNG file, after figure 9 of the paper; None if no image was filled.
    """
    before = hierarchy.settings.get(BEFORE)
    if not isinstance(before, tuple):
        return None
    after = hierarchy.samples
    order = sorted(range(len(after)), key=lambda k: -after[k])
    with new_figure(10.0, 3.8) as figure:
        axes = figure.subplots()
        places = np.arange(len(order))
        for shift, values, label, colour in ((-0.2, before, "before", RARE), (0.2, after, "after", COMMON)):
            axes.bar(places + shift, [values[k] for k in order], 0.38, color=colour, label=label)
        _names(axes, [hierarchy.classes[k] for k in order])
        filled, images = (hierarchy.settings.get(key) for key in ("filled_images", "images"))
        _title(axes, f"superpixels of each class before and after {filled} of {images} images were filled")
        axes.legend(loc="upper right", frameon=False)
        return to_png(figure)


def _bars(axes: Axes, values: Sequence[int], is_common: Sequence[bool], names: Sequence[str]) -> None:
    """Draw one bar per class or subclass."""
    axes.bar(range(len(values)), values, 0.8, color=[COMMON if one else RARE for one in is_common])
    _names(axes, names)


def _names(axes: Axes, names: Sequence[str]) -> None:
    """Write names under bars, unless there are too many."""
    axes.set_xlim(-0.7, len(names) - 0.3)
    axes.set_ylabel("superpixels")
    axes.grid(True, axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", length=0)
    if len(names) > MOST_NAMES:
        axes.set_xticks([])
        return
    shown = drawn_letterings(names, [str(number) for number in range(len(names))], LONGEST)
    size = 8.0 if len(names) <= MOST_NAMES // 2 else 6.5
    texts = [one.text for one in shown]
    axes.set_xticks(range(len(names)), texts, rotation=90, fontsize=size, parse_math=False)
    use_fonts(axes.get_xticklabels(), shown)


def _shares(axes: Axes, values: Sequence[int], is_common: Sequence[bool], rho: object) -> None:
    """Draw the share that the first classes have together, and the limit of the common ones."""
    from matplotlib.ticker import MaxNLocator

    shares = 100 * np.cumsum(values) / max(sum(values), 1)
    colours = [COMMON if one else RARE for one in is_common]
    axes.plot(range(1, len(shares) + 1), shares, color="#b6bac0", linewidth=1.2, zorder=1)
    axes.scatter(range(1, len(shares) + 1), shares, c=colours, s=16, zorder=2)
    if isinstance(rho, int | float):
        axes.axhline(rho, color=INK, linewidth=0.8, linestyle="--")
        axes.annotate(
            f"rho {rho:g} %",
            (len(shares), rho),
            xytext=(0, -3),
            textcoords="offset points",
            ha="right",
            va="top",
        )
    axes.set_ylim(0.0, 103.0)
    axes.set_xlabel("the most frequent classes")
    axes.set_ylabel("% of the superpixels")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(True)
    _title(axes, "share of the most frequent classes together")


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontweight="bold")


def _legend(axes: Axes) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=COMMON, label="common"), Patch(color=RARE, label="rare")]
    axes.legend(handles=handles, loc="upper right", frameon=False)
