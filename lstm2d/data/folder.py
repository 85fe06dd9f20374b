"""A dataset folder: images, masks, splits and classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.description import Description
from lstm2d.data.guess import guess_description
from lstm2d.data.importers.advice import naming_the_import
from lstm2d.data.index import FileIndex, outline
from lstm2d.data.labels import LabelReader
from lstm2d.data.layout import Sample, some, without_image
from lstm2d.data.lists import read_scenes
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.classes import ClassInfo
from lstm2d.io.images import read_photo
from lstm2d.io.masks import Mask, open_mask
from lstm2d.io.photo import Reading
from lstm2d.notes import Notes
from lstm2d.random import Purpose, generator

__all__ = ["DatasetFolder", "Sample", "hold_out", "other_size"]


class DatasetFolder:
    """Images and masks in a folder.

    Parameters
    ----------
    path : str or path
        Folder with images/STEM.*, masks/STEM.png, splits/SPLIT.txt and dataset.toml. Folders may be links;
        dataset.toml may name others, also outside. Without classes in dataset.toml they come from CVAT's
        labelmap.txt; without that they are guessed from all masks, see `guessed_toml`. Without splits all
        images form one set.
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
        if not os.path.isdir(self.root):
            what = "folder not found" if not os.path.lexists(self.root) else "not a folder"
            with naming_the_import(self.root, files=True):
                raise DataError(what, where=self.root, expected="a folder with images/ and masks/")
        description = outline(self.root)
        self._files = FileIndex(self.root, description)
        self.guessed = not description.classes
        if self.guessed:
            with naming_the_import(self.root):
                description = self._guess(description)
        self._description = description
        self._reader = LabelReader(description)

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
        """The mask encoding, see `Description.meaning`."""
        return self._description.meaning

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, sorted."""
        return self._files.splits

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
        return self._pairs(self._files.images)

    @property
    def files(self) -> list[Path]:
        """All images and masks, also those without the other."""
        return [*self._files.images.values(), *self._files.masks.values()]

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
        return self._pairs(self._files.stems_of(name))

    def named(self, stems: Iterable[str]) -> list[Sample]:
        """List images by their names.

        Parameters
        ----------
        stems : iterable of str
            Stems.

        Returns
        -------
        list of Sample
            In the same order.

        Raises
        ------
        DataError
            If an image is not found or has no mask.
        """
        names = list(stems)
        missing = [stem for stem in names if stem not in self._files.images]
        if missing:
            raise DataError(
                f"{len(missing)} of {len(names)} images are missing ({some(missing)})", where=self.root
            )
        return self._pairs(names)

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

    def size_of(self, sample: Sample) -> tuple[int, int]:
        """Return rows and columns of an image; nothing is noted about it.

        Parameters
        ----------
        sample : Sample
            One of the images.

        Returns
        -------
        rows, columns : int
            As it is loaded.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        return read_photo(sample.image_path, self.reading).size

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
            with self._naming_the_import(files=True):
                raise other_size(sample, photo.size, mask.size)
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

    def _pairs(self, stems: Iterable[str]) -> list[Sample]:
        with self._naming_the_import():
            found = self._files.samples(stems)
        note = without_image(self._files.images, self._files.masks)
        if note is not None:
            self._note(self._files.places[0].masks, (note,))
        return found

    def _naming_the_import(self, *, files: bool = False) -> AbstractContextManager[None]:
        """Add the command that imports the folder to errors, unless a dataset.toml describes it."""
        return naming_the_import(self.root, files=files) if self.guessed else nullcontext()

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

    def _guess(self, description: Description) -> Description:
        images, masks = self._files.images, self._files.masks
        used = [path for stem, path in masks.items() if stem in images]
        if not used:
            self._files.samples(images)  # raises and lists the missing masks
        return guess_description(self.root, description, used, max_pixels=self.reading.max_pixels)


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


def other_size(sample: Sample, image: tuple[int, int], mask: tuple[int, int]) -> DataError:
    """Return the error for a mask of another size than its image; both sizes are rows and columns."""
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
