"""Write what an importer found as a dataset folder."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.description import Description
from lstm2d.data.importers.parallel import THREADS, all_of, in_threads
from lstm2d.data.importers.source import Item, Source
from lstm2d.data.layout import composed, some
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.atomic import make_folder, output_error, write_bytes, write_text
from lstm2d.io.classes import dataset_name, palette_of
from lstm2d.io.images import IMAGE_SUFFIXES, read_photo
from lstm2d.io.label_images import write_labels
from lstm2d.io.new_folder import new_folder
from lstm2d.io.safe_open import open_regular

Progress = Callable[[int, int], None]

DESCRIPTION = "dataset.toml"
_SUFFIXES = "an ending such as " + ", ".join(IMAGE_SUFFIXES[:4])


@dataclass(frozen=True)
class Written:
    """What was written.

    Parameters
    ----------
    images : int
        Number of images.
    splits : dict of str to int
        Number of images in each split.
    resized : int
        Number of masks that were resized.
    left_out : tuple of str
        What was not imported, one line each.
    """

    images: int
    splits: dict[str, int]
    resized: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Done:
    """What the labels of an image are."""

    present: NDArray[np.bool_]  # which of the 256 labels occur
    resized: bool


@dataclass(frozen=True)
class _Job:
    """How images are written."""

    root: Path
    palette: NDArray[np.uint8]
    resize: bool
    link: bool


def write_source(
    source: Source,
    out: str | os.PathLike[str],
    *,
    resize_masks: bool = False,
    link: bool = False,
    name: str | None = None,
    threads: int = THREADS,
    progress: Progress | None = None,
) -> Written:
    """Write images and masks as a new dataset folder, completely or not at all.

    Parameters
    ----------
    source : Source
        What to write.
    out : str or path
        Folder to create; it may exist if it is empty.
    resize_masks : bool, default False
        Resize masks to the size of their images, by nearest neighbour.
    link : bool, default False
        Link the images (absolute symbolic links) instead of copying them.
    name : str, optional
        Name of the dataset; by default that of the source.
    threads : int
        Threads that read and write images; does not change the files.
    progress : callable, optional
        Called with the number of images written and of all images.

    Returns
    -------
    Written
        Counts, and what was left out, such as images without any labelled pixel.

    Raises
    ------
    DataError
        If names are not valid, files cannot be read, or masks have another size than their images; all such
        files are listed. Also if all labelled pixels have the same class.
    OutputError
        If the folder is not empty, or a file cannot be written. Nothing is left behind.
    """
    _check_names(source.items)
    with new_folder(out, last=DESCRIPTION) as root:
        for folder in ("images", "masks"):
            make_folder(root / folder)
        job = _Job(root, palette_of(source.classes), resize_masks, link)
        done: list[_Done] = []
        errors: list[DataError] = []
        work = partial(_import, job, len(source.classes))
        with closing(in_threads(work, source.items, threads)) as results:
            for count, result in enumerate(results, start=1):
                if isinstance(result, DataError):
                    errors.append(result)
                else:
                    done.append(result)
                if progress is not None:
                    progress(count, len(source.items))
        if errors:
            raise all_of(errors, f"{len(errors)} of {len(source.items)} images cannot be imported")
        kept = [i for i, d in zip(source.items, done, strict=True) if d.present[:IGNORE].any()]
        _check_classes(source, done)
        _write_lists(root, kept)
        values = tuple(range(len(source.classes)))
        description = Description(dataset_name(name or source.name), source.classes, values, IGNORE)
        write_text(root / DESCRIPTION, description.to_toml())
    left_out = source.left_out + _unlabelled(source.items, kept)
    return Written(len(kept), split_counts(kept), sum(d.resized for d in done), left_out)


def split_counts(items: Sequence[Item]) -> dict[str, int]:
    """Return the number of images in each split, in the order of their first image.

    Parameters
    ----------
    items : sequence of Item
        The images.

    Returns
    -------
    dict of str to int
        Empty if there are no splits.
    """
    counts: dict[str, int] = {}
    for item in items:
        if item.split:
            counts[item.split] = counts.get(item.split, 0) + 1
    return counts


def nearest_resized(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize labels by nearest neighbour, with pixel centres at half numbers.

    Parameters
    ----------
    labels : array of shape (H, W), uint8
        The labels.
    size : tuple of int
        Rows and columns of the result.

    Returns
    -------
    array of shape `size`, uint8
        Resized labels.
    """
    # the label at floor((k + 0.5) * before / after), without rounding errors
    rows, columns = (
        (2 * np.arange(after) + 1) * before // (2 * after)
        for before, after in zip(labels.shape, size, strict=True)
    )
    resized: NDArray[np.uint8] = labels[rows[:, None], columns]
    return resized


