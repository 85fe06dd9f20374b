"""`lstm2d export`: a trained model as an ONNX file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table

if TYPE_CHECKING:
    from lstm2d.export import Exported

NO_CRF = "the CRF of this model is not in the file: it follows the network, and has no ONNX form"


@click.command(
    epilog="""\b
Examples:
  lstm2d export outdoor -o outdoor.onnx
  lstm2d export runs/first -o first.onnx --json
  lstm2d export outdoor-rcnn -o fast.onnx --resolution 1/4"""
)
@click.argument("model")
@click.option("--out", "-o", required=True, metavar="FILE", help="File to write, such as model.onnx.")
@click.option(
    "--resolution",
    metavar="1/N",
    help="Recurrent CNNs and patch networks: compute one pixel in NxN; the others get the probabilities"
    " of the nearest one.  [default: 1/8 for patch networks, else 1]",
)
@click.option(
    "--instances",
    type=click.IntRange(min=1),
    metavar="P",
    help="Recurrent CNNs: probabilities after P instances.  [default: as many as were trained]",
)
@output_options
def export(console: Console, *, model: str, out: str, resolution: str | None, instances: int | None) -> None:
    """Write a trained model as an ONNX file, for programs without Python.

    MODEL is a model file, the folder of a run, or the name of a bundled model.

    The file reads `image`, (batch, height, width, 3), float32 in 0..255, and
    returns `probabilities`, (batch, height, width, classes). Before it is
    written it is run in onnxruntime on images of three sizes, and compared
    with the model in float64: a difference above 1e-4 is an error. Photographs
    are not resized by it. Needs the packages of lstm2d[onnx].
    """
    from lstm2d.export import export_onnx

    written = export_onnx(model, out, resolution=resolution, instances=instances)
    if written.crf:
        console.say(NO_CRF)
    console.say(
        f"largest difference of a probability: {written.difference:.1e} in onnxruntime, "
        f"{written.float32:.1e} in lstm2d, both from float64"
    )
    console.answer(f"{written.bytes:,} bytes: {out}", table(written))
    console.result({"model": model, **contents(written, out)})


def contents(written: Exported, out: str) -> dict[str, Any]:
    """Return what ``lstm2d export --json`` writes, without the model.

    Parameters
    ----------
    written : Exported
        The file.
    out : str
        Its name, as given by the user.

    Returns
    -------
    dict
        JSON values.
    """
    from dataclasses import asdict

    return {
        "out": out,
        "bytes": written.bytes,
        "opset": written.opset,
        "difference": written.difference,
        "float32": written.float32,
        "compared": [asdict(one) for one in written.compared],
        "crf": written.crf,
    }


def table(written: Exported) -> Table:
    """Return the images that were compared as a table."""
    cells = [
        [f"{one.columns}x{one.rows}", str(one.batch), f"{one.difference:.1e}", f"{one.float32:.1e}"]
        for one in written.compared
    ]
    return Table(["pixels", "images", "onnxruntime", "lstm2d"], cells, left=1)
