"""`lstm2d hierarchy build`: divide the frequent classes of a dataset into subclasses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.evaluate import show_guess
from lstm2d.cli.options import compute_options, overwrite_option
from lstm2d.cli.output import Console, output_options
from lstm2d.errors import ConfigError

if TYPE_CHECKING:
    from lstm2d.data.folder import DatasetFolder, Sample
    from lstm2d.hierarchy.fill import Fill
    from lstm2d.hierarchy.hierarchy import Hierarchy
    from lstm2d.hierarchy.options import Options

METHODS = ("sn", "lc", "ic")
DEFAULT_WINDOW, DEFAULT_NSTAR, DEFAULT_K, DEFAULT_RHO = 129, 0.2, 1.0, 93.0


@click.command(
    epilog="""\b
Examples:
  lstm2d hierarchy build my_photos --method lc -o hierarchy.json
  lstm2d hierarchy build my_photos --method lc --window image -o whole.json
  lstm2d hierarchy build sift_flow --method sn -o scenes.json
  lstm2d hierarchy build my_photos --method lc --fill-with runs/a -o h.json"""
)
@click.argument("folder", metavar="DIR")
@click.option(
    "--method",
    required=True,
    type=click.Choice(METHODS),
    help="sn: by the scene names in DIR/scenes.txt; lc: by clusters of the labels around each superpixel; "
    "ic: by clusters of whole images, a control.",
)
@click.option("--out", "-o", required=True, metavar="FILE", help="JSON file to write.")
@click.option("--split", metavar="SPLIT", help="Images in splits/SPLIT.txt.  [default: train]")
@click.option(
    "--rho",
    type=float,
    default=DEFAULT_RHO,
    show_default=True,
    metavar="PERCENT",
    help="Divide the most frequent classes that together have more than this share of the superpixels.",
)
@click.option(
    "--window",
    metavar="R",
    help=f"lc: count the labels in RxR pixels (odd); or image, for all of them.  [default: {DEFAULT_WINDOW}]",
)
@click.option(
    "--nstar-factor",
    type=float,
    metavar="F",
    help="lc: a cluster needs more superpixels than F times the largest rare class."
    f"  [default: {DEFAULT_NSTAR}]",
)
@click.option(
    "--k-factor",
    type=float,
    metavar="F",
    help=f"lc: multiply the number of clusters of each class.  [default: {DEFAULT_K:g}]",
)
@click.option(
    "--fill-with",
    metavar="MODEL",
    help="Fill images under 90 % labelled with the labels of this model.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Random seed.")
@overwrite_option
@output_options
@compute_options
def build(
    console: Console,
    *,
    folder: str,
    method: str,
    out: str,
    split: str | None,
    rho: float,
    window: str | None,
    nstar_factor: float | None,
    k_factor: float | None,
    fill_with: str | None,
    seed: int,
    overwrite: bool,
    device: str,
) -> None:
    """Divide the frequent classes of a dataset into subclasses.

    DIR holds images/, masks/ and splits/. The images are divided into superpixels
    of about 300 pixels. Classes are sorted by their number of superpixels; the
    first ones, up to --rho percent, are common and are divided. The others are
    rare: each is its own only subclass.

    A model is trained with the file by --set hierarchy.file=FILE; it predicts the
    classes.
    """
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.hierarchy.build import build_hierarchy
    from lstm2d.hierarchy.file import save_hierarchy

    options = options_of(method, rho, seed, window=window, nstar_factor=nstar_factor, k_factor=k_factor)
    dataset = DatasetFolder(folder)
    dataset.notes.listener = console.say
    show_guess(console, dataset)
    split = split or ("train" if dataset.splits else None)
    samples = dataset.samples if split is None else dataset.split(split)
    if split is None:
        console.say(f"{folder} has no splits: all {len(samples)} images count")
    check_output(out, dataset, samples, overwrite)
    fill, record = filling(fill_with, dataset, device)
    found = build_hierarchy(dataset, samples, options, fill=fill, progress=console.progress)
    found = replace(found, settings={"split": split, **found.settings, **record})
    save_hierarchy(out, found)
    for line in dataset.notes.summary():
        console.say(line)
    console.answer(summary(found, out))
    console.result(
        {"common": len(found.common), "rare": rare(found), "subclasses": found.n, "file": os.fspath(out)}
    )


def options_of(method: str, rho: float, seed: int, **of_clusters: Any) -> Options:
    """Return the options; those that are not given have defaults, and only method lc has some of them."""
    from lstm2d.hierarchy.options import Options

    given = {name: value for name, value in of_clusters.items() if value is not None}
    if given and method != "lc":
        name = next(iter(given))
        raise ConfigError(
            f"`{name}` together with `method={method}`", hint="leave one out: it is of method lc"
        )
    if "window" in given:
        given["window"] = window_of(given["window"])
    return Options(method, rho=rho, seed=seed, **given)  # type: ignore[arg-type]  # click checks the method


def window_of(text: str) -> int | None:
    """Return the side of the window, None for the whole image."""
    if text == "image":
        return None
    if not text.isascii() or not text.isdigit():
        raise ConfigError(
            "`window` is not a number", where=text, expected="an odd number of pixels, or image"
        )
    return int(text)


def check_output(out: str, dataset: DatasetFolder, samples: Sequence[Sample], overwrite: bool) -> None:
    """Check before the work that the file may be written, and can be."""
    from lstm2d.hierarchy.file import is_hierarchy
    from lstm2d.io.atomic import check_writable
    from lstm2d.io.replacing import refuse_to_replace

    inputs = [path for sample in samples for path in (sample.image_path, sample.mask_path)]
    described = [dataset.root / name for name in ("dataset.toml", "scenes.txt")]
    refuse_to_replace(out, is_ours=is_hierarchy, inputs=[*described, *inputs], overwrite=overwrite)
    check_writable(out)


def filling(model: str | None, dataset: DatasetFolder, device: str) -> tuple[Fill | None, dict[str, str]]:
    """Return the function that labels images with a model, and how the file names the model."""
    if model is None:
        return None, {}
    from lstm2d.predict import find_model
    from lstm2d.predict.fill import filler
    from lstm2d.predict.zoo import bundled_models

    fill = filler(model, dataset, device)
    name = model if model in bundled_models() else str(Path(find_model(model)).resolve())
    return fill, {"fill_with": name}


def rare(found: Hierarchy) -> int:
    """Return the number of rare classes."""
    return len(found.classes) - len(found.common)


def summary(found: Hierarchy, out: str) -> str:
    """Return the answer for people."""
    filled = found.settings["filled_images"]
    parts = [f"{len(found.common)} common and {rare(found)} rare classes, {found.n} subclasses: {out}"]
    if "fill_with" in found.settings:
        of = f"{filled} of {found.settings['images']} images were under 90 % labelled"
        parts.insert(0, f"{of} and filled" if filled else "no image is under 90 % labelled: none was filled")
    return "\n".join(parts)
