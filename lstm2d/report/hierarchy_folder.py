"""The pictures of a label hierarchy: frequency plots, and example patches of each subclass."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from itertools import chain, groupby
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.hierarchy.examples import Place, check_dataset, find_examples
from lstm2d.hierarchy.hierarchy import Hierarchy
from lstm2d.io.gallery import encode_png
from lstm2d.report.hierarchy_plots import BEFORE, plot_filling, plot_frequencies
from lstm2d.report.patch_sheets import draw_patches, patch
from lstm2d.report.result_folder import HIERARCHY, ResultFolder

FREQUENCIES, FILLING, PATCHES = "frequencies.png", "filling.png", "patches"
EXAMPLES = 8  # patches of a subclass
WINDOW = 129  # pixels: side of a patch if the hierarchy has no window of this kind

Progress = Callable[[int, int], object]


def write_pictures(
    hierarchy: Hierarchy,
    out: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    data: tuple[DatasetFolder, Sequence[Sample]] | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> list[str]:
    """Draw a hierarchy.

    Parameters
    ----------
    hierarchy : Hierarchy
        The hierarchy.
    out : str or path
        The folder to write. The pictures of an earlier call in it are replaced.
    source : str or path
        File of the hierarchy, which is never replaced.
    data : (DatasetFolder, sequence of Sample), optional
        The dataset and the images to take patches from; without it no patches are drawn.
    overwrite : bool, default False
        Use a folder with other files, and replace files of these names.
    progress : callable, optional
        Gets the numbers of images searched for patches and of all.

    Returns
    -------
    list of str
        Files written, relative to the folder: frequencies.png; filling.png, if images were filled; with
        `data` patches/NN-CLASS.png with a row per subclass of each common class, and patches/rare.png.

    Raises
    ------
    DataError
        If the dataset has other classes than the hierarchy, or a file cannot be read.
    ConfigError
        If the folder holds files of others.
    OutputError
        If a file cannot be written.
    """
    names = [FREQUENCIES] + [FILLING] * (BEFORE in hierarchy.settings)
    groups = _sheets(hierarchy) if data is not None else {}
    inputs: list[Path] = []
    if data is not None:
        check_dataset(hierarchy, data[0])
        inputs = [path for sample in data[1] for path in (sample.image_path, sample.mask_path)]
    files = [PurePath(name) for name in [*names, *groups]]
    with ResultFolder(
        out, files, data=inputs, models=[Path(source)], overwrite=overwrite, kind=HIERARCHY
    ) as folder:
        folder.write(PurePath(FREQUENCIES), plot_frequencies(hierarchy))
        filling = plot_filling(hierarchy)
        if filling is not None:
            folder.write(PurePath(FILLING), filling)
        if data is not None:
            examples = find_examples(hierarchy, *data, EXAMPLES, progress=progress)
            patches = _patches(hierarchy, data[0], examples)
            for name, numbers in groups.items():
                rows = [(hierarchy.subclasses[number].name, patches[number]) for number in numbers]
                folder.write(PurePath(name), encode_png(draw_patches(rows, EXAMPLES), colours=256))
    return [name.as_posix() for name in files]


def _sheets(hierarchy: Hierarchy) -> dict[str, list[int]]:
    """Return the subclasses on each sheet: those of each common class, and all rare ones together."""
    found: dict[str, list[int]] = {}
    for number, one in enumerate(hierarchy.subclasses):
        name = "rare"
        if one.class_number in hierarchy.common:
            plain = re.sub(r"[^A-Za-z0-9_]+", "-", hierarchy.classes[one.class_number]).strip("-")
            name = f"{one.class_number:02d}-{plain}".rstrip("-")
        found.setdefault(f"{PATCHES}/{name}.png", []).append(number)
    return found


def _patches(
    hierarchy: Hierarchy, dataset: DatasetFolder, examples: Sequence[Sequence[Place]]
) -> list[list[NDArray[np.uint8]]]:
    """Return the patches of each subclass; each image is read once."""
    side = hierarchy.window or WINDOW
    cut: dict[Place, NDArray[np.uint8]] = {}
    places = sorted(chain.from_iterable(examples), key=lambda place: place.sample.stem)
    for sample, own in groupby(places, key=lambda place: place.sample):
        image, _ = dataset.load(sample)
        cut |= {place: patch(image, place.row, place.column, side) for place in own}
    return [[cut[place] for place in own] for own in examples]
