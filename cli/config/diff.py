"""`lstm2d config diff`: list the values in which two configurations differ."""

from __future__ import annotations

import click

from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table


@click.command(
    epilog="""\b
Examples:
  lstm2d config diff lstm2d-5x5 lstm2d-3x3
  lstm2d config diff lstm2d-5x5 mine.toml
  lstm2d config diff runs/first runs/second --json"""
)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@output_options
def diff(console: Console, *, first: str, second: str) -> None:
    """List the values in which the configurations A and B differ.

    Each is a preset, a TOML file, or the folder of a run.
    """
    from lstm2d.config import resolve
    from lstm2d.config.show import differences, source_of

    found = differences(resolve(source_of(first)), resolve(source_of(second)))
    rows = [[key, a or "-", b or "-"] for key, (a, b) in found.items()]
    console.answer(Table(["key", first, second], rows, left=3) if rows else "no value differs")
    console.result({"differences": {key: list(pair) for key, pair in found.items()}})
