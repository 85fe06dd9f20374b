"""`lstm2d weights import`: convert and store published weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lstm2d.cli.options import overwrite_option
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import fields
from lstm2d.cli.weights.list_stored import as_table

if TYPE_CHECKING:
    from lstm2d.weights.store import StoredWeights


@click.command(
    name="import",
    epilog="""\b
Examples:
  lstm2d weights import vgg16.pth
  lstm2d weights import vgg16_keras.npz -o vgg16.safetensors
  lstm2d weights import vgg16_caffe.pth --convention caffe --name vgg16-caffe""",
)
@click.argument("file")
@click.option("--out", "-o", metavar="FILE", help="Also write the converted weights to this file.")
@overwrite_option
@click.option("--name", help="Name for model.weights.  [default: vgg16, zf or overfeat]")
@click.option(
    "--convention",
    type=click.Choice(["caffe", "torchvision", "rgb", "overfeat"]),
    help="Input that the filters expect.  [default: from the layer names]",
)
@output_options
def import_weights(
    console: Console, *, file: str, out: str | None, overwrite: bool, name: str | None, convention: str | None
) -> None:
    """Convert and store the layers of VGG-16, ZF or OverFeat that are in FILE.

    FILE is a safetensors file, a .pth of torch or an .npz, with the layer names
    of torchvision, timm, Keras or Caffe. No code in it is run.
    Layers may be missing; those found are checked and listed. --convention caffe is BGR,
    0..255 minus the means; torchvision is RGB, 0..1, minus mean, divided by
    deviation; rgb is RGB, 0..255 minus the means; overfeat is RGB, 0..255, minus
    118.380948, divided by 61.896913.
    """
    from pathlib import Path

    from lstm2d.io.atomic import write_bytes
    from lstm2d.io.replacing import refuse_to_replace
    from lstm2d.io.safe_open import read_file
    from lstm2d.weights.import_file import CONVENTIONS, read_weights
    from lstm2d.weights.networks import NETWORKS
    from lstm2d.weights.store import is_stored, store_weights

    if out is not None:
        refuse_to_replace(out, is_ours=is_stored, inputs=[file], overwrite=overwrite)
    found = read_weights(file, convention)
    source, name = Path(file).name, name or found.network
    stored = store_weights(
        found.layers, name=name, convention=found.convention, source=source, network=found.network
    )
    if out is not None:
        write_bytes(out, read_file(stored.path))
    missing = [layer for layer in NETWORKS[found.network].layers if layer not in stored.layers]
    chosen = "as given" if convention else f"recognised from the layer names, {found.style}"
    if found.style == "lstm2d":
        chosen = "converted by an earlier import"
    lines = [
        ("layers", ", ".join(stored.layers)),
        ("missing", ", ".join(missing) or "none"),
        ("input", f"{CONVENTIONS[found.convention]}; {chosen}"),
        ("left out", f"{found.others} other arrays" if found.others else "nothing"),
        ("digest", stored.digest),
        ("stored as", f"{name} ({stored.path})"),
    ]
    if out is not None:
        lines.append(("written to", out))
    console.answer(fields(lines))
    warn_of_namesakes(console, stored)
    console.result(
        as_table(stored) | {"missing": missing, "others": found.others, "style": found.style, "out": out}
    )


def warn_of_namesakes(console: Console, stored: StoredWeights) -> None:
    """Warn if other weights have the same name, so that it is ambiguous in a configuration."""
    from lstm2d.weights.store import store_folder, stored_weights

    others = [
        other.digest[:16]
        for other in stored_weights()[0]
        if other.name == stored.name
        and any(digest != stored.layers.get(layer, digest) for layer, digest in other.layers.items())
    ]
    if others:
        console.warn(
            f"different weights are called {stored.name} now, {', '.join(others)} and {stored.digest[:16]}: "
            f"set model.weights to one of these digests, or delete a file in {store_folder()}"
        )
