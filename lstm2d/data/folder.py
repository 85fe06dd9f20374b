"""A dataset folder: images, masks, splits, and what they mean."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.colors import LABELMAP
from lstm2d.data.description import Description, describe_labelmap, read_description, with_labelmap
from lstm2d.data.guess import guess_description, guess_folders
from lstm2d.data.labels import LabelReader
from lstm2d.data.layout import (
    Sample,
    index_images,
    index_masks,
    pair,
    read_scenes,
    read_split,
    split_names,
    subfolder,
    without_image,
)
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.classes import ClassInfo
from lstm2d.io.images import read_photo
from lstm2d.io.masks import open_mask
from lstm2d.io.photo import Reading
from lstm2d.notes import Notes
from lstm2d.random import Purpose, generator

__all__ = ["DatasetFolder", "Sample", "hold_out"]


class DatasetFolder:
    """Images and masks in a folder.

    Parameters
    ----------
    path : str or path
        Folder with images/STEM.*, masks/STEM.png, splits/SPLIT.txt and dataset.toml. Without dataset.toml the
        classes are those of CVAT's labelmap.txt; without that they are guessed from all masks, see
        `guessed_toml`. Without splits/ there is one set of all images.
    reading : Reading, optional
        How images are read; masks have the same limit of pixels.

    Attributes
    ----------
    notes : Notes
        What was guessed, converted or left out in the images and masks that were loaded so far.

    Raises
    ------
    DataError
        If the folder is missing, or its dataset.toml or its files make no sense.
    """

    def __init__(self, path: str | os.PathLike[str], *, reading: Reading | None = None) -> None:
        self.root = Path(path)
        self.reading = reading or Reading()
        self.notes = Notes()
        self._noted: set[Path] = set()
        if not self.root.is_dir():
            what = "folder not found" if not os.path.lexists(self.root) else "this is no folder"
            raise DataError(what, where=self.root, expected="a folder with images/ and masks/")
        toml, labelmap = self.root / "dataset.toml", self.root / LABELMAP
        self.guessed = not os.path.lexists(toml) and not os.path.lexists(labelmap)
        if self.guessed:
            self._description = self._guess()
        elif os.path.lexists(toml):
            self._description = with_labelmap(read_description(toml), labelmap)
        else:
            self._description = describe_labelmap(labelmap, guess_folders(self.root))
        self._reader = LabelReader(self._description)

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self._description.name

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes, in the order of their numbers."""
        return self._description.classes

    @property
    def ignore(self) -> int:
        """Label of ignored pixels in what `load` returns: 255, whatever the mask files use."""
        return IGNORE

    @property
    def native(self) -> bool:
        """Whether pixels have a fixed scale: ``scale = "native"`` in dataset.toml."""
        return self._description.native

    @property
    def guessed_toml(self) -> str | None:
        """The dataset.toml that says what was guessed; None where there is one."""
        return self._description.to_toml() if self.guessed else None

    @property
    def meaning(self) -> dict[str, Any]:
        """What the folder says about its masks, by the keys of dataset.toml, in types that JSON has."""
        description, mapping = self._description, self._description.mapping
        return {
            "colors": [list(info.color) for info in self.classes],
            "values": list(description.values),
            "ignore": description.ignore,
            "ignore_color": None if description.ignore_color is None else list(description.ignore_color),
            "scale": "native" if description.native else "",
            "map": None if mapping is None else [*map(list, mapping.labels), ["others", mapping.others]],
        }

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, sorted."""
        return split_names(self.root)

    @cached_property
    def scenes(self) -> dict[str, str]:
        """Scene of each stem; empty without scenes.txt."""
        return read_scenes(self.root / "scenes.txt")

    @cached_property
    def samples(self) -> list[Sample]:
        """All images with their masks, sorted by stem."""
        return self._pairs(self._images)

    def split(self, name: str) -> list[Sample]:
        """List a split.

        Parameters
        ----------
        name : str
            Name of the split: train, val, test, ...

        Returns
        -------
        list of Sample
            Its images, in the order of the split's file.

        Raises
        ------
        DataError
            If there is no such split, if it is empty, or if it names an image that is missing or has no mask.
        """
        return self._pairs(read_split(self.root, name, self._images))

    def training_splits(
        self, train: str = "train", val: str = "val", *, fraction: float = 0.1, seed: int = 0
    ) -> tuple[list[Sample], list[Sample]]:
        """List the images to train on and those to validate on.

        Parameters
        ----------
        train, val : str
            Names of the splits. Without any split all images are the training split.
        fraction : float
            Share of the training split to hold out for validation where the folder has no split `val`, or
            where both names are the same; 0 to validate on nothing.
        seed : int
            Decides which ones.

        Returns
        -------
        train, val : list of Sample
            No image is in both.

        Raises
        ------
        DataError
            If a split is missing, empty or wrong, if the two share images, or if there is nothing to hold out
            from.
        """
        samples = self.split(train) if self.splits or train != "train" else self.samples
        if val == train or val not in self.splits:
            return hold_out(samples, fraction, seed)
        validation = self.split(val)
        shared = {s.stem for s in samples} & {s.stem for s in validation}
        if shared:
            what = f"{len(shared)} images are in {train} and in {val} ({min(shared)}, for one)"
            hint = "take them out of one of the two files"
            raise DataError(
                what, where=self.root / "splits", expected="splits that share no image", hint=hint
            )
        return samples, validation

    def load(self, sample: Sample) -> tuple[NDArray[np.uint8] | NDArray[np.float32], NDArray[np.uint8]]:
        """Read an image and its mask.

        Parameters
        ----------
        sample : Sample
            Which one.

        Returns
        -------
        image : array of shape (H, W, 3), uint8 or float32
            Red, green, blue in 0..255, see `lstm2d.io.images.read_photo`.
        labels : array of shape (H, W), uint8
            Class numbers; 255 where ignored.

        Raises
        ------
        DataError
            If a file cannot be read, if the sizes differ, or if the mask holds a value or colour that means
            nothing.
        """
        photo = read_photo(sample.image_path, self.reading)
        mask = open_mask(sample.mask_path, max_pixels=self.reading.max_pixels)
        if photo.size != mask.size:
            raise _other_size(sample, photo.size, mask.size)
        labels, notes = self._reader.labels_of(mask, sample.mask_path)
        self._note(sample.image_path, photo.notes)
        self._note(sample.mask_path, mask.notes + notes)
        return photo.pixels, labels

    @cached_property
    def _images(self) -> dict[str, Path]:
        return index_images(subfolder(self.root, self._description.images), self.root)

    @cached_property
    def _masks(self) -> dict[str, Path]:
        return index_masks(self._masks_folder, self.root)

    @cached_property
    def _masks_folder(self) -> Path:
        return subfolder(self.root, self._description.masks)

    def _pairs(self, stems: Iterable[str]) -> list[Sample]:
        found = pair(stems, self._images, self._masks, self._masks_folder)
        lonely = without_image(self._images, self._masks)
        if lonely is not None:
            self._note(self._masks_folder, (lonely,))
        return found

    def _note(self, path: Path, notes: Sequence[str]) -> None:
        """Take the notes on a file once, however often it is read."""
        if path not in self._noted:
            self._noted.add(path)
            for text in notes:
                self.notes.add(text, path)

    def _guess(self) -> Description:
        folders = guess_folders(self.root)
        images = index_images(self.root / folders[0], self.root)
        masks = index_masks(self.root / folders[1], self.root)
        used = [m for stem, m in masks.items() if stem in images]
        if not used:
            pair(images, images, masks, self.root / folders[1])  # says which masks are missing
        return guess_description(self.root, folders, used, max_pixels=self.reading.max_pixels)


def hold_out(samples: Sequence[Sample], fraction: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Part images into those to train on and those to validate on.

    Parameters
    ----------
    samples : sequence of Sample
        The images.
    fraction : float
        Share to hold out, 0 to 1; at least one image, and never all, unless the share is 0.
    seed : int
        Decides which ones; the order of `samples` does not.

    Returns
    -------
    train, held_out : list of Sample
        Both in the order of `samples`.

    Raises
    ------
    ConfigError
        If the share is not from 0 to below 1.
    DataError
        If there are not two images.
    """
    if not 0 <= fraction < 1:
        expected = "0 to below 1, for example 0.1"
        raise ConfigError("cannot hold out this share", where=f"{fraction:g}", expected=expected)
    if fraction == 0:
        return list(samples), []
    if len(samples) < 2:
        what = "one image alone cannot be parted into training and validation"
        raise DataError(what, expected="two images or more", hint="hold out nothing: `val=0`")
    stems = sorted(s.stem for s in samples)
    count = min(max(round(fraction * len(stems)), 1), len(stems) - 1)
    order = generator(seed, 0, 0, Purpose.HOLD_OUT).permutation(len(stems))
    held = {stems[i] for i in order[:count]}
    return [s for s in samples if s.stem not in held], [s for s in samples if s.stem in held]


def _other_size(sample: Sample, image: tuple[int, int], mask: tuple[int, int]) -> DataError:
    (height, width), (rows, columns) = image, mask
    hint = "save the mask in the size of its image"
    if (rows, columns) == (width, height):
        hint = "turn the mask: the image is turned by its EXIF orientation, or the mask was saved transposed"
    return DataError(
        f"the mask is {columns}x{rows} pixels, its image {width}x{height} (width x height)",
        where=sample.mask_path,
        expected=f"{width}x{height}, as {sample.image_path.name}",
        hint=hint,
    )
