"""`lstm2d demo`: train, evaluate and label, with drawn scenes and a bundled model."""

from __future__ import annotations

from pathlib import Path

import click

from lstm2d.cli.options import compute_options
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import fields, percent

FOLDER = "lstm2d-demo"


@click.command(
    epilog="""\b
Examples:
  lstm2d demo
  lstm2d demo -o demo --seconds 20
  lstm2d demo --json --quiet"""
)
@click.option("--out", "-o", metavar="DIR", default=FOLDER, show_default=True, help="Folder to create.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=1, max=86400),
    default=60.0,
    show_default=True,
    metavar="N",
    help="Approximate training time.",
)
@click.option(
    "--scenes",
    type=click.IntRange(min=10, max=10000),
    default=240,
    show_default=True,
    metavar="N",
    help="Scenes to draw; 70 % are for training.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed for scenes and weights.",
)
@click.option(
    "--overwrite", is_flag=True, help="Also delete what was added to the folders of an earlier demo."
)
@output_options
@compute_options
def demo(
    console: Console, *, out: str, seconds: float, scenes: int, seed: int, overwrite: bool, device: str
) -> None:
    """Train, evaluate and label: everything once, no data needed.

    Draws outdoor scenes, trains a small 2D-LSTM on them for about a minute,
    evaluates it on other scenes, and labels some of these. A bundled model
    labels a photograph from scikit-image. The pictures and report.html are
    written to DIR.
    """
    from lstm2d.demo.run import BUNDLED, run_demo

    result = run_demo(
        Path(out),
        console,
        seconds=seconds,
        scenes=scenes,
        seed=seed,
        overwrite=overwrite,
        device=device,
    )
    shown = [
        ("pixel accuracy", f"{percent(result['pixel_accuracy'])} %"),
        ("class accuracy", f"{percent(result['class_accuracy'])} %"),
        ("report", result["report"]),
        ("pictures", result["gallery"]),
        ("labels", result["labels"]),
        ("model", result["model"]),
        ("your photos", f"lstm2d predict {BUNDLED} photo.jpg -o out"),
    ]
    console.answer(fields(shown))
    console.result(result)
