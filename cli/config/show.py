"""`lstm2d config show`: write a configuration as commented TOML."""

from __future__ import annotations

import click

from lstm2d.cli.output import Console, output_options


@click.command(
    epilog="""\b
Examples:
  lstm2d config show lstm2d-5x5 > mine.toml
  lstm2d config show lstm2d-5x5 --set train.epochs=20
  lstm2d config show runs/first --json"""
)
@click.argument("source", metavar="PRESET_OR_TOML")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Replace a value.")
@output_options
def show(console: Console, *, source: str, sets: tuple[str, ...]) -> None:
    """Write a configuration as TOML, with every value and its comment.

    PRESET_OR_TOML is a preset, a TOML file, or the folder of a run. The output, as
    a file, trains the same network in the same way: lstm2d train FILE.
    """
    from lstm2d.config import resolve
    from lstm2d.config.show import commented_toml, source_of

    overrides = [(item, "--set") for item in sets]
    text = commented_toml(source_of(source), overrides)
    console.answer(text.rstrip("\n"))
    console.result({"config": resolve(source_of(source), overrides).model_dump()})
