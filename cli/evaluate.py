"""`lstm2d evaluate`: compare the labels of models with masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lstm2d.cli.evaluation_tables import describe, describe_several
from lstm2d.cli.options import (
    apply_crf,
    comma_list,
    compute_options,
    crf_options,
    instance_options,
    limit_options,
    photo_options,
    use_limits,
    use_photo_options,
)
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import percent, shortened

if TYPE_CHECKING:
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.predict import Predictor
    from lstm2d.predict.evaluate import Evaluated
    from lstm2d.predict.several import Model, Result, Task
    from lstm2d.report.evaluation import Evaluator

WIDEST_EDGE = 100  # a copy, as the original needs NumPy and the help page must not (a test compares them)


@click.command(
    epilog="""\b
Examples:
  lstm2d evaluate runs/first my_photos
  lstm2d evaluate runs/first my_photos --split held-out
  lstm2d evaluate outdoor stanford_background --split test -o images.csv
  lstm2d evaluate outdoor outdoor-renet photos --split test -o compared/
  lstm2d evaluate runs/fold1 runs/fold2 photos --splits fold1_test,fold2_test
  lstm2d evaluate runs/first my_photos --split val --json --quiet
  lstm2d evaluate outdoor stanford_background --crf outdoor --edge 5
  lstm2d evaluate runs/rcnn2 my_photos --instances 1,2,3 --resolution 1/4"""
)
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.argument("folder", metavar="DIR")
@click.option(
    "--split",
    metavar="SPLIT",
    help="Images in splits/SPLIT.txt; held-out: those that the run of the model "
    "took from its training split for validation.  [default: test]",
)
@click.option(
    "--splits", metavar="S1,S2,...", callback=comma_list, help="One split per model instead (k-fold)."
)
@click.option(
    "--out",
    "-o",
    metavar="OUT",
    help="Folder for a report with pictures; or NAME.csv for the metrics of each image alone.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the files of -o even if another program wrote them, and use a folder with other files; "
    "never replaces an input file.",
)
@click.option(
    "--edge",
    type=click.IntRange(1, WIDEST_EDGE),
    metavar="N",
    help="Also measure accuracy within N pixels of label edges.",
)
@limit_options
@photo_options
@instance_options
@crf_options
@output_options
@compute_options
def evaluate(
    console: Console,
    *,
    models: tuple[str, ...],
    folder: str,
    split: str | None,
    splits: tuple[str, ...] | None,
    out: str | None,
    overwrite: bool,
    edge: int | None,
    max_pixels: int,
    max_memory: int | None,
    size: str,
    bits: int | None,
    background: str | None,
    resolution: str | None,
    instances: str | None,
    crf: str | None,
    no_crf: bool,
    settings: tuple[str, ...],
    device: str,
) -> None:
    """Compare the labels of models with the masks of a folder.

    MODEL is a model file, the folder of a run, or the name of a bundled model.
    DIR holds images/, masks/ and splits/. Without splits, all images are
    evaluated.

    Several models are compared on the same images, with what each class gains
    from the first model to the others; with --splits each has its own images,
    and mean and spread are shown. Constant labels ("every pixel road") are
    evaluated too: a model should be better.

    A folder OUT gets report.html, metrics.json, images.csv and pictures: the
    confusion table with class frequencies, labelings beside the truth, the best
    and the worst images; with several models a sub-folder for each, with the
    images where it differs most from the first model.
    """
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.io.photo import Reading
    from lstm2d.pipeline.preprocess import parse_size
    from lstm2d.predict import find_model, load
    from lstm2d.predict.several import as_json, plan
    from lstm2d.report.evaluation import Evaluator

    def prepared(model: Model) -> Predictor:
        predictor = load(model, device=device, resolution=resolution, instances=instances)
        use_photo_options(predictor, size, bits, background)
        use_limits(predictor, max_pixels, max_memory)
        apply_crf(predictor, crf, no_crf, settings)
        return predictor

    for model in models:
        find_model(model)  # before the masks of a large dataset are read
    dataset = DatasetFolder(folder, reading=Reading(max_pixels=max_pixels, max_memory=max_memory))
    dataset.notes.listener = console.say
    show_guess(console, dataset)
    tasks = plan(models, dataset, split=split, splits=splits)
    if tasks[0].split is None:
        console.say(f"{folder} has no splits: all {len(tasks[0].samples)} images count")
    follower = Follower(console, tasks)
    evaluator = Evaluator(dataset, prepared, parse_size(size), edge, follower, console.say)
    results = run(evaluator, tasks, out, overwrite)
    for line in dataset.notes.summary():
        console.say(line)
    if out is not None:
        console.say(
            f"figures of each image: {out}" if is_table(out) else f"report: {Path(out) / 'report.html'}"
        )
    console.answer(*(describe(results[0].figures) if len(results) == 1 else describe_several(results)))
    console.result(as_json(results, dataset))


def is_table(out: str) -> bool:
    """Return whether the output is a CSV file, not a folder."""
    return out.lower().endswith(".csv")


def run(evaluator: Evaluator, tasks: Sequence[Task], out: str | None, overwrite: bool) -> list[Result]:
    """Evaluate the models, and write the output if there is one."""
    if out is None:
        return evaluator.run(tasks)
    write = evaluator.write_table if is_table(out) else evaluator.write_folder
    return write(tasks, out, overwrite=overwrite)


class Follower:
    """Shows the progress of an evaluation.

    Parameters
    ----------
    console : Console
        Where to show it.
    tasks : sequence of Task
        What is evaluated.
    """

    def __init__(self, console: Console, tasks: Sequence[Task]) -> None:
        self.console, self.several = console, len(tasks) > 1
        self.total = sum(len(task.samples) for task in tasks)
        self.done = 0

    def __call__(self, task: Task, one: Evaluated) -> None:
        """Show one image."""
        self.done += 1
        name = f"{shortened(task.name, 20)}  " if self.several else ""
        accuracy = percent(one.total.pixel_accuracy)
        text = f"{name}{one.number}/{len(task.samples)} images  pixel accuracy {accuracy} %"
        self.console.progress(text, self.done, self.total)


def show_guess(console: Console, dataset: DatasetFolder) -> None:
    """Show the guessed settings of a folder as a dataset.toml."""
    if dataset.guessed_toml is not None:
        console.say(
            f"no dataset.toml in {dataset.root} defines the classes, guessed settings:",
            f"\n{dataset.guessed_toml}",
        )
