"""`lstm2d inspect`: the contents of a model file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.models import figures_text, size_text
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table, fields, shortened, span
from lstm2d.cli.text import to_json
from lstm2d.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from lstm2d.io.model_file import Imported


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
    """Show the contents of a model file, without running any code in it.

    FILE is a model file, the folder of a run, or the name of a bundled model.
    The checksum is verified.
    """
    from lstm2d.predict.zoo import find_model

    values = contents(find_model(file)) | {"memory": memory_of(file)}
    console.answer(*describe(values))
    console.result(values)


def contents(path: Path) -> dict[str, Any]:
    """Return everything in a model file except the values of its tensors.

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
    import numpy as np

    from lstm2d.io.model_file import load_model, read_header

    header = read_header(path)
    model = load_model(path)  # reads the whole file and verifies the checksum
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
        "typical_size": model.typical_size,
        "native": model.native,
        "config": model.config,
        "imported": imported_table(model.imported),
        "tensors": {
            name: {"shape": t.shape, "dtype": np.dtype(t.dtype).name} for name, t in header.tensors.items()
        },
    }


def memory_of(file: str) -> dict[str, int] | None:
    """Return the memory that labelling an image takes, in bytes.

    Parameters
    ----------
    file : str
        As given by the user.

    Returns
    -------
    dict or None
        ``per_pixel`` of the network's input, and ``fixed``. None if the model lacks imported layers.
    """
    from lstm2d.predict import load

    try:
        use = load(file).memory_use
    except DataError:  # the layers that are missing are shown
        return None
    return {"per_pixel": use.per_pixel, "fixed": use.fixed}


def memory_text(memory: dict[str, int] | None) -> list[tuple[str, str]]:
    """Return the line about memory; none if it is unknown."""
    if memory is None:
        return []
    from lstm2d.io.machine_memory import in_words

    fixed = f", and {in_words(memory['fixed'])}" if memory["fixed"] >= 1e6 else ""
    return [("memory per pixel", f"about {memory['per_pixel']:,} bytes{fixed}")]


def photographs_text(typical_size: float | None, native: bool) -> str:
    """Describe the size at which the model labels photographs."""
    if native:
        return "at their own size: a pixel has a fixed scale"
    if typical_size is None:
        return "at their own size: the size of the training images is unknown"
    return f"resized to {typical_size:.0f}x{typical_size:.0f} pixels in area, like the training images"


def imported_table(imported: Imported | None) -> dict[str, Any] | None:
    """Return the imported layers that a model file leaves out, and the path of a file that has them.

    Parameters
    ----------
    imported : Imported or None
        From the model file.

    Returns
    -------
    dict or None
        None if nothing is left out.
    """
    from lstm2d.weights.store import stored_weights

    if imported is None:
        return None
    found, _ = stored_weights()
    here = [str(s.path) for s in found if s.digest_of(imported.layers) == imported.digest]
    return {
        "digest": imported.digest,
        "layers": imported.layers,
        "parameters": imported.parameters,
        "path": here[0] if here else None,
    }


def describe(values: dict[str, Any]) -> list[str | Table]:
    """Format the contents as text and tables.

    Parameters
    ----------
    values : dict
        From `contents`.

    Returns
    -------
    list of str or Table
        At most 80 columns wide, unless a name is longer.
    """
    metrics = values["metrics"]
    general = [
        ("file", values["path"]),
        ("size", f"{size_text(values['bytes'])}, checksum verified"),
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
        ("class weights", weights_text(metrics)),
        ("photographs", photographs_text(values["typical_size"], values["native"])),
        *memory_text(values["memory"]),
        ("channel mean", ", ".join(f"{v:.3f}" for v in values["mean"])),
        ("channel deviation", ", ".join(f"{v:.3f}" for v in values["std"])),
        ("ignored label", str(values["ignore"])),
        *needs(values["imported"]),
    ]
    classes = [
        [str(k), shortened(c["name"], 40), "#{:02x}{:02x}{:02x}".format(*c["color"])]
        for k, c in enumerate(values["classes"])
    ]
    tensors = [
        [name, "x".join(map(str, t["shape"])) or "one", t["dtype"]] for name, t in values["tensors"].items()
    ]
    return [
        fields(general),
        Table(["number", "class", "color"], classes, left=3),
        "configuration\n" + fields([("  " + key, text) for key, text in flat(values["config"])]),
        Table(["tensor", "shape", "type"], tensors, left=3),
    ]


def needs(imported: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return the line about layers that a model file leaves out.

    Parameters
    ----------
    imported : dict or None
        From `imported_table`.

    Returns
    -------
    list of (str, str)
        Name and text, or nothing.
    """
    if imported is None:
        return []
    path = imported["path"]
    place = f"found in {path}" if path else "not imported yet: lstm2d weights import FILE"
    return [("needs", f"{span(imported['layers'])} of VGG-16, digest {imported['digest'][:16]}; {place}")]


def weights_text(metrics: dict[str, Any]) -> str:
    """Return the class weights of the training; "" if the file has none."""
    weights = metrics.get("class_weights")
    if not isinstance(weights, dict) or not all(isinstance(v, int | float) for v in weights.values()):
        return ""
    return ", ".join(f"{name} {value:.3g}" for name, value in weights.items())


def flat(config: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return a nested table as dotted keys and their values.

    Parameters
    ----------
    config : dict
        The table.
    prefix : str
        Prepended to each key.

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
