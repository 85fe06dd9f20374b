"""`lstm2d weights`: weights of published networks."""

from __future__ import annotations

import click

from lstm2d.cli.groups import LazyGroup

COMMANDS = {
    "import": ("lstm2d.cli.weights.import_file:import_weights", "Convert and store layers of VGG-16."),
    "list": ("lstm2d.cli.weights.list_stored:list_weights", "List the imported weights."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog="""\b
Examples:
  lstm2d weights import vgg16.pth
  lstm2d weights import vgg16.npz -o vgg16.safetensors
  lstm2d weights list""",
)
def weights() -> None:
    """Import weights of published networks.

    Some networks start from layers of VGG-16, which are not part of this
    package. Import a file with these layers once for all models.
    """
