"""Build label hierarchies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.folder import DatasetFolder, Sample
from lstm2d.errors import DataError
from lstm2d.hierarchy.collect import Collected, collect, measure_of
from lstm2d.hierarchy.common import common_classes
from lstm2d.hierarchy.fill import Fill
from lstm2d.hierarchy.hierarchy import Hierarchy, Setting, Subclass
from lstm2d.hierarchy.options import Options
from lstm2d.hierarchy.subclasses import Progress, by_clusters, by_groups, image_clusters

_HINTS = {
    "sn": "name more than one scene in scenes.txt",
    "lc": "use a larger `window`, or more images",
    "ic": "use more images",
}


def build_hierarchy(
    dataset: DatasetFolder,
    samples: Sequence[Sample],
    options: Options,
    *,
    fill: Fill | None = None,
    progress: Progress = lambda text, done, total: None,
) -> Hierarchy:
    """Divide the common classes of a dataset into subclasses [1]_.

    Parameters
    ----------
    dataset : DatasetFolder
        The dataset.
    samples : sequence of Sample
        Its training images.
    options : Options
        Method, limits and seed.
    fill : callable, optional
        Returns the labels that a model predicts for an image. Images under 90 % labelled are filled with them
        where they are not labelled.
    progress : callable, optional
        Gets a line of text, and completed and total work.

    Returns
    -------
    Hierarchy
        The same for any number of threads.

    Raises
    ------
    DataError
        If there are no images, no labels or only one class in them, an image has no scene, or no class can be
        divided.

    References
    ----------
    .. [1] Z. Wang, H. Li, W. Ouyang and X. Wang, "Learning Deep Representations for Scene Labeling with
       Semantic Context Guided Supervision", 2017, section 3.1.
    """
    if not samples:
        raise DataError("no images to build a hierarchy from", where=dataset.root)
    names = tuple(info.name for info in dataset.classes)
    scenes = dataset.scenes_of(samples) if options.method == "sn" else []
    parts: list[Collected] = []
    for one in collect(dataset, samples, measure_of(options, len(names)), fill):
        parts.append(one)
        progress(f"{len(parts)}/{len(samples)} images", len(parts), len(samples))
    per_image = np.stack([_count(one.classes, len(names)) for one in parts])
    total = per_image.sum(axis=0).tolist()
    _check_classes(total, names, dataset)
    common = common_classes(total, options.rho)
    groups, of_image = _groups(scenes, parts, options, len(names))
    if options.method == "lc":
        pairs = (np.concatenate([p.classes for p in parts]), np.concatenate([p.measured for p in parts]))
        subclasses = by_clusters(names, total, common, pairs, options, progress)
    else:
        subclasses = by_groups(names, common, groups, per_image, of_image)
    _check_divided(subclasses, names, options, dataset)
    return Hierarchy(
        method=options.method,
        dataset=dataset.name,
        classes=names,
        common=common,
        subclasses=tuple(subclasses),
        window=options.window if options.method == "lc" else None,
        images={sample.stem: group for sample, group in zip(samples, of_image, strict=False)},
        groups=groups,
        settings=options.settings() | _filling(parts, per_image),
    )


def _groups(
    scenes: Sequence[str], parts: Sequence[Collected], options: Options, n_classes: int
) -> tuple[tuple[str, ...], list[int]]:
    """Return the names of the groups and the group of each image; empty for method lc."""
    if options.method == "ic":
        return image_clusters(np.stack([one.measured for one in parts]), options.seed, n_classes)
    names = tuple(sorted(set(scenes)))
    return names, [names.index(scene) for scene in scenes]


def _filling(parts: Sequence[Collected], per_image: NDArray[np.int64]) -> dict[str, Setting]:
    """Return how many images were filled, and the superpixels of each class before."""
    filled = sum(one.before is not None for one in parts)
    found: dict[str, Setting] = {"images": len(parts), "filled_images": filled}
    if filled:
        before = [
            count if one.before is None else _count(one.before, len(count))
            for one, count in zip(parts, per_image, strict=True)
        ]
        found["samples_before_filling"] = tuple(np.sum(before, axis=0).tolist())
    return found


def _count(classes: NDArray[np.uint8], n_classes: int) -> NDArray[np.int64]:
    return np.bincount(classes, minlength=n_classes)


def _check_classes(total: Sequence[int], names: Sequence[str], dataset: DatasetFolder) -> None:
    here = [name for name, count in zip(names, total, strict=True) if count]
    expected = "labels of two classes or more"
    if not here:
        raise DataError("the images have no labels", where=dataset.root, expected=expected)
    if len(here) == 1:
        what = f"the labels of the images have only one class ({here[0]})"
        raise DataError(what, where=dataset.root, expected=expected)


def _check_divided(
    subclasses: Sequence[Subclass], names: Sequence[str], options: Options, dataset: DatasetFolder
) -> None:
    if len(subclasses) == len(names):
        what = f"no class can be divided by method {options.method}: each has one subclass"
        raise DataError(what, where=dataset.root, hint=_HINTS[options.method])
