"""`lstm2d config`: show and compare the settings of trainings."""

from __future__ import annotations

import click

from lstm2d.cli.groups import LazyGroup

COMMANDS = {
    "show": ("lstm2d.cli.config.show:show", "Write a preset or TOML file with every value, commented."),
    "diff": ("lstm2d.cli.config.diff:diff", "List the values in which two configurations differ."),
    "schema": ("lstm2d.cli.config.schema:schema", "List every key with its range and default."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog="""\b
Examples:
  lstm2d config show lstm2d-5x5 > mine.toml
  lstm2d config diff lstm2d-5x5 mine.toml
  lstm2d config schema""",
)
def config() -> None:
    """Show and compare the settings of trainings.

    A configuration is a preset, a TOML file, or the folder of a run.
    """
