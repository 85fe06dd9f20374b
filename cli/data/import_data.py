"""`lstm2d data import`: turn published layouts into a dataset folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lstm2d.cli.output import Console, output_options

if TYPE_CHECKING:
    from lstm2d.data.importers.registry import Kind
    from lstm2d.data.importers.source import Source
    from lstm2d.data.importers.write import Written


@click.command(
    name="import",
    epilog="""\b
Examples:
  lstm2d data import auto downloads/CamVid -o camvid
  lstm2d data import auto horses -o dataset --jpeg-masks --resize-masks
  lstm2d data import pairs cells -o dataset --threshold 128 --link
  lstm2d data import pairs aerial -o dataset --colors classes.txt
  lstm2d data import labelme photos -o dataset --uncovered ignore""",
)
@click.argument("kind", metavar="KIND")
@click.argument("src", metavar="SRC")
@click.option("--out", "-o", required=True, metavar="DIR", help="Folder to create.")
@click.option(
    "--threshold",
    type=click.IntRange(1, 255),
    metavar="N",
    help="Two classes: mask values from N up are foreground, 1 to 255.",
)
@click.option(
    "--resize-masks", is_flag=True, help="Resize masks to the size of their images (nearest neighbour)."
)
@click.option(
    "--colors", metavar="FILE", help="Names and colours of the classes: lines such as road 128 64 128."
)
@click.option("--jpeg-masks", is_flag=True, help="Accept JPEG masks: take the class with the nearest colour.")
@click.option(
    "--uncovered",
    type=click.Choice(["background", "ignore"]),
    help="Pixels outside of all outlines: a class, or ignored.  [default: depends on the kind]",
)
@click.option("--link", is_flag=True, help="Link the images instead of copying them.")
@click.option("--name", metavar="NAME", help="Name of the dataset.  [default: that of SRC]")
@output_options
def import_data(
    console: Console,
    *,
    kind: str,
    src: str,
    out: str,
    threshold: int | None,
    resize_masks: bool,
    colors: str | None,
    jpeg_masks: bool,
    uncovered: str | None,
    link: bool,
    name: str | None,
) -> None:
    """Turn images and masks in a published layout into a dataset folder.

    KIND is auto, which recognises the kind and says why, or one of the kinds; a
    wrong one lists them all. SRC is not changed. DIR gets images/, masks/, splits/
    and dataset.toml, completely or not at all.
    """
    from lstm2d.data.importers.registry import AUTO, choose_kind, kind_named
    from lstm2d.data.importers.source import Options
    from lstm2d.data.importers.write import write_source
    from lstm2d.io.new_folder import check_new_folder

    source_path, reason = Path(src), ""
    if kind == AUTO:
        chosen, reason = choose_kind(source_path)
        console.say(f"recognised: {chosen.name}, by {reason}")
    else:
        chosen = kind_named(kind)
    check_new_folder(out)
    file = None if colors is None else Path(colors)
    source = chosen.open_source(source_path, Options(threshold, resize_masks, file, jpeg_masks, uncovered))
    for line in source.found:
        if line not in reason:
            console.say(f"  {line}")
    written = write_source(
        source,
        out,
        resize_masks=resize_masks,
        link=link,
        name=name,
        progress=lambda done, total: console.progress(f"{done}/{total} images", done, total),
    )
    report(console, source, written, out)
    console.result(as_table(chosen, source, written, out))


def report(console: Console, source: Source, written: Written, out: str) -> None:
    """Say what was imported and what was left out.

    Parameters
    ----------
    console : Console
        Where to.
    source : Source
        What was found.
    written : Written
        What was written.
    out : str
        The new folder.
    """
    for line in written.left_out:
        console.say(f"  left out: {line}")
    if written.resized:
        console.say(f"  {written.resized} masks resized to the size of their images")
    parts = ", ".join(f"{name} {count}" for name, count in written.splits.items())
    shown = f" ({parts})" if parts else ""
    console.say(f"{written.images} images of {len(source.classes)} classes{shown}: {out}")


def as_table(kind: Kind, source: Source, written: Written, out: str) -> dict[str, object]:
    """Return the result for ``--json``.

    Parameters
    ----------
    kind : Kind
        The kind.
    source : Source
        What was found.
    written : Written
        What was written.
    out : str
        The new folder.

    Returns
    -------
    dict
        JSON types.
    """
    return {
        "kind": kind.name,
        "images": written.images,
        "classes": [info.name for info in source.classes],
        "splits": written.splits,
        "left_out": list(written.left_out),
        "out": out,
    }
