"""`lstm2d hierarchy show`: classes and subclasses of a label hierarchy, and pictures of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.evaluate import show_guess
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table, fields, shortened
from lstm2d.errors import ConfigError

if TYPE_CHECKING:
    from lstm2d.hierarchy.hierarchy import Hierarchy, Subclass

AROUND = 3  # classes listed for the labels around a subclass


@click.command(
    epilog="""\b
Examples:
  lstm2d hierarchy show hierarchy.json
  lstm2d hierarchy show hierarchy.json -o pictures
  lstm2d hierarchy show hierarchy.json --data my_photos -o pictures"""
)
@click.argument("file")
@click.option("--data", metavar="DIR", help="The dataset, to draw example patches of each subclass with -o.")
@click.option("--out", "-o", metavar="FOLDER", help="Draw frequency plots, and with --data patches.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace files in FOLDER even if another program wrote them; never an input file.",
)
@output_options
def show(console: Console, *, file: str, data: str | None, out: str | None, overwrite: bool) -> None:
    """Show the classes and subclasses of a label hierarchy.

    FILE was written by lstm2d hierarchy build. FOLDER gets frequencies.png; if
    images were filled, filling.png with the frequencies before and after; and with
    --data patches/, a sheet per common class with a row of patches per subclass.
    """
    from lstm2d.hierarchy.file import load_hierarchy

    if data is not None and out is None:
        raise ConfigError("--data without -o", hint="name the folder for the patches: -o FOLDER")
    hierarchy = load_hierarchy(file)
    written = [] if out is None else draw(console, hierarchy, file, data, out, overwrite)
    if out is not None:
        console.say(f"{len(written)} pictures: {out}")
    console.answer(*describe(hierarchy, file))
    console.result(as_table(hierarchy, file) | ({} if out is None else {"out": out, "written": written}))


def draw(
    console: Console, hierarchy: Hierarchy, file: str, data: str | None, out: str, overwrite: bool
) -> list[str]:
    """Write the pictures; return their names."""
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.report.hierarchy_folder import write_pictures

    source = None
    if data is not None:
        dataset = DatasetFolder(data)
        dataset.notes.listener = console.say
        show_guess(console, dataset)
        split = hierarchy.settings.get("split")
        source = dataset, dataset.samples if split is None else dataset.split(str(split))
    return write_pictures(
        hierarchy,
        out,
        file,
        data=source,
        overwrite=overwrite,
        progress=lambda done, total: console.progress(f"{done}/{total} images", done, total),
    )


def describe(hierarchy: Hierarchy, file: str) -> list[str | Table]:
    """Return the hierarchy as text and tables.

    Parameters
    ----------
    hierarchy : Hierarchy
        The hierarchy.
    file : str
        Its file.

    Returns
    -------
    list of str or Table
        At most 80 columns wide.
    """
    from lstm2d.hierarchy.hierarchy import METHODS

    window = "whole image" if hierarchy.window is None else f"{hierarchy.window}x{hierarchy.window} pixels"
    general = [
        ("hierarchy", file),
        ("dataset", hierarchy.dataset),
        ("method", f"{hierarchy.method}: {METHODS[hierarchy.method]}"),
        *([("window", window)] if hierarchy.method == "lc" else []),
        *((name.replace("_", " "), setting(value)) for name, value in hierarchy.settings.items()),
    ]
    total = max(sum(hierarchy.samples), 1)
    rows = [
        [
            f"{number} {shortened(name, 30)}",
            "common" if number in hierarchy.common else "rare",
            str(hierarchy.parents.tolist().count(number)),
            f"{hierarchy.samples[number]:,}",
            f"{100 * hierarchy.samples[number] / total:.2f}",
        ]
        for number, name in sorted(enumerate(hierarchy.classes), key=lambda pair: -hierarchy.samples[pair[0]])
    ]
    return [
        fields(general),
        Table(["class", "", "subclasses", "superpixels", "%"], rows, left=2),
        subclass_table(hierarchy),
    ]


def setting(value: object) -> str:
    """Return a setting as text; counts of all classes are shortened."""
    return "yes" if isinstance(value, tuple) else "-" if value is None else str(value)


def subclass_table(hierarchy: Hierarchy) -> Table:
    """Return a table of the subclasses of the common classes."""
    rows = [
        [
            shortened(one.name, 34),
            f"{one.samples:,}",
            f"{100 * one.samples / max(hierarchy.samples[one.class_number], 1):.1f}",
            *([around(hierarchy, one)] if hierarchy.method == "lc" else []),
        ]
        for one in hierarchy.subclasses
        if one.class_number in hierarchy.common
    ]
    header = ["subclass", "superpixels", "% of class"]
    if hierarchy.method == "lc":
        rows = [[name, labels, size, share] for name, size, share, labels in rows]
        return Table(["subclass", "% of the labels around", *header[1:]], rows, left=2)
    return Table(header, rows)


def around(hierarchy: Hierarchy, one: Subclass) -> str:
    """Return the most frequent labels around the pixels of a subclass, in percent."""
    total = sum(one.centre) or 1.0
    order = sorted(range(len(one.centre)), key=lambda number: -one.centre[number])[:AROUND]
    parts = [(hierarchy.classes[number], round(100 * one.centre[number] / total)) for number in order]
    return ", ".join(f"{shortened(name, 10)} {share}" for name, share in parts if share)


def as_table(hierarchy: Hierarchy, file: str) -> dict[str, Any]:
    """Return the hierarchy for ``--json``.

    Parameters
    ----------
    hierarchy : Hierarchy
        The hierarchy.
    file : str
        Its file.

    Returns
    -------
    dict
        Common classes by name; the subclasses with name, class and superpixels.
    """
    return {
        "file": file,
        "method": hierarchy.method,
        "dataset": hierarchy.dataset,
        "classes": len(hierarchy.classes),
        "common": [hierarchy.classes[number] for number in hierarchy.common],
        "subclasses": [
            {"name": one.name, "class": hierarchy.classes[one.class_number], "superpixels": one.samples}
            for one in hierarchy.subclasses
        ],
        "settings": dict(hierarchy.settings),
    }
