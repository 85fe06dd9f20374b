"""`lstm2d models`: list the bundled models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import fields, span

if TYPE_CHECKING:
    from pathlib import Path

METRICS = {
    "pixel_accuracy": "pixel",
    "class_accuracy": "class",
    "mean_iou": "mean IoU",
    "foreground_iou": "foreground IoU",
}


@click.command(
    epilog="""\b
Examples:
  lstm2d models
  lstm2d models --json
  lstm2d predict outdoor photo.jpg -o out"""
)
@output_options
def models(console: Console) -> None:
    """List the models that come with the package.

    Shows the training data, terms of use, test accuracy and classes of each.
    Nothing is ever downloaded.
    """
    from lstm2d.predict.zoo import bundled_models

    found = {name: summary(path) for name, path in bundled_models().items()}
    texts = [f"{name}\n{describe(values)}" for name, values in found.items()]
    console.answer("\n\n".join(texts) or "this installation has no models")
    console.result({"models": [{"name": name, **values} for name, values in found.items()]})


def summary(path: Path) -> dict[str, Any]:
    """Return the description in a model file, without reading its parameters.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        As in ``lstm2d models --json``.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    from lstm2d.io.model_file import read_header

    header = read_header(path)
    model = header.model
    return {
        "path": str(path),
        "bytes": header.file_bytes,
        "parameters": header.parameters,
        "preset": model.preset,
        "classes": [c.name for c in model.classes],
        "trained_on": model.trained_on,
        "terms": model.terms,
        "metrics": model.metrics,
        "imported": None if model.imported is None else model.imported.layers,
    }


def describe(values: dict[str, Any]) -> str:
    """Format the description of one model.

    Parameters
    ----------
    values : dict
        From `summary`.

    Returns
    -------
    str
        Indented, at most 80 columns wide.
    """
    needs = values["imported"] or ()
    return fields(
        [
            ("  trained on", values["trained_on"]),
            ("  terms of use", values["terms"]),
            ("  test accuracy", figures_text(values["metrics"], "test")),
            ("  classes", ", ".join(values["classes"])),
            ("  preset", values["preset"]),
            ("  parameters", f"{values['parameters']:,}"),
            ("  size", size_text(values["bytes"])),
            *([("  needs", f"{span(needs)} of VGG-16: lstm2d weights import FILE")] if needs else ()),
        ]
    )


def figures_text(metrics: dict[str, Any], split: str) -> str:
    """Return the metrics of one split in percent.

    Parameters
    ----------
    metrics : dict
        From the model file, with one table per split.
    split : str
        "test" or "validation".

    Returns
    -------
    str
        Empty if there are none.
    """
    figures = metrics.get(split)
    if not isinstance(figures, dict):
        return ""
    known = [(text, figures.get(key)) for key, text in METRICS.items()]
    return ", ".join(f"{text} {100 * v:.2f} %" for text, v in known if isinstance(v, int | float))


def size_text(size: int) -> str:
    """Return a file's size in GB, MB or kB."""
    if size >= 1e9:
        return f"{size / 1e9:.2f} GB"
    return f"{size / 1e6:.2f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