def _import(job: _Job, n_classes: int, item: Item) -> _Done:
    """Read an image and its labels, check them, and write them unless all pixels are ignored."""
    size = read_photo(item.image).size
    labels = item.labels()
    resized = labels.shape != size
    if resized:
        labels = _fitted(labels, size, item, job.resize)
    present = np.bincount(labels.ravel(), minlength=256) > 0
    if present[n_classes:IGNORE].any():
        value = n_classes + int(np.argmax(present[n_classes:IGNORE]))
        what = f"its mask holds class {value}, and there are {n_classes} classes"
        raise DataError(what, where=item.image, expected=f"0 to {n_classes - 1}, or {IGNORE} to ignore")
    if not present[:IGNORE].any():
        return _Done(present, resized)
    target = job.root / "images" / f"{item.stem}{item.image.suffix}"
    if job.link:
        try:
            os.symlink(os.path.abspath(item.image), target)
        except OSError as e:
            raise output_error(e, target) from e
    else:
        with open_regular(item.image) as file:
            data = file.read()
        write_bytes(target, data)
    write_labels(job.root / "masks" / f"{item.stem}.png", labels, job.palette)
    return _Done(present, resized)


def _fitted(labels: NDArray[np.uint8], size: tuple[int, int], item: Item, resize: bool) -> NDArray[np.uint8]:
    """Return labels at the size of the image."""
    (height, width), (rows, columns) = size, labels.shape
    what = f"its mask is {columns}x{rows} pixels, the image {width}x{height} (width x height)"
    if (columns, rows) == (height, width):
        hint = "rotate the mask: its image has an EXIF orientation, or the mask was saved transposed"
        raise DataError(what, where=item.image, hint=hint)
    if not resize:
        raise DataError(what, where=item.image, hint="`resize_masks=True` resizes masks (nearest neighbour)")
    return nearest_resized(labels, size)


def _check_names(items: Sequence[Item]) -> None:
    """Refuse names that would lead outside the folder, and names that occur twice."""
    errors: list[DataError] = []
    seen: dict[str, Path] = {}
    for item in items:
        stem = composed(item.stem)
        if item.image.suffix.lower() not in IMAGE_SUFFIXES:
            errors.append(DataError("not the name of an image", where=item.image, expected=_SUFFIXES))
        elif not _is_stem(item.stem):
            errors.append(DataError(f"{item.stem!r} cannot be the name of an image", where=item.image))
        elif item.split and not _is_stem(item.split):
            errors.append(DataError(f"{item.split!r} cannot be the name of a split", where=item.image))
        elif stem in seen:
            what = f"the name {item.stem!r} is also that of {seen[stem]}"
            errors.append(DataError(what, where=item.image))
        seen.setdefault(stem, item.image)
    if errors:
        raise all_of(errors, f"{len(errors)} of {len(items)} images have names that cannot be used")
    if not items:
        raise DataError("there are no images to import")


def _is_stem(name: str) -> bool:
    """Return whether a name is one part of a path and fits on one line."""
    if not name or name.startswith(".") or name != name.strip():
        return False
    return not any(c in "/\\" or unicodedata.category(c) == "Cc" for c in name)


def _check_classes(source: Source, done: Sequence[_Done]) -> None:
    present: NDArray[np.bool_] = np.logical_or.reduce([d.present for d in done])
    occurring = np.flatnonzero(present[:IGNORE]).tolist()
    if len(occurring) < 2:
        only = "no pixel has a label"
        if occurring:
            only = f"all labelled pixels are {source.classes[occurring[0]].name}"
        hint = "another `threshold` may be needed" if len(source.classes) == 2 else None
        raise DataError(only, where=source.name, expected="masks of at least two classes", hint=hint)


def _write_lists(root: Path, items: Sequence[Item]) -> None:
    """Write splits/ and scenes.txt, if there are any."""
    for split in split_counts(items):
        stems = [item.stem for item in items if item.split == split]
        write_text(make_folder(root / "splits") / f"{split}.txt", "".join(f"{s}\n" for s in stems))
    scenes = [(item.stem, "_".join(item.scene.split())) for item in items if item.scene]
    if scenes:
        write_text(root / "scenes.txt", "".join(f"{stem} {scene}\n" for stem, scene in scenes))


def _unlabelled(items: Sequence[Item], kept: Sequence[Item]) -> tuple[str, ...]:
    """Report the images without any label."""
    names = {item.stem for item in kept}
    missing = [item.image.name for item in items if item.stem not in names]
    return (f"images without a labelled pixel: {len(missing)} ({some(missing)})",) if missing else ()
