"""Images and masks that a caller gives, as arrays or files, without a dataset folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.description import Description
from lstm2d.data.folder import hold_out, other_size
from lstm2d.data.guess import guess_from_counts
from lstm2d.data.labels import LabelReader
from lstm2d.data.layout import Sample
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import ConfigError, DataError, ShapeError
from lstm2d.io.classes import MAX_CLASSES, ClassInfo, default_color, wrong_name
from lstm2d.io.given import photo_of
from lstm2d.io.masks import open_mask
from lstm2d.io.photo import Reading
from lstm2d.io.samples import first_pixel
from lstm2d.notes import Notes

NAME = "arrays"
SEVERAL = {"images": "a list, or an array (N, H, W, C)", "masks": "a list, or an array (N, H, W)"}
AXES = {"images": 4, "masks": 3}


@dataclass(frozen=True, eq=False)  # equal if their names are: arrays do not compare
class GivenSample(Sample):
    """An image and a mask that a caller gives.

    Parameters
    ----------
    stem : str
        Number of the image, in digits that sort as the numbers do.
    image_path, mask_path : Path
        The files; for arrays a name for messages, such as ``images[3]``.
    image, mask : object
        As given.
    """

    image: object
    mask: object

    def image_digest(self) -> bytes | None:
        """Return a SHA-256 digest of the pixels; None for a file."""
        if is_path(self.image):
            return None
        pixels = photo_of(self.image).pixels
        digest = hashlib.sha256(f"{pixels.dtype.str}{pixels.shape}".encode())
        digest.update(np.ascontiguousarray(pixels).data)
        return digest.digest()


class ArrayDataset:
    """Images and masks in memory; some or all may be files.

    Parameters
    ----------
    images : sequence of array, Pillow image or path, or array of shape (N, H, W, C)
        What `lstm2d.io.given.photo_of` reads, of any sizes.
    masks : sequence of array or path, or array of shape (N, H, W)
        Integers or booleans of shape (H, W), 0 to K - 1 or `ignore`; or files that `open_mask` reads.
    classes : sequence of str or ClassInfo, optional
        Names of the K classes, with or without colours. By default they are guessed from all masks: the
        numbers 0 to the highest one.
    ignore : int, default 255
        Value of pixels that do not count.
    reading : Reading, optional
        How images are read; its pixel limit also applies to masks.

    Attributes
    ----------
    notes : Notes
        What was guessed, converted or left out in the images and masks loaded so far.

    Raises
    ------
    DataError
        If there are no images or not as many masks, or if classes cannot be guessed.
    ShapeError
        If an array is a single image or mask.
    ConfigError
        If `classes` or `ignore` cannot be used.

    See Also
    --------
    lstm2d.data.folder.DatasetFolder : The same of a folder.

    Notes
    -----
    The images are numbered in the given order, and numbers take the place of file names. A run on a folder
    with the same images under names in this order trains the same weights.
    """

    def __init__(
        self,
        images: Iterable[object],
        masks: Iterable[object],
        *,
        classes: Sequence[str | ClassInfo] | None = None,
        ignore: int = IGNORE,
        reading: Reading | None = None,
    ) -> None:
        self.root, self.name = Path(NAME), NAME
        self.reading, self.notes = reading or Reading(), Notes()
        self._noted: set[tuple[str, str]] = set()
        self.samples = _samples(listed(images, "images"), listed(masks, "masks"))
        self._mask_value = ignore
        if not isinstance(ignore, int | np.integer) or isinstance(ignore, bool):
            raise ConfigError("`ignore` is not an integer", where=repr(ignore))
        in_files = any(is_path(sample.mask) for sample in self.samples)
        if in_files and not 0 <= ignore <= 255:
            raise ConfigError("`ignore` cannot occur in mask files", where=ignore, expected="0 to 255")
        self.guessed = classes is None
        named = _named(classes) if classes is not None else self._guessed()
        if 0 <= ignore < len(named):
            raise ConfigError(
                f"`ignore` is the number of class {named[ignore].name!r}",
                where=ignore,
                expected=f"another value than 0 to {len(named) - 1}",
                hint="number the classes from 0, and give the pixels that do not count a value of their own",
            )
        uncolored = frozenset(k for k, info in enumerate(named) if info.color == default_color(k))
        value = int(ignore) if in_files else IGNORE
        self._description = Description(NAME, named, tuple(range(len(named))), value, uncolored=uncolored)
        self._reader = LabelReader(self._description)

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes, ordered by number."""
        return self._description.classes

    @property
    def ignore(self) -> int:
        """Label of ignored pixels in the output of `load`: 255, whatever the masks use."""
        return IGNORE

    @property
    def native(self) -> bool:
        """Whether pixels have a fixed scale: no."""
        return False

    @property
    def guessed_toml(self) -> str | None:
        """None: there is no folder for a dataset.toml."""
        return None

    @property
    def meaning(self) -> dict[str, Any]:
        """The mask encoding, see `Description.meaning`."""
        return self._description.meaning

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits: none, all images form one set."""
        return ()

    @property
    def scenes(self) -> dict[str, str]:
        """Scene of each stem: none has one."""
        return {}

    def training_splits(
        self, train: str = "train", val: str = "val", *, fraction: float = 0.1, seed: int = 0
    ) -> tuple[list[Sample], list[Sample]]:
        """List the images to train on and those to validate on.

        Parameters
        ----------
        train, val : str
            Names of splits, for folders; `train` must be "train".
        fraction : float
            Share to hold out; 0 disables validation.
        seed : int
            Seed for the choice.

        Returns
        -------
        train, val : list of Sample
            No image is in both.

        Raises
        ------
        ConfigError
            If another split is asked for, or `fraction` is not in [0, 1).
        DataError
            If there are too few images to hold any out.
        """
        if train != "train":
            hint = "choose the images yourself, or train on a dataset folder"
            raise ConfigError("arrays have no splits", where=f"data.train_split = {train!r}", hint=hint)
        return hold_out(self.samples, fraction, seed)

    def size_of(self, sample: Sample) -> tuple[int, int]:
        """Return rows and columns of an image, see `DatasetFolder.size_of`."""
        assert isinstance(sample, GivenSample)
        return photo_of(sample.image, self.reading).size

    def load(self, sample: Sample) -> tuple[NDArray[np.uint8] | NDArray[np.float32], NDArray[np.uint8]]:
        """Return an image and its labels.

        Parameters
        ----------
        sample : Sample
            One of `samples`.

        Returns
        -------
        image : array of shape (H, W, 3), uint8 or float32
            Red, green, blue in 0..255; may share memory with the given array.
        labels : array of shape (H, W), uint8
            Class numbers; 255 where ignored.

        Raises
        ------
        DataError
            If a file cannot be read, the values are not those of an image, the sizes differ, or the mask
            holds an undefined value or colour.
        ShapeError
            If an array has another shape.
        """
        assert isinstance(sample, GivenSample)
        try:
            photo = photo_of(sample.image, self.reading)
        except (DataError, ShapeError) as error:
            if is_path(sample.image):  # the message names the file
                raise
            where = f"{sample.image_path}" + ("" if error.where is None else f", {error.where}")
            raise type(error)(error.what, where=where, expected=error.expected, hint=error.hint) from error
        labels, notes = self._labels_of(sample)
        if photo.size != labels.shape:
            raise other_size(sample, photo.size, (labels.shape[0], labels.shape[1]))
        self._note(sample.image_path, photo.notes)
        self._note(sample.mask_path, notes)
        return photo.pixels, labels

    def _labels_of(self, sample: GivenSample) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
        if is_path(sample.mask):
            mask = open_mask(sample.mask_path, max_pixels=self.reading.max_pixels)
            labels, notes = self._reader.labels_of(mask, sample.mask_path)
            return labels, mask.notes + notes
        values, last = _numbers(sample.mask, sample.mask_path), len(self.classes) - 1
        ignored = values == self._mask_value
        wrong = ~ignored & ((values < 0) | (values > last))
        if wrong.any():
            row, column = first_pixel(wrong)
            raise DataError(
                f"mask value {values[row, column]} at row {row}, column {column} "
                f"({int(wrong.sum())} such pixels)",
                where=sample.mask_path,
                expected=f"0 to {last}, or {self._mask_value} to ignore",
                hint="correct the mask, name more `classes`, or set `ignore`",
            )
        return np.where(ignored, IGNORE, values).astype(np.uint8), ()

    def _guessed(self) -> tuple[ClassInfo, ...]:
        """Return the classes 0 to the highest number in the masks."""
        counts = np.zeros(256, np.int64)
        for sample in self.samples:
            values = _mask_values(sample, self.reading).ravel()
            if self._mask_value != IGNORE:
                values = values[values != self._mask_value]
            if values.size and not 0 <= values.min() <= values.max() <= IGNORE:
                worst = values.min() if values.min() < 0 else values.max()
                expected = f"class numbers 0 to {MAX_CLASSES - 1}"
                hint = f"if it marks pixels that do not count: `ignore={worst}`"
                raise DataError(f"mask value {worst}", where=sample.mask_path, expected=expected, hint=hint)
            counts += np.bincount(values.astype(np.intp), minlength=256)
        if not counts.any():
            counts[IGNORE] = 1  # nothing is labelled
        try:
            return guess_from_counts(self.root, Description(NAME, (), (), IGNORE), counts, None).classes
        except DataError as error:
            raise DataError(
                error.what,
                where="masks",
                expected="class numbers 0, 1, 2, ...",
                hint="name the `classes`, all of them, if these are class numbers; an object marked by 255 "
                "becomes class 1 with mask == 255",
            ) from error

    def _note(self, path: Path, notes: Sequence[str]) -> None:
        """Record each note on an image once, even if it is read several times."""
        for text in notes:
            if (str(path), text) not in self._noted:
                self._noted.add((str(path), text))
                self.notes.add(text, path)


def is_path(given: object) -> bool:
    """Return whether an image or a mask is given by its file."""
    return isinstance(given, str | os.PathLike)


def listed(given: Iterable[object], name: str) -> list[object]:
    """Return images or masks one by one.

    Parameters
    ----------
    given : iterable
        A list, an array with one more axis in front, or an array of objects.
    name : {"images", "masks"}
        What they are.

    Returns
    -------
    list
        As many.

    Raises
    ------
    ShapeError
        If it is a single image or mask.
    ConfigError
        If it is a path, or not several of anything.
    """
    if is_path(given):
        hint = "`lstm2d train` trains on a dataset folder"
        raise ConfigError(f"`{name}` is one path", where=given, expected=SEVERAL[name], hint=hint)
    if isinstance(given, memoryview):  # it yields nothing but numbers
        given = np.asarray(given)
    axes = len(getattr(given, "shape", ()))
    if 1 < axes < AXES[name]:  # one axis: an array of objects
        hint = f"a single one: [{name[:-1]}]; several gray images: list(images)"
        raise ShapeError(f"`{name}`", where=getattr(given, "shape", None), expected=SEVERAL[name], hint=hint)
    try:
        return list(given)
    except TypeError as error:
        raise ConfigError(f"`{name}` is a {type(given).__name__}", expected=SEVERAL[name]) from error


def _samples(images: Sequence[object], masks: Sequence[object]) -> list[GivenSample]:
    if len(images) != len(masks):
        raise DataError(f"{len(images)} images and {len(masks)} masks", expected="one mask for each image")
    if not images:
        raise DataError("no images", expected="at least one image and its mask")
    digits = len(str(len(images) - 1))
    return [
        GivenSample(f"{k:0{digits}d}", _path_of(image, "images", k), _path_of(mask, "masks", k), image, mask)
        for k, (image, mask) in enumerate(zip(images, masks, strict=True))
    ]


def _path_of(given: Any, name: str, number: int) -> Path:
    return Path(given) if is_path(given) else Path(f"{name}[{number}]")


def _named(classes: Sequence[str | ClassInfo]) -> tuple[ClassInfo, ...]:
    expected = f"1 to {MAX_CLASSES} different names"
    if isinstance(classes, str) or not all(isinstance(item, str | ClassInfo) for item in classes):
        raise ConfigError("`classes` is not a list of names", where=repr(classes), expected=expected)
    found = tuple(
        item if isinstance(item, ClassInfo) else ClassInfo(str(item), default_color(k))
        for k, item in enumerate(classes)
    )
    names = [info.name for info in found]
    if not 1 <= len(set(names)) == len(names) <= MAX_CLASSES or "" in names:
        raise ConfigError("`classes` cannot be used", where=", ".join(names) or "none", expected=expected)
    wrong = next((reason for name in names if (reason := wrong_name(name))), None)
    if wrong is not None:
        raise ConfigError(f"the name of a class in `classes`: {wrong}")
    return found


def _mask_values(sample: GivenSample, reading: Reading) -> NDArray[np.integer[Any]]:
    """Return the numbers in a mask, as stored."""
    if not is_path(sample.mask):
        return _numbers(sample.mask, sample.mask_path)
    numbers = open_mask(sample.mask_path, max_pixels=reading.max_pixels).numbers
    if numbers is None:
        hint = "give `classes` with the colours: [ClassInfo(name, (red, green, blue)), ...]"
        raise DataError("a mask of colours, not of class numbers", where=sample.mask_path, hint=hint)
    return numbers


def _numbers(mask: Any, path: Path) -> NDArray[np.integer[Any]]:
    """Return the numbers in a mask that is an array, a tensor, nested lists or a Pillow image."""
    if hasattr(mask, "detach") and hasattr(mask, "cpu"):
        mask = mask.detach().cpu()
    try:
        values = np.asarray(mask)
    except ValueError as error:  # lists of different lengths
        raise DataError(f"cannot make an array of the mask ({error})", where=path) from error
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2 or values.size == 0:
        raise ShapeError(f"mask of shape {values.shape}", where=path, expected="(H, W), not empty")
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind not in "iu":
        hint = "mask.astype(int), if all values are whole numbers" if values.dtype.kind == "f" else None
        raise DataError(f"mask of type {values.dtype}", where=path, expected="integers", hint=hint)
    return values
