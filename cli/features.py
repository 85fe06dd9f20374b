"""`lstm2d features`: the feature maps of every layer for one image, as pictures."""

from __future__ import annotations

from typing import Any

import click

from lstm2d.cli.options import (
    comma_list,
    compute_options,
    limit_options,
    photo_options,
    use_limits,
    use_photo_options,
)
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table

CHANNELS = 64  # a copy, as the original needs NumPy and the help page must not (a test compares them)


@click.command(
    epilog="""\b
Examples:
  lstm2d features outdoor photo.jpg -o maps
  lstm2d features outdoor-renet photo.jpg -o maps --layers 'renet*(V),scores'
  lstm2d features runs/first photo.jpg -o maps --channels 16 --npy"""
)
@click.argument("model")
@click.argument("image")
@click.option("--out", "-o", required=True, metavar="DIR", help="Folder for the pictures.")
@click.option(
    "--layers",
    callback=comma_list,
    metavar="NAME,NAME",
    help="Only these layers; NAME may be a pattern with * and ?.  [default: all]",
)
@click.option(
    "--channels",
    type=click.IntRange(min=1),
    default=CHANNELS,
    show_default=True,
    metavar="N",
    help="Most channels on a sheet; the first ones are drawn.",
)
@click.option(
    "--instances",
    type=click.IntRange(min=1),
    metavar="P",
    help="Recurrent CNNs: the layers of P instances.  [default: as many as were trained]",
)
@click.option("--npy", is_flag=True, help="Also write the values of each layer (float32 NumPy files).")
@click.option("--overwrite", is_flag=True, help="Also replace files in DIR that are not results.")
@limit_options
@photo_options
@output_options
@compute_options
def features(
    console: Console,
    *,
    model: str,
    image: str,
    out: str,
    layers: tuple[str, ...] | None,
    channels: int,
    instances: int | None,
    npy: bool,
    overwrite: bool,
    max_pixels: int,
    max_memory: int | None,
    size: str,
    bits: int | None,
    background: str | None,
    device: str,
) -> None:
    """Draw the feature maps of every layer for one image.

    MODEL is a model file, the folder of a run, or the name of a bundled model.

    DIR gets a sheet per layer: the photograph, and each channel's map projected
    to image space; lighter is higher. Maps of recurrent layers are grouped by
    scan direction. overview.png has a row per layer. features.json lists the
    files: the next call with the same DIR replaces them, and no other file.
    """
    from lstm2d.notes import Notes
    from lstm2d.pipeline.preprocess import UNKNOWN_SIZE
    from lstm2d.predict import find_model, load
    from lstm2d.report.feature_folder import Choice, write_features

    predictor = load(model, crf=False, device=device, instances=instances)
    chosen = use_photo_options(predictor, size, bits, background)
    use_limits(predictor, max_pixels, max_memory)
    if chosen == "auto" and predictor.size_is_unknown:
        console.say(UNKNOWN_SIZE)
    found = write_features(
        predictor,
        image,
        out,
        model=find_model(model),
        choice=Choice(layers or (), channels, npy, chosen, overwrite),
        notes=Notes(lambda line: console.say(f"Note: {line}")),
        progress=lambda done, total: console.progress(f"{done}/{total} layers", done, total),
    )
    wide = [layer for layer in found if layer["channels"] > channels]
    if wide:
        console.say(left_out(len(wide), channels))
    console.say(f"feature maps of {len(found)} layers: {out}")
    console.answer(table(found))
    console.result({"model": model, "image": image, "out": out, "layers": found})


def left_out(layers: int, channels: int) -> str:
    """Return the line about layers with more channels than a sheet has."""
    which = "1 layer has" if layers == 1 else f"{layers} layers have"
    return f"{which} more than {channels} channels: the sheets show the first ones (--channels)"


def table(layers: list[dict[str, Any]]) -> Table:
    """Return the layers as a table."""
    cells = [
        [layer["name"], layer["file"], f"{layer['columns']}x{layer['rows']}", str(layer["channels"])]
        for layer in layers
    ]
    return Table(["layer", "file", "positions", "channels"], cells, left=2)
