"""The program `lstm2d`; imports only the requested command."""

from __future__ import annotations

import click

from lstm2d.cli.groups import Program

# name -> (location, help line): the help page must not import the commands
COMMANDS = {
    "demo": ("lstm2d.cli.demo:demo", "Train, evaluate and label: everything once, no data needed."),
    "train": ("lstm2d.cli.train:train", "Train a network on a folder of images and masks."),
    "predict": ("lstm2d.cli.predict:predict", "Label every pixel of images."),
    "evaluate": ("lstm2d.cli.evaluate:evaluate", "Compare a model's labels with a folder of masks."),
    "features": ("lstm2d.cli.features:features", "Draw the feature maps of every layer for one image."),
    "models": ("lstm2d.cli.models:models", "List the models that come with the package."),
    "inspect": ("lstm2d.cli.inspect:inspect", "Show the contents of a model file."),
    "export": ("lstm2d.cli.export:export", "Write a trained model as an ONNX file."),
    "hierarchy": ("lstm2d.cli.hierarchy:hierarchy", "Divide classes into subclasses, to train with them."),
    "weights": ("lstm2d.cli.weights:weights", "Import weights of published networks."),
    "config": ("lstm2d.cli.config:config", "Show and compare the settings of trainings."),
    "cache": ("lstm2d.cli.cache:cache", "List and clear what is cached on disk."),
    "doctor": ("lstm2d.cli.doctor:doctor", "Show what this installation computes with, and test it."),
    "selftest": ("lstm2d.cli.selftest:selftest", "Check crashes, bits, bad inputs and gradients here."),
    "data": ("lstm2d.cli.data:data", "Create and examine folders of images and masks."),
}


@click.group(
    name="lstm2d",
    cls=Program,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  lstm2d demo
  lstm2d predict outdoor photo.jpg -o out
  lstm2d train lstm2d-5x5 --data my_photos -o my_run

Exit codes: 0 done, 1 unexpected error, 2 wrong usage or config, 3 bad data,
4 some inputs failed, 5 output could not be written, 6 training diverged,
130 interrupted.""",
)
@click.version_option(package_name="lstm2d")
def program() -> None:
    """Label every pixel of a photograph with recurrent networks, on a CPU.

    Nothing is ever downloaded: the models come with the package, and training
    needs only your own images.
    """
