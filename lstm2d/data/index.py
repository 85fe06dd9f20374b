"""The files of a dataset by stem: one folder of images and one of masks, or one of each per split."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lstm2d.data.colors import LABELMAP
from lstm2d.data.description import Description, describe_labelmap, read_description, with_labelmap
from lstm2d.data.guess import guess_folders
from lstm2d.data.layout import Sample, composed, index_images, index_masks, pair, some, subfolder
from lstm2d.data.lists import read_split, split_files
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.classes import dataset_name


@dataclass(frozen=True)
class Place:
    """A folder of images and the folder of their masks.

    Parameters
    ----------
    split : str
        Name of the split that they form; "" if the splits are in splits/.
    images, masks : Path
        The two folders.
    """

    split: str
    images: Path
    masks: Path

    def name(self, stem: str) -> str:
        """Return the name of an image in the dataset: SPLIT/STEM if the folders form a split, else STEM."""
        return f"{self.split}/{stem}" if self.split else stem


def places_of(root: Path, description: Description) -> list[Place]:
    """Return the folders of a dataset.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    description : Description
        Names them.

    Returns
    -------
    list of Place
        At least one; sorted by split.
    """
    if not description.folders:
        named = (subfolder(root, name) for name in (description.images, description.masks))
        return [Place("", *named)]
    return [
        Place(composed(split), subfolder(root, images), subfolder(root, masks))
        for split, images, masks in sorted(description.folders)
    ]


class FileIndex:
    """Images, masks and splits of a dataset.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    description : Description
        Names the folders. Its classes are not used.

    Raises
    ------
    DataError
        If both ``[folders]`` in dataset.toml and the folder splits/ define splits.
    """

    def __init__(self, root: Path, description: Description) -> None:
        self.root = root
        self.places = places_of(root, description)
        if description.folders and split_files(root):
            raise DataError(
                "the splits are defined twice, by [folders] in dataset.toml and by this folder",
                where=root / "splits",
                hint="remove one of the two",
            )

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, sorted."""
        named = tuple(place.split for place in self.places if place.split)
        return named or tuple(split_files(self.root))

    @cached_property
    def images(self) -> Mapping[str, Path]:
        """All images by stem, sorted within each folder."""
        return self._gather(lambda place: index_images(place.images))

    @cached_property
    def masks(self) -> Mapping[str, Path]:
        """All masks by stem, sorted within each folder."""
        return self._gather(lambda place: index_masks(place.masks))

    def stems_of(self, split: str) -> list[str]:
        """Return the stems of a split.

        Parameters
        ----------
        split : str
            Name of the split.

        Returns
        -------
        list of str
            In the order of the file splits/NAME.txt, or of the names in the folder.

        Raises
        ------
        DataError
            If there is no such split, or it is empty or not valid.
        """
        name = composed(split)
        for place in self.places:
            if place.split and place.split == name:
                return [place.name(stem) for stem in index_images(place.images)]
        files = {} if self.places[0].split else split_files(self.root)
        if name not in files:
            known = list(self.splits)
            expected = f"one of {some(known)}" if known else "a folder splits/ with train.txt and val.txt"
            raise DataError(
                f"no split {split!r}", where=self.root / "splits" / f"{split}.txt", expected=expected
            )
        return read_split(files[name], self.images)

    def samples(self, stems: Iterable[str]) -> list[Sample]:
        """Pair images and masks.

        Parameters
        ----------
        stems : iterable of str
            Stems of the images to return, in order.

        Returns
        -------
        list of Sample
            One per stem.

        Raises
        ------
        DataError
            If some images have no mask.
        """
        stems = list(stems)
        lacking = next((s for s in stems if s not in self.masks), "")
        return pair(stems, self.images, self.masks, self.place_of(lacking).masks)

    def place_of(self, stem: str) -> Place:
        """Return the folders of an image; the first ones for a stem that does not exist."""
        split = stem.rpartition("/")[0]
        return next((place for place in self.places if place.split == split), self.places[0])

    def _gather(self, listed: Callable[[Place], dict[str, Path]]) -> dict[str, Path]:
        return {place.name(stem): path for place in self.places for stem, path in listed(place).items()}


def outline(root: Path) -> Description:
    """Return what the files of a dataset say about it, without reading any mask.

    Parameters
    ----------
    root : Path
        The dataset's folder.

    Returns
    -------
    Description
        Without classes if neither dataset.toml nor labelmap.txt defines them.

    Raises
    ------
    DataError
        If one of the two is not valid.
    """
    toml, labelmap = root / "dataset.toml", root / LABELMAP
    if os.path.lexists(toml):
        description = read_description(toml)
    else:
        images, masks = guess_folders(root)
        description = Description(dataset_name(root.resolve().name), (), (), IGNORE, images, masks)
    if description.classes:
        return with_labelmap(description, labelmap)
    return describe_labelmap(labelmap, description) if os.path.lexists(labelmap) else description
