"""`lstm2d selftest`: check on this machine what the program promises."""

from __future__ import annotations

import click

from lstm2d.cli.groups import LazyGroup

COMMANDS = {
    "crash": (
        "lstm2d.cli.selftest.crash:crash",
        "Kill trainings, and compare what they end with after --resume.",
    ),
    "determinism": (
        "lstm2d.cli.selftest.determinism:determinism",
        "Compare the bits of repeated computations.",
    ),
    "inputs": ("lstm2d.cli.selftest.inputs:inputs", "Give bad images, masks and datasets to the commands."),
    "gradients": ("lstm2d.cli.selftest.gradients:gradients", "Compare gradients with finite differences."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog="""\b
Examples:
  lstm2d selftest crash --kills 20
  lstm2d selftest determinism
  lstm2d selftest inputs --json""",
)
def selftest() -> None:
    """Check on this machine what the program promises, and print figures.

    `lstm2d doctor` runs a shorter test of the operations.
    """
