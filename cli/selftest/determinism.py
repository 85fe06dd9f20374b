"""`lstm2d selftest determinism`: compare the bits of repeated computations."""

from __future__ import annotations

import click

from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table
from lstm2d.errors import Lstm2dError


@click.command(
    epilog="""\b
Examples:
  lstm2d selftest determinism
  lstm2d selftest determinism --model lstm2d-5x5 --model outdoor
  lstm2d selftest determinism --steps 10 --images 8 --json

Exit code 1 if bits differ."""
)
@click.option(
    "--steps",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    metavar="N",
    help="Steps of each training.",
)
@click.option(
    "--images",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    metavar="N",
    help="Images to predict.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A preset or bundled model; can be repeated.  [default: all]",
)
@output_options
def determinism(console: Console, *, steps: int, images: int, models: tuple[str, ...]) -> None:
    """Compare the bits of trainings and predictions that are computed in different ways.

    Small networks of all presets are trained, and images are predicted by them and by
    the bundled models: with 1, 2 and 3 threads, in several processes and Python
    threads, in batches, and again. Each fast backend that has all kernels of a network
    is tested by itself. All takes some minutes.
    """
    import tempfile
    import time
    from pathlib import Path

    from lstm2d.reliability.determinism import compare

    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="lstm2d-bits-") as name:
        found = list(
            compare(
                Path(name),
                steps=steps,
                images=images,
                models=models,
                progress=lambda model: console.progress(f"comparing {model}"),
            )
        )
    seconds = time.perf_counter() - begun
    different = [c for c in found if c.different]
    rows = [[c.model, c.backend, c.task, str(len(c.ways)), ", ".join(c.different) or "equal"] for c in found]
    console.answer(
        Table(["model", "backend", "task", "ways", "bits"], rows, left=3),
        f"{len(found)} computations, each in {len(found[0].ways) if found else 0} ways or more, "
        f"{len(different)} with other bits, {seconds:.1f} s",
    )
    console.result(
        {
            "steps": steps,
            "images": images,
            "computations": [
                {
                    "model": c.model,
                    "backend": c.backend,
                    "task": c.task,
                    "ways": c.ways,
                    "different": c.different,
                }
                for c in found
            ],
            "different": len(different),
            "seconds": seconds,
        }
    )
    if different:
        raise Lstm2dError(
            f"{len(different)} of {len(found)} computations gave other bits in some way",
            hint="report it with the output of lstm2d selftest determinism --json and lstm2d doctor --json",
        )
