"""`lstm2d data stats`: sizes, colours and classes of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.evaluate import show_guess
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table, fields, shortened

if TYPE_CHECKING:
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.data.stats import Statistics


@click.command(
    epilog="""\b
Examples:
  lstm2d data stats my_photos
  lstm2d data stats my_photos --split train
  lstm2d data stats my_photos --json --quiet"""
)
@click.argument("folder", metavar="DIR")
@click.option("--split", metavar="SPLIT", help="Only the images in splits/SPLIT.txt.  [default: all]")
@output_options
def stats(console: Console, *, folder: str, split: str | None) -> None:
    """Show sizes, colours and classes of a dataset.

    DIR holds images/ and masks/, and optionally dataset.toml and splits/. Every image
    and mask is read, so broken files and wrong mask values are reported.
    """
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.data.stats import median_frequency_weights, statistics

    dataset = DatasetFolder(folder)
    dataset.notes.listener = console.say
    show_guess(console, dataset)
    samples = dataset.samples if split is None else dataset.split(split)
    found = statistics(dataset, samples)
    for line in dataset.notes.summary():
        console.say(line)
    weights = median_frequency_weights(found).tolist()
    console.answer(*describe(dataset, found, weights))
    console.result(as_table(dataset, split, found, weights))


def as_table(
    dataset: DatasetFolder, split: str | None, found: Statistics, weights: list[float]
) -> dict[str, Any]:
    """Return the statistics for ``--json``.

    Parameters
    ----------
    dataset : DatasetFolder
        The folder.
    split : str or None
        The split; None for all images.
    found : Statistics
        Its statistics.
    weights : list of float
        Weight of each class with ``train.class_weights = "median_frequency"``.

    Returns
    -------
    dict
        Fractions, not percent.
    """
    classes = zip(dataset.classes, found.pixels, found.frequencies, weights, strict=True)
    return {
        "data": str(dataset.root),
        "name": dataset.name,
        "guessed": dataset.guessed,
        "split": split,
        "splits": {name: len(dataset.split(name)) for name in dataset.splits},
        "images": found.images,
        "sizes": [{"height": h, "width": w, "images": n} for (h, w), n in found.sizes.items()],
        "mean": found.mean,
        "std": found.std,
        "ignored_pixels": found.ignored,
        "scenes": found.scenes,
        "per_class": {
            c.name: {"pixels": pixels, "frequency": share, "median_frequency_weight": weight}
            for c, pixels, share, weight in classes
        },
    }


def describe(dataset: DatasetFolder, found: Statistics, weights: list[float]) -> list[str | Table]:
    """Format the statistics as text and tables.

    Parameters
    ----------
    dataset : DatasetFolder
        The folder.
    found : Statistics
        Its statistics.
    weights : list of float
        Weight of each class.

    Returns
    -------
    list of str or Table
        At most 80 columns wide.
    """
    common = [f"{w}x{h} ({n})" for (h, w), n in list(found.sizes.items())[:5]]
    others = f" and {len(found.sizes) - 5} other sizes" if len(found.sizes) > 5 else ""
    pixels = sum(found.pixels) + found.ignored
    general = [
        ("dataset", f"{dataset.name} ({dataset.root})"),
        ("splits", ", ".join(f"{name} {len(dataset.split(name))}" for name in dataset.splits)),
        ("images", str(found.images)),
        ("width x height", ", ".join(common) + others),
        ("channel mean", ", ".join(f"{v:.2f}" for v in found.mean)),
        ("channel deviation", ", ".join(f"{v:.2f}" for v in found.std)),
        ("ignored", f"{100 * found.ignored / pixels:.2f} % of the pixels"),
    ]
    if found.scenes:
        general.append(("scenes", ", ".join(f"{name} {n}" for name, n in found.scenes.items())))
    rows = [
        [f"{k} {shortened(c.name, 30)}", f"{count:,}", f"{100 * share:.2f}", f"{weight:.3f}"]
        for k, (c, count, share, weight) in enumerate(
            zip(dataset.classes, found.pixels, found.frequencies, weights, strict=True)
        )
    ]
    return [
        fields(general),
        Table(["class", "pixels", "% of labelled", "median frequency weight"], rows),
    ]
