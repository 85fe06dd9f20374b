"""`lstm2d data`: create and examine folders of images and masks."""

from __future__ import annotations

import click

from lstm2d.cli.groups import LazyGroup

COMMANDS = {
    "import": (
        "lstm2d.cli.data.import_data:import_data",
        "Turn published layouts into a dataset folder.",
    ),
    "synth": ("lstm2d.cli.data.synth:synth", "Draw outdoor scenes with exact labels."),
    "check": ("lstm2d.cli.data.check:check", "Find everything that is wrong or unusual in a dataset."),
    "split": ("lstm2d.cli.data.split:split", "Divide images into train, val and test."),
    "stats": ("lstm2d.cli.data.stats:stats", "Show sizes, colours and classes of a dataset."),
    "labels": ("lstm2d.cli.data.labels:labels", "Show a dataset.toml for the masks of a well-known dataset."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog="""\b
Examples:
  lstm2d data import auto downloads/CamVid -o camvid
  lstm2d data synth -o scenes
  lstm2d data check scenes
  lstm2d data stats scenes
  lstm2d data labels coco-to-voc -o coco/dataset.toml""",
)
def data() -> None:
    """Create and examine folders of images and masks."""
