"""`lstm2d hierarchy`: build label hierarchies and show them."""

from __future__ import annotations

import click

from lstm2d.cli.groups import LazyGroup

COMMANDS = {
    "build": (
        "lstm2d.cli.hierarchy.build:build",
        "Divide the frequent classes of a dataset into subclasses.",
    ),
    "show": (
        "lstm2d.cli.hierarchy.show:show",
        "Show classes and subclasses; draw their frequencies and patches.",
    ),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog="""\b
Examples:
  lstm2d hierarchy build my_photos --method lc -o hierarchy.json
  lstm2d hierarchy show hierarchy.json
  lstm2d train lstm2d-5x5 --data my_photos -o runs/lc \\
      --set hierarchy.file=hierarchy.json --set hierarchy.strategy=sequential""",
)
def hierarchy() -> None:
    """Build label hierarchies and show them.

    A label hierarchy divides frequent classes, such as sky, into subclasses that
    differ in their surroundings. A network that is first trained to tell them
    apart can label the classes better.
    """
