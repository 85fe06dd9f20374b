"""`lstm2d data labels`: dataset.toml files of well-known datasets."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import fields
from lstm2d.errors import ConfigError


@click.command(
    epilog="""\b
Examples:
  lstm2d data labels
  lstm2d data labels voc
  lstm2d data labels coco-to-voc -o coco/dataset.toml"""
)
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--out", "-o", metavar="FILE", help="Write it to this file, which must not exist.")
@output_options
def labels(console: Console, *, name: str | None, out: str | None) -> None:
    """Show a dataset.toml for the masks of a well-known dataset.

    Without NAME the available files are listed. They map mask values to classes;
    the ones for COCO have the classes of PASCAL VOC.
    """
    from lstm2d.data.conventions import convention, convention_names

    if name is None:
        if out is not None:
            raise click.UsageError("--out needs a NAME.")
        texts = {known: convention(known).partition("\n")[0].lstrip("# ") for known in convention_names()}
        console.answer(fields(list(texts.items())))
        console.result({"labels": texts})
        return
    text = convention(name)
    if out is None:
        console.answer(text.rstrip("\n"))
    else:
        write_new(out, text)
        console.say(f"written: {out}")
    console.result({"name": name, "out": out, "toml": text})


def write_new(path: str, text: str) -> None:
    """Write a new text file.

    Parameters
    ----------
    path : str
        The file.
    text : str
        What to write.

    Raises
    ------
    ConfigError
        If the file exists.
    OutputError
        If it cannot be written.
    """
    from lstm2d.io.atomic import write_text

    if os.path.lexists(path):
        raise ConfigError("the file exists", where=path, hint="choose another name, or delete it")
    write_text(Path(path), text)
