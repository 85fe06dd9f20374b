"""Make a sparsely labelled dataset folder from a labelled one.

    python benchmarks/sparse_labels.py DATA OUT --share 0.01                  # scribbles on every object
    python benchmarks/sparse_labels.py DATA OUT --share 0.01 --kind pixels    # single pixels at random places

Of every mask, except those of the split `--keep`, the given share of the labelled pixels keeps its label; the
others get the ignored value. A scribble is a curved stroke three pixels wide that stays inside an object (a
connected region of one class); an object gets strokes until the share is reached. The same seed gives the
same folder, whatever the order of the images.
"""

from __future__ import annotations

import argparse
import os
import shutil
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lstm2d.data.description import Description
from lstm2d.data.folder import DatasetFolder
from lstm2d.io.atomic import make_folder, write_text
from lstm2d.io.classes import palette_of
from lstm2d.io.label_images import write_labels

IGNORE = 255
RADIUS = 1.5  # of a stroke, in pixels
BEND = 0.3  # deviation of the change of direction from one pixel to the next, in radians

Labels = NDArray[np.uint8]
Region = NDArray[np.bool_]


def main() -> None:
    """Make the folder and print the share that is labelled."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="dataset folder")
    parser.add_argument("out", type=Path, help="folder to make; must not exist")
    parser.add_argument("--share", type=float, required=True, help="share of the labels to keep, 0 to 1")
    parser.add_argument("--kind", choices=("scribbles", "pixels"), default="scribbles")
    parser.add_argument("--keep", default="test", help="split whose masks are not changed (test)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--link", action="store_true", help="link the images instead of copying them")
    args = parser.parse_args()
    if not 0 < args.share <= 1:
        parser.error("--share must be above 0 and at most 1")
    before, after = make(args.data, args.out, args.share, args.kind, args.keep, args.seed, args.link)
    print(f"{args.out}: {after:,} of {before:,} labels kept ({after / max(1, before):.2%})")


def make(
    data: Path, out: Path, share: float, kind: str, keep: str = "test", seed: int = 0, link: bool = False
) -> tuple[int, int]:
    """Make a sparsely labelled copy of a dataset folder.

    Parameters
    ----------
    data : Path
        Dataset folder.
    out : Path
        Folder to make; must not exist.
    share : float
        Share of the labels to keep.
    kind : {"scribbles", "pixels"}
        Which ones.
    keep : str
        Split whose masks are not changed; may be absent.
    seed : int
        Seed for the choice.
    link : bool
        Whether to link the images.

    Returns
    -------
    before, after : int
        Labelled pixels of the masks that are changed.
    """
    dataset = DatasetFolder(data)
    out.mkdir(parents=True)
    kept = {sample.stem for sample in dataset.split(keep)} if keep in dataset.splits else set()
    palette, before, after = palette_of(dataset.classes), 0, 0
    for sample in dataset.samples:
        labels, name = dataset.load_labels(sample), file_name(sample.stem)
        if sample.stem not in kept:
            rng = np.random.default_rng([seed, zlib.crc32(os.fsencode(sample.stem))])
            sparse = thinned(labels, share, kind, rng)
            before, after = before + int((labels != IGNORE).sum()), after + int((sparse != IGNORE).sum())
            labels = sparse
        make_folder(out / "masks")
        write_labels(out / "masks" / f"{name}.png", labels, palette)
        make_folder(out / "images")
        image = out / "images" / f"{name}{sample.image_path.suffix}"
        if link:
            image.symlink_to(sample.image_path.resolve())
        else:
            shutil.copyfile(sample.image_path, image)
    classes = dataset.classes
    about = Description(dataset.name, classes, tuple(range(len(classes))), IGNORE, native=dataset.native)
    write_text(out / "dataset.toml", about.to_toml())
    for split in dataset.splits:
        make_folder(out / "splits")
        stems = "".join(f"{file_name(sample.stem)}\n" for sample in dataset.split(split))
        write_text(out / "splits" / f"{split}.txt", stems)
    return before, after


def file_name(stem: str) -> str:
    """Return the name of an image in the new folder, also if it comes from the folder of a split."""
    return stem.replace("/", "_")


def thinned(labels: Labels, share: float, kind: str, rng: np.random.Generator) -> Labels:
    """Return labels of which a share is left; the others are ignored.

    Parameters
    ----------
    labels : array of shape (H, W), uint8
        Class numbers; 255 where ignored.
    share : float
        Share of the labelled pixels to keep, exactly but for rounding: of each object for scribbles, of the
        image for pixels.
    kind : {"scribbles", "pixels"}
        Which ones.
    rng : numpy.random.Generator
        Chooses them.

    Returns
    -------
    array of shape (H, W), uint8
        Class numbers; 255 where ignored.
    """
    chosen = np.zeros(labels.shape, bool)
    if kind == "pixels":
        known = np.flatnonzero(labels != IGNORE)
        chosen.flat[rng.choice(known, rounded(share * known.size, rng), replace=False)] = True
    else:
        for label in np.unique(labels[labels != IGNORE]):
            objects, count = ndimage.label(labels == label)
            for number in range(1, count + 1):
                region = objects == number
                chosen |= scribbled(region, rounded(share * region.sum(), rng), rng)
    return np.where(chosen, labels, IGNORE).astype(np.uint8)


def scribbled(region: Region, count: int, rng: np.random.Generator) -> Region:
    """Return a number of pixels of a region, along strokes that stay inside.

    Parameters
    ----------
    region : array of shape (H, W), bool
        The object.
    count : int
        Number of pixels, at most those of the region.
    rng : numpy.random.Generator
        Draws the strokes.

    Returns
    -------
    array of shape (H, W), bool
        The pixels.
    """
    chosen = np.zeros(region.shape, bool)
    left = count
    while left:
        free = np.argwhere(region & ~chosen)
        place = free[rng.integers(len(free))].astype(float)
        angle = rng.uniform(0, 2 * np.pi)
        while left and inside(region, place):
            left -= painted(chosen, region, place, left)
            angle += rng.normal(0, BEND)
            place += np.sin(angle), np.cos(angle)
    return chosen


def inside(region: Region, place: NDArray[np.float64]) -> bool:
    """Return whether a place is in a region."""
    row, column = np.rint(place).astype(int)
    return 0 <= row < region.shape[0] and 0 <= column < region.shape[1] and bool(region[row, column])


def painted(chosen: Region, region: Region, place: NDArray[np.float64], most: int) -> int:
    """Add the pixels of a region near a place, the nearest first; return how many are new."""
    reach = int(np.ceil(RADIUS))
    rows, columns = np.indices((2 * reach + 1, 2 * reach + 1)).reshape(2, -1) - reach
    rows, columns = rows + int(np.rint(place[0])), columns + int(np.rint(place[1]))
    distance = np.hypot(rows - place[0], columns - place[1])
    near = (distance <= RADIUS) & (rows >= 0) & (rows < region.shape[0])
    near &= (columns >= 0) & (columns < region.shape[1])
    order = np.argsort(distance[near], kind="stable")
    rows, columns = rows[near][order], columns[near][order]
    new = region[rows, columns] & ~chosen[rows, columns]
    rows, columns = rows[new][:most], columns[new][:most]
    chosen[rows, columns] = True
    return len(rows)


def rounded(number: float, rng: np.random.Generator) -> int:
    """Return a number rounded up with the probability of its fraction, so that sums of many are right."""
    return int(number) + int(rng.random() < number - int(number))


if __name__ == "__main__":
    main()
