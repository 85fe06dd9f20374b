"""A dataset folder: images, masks, splits and classes."""

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
from lstm2d.io.masks import Mask, open_mask
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
        classes come from CVAT's labelmap.txt; without that they are guessed from all masks, see
        `guessed_toml`. Without splits/ all images form one set.
    reading : Reading, optional
        How images are read; its pixel limit also applies to masks.

    Attributes
    ----------
    notes : Notes
        What was guessed, converted or left out in the images and masks loaded so far.

    Raises
    ------
    DataError
        If the folder is not found, or its dataset.toml or its files are not valid.
    """

    def __init__(self, path: str | os.PathLike[str], *, reading: Reading | None = None) -> None:
        self.root = Path(path)
        self.reading = reading or Reading()
        self.notes = Notes()
        self._noted: set[Path] = set()
        if not self.root.is_dir():
            what = "folder not found" if not os.path.lexists(self.root) else "not a folder"
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
        """The classes, ordered by number."""
        return self._description.classes

    @property
    def ignore(self) -> int:
        """Label of ignored pixels in the output of `load`: 255, whatever the mask files use."""
        return IGNORE

    @property
    def native(self) -> bool:
        """Whether pixels have a fixed scale: ``scale = "native"`` in dataset.toml."""
        return self._description.native

    @property
    def guessed_toml(self) -> str | None:
        """The guessed description as dataset.toml; None if nothing was guessed."""
        return self._description.to_toml() if self.guessed else None

    @property
    def meaning(self) -> dict[str, Any]:
        """The mask encoding by the keys of dataset.toml, as JSON types."""
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

    def scenes_of(self, samples: Sequence[Sample]) -> list[str]:
        """Return the scene of each image.

        Parameters
        ----------
        samples : sequence of Sample
            The images.

        Returns
        -------
        list of str
            Names of scenes, in the order of the images.

        Raises
        ------
        DataError
            If there is no scenes.txt, or it has no scene for an image.
        """
        path, expected = self.root / "scenes.txt", "a line STEM SCENE for each image"
        missing = [s.stem for s in samples if s.stem not in self.scenes]
        if not self.scenes:
            raise DataError("there are no scene names", where=path, expected=expected)
        if missing:
            what = f"{len(missing)} of {len(samples)} images have no scene (for example {missing[0]})"
            raise DataError(what, where=path, expected=expected)
        return [self.scenes[s.stem] for s in samples]

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
            Its images, in file order.

        Raises
        ------
        DataError
            If the split is not found or empty, or if an image in it is not found or has no mask.
        """
        return self._pairs(read_split(self.root, name, self._images))

    def training_splits(
        self, train: str = "train", val: str = "val", *, fraction: float = 0.1, seed: int = 0
    ) -> tuple[list[Sample], list[Sample]]:
        """List the images to train on and those to validate on.

        Parameters
        ----------
        train, val : str
            Names of the splits. If the folder has no splits, all images are the training split.
        fraction : float
            Share of the training split to hold out for validation if the folder has no split `val`, or if
            both names are equal; 0 disables validation.
        seed : int
            Seed for the choice of held-out images.

        Returns
        -------
        train, val : list of Sample
            No image is in both.

        Raises
        ------
        DataError
            If a split is not found, empty or not valid, if the two share images, or if there are too few
            images to hold any out.
        """
        samples = self.split(train) if self.splits or train != "train" else self.samples
        if val == train or val not in self.splits:
            return hold_out(samples, fraction, seed)
        validation = self.split(val)
        shared = {s.stem for s in samples} & {s.stem for s in validation}
        if shared:
            what = f"{len(shared)} images are in both {train} and {val} (for example {min(shared)})"
            hint = "remove them from one of the two files"
            raise DataError(what, where=self.root / "splits", expected="disjoint splits", hint=hint)
        return samples, validation

    def load(self, sample: Sample) -> tuple[NDArray[np.uint8] | NDArray[np.float32], NDArray[np.uint8]]:
        """Read an image and its mask.

        Parameters
        ----------
        sample : Sample
            Image and mask to read.

        Returns
        -------
        image : array of shape (H, W, 3), uint8 or float32
            Red, green, blue in 0..255, see `lstm2d.io.images.read_photo`.
        labels : array of shape (H, W), uint8
            Class numbers; 255 where ignored.

        Raises
        ------
        DataError
            If a file cannot be read, if the sizes differ, or if the mask holds an undefined value or colour.
        """
        photo = read_photo(sample.image_path, self.reading)
        mask = self._open_mask(sample)
        if photo.size != mask.size:
            raise _other_size(sample, photo.size, mask.size)
        self._note(sample.image_path, photo.notes)
        return photo.pixels, self._labels_of(mask, sample)

    def load_labels(self, sample: Sample) -> NDArray[np.uint8]:
        """Read a mask without its image.

        Parameters
        ----------
        sample : Sample
            Mask to read.

        Returns
        -------
        array of shape (H, W), uint8
            Class numbers; 255 where ignored.

        Raises
        ------
        DataError
            If the file cannot be read, or the mask holds an undefined value or colour.
        """
        return self._labels_of(self._open_mask(sample), sample)

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
        note = without_image(self._images, self._masks)
        if note is not None:
            self._note(self._masks_folder, (note,))
        return found

    def _open_mask(self, sample: Sample) -> Mask:
        return open_mask(sample.mask_path, max_pixels=self.reading.max_pixels)

    def _labels_of(self, mask: Mask, sample: Sample) -> NDArray[np.uint8]:
        labels, notes = self._reader.labels_of(mask, sample.mask_path)
        self._note(sample.mask_path, mask.notes + notes)
        return labels

    def _note(self, path: Path, notes: Sequence[str]) -> None:
        """Record the notes on a file once, even if it is read several times."""
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
            pair(images, images, masks, self.root / folders[1])  # raises and lists the missing masks
        return guess_description(self.root, folders, used, max_pixels=self.reading.max_pixels)


