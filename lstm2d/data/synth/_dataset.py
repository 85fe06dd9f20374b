"""Write synthetic scenes as a dataset folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lstm2d.data.description import Description
from lstm2d.data.mapping import IGNORE
from lstm2d.data.synth._scene import CLASSES, draw_scene
from lstm2d.errors import ConfigError, OutputError
from lstm2d.io.atomic import make_folder, write_text
from lstm2d.io.classes import palette_of
from lstm2d.io.label_images import write_image, write_labels

NAME = "synthetic outdoor scenes"
MIN_COUNT, MAX_COUNT = 3, 1_000_000


def split_sizes(count: int) -> dict[str, int]:
    """Return the sizes of the splits: a tenth for validation, a fifth for testing, each at least 1.

    Parameters
    ----------
    count : int
        Number of scenes, 3 or more.

    Returns
    -------
    dict of str to int
        Sizes of "train", "val" and "test"; their sum is ``count``.
    """
    val, test = max(round(0.1 * count), 1), max(round(0.2 * count), 1)
    return {"train": count - val - test, "val": val, "test": test}


def write_dataset(
    out: str | os.PathLike[str],
    *,
    count: int,
    seed: int,
    height: int = 120,
    width: int = 160,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Draw scenes into a new dataset folder.

    Parameters
    ----------
    out : str or path
        Folder to create; it may exist if it is empty.
    count : int
        Number of scenes, 3 or more. The first seven tenths are "train", then follow "val" and "test".
    seed : int
        Seed of the scenes.
    height, width : int
        Size of the images in pixels.
    progress : callable, optional
        Called with the number of scenes written and ``count``.

    Returns
    -------
    dict of str to int
        Number of scenes in each split.

    Raises
    ------
    ConfigError
        If a value is out of range; nothing is written then.
    OutputError
        If the folder is not empty, or a file cannot be written.
    """
    if not MIN_COUNT <= count <= MAX_COUNT:
        raise ConfigError(f"cannot write a dataset of {count} scenes", expected=f"{MIN_COUNT} to {MAX_COUNT}")
    first = draw_scene(seed, 0, height, width)
    root = _new_folder(out)
    images, masks, splits = (make_folder(root / name) for name in ("images", "masks", "splits"))
    digits = max(len(str(count - 1)), 4)
    stems = [f"scene_{index:0{digits}d}" for index in range(count)]
    palette = palette_of(CLASSES)
    for index, stem in enumerate(stems):
        image, labels = first if index == 0 else draw_scene(seed, index, height, width)
        write_image(images / f"{stem}.png", image)
        write_labels(masks / f"{stem}.png", labels, palette)
        if progress is not None:
            progress(index + 1, count)
    sizes, start = split_sizes(count), 0
    for name, size in sizes.items():
        write_text(splits / f"{name}.txt", "".join(f"{stem}\n" for stem in stems[start : start + size]))
        start += size
    # written last: a folder with this file is complete
    description = Description(NAME, CLASSES, tuple(range(len(CLASSES))), IGNORE)
    write_text(root / "dataset.toml", description.to_toml())
    return sizes


def _new_folder(out: str | os.PathLike[str]) -> Path:
    """Create the folder, or use an existing empty one."""
    root = Path(out)
    if os.path.isdir(root) and any(root.iterdir()):
        raise OutputError("the folder is not empty", where=root, hint="name a new folder")
    return make_folder(root)
