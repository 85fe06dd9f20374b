"""Time of a training step with a label hierarchy, compared with one without.

An optimizer step on the same images: without a hierarchy, on subclasses (the second stage of sequential
training), and on subclasses and classes together (the first of hierarchical training). The images are decoded
before. Without a dataset, scenes are drawn.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from timing import Task, interleaved, machine, publish

from lstm2d.config import resolve
from lstm2d.data.folder import DatasetFolder
from lstm2d.data.synth import write_dataset
from lstm2d.hierarchy.build import build_hierarchy
from lstm2d.hierarchy.file import save_hierarchy
from lstm2d.hierarchy.options import Options
from lstm2d.training.assemble import prepare
from lstm2d.training.run import Run
from lstm2d.training.runfolder import RunFolder
from lstm2d.training.step import batch_gradient

KINDS = {"classes": ("", 0), "subclasses": ("sequential", 1), "both": ("hierarchical", 0)}  # strategy, stage
TITLES = ("step on", "threads", "ms", "+-", "ratio")


def drawn(folder: Path, count: int) -> tuple[Path, Path]:
    """Draw a dataset of scenes and build its label hierarchy; return the paths of both."""
    data, file = folder / "scenes", folder / "hierarchy.json"
    write_dataset(data, count=count, seed=0, height=96, width=128)
    dataset = DatasetFolder(data)
    save_hierarchy(file, build_hierarchy(dataset, dataset.split("train"), Options(method="lc")))
    return data, file


def run_of(kind: str, options: argparse.Namespace) -> Run:
    """Return a run at the stage that is measured."""
    strategy, stage = KINDS[kind]
    settings = [f"hierarchy.file={options.hierarchy}", f"hierarchy.strategy={strategy}"] if strategy else []
    config = resolve(options.preset, [(item, "--set") for item in [*options.set, *settings]])
    run = prepare(config, DatasetFolder(options.data), RunFolder(Path(tempfile.gettempdir()) / "no-run"))
    for _ in range(stage):
        run.next_stage()
    return run


def steps(run: Run, images: int) -> Callable[[], None]:
    """Return a function that takes the steps of an epoch's first images."""

    def take() -> None:
        active, position = run.active, 0
        while position < images:
            numbers = active.minibatch(0, position)
            batch_gradient(run.features, active, numbers, 0, run.ranks)
            active.optimizer.step(active.rate(0), active.optimizer.gradient_norm(), 0)
            position += len(numbers)

    return take


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", help="dataset folder (60 scenes of 128x96 pixels)")
    parser.add_argument(
        "hierarchy", type=Path, nargs="?", help="file that `lstm2d hierarchy build` wrote for it"
    )
    parser.add_argument("--preset", default="lstm2d-5x5", help="(lstm2d-5x5)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for lstm2d train")
    parser.add_argument("--images", type=int, default=24, help="images of a round (24)")
    parser.add_argument("--threads", type=int, default=1, help="kernel threads (1)")
    parser.add_argument("--repeats", type=int, default=9, help="measured rounds (9)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test: two scenes, once")
    options = parser.parse_args()
    if (options.data is None) != (options.hierarchy is None):
        parser.error("a dataset needs its hierarchy")
    if options.quick:
        options.images, options.repeats = 2, 1
    with tempfile.TemporaryDirectory() as folder:
        if options.data is None:
            options.data, options.hierarchy = drawn(Path(folder), 12 if options.quick else 60)
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Measure the three kinds of steps on a dataset, and print."""
    runs = {kind: run_of(kind, options) for kind in KINDS}
    tasks = {kind: Task(steps(run, options.images), options.threads) for kind, run in runs.items()}
    times = interleaved(tasks, repeats=options.repeats)
    batch = runs["classes"].active.train.batch
    rows = [
        {
            "step": kind,
            "threads": options.threads,
            "ms": round(timing.ms * batch / options.images, 3),
            "spread": round(timing.spread, 3),
            "ratio": round(timing.ms / times["classes"].ms, 3),
        }
        for kind, timing in times.items()
    ]
    note = f"{options.preset}, {batch} images per step, of {options.data.name}"
    lines = [
        [r["step"], str(r["threads"]), f"{r['ms']:.2f}", f"{r['spread']:.0%}", f"{r['ratio']:.3f}"]
        for r in rows
    ]
    publish(options.json, {"machine": machine([options.threads]), "rows": rows}, note, TITLES, lines)


if __name__ == "__main__":
    main()