def hold_out(samples: Sequence[Sample], fraction: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Split images at random into training and validation images.

    Parameters
    ----------
    samples : sequence of Sample
        The images.
    fraction : float
        Share to hold out, in [0, 1). Unless it is 0, at least one image is held out, and never all.
    seed : int
        Seed for the choice; it does not depend on the order of `samples`.

    Returns
    -------
    train, held_out : list of Sample
        Both in the order of `samples`.

    Raises
    ------
    ConfigError
        If `fraction` is not in [0, 1).
    DataError
        If there are fewer than two images.
    """
    if not 0 <= fraction < 1:
        expected = "0 to below 1, for example 0.1"
        raise ConfigError("cannot hold out this share", where=f"{fraction:g}", expected=expected)
    if fraction == 0:
        return list(samples), []
    if len(samples) < 2:
        what = "one image cannot be split into training and validation"
        raise DataError(what, expected="two images or more", hint="disable validation: `val=0`")
    stems = sorted(s.stem for s in samples)
    count = min(max(round(fraction * len(stems)), 1), len(stems) - 1)
    order = generator(seed, 0, 0, Purpose.HOLD_OUT).permutation(len(stems))
    held = {stems[i] for i in order[:count]}
    return [s for s in samples if s.stem not in held], [s for s in samples if s.stem in held]


def _other_size(sample: Sample, image: tuple[int, int], mask: tuple[int, int]) -> DataError:
    (height, width), (rows, columns) = image, mask
    hint = "save the mask at the size of its image"
    if (rows, columns) == (width, height):
        hint = "rotate the mask: its image has an EXIF orientation, or the mask was saved transposed"
    return DataError(
        f"the mask is {columns}x{rows} pixels, its image {width}x{height} (width x height)",
        where=sample.mask_path,
        expected=f"{width}x{height}, as {sample.image_path.name}",
        hint=hint,
    )
