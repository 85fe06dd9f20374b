"""`lstm2d data synth`: draw scenes."""

from __future__ import annotations

import time

import click

from lstm2d.cli.output import Console, output_options


@click.command(
    epilog="""\b
Examples:
  lstm2d data synth -o scenes
  lstm2d data synth -o many --count 2000 --seed 7
  lstm2d data synth -o large --count 50 --width 320 --height 240"""
)
@click.option("--out", "-o", required=True, metavar="DIR", help="Folder to create.")
@click.option("--count", type=int, default=200, show_default=True, metavar="N", help="Number of scenes.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Random seed.")
@click.option("--width", type=int, default=160, show_default=True, metavar="N", help="Pixels.")
@click.option("--height", type=int, default=120, show_default=True, metavar="N", help="Pixels.")
@output_options
def synth(console: Console, *, out: str, count: int, seed: int, width: int, height: int) -> None:
    """Draw outdoor scenes with exact labels.

    Sky and water, road and building, tree and mountain have similar colours; they
    differ in position and surroundings. Writes images/, masks/, splits/ (train,
    val, test) and dataset.toml to DIR.
    """
    from lstm2d.data.synth import write_dataset

    start = time.perf_counter()
    sizes = write_dataset(
        out,
        count=count,
        seed=seed,
        height=height,
        width=width,
        progress=lambda done, total: console.progress(f"{done}/{total} scenes", done, total),
    )
    seconds = time.perf_counter() - start
    parts = ", ".join(f"{name} {size}" for name, size in sizes.items())
    console.say(f"{count} scenes drawn in {seconds:.1f} s ({parts}): {out}")
    console.result({"data": out, "images": count, "splits": sizes, "seconds": seconds})
