"""`lstm2d data`: make and examine folders of images and masks."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.evaluate import tell_guess
from lstm2d.cli.groups import SuggestingGroup
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import fields, shortened, text_table
from lstm2d.errors import ConfigError

if TYPE_CHECKING:
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.data.stats import Statistics


@click.group(
    cls=SuggestingGroup,
    epilog="""\b
Examples:
  lstm2d data synth -o scenes
  lstm2d data stats scenes
  lstm2d data labels coco-to-voc -o coco/dataset.toml""",
)
def data() -> None:
    """Make and examine folders of images and masks."""


@data.command(
    epilog="""\b
Examples:
  lstm2d data synth -o scenes
  lstm2d data synth -o many --count 2000 --seed 7
  lstm2d data synth -o large --count 50 --width 320 --height 240"""
)
@click.option("--out", "-o", required=True, metavar="DIR", help="Folder to make.")
@click.option("--count", type=int, default=200, show_default=True, metavar="N", help="Number of scenes.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Decides what is drawn.")
@click.option("--width", type=int, default=160, show_default=True, metavar="N", help="Pixels.")
@click.option("--height", type=int, default=120, show_default=True, metavar="N", help="Pixels.")
@output_options
def synth(console: Console, *, out: str, count: int, seed: int, width: int, height: int) -> None:
    """Draw outdoor scenes with exact labels.

    In them colour alone cannot tell sky from water, road from building or tree
    from mountain: where they lie and what is around them can. DIR gets images/,
    masks/, splits/ (train, val, test) and dataset.toml.
    """
    from lstm2d.data.synth import write_dataset

    start = time.perf_counter()
    sizes = write_dataset(
        out,
        count=count,
        seed=seed,
        height=height,
        width=width,
        progress=lambda done, total: console.progress(f"{done}/{total} scenes"),
    )
    seconds = time.perf_counter() - start
    parts = ", ".join(f"{name} {size}" for name, size in sizes.items())
    console.say(f"{count} scenes drawn in {seconds:.1f} s ({parts}): {out}")
    console.result({"data": out, "images": count, "splits": sizes, "seconds": seconds})


@data.command(
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
    """Count sizes, colours and classes of a dataset.

    DIR holds images/ and masks/, perhaps dataset.toml and splits/. Every image
    and mask is read, so a broken file or a wrong mask value shows too.
    """
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.data.stats import median_frequency_weights, statistics

    dataset = DatasetFolder(folder)
    dataset.notes.listener = console.say
    tell_guess(console, dataset)
    samples = dataset.samples if split is None else dataset.split(split)
    found = statistics(dataset, samples)
    for line in dataset.notes.summary():
        console.say(line)
    weights = median_frequency_weights(found).tolist()
    console.answer(describe(dataset, found, weights))
    console.result(as_table(dataset, split, found, weights))


@data.command(
    epilog="""\b
Examples:
  lstm2d data labels
  lstm2d data labels voc
  lstm2d data labels coco-to-voc -o coco/dataset.toml"""
)
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--out", "-o", metavar="FILE", help="Write it there; the file must not exist.")
@output_options
def labels(console: Console, *, name: str | None, out: str | None) -> None:
    """Show a dataset.toml for the masks of a well-known dataset.

    Without NAME the ones there are are listed. They say which mask value is
    which class, for COCO with the classes of PASCAL VOC.
    """
    from lstm2d.data.conventions import convention, convention_names

    if name is None:
        if out is not None:
            raise click.UsageError("--out needs the NAME of what to write.")
        texts = {known: convention(known).partition("\n")[0].lstrip("# ") for known in convention_names()}
        console.answer(fields(list(texts.items())))
        console.result({"labels": texts})
        return
    text = convention(name)
    if out is None:
        console.answer(text.rstrip("\n"))
    else:
        write_new(out, text)
        console.say(f"written: {out}")
    console.result({"name": name, "out": out, "toml": text})


def write_new(path: str, text: str) -> None:
    """Write a text file.

    Parameters
    ----------
    path : str
        The file.
    text : str
        What to write.

    Raises
    ------
    ConfigError
        If it exists.
    OutputError
        If it cannot be written.
    """
    from lstm2d.io.atomic import write_text

    if os.path.lexists(path):
        raise ConfigError("the file exists", where=path, hint="choose another name, or delete it")
    write_text(Path(path), text)


def as_table(
    dataset: DatasetFolder, split: str | None, found: Statistics, weights: list[float]
) -> dict[str, Any]:
    """Return the figures as ``--json`` writes them.

    Parameters
    ----------
    dataset : DatasetFolder
        The folder.
    split : str or None
        The split, None for all images.
    found : Statistics
        Its figures.
    weights : list of float
        Weight of each class under ``train.class_weights = "median_frequency"``.

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


def describe(dataset: DatasetFolder, found: Statistics, weights: list[float]) -> str:
    """Return the figures as tables.

    Parameters
    ----------
    dataset : DatasetFolder
        The folder.
    found : Statistics
        Its figures.
    weights : list of float
        Weight of each class.

    Returns
    -------
    str
        80 columns at the most.
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
    table = text_table(["class", "pixels", "% of labelled", "median frequency weight"], rows)
    return f"{fields(general)}\n\n{table}"
