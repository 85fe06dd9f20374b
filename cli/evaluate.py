"""`lstm2d evaluate`: compare a model's labels with masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.options import (
    apply_crf,
    compute_options,
    crf_options,
    overwrite_option,
    photo_options,
    use_photo_options,
)
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table, confusion_tables, fields, percent, shortened

if TYPE_CHECKING:
    from lstm2d.data.folder import DatasetFolder

WIDEST_EDGE = 100  # a copy, as the original needs NumPy and the help page must not (a test compares them)


@click.command(
    epilog="""\b
Examples:
  lstm2d evaluate runs/first my_photos
  lstm2d evaluate outdoor stanford_background --split test -o images.csv
  lstm2d evaluate runs/first my_photos --split val --json --quiet
  lstm2d evaluate outdoor stanford_background --crf outdoor --edge 5"""
)
@click.argument("model")
@click.argument("folder", metavar="DIR")
@click.option("--split", metavar="SPLIT", help="Images in splits/SPLIT.txt.  [default: test]")
@click.option("--out", "-o", metavar="CSV", help="Also write the metrics of each image to this file.")
@overwrite_option
@click.option(
    "--edge",
    type=click.IntRange(1, WIDEST_EDGE),
    metavar="N",
    help="Also measure accuracy within N pixels of label edges.",
)
@photo_options
@crf_options
@output_options
@compute_options
def evaluate(
    console: Console,
    *,
    model: str,
    folder: str,
    split: str | None,
    out: str | None,
    overwrite: bool,
    edge: int | None,
    size: str,
    bits: int | None,
    background: str | None,
    crf: str | None,
    no_crf: bool,
    settings: tuple[str, ...],
    device: str,
) -> None:
    """Compare a model's labels with the masks of a folder.

    MODEL is a model file, the folder of a run, or the name of a bundled model.
    DIR holds images/, masks/ and splits/. Without splits, all images are
    evaluated.
    """
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.io.atomic import write_text
    from lstm2d.io.replacing import refuse_to_replace
    from lstm2d.predict import find_model, load
    from lstm2d.predict.evaluate import check_classes, choose_samples, image_table, is_image_table
    from lstm2d.predict.evaluate import evaluate as run

    predictor = load(model, device=device)
    chosen = use_photo_options(predictor, size, bits, background)
    apply_crf(predictor, crf, no_crf, settings)
    dataset = DatasetFolder(folder, reading=predictor.reading)
    dataset.notes.listener = console.say
    show_guess(console, dataset)
    if out is not None:
        read = [find_model(model), *files_of(dataset)]
        refuse_to_replace(out, is_ours=is_image_table, inputs=read, overwrite=overwrite)
    name, samples = choose_samples(dataset, split)
    check_classes(predictor, dataset)
    if name is None:
        console.say(f"{folder} has no splits: all {len(samples)} images count")
    result = run(
        predictor,
        dataset,
        samples,
        size=chosen,
        edge=edge,
        listener=lambda one: console.progress(
            f"{one.number}/{len(samples)} images  pixel accuracy {percent(one.total.pixel_accuracy)} %",
            one.number,
            len(samples),
        ),
    )
    for line in dataset.notes.summary():
        console.say(line)
    if out is not None:
        write_text(out, image_table(result.images))
        console.say(f"figures of each image: {out}")
    console.answer(*describe(result.figures))
    console.result(result.figures | {"model": model, "data": str(Path(folder)), "split": name})


def files_of(dataset: DatasetFolder) -> list[Path]:
    """Return the files of a dataset: images, masks and text files."""
    samples = [path for sample in dataset.samples for path in (sample.image_path, sample.mask_path)]
    texts = [path for pattern in ("*.toml", "*.txt", "splits/*") for path in dataset.root.glob(pattern)]
    return [*samples, *texts]


def show_guess(console: Console, dataset: DatasetFolder) -> None:
    """Show the guessed settings of a folder as a dataset.toml."""
    if dataset.guessed_toml is not None:
        console.say(f"no dataset.toml in {dataset.root}, guessed settings:\n")
        console.say(dataset.guessed_toml)


def describe(figures: dict[str, Any]) -> list[str | Table]:
    """Format the metrics of an evaluation as text and tables.

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
        Table(["class", "accuracy %", "IoU %", "% of pixels"], rows),
        replace(first, title=title),
        *others,
    ]
