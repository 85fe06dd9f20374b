"""`lstm2d inspect`: what a model file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.models import figures_text, size_text
from lstm2d.cli.output import Console, output_options, to_json
from lstm2d.cli.tables import fields, shortened, text_table

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    epilog="""\b
Examples:
  lstm2d inspect outdoor
  lstm2d inspect runs/first
  lstm2d inspect runs/first/model.safetensors --json"""
)
@click.argument("file")
@output_options
def inspect(console: Console, *, file: str) -> None:
    """Show what a model file holds, without running anything in it.

    FILE is a model file, the folder of a run, or the name of a bundled model.
    Its checksum is compared with its contents.
    """
    from lstm2d.predict.zoo import find_model

    values = contents(find_model(file))
    console.answer(describe(values))
    console.result(values)


def contents(path: Path) -> dict[str, Any]:
    """Return everything in a model file but the numbers themselves.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        What ``lstm2d inspect --json`` writes.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    from lstm2d.io.model_file import load_model, read_header

    header = read_header(path)
    model = load_model(path)  # reads all of it, and so compares the checksum
    return {
        "path": str(path),
        "bytes": header.file_bytes,
        "parameters": header.parameters,
        "preset": model.preset,
        "library_version": model.library_version,
        "seed": model.seed,
        "trained_on": model.trained_on,
        "terms": model.terms,
        "metrics": model.metrics,
        "classes": [{"name": c.name, "color": c.color} for c in model.classes],
        "ignore": model.ignore,
        "mean": model.mean,
        "std": model.std,
        "config": model.config,
        "tensors": {name: {"shape": v.shape, "dtype": str(v.dtype)} for name, v in model.state.items()},
    }


def describe(values: dict[str, Any]) -> str:
    """Return the contents for people.

    Parameters
    ----------
    values : dict
        From `contents`.

    Returns
    -------
    str
        80 columns at the most, where names are not longer.
    """
    metrics = values["metrics"]
    general = [
        ("file", values["path"]),
        ("size", f"{size_text(values['bytes'])}, checksum right"),
        ("parameters", f"{values['parameters']:,}"),
        ("preset", values["preset"]),
        ("written by", f"lstm2d {values['library_version']}"),
        ("seed", str(values["seed"])),
        ("trained on", values["trained_on"]),
        ("terms of use", values["terms"]),
        *(
            (f"{split} accuracy", figures_text(metrics, split))
            for split in ("test", "validation")
            if figures_text(metrics, split)
        ),
        ("channel mean", ", ".join(f"{v:.3f}" for v in values["mean"])),
        ("channel deviation", ", ".join(f"{v:.3f}" for v in values["std"])),
        ("ignored label", str(values["ignore"])),
    ]
    classes = [
        [str(k), shortened(c["name"], 40), "#{:02x}{:02x}{:02x}".format(*c["color"])]
        for k, c in enumerate(values["classes"])
    ]
    tensors = [
        [name, "x".join(map(str, t["shape"])) or "one", t["dtype"]] for name, t in values["tensors"].items()
    ]
    return "\n\n".join(
        [
            fields(general),
            text_table(["number", "class", "color"], classes, left=3),
            "configuration\n" + fields([("  " + key, text) for key, text in flat(values["config"])]),
            text_table(["tensor", "shape", "type"], tensors, left=3),
        ]
    )


def flat(config: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return a nested table as dotted keys and their values.

    Parameters
    ----------
    config : dict
        The table.
    prefix : str
        What stands before each key.

    Returns
    -------
    list of (str, str)
        Key and value.
    """
    pairs: list[tuple[str, str]] = []
    for key, value in config.items():
        if isinstance(value, dict) and value:
            pairs += flat(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", to_json(value)))
    return pairs
