"""`lstm2d data split`: divide images into train, val and test."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lstm2d.cli.options import threads_option
from lstm2d.cli.output import Console, output_options


@click.command(
    epilog="""\b
Examples:
  lstm2d data split my_photos
  lstm2d data split my_photos --val 0 --test 0.25 --seed 7
  lstm2d data split my_videos --by-scene -o other_splits"""
)
@click.argument("folder", metavar="DIR")
@click.option("--val", type=float, default=0.1, show_default=True, metavar="SHARE", help="Share of val.")
@click.option("--test", type=float, default=0.2, show_default=True, metavar="SHARE", help="Share of test.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Random seed.")
@click.option("--by-scene", is_flag=True, help="Keep the images of a scene (scenes.txt) together.")
@click.option("--out", "-o", metavar="FOLDER", help="Folder for the files.  [default: DIR/splits]")
@threads_option
@output_options
def split(
    console: Console,
    *,
    folder: str,
    val: float,
    test: float,
    seed: int,
    by_scene: bool,
    out: str | None,
    threads: int | None,
) -> None:
    """Divide images into train, val and test.

    Writes train.txt, val.txt and test.txt with the names of the images that have a
    mask; a split with the share 0 is not written. Files that exist are never
    replaced. Images with equal pixels get into one split, so all images are read.
    """
    from lstm2d.data.partition import partition, refuse_existing, write_splits
    from lstm2d.kernels.threads import get_num_threads, set_num_threads

    if threads is not None:
        set_num_threads(threads)
    get_num_threads()  # check OMP_NUM_THREADS before any work
    target = Path(folder, "splits") if out is None else Path(out)
    refuse_existing(target)
    found = partition(
        folder,
        val=val,
        test=test,
        seed=seed,
        by_scene=by_scene,
        progress=lambda done, total: console.progress(f"{done}/{total} images", done, total),
    )
    if found.left_out:
        first = found.left_out[0]
        console.say(f"images without mask: {len(found.left_out)}, left out, the first is {first}")
    if found.equal:
        console.say(f"images with equal pixels: {found.equal}, each in the split of the one that it equals")
    for path in write_splits(found.splits, target):
        console.say(f"written: {path} ({len(found.splits[path.stem])} images)")
    console.result(
        {
            "data": folder,
            "out": os.fspath(target),
            "splits": {name: len(stems) for name, stems in found.splits.items()},
            "seed": seed,
            "equal_images": found.equal,
            "left_out": len(found.left_out),
        }
    )
