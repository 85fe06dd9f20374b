"""Digests of the images and masks of a run, which must not change before it is resumed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.folder import Sample
from lstm2d.errors import DataError
from lstm2d.io.safe_open import open_regular

BYTES = {"image": 16, "labels": 16, "identity": 8}  # kept of each digest
UNSURE = bytes(BYTES["identity"])
FRESH = 2 * 10**9  # nanoseconds; a file may change within this time with the same timestamp
NAMED = 4  # files that a message names
PREFIX = "data."  # of the names of the arrays in a checkpoint


class Entry(NamedTuple):
    """Digests of one image and its mask.

    Parameters
    ----------
    image : bytes
        Digest of the image file, or of an image in memory.
    labels : bytes
        Digest of the labels in the mask, independent of file format and dataset.toml.
    identity : bytes
        Digest of size, times and inode number of the image file; if it is unchanged, the file was not written
        to. Zeros if that is uncertain.
    """

    image: bytes
    labels: bytes
    identity: bytes


class Contents:
    """Digests of the images and masks that a run uses, taken as they are read for the first time.

    Parameters
    ----------
    known : Contents, optional
        Contents of the run to resume; image files that were not written to since are not read again.
    """

    def __init__(self, known: Contents | None = None) -> None:
        self.known = known
        self.entries: dict[str, Entry] = {}

    def see(self, sample: Sample, labels: NDArray[np.uint8]) -> None:
        """Compute the digests of an image and its labels, unless they are known."""
        if sample.stem in self.entries:
            return
        known = None if self.known is None else self.known.entries.get(sample.stem)
        in_memory = sample.image_digest()
        identity = UNSURE if in_memory else _identity(sample.image_path)
        if in_memory:
            image = in_memory[: BYTES["image"]]
        elif known is not None and identity == known.identity != UNSURE:
            image = known.image
        else:
            image = _file_digest(sample.image_path)
        found = hashlib.sha256(f"{labels.dtype.str}{labels.shape}".encode())
        found.update(np.ascontiguousarray(labels).data)
        self.entries[sample.stem] = Entry(image, found.digest()[: BYTES["labels"]], identity)

    def to_tensors(self, training: Sequence[str], validation: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
        """Return the digests of some images as arrays, for a checkpoint.

        Parameters
        ----------
        training, validation : sequence of str
            Stems of the images, in order.

        Returns
        -------
        dict of str to ndarray
            Bytes: the names, and one row per image.
        """
        entries = [self.entries[stem] for stem in (*training, *validation)]
        arrays = {
            name: np.frombuffer(b"".join(getattr(entry, name) for entry in entries), np.uint8)
            for name in Entry._fields
        }
        arrays = {name: array.reshape(len(entries), BYTES[name]) for name, array in arrays.items()}
        arrays |= {"training": _packed(training), "validation": _packed(validation)}
        return {f"{PREFIX}{name}": array for name, array in arrays.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Contents | None:
        """Return the inverse of `to_tensors`; None if a checkpoint has no digests."""
        if not has_contents(tensors):
            return None
        contents = cls()
        stems = [stem for kind in ("training", "validation") for stem in stems_in(tensors, kind)]
        columns = [tensors[f"{PREFIX}{name}"] for name in Entry._fields]
        for stem, *row in zip(stems, *columns, strict=True):
            contents.entries[stem] = Entry(*(values.tobytes() for values in row))
        return contents


def has_contents(tensors: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether a checkpoint has digests of its images."""
    return any(name.startswith(PREFIX) for name in tensors)


def check_digests(tensors: Mapping[str, NDArray[Any]]) -> None:
    """Check the shapes of the digests in a checkpoint, if it has any.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        Arrays of the checkpoint.

    Raises
    ------
    ValueError
        If an array is missing or has another shape.
    """
    if not has_contents(tensors):
        return
    for kind in ("training", "validation"):
        if tensors.get(f"{PREFIX}{kind}", np.empty(())).ndim != 1:
            raise ValueError(f"does not list the {kind} images")
    images = sum(len(stems_in(tensors, kind)) for kind in ("training", "validation"))
    for name in Entry._fields:
        shape = (images, BYTES[name])
        found = tensors.get(f"{PREFIX}{name}", np.empty(())).shape
        if found != shape:
            raise ValueError(f"has {name} digests of shape {found}, expected {shape}")


def stems_in(tensors: Mapping[str, NDArray[Any]], kind: str) -> list[str]:
    """Return the stems of the "training" or "validation" images in a checkpoint, in order."""
    data = tensors.get(f"{PREFIX}{kind}", _packed(())).tobytes()
    return data.decode("utf-8", "surrogateescape").split("\0") if data else []


def other_lists(kind: str, before: Sequence[str], now: Sequence[str]) -> str:
    """Describe how two lists of images differ.

    Parameters
    ----------
    kind : str
        "training" or "validation".
    before, now : sequence of str
        Stems; `before` is empty if they are not known.

    Returns
    -------
    str
        The images that were added and removed.
    """
    came, went = sorted(set(now) - set(before)), sorted(set(before) - set(now))
    if not before or not (came or went):
        return f"other {kind} images" if not before else f"{kind} images in another order"
    parts = [f"{some(names)} {word}" for word, names in (("added", came), ("gone", went)) if names]
    return f"other {kind} images ({', '.join(parts)})"


def other_contents(before: Contents, now: Contents, samples: Sequence[Sample]) -> tuple[list[str], list[str]]:
    """Return which files have changed.

    Parameters
    ----------
    before, now : Contents
        Of the same images.
    samples : sequence of Sample
        Their files.

    Returns
    -------
    images, masks : list of str
        Names of the files.
    """
    images, masks = [], []
    for sample in samples:
        old, new = before.entries[sample.stem], now.entries[sample.stem]
        if old.image != new.image:
            images.append(sample.image_path.name)
        if old.labels != new.labels:
            masks.append(sample.mask_path.name)
    return images, masks


def some(names: Sequence[str]) -> str:
    """Return the first names, and the number of others."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _identity(path: Path) -> bytes:
    """Return a digest of the state of a file without reading it; `UNSURE` if it was just written."""
    try:
        status = os.stat(path)
    except OSError:
        return UNSURE
    if max(status.st_mtime_ns, status.st_ctime_ns) + FRESH > time.time_ns():
        return UNSURE
    text = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
    return hashlib.sha256(text.encode()).digest()[: BYTES["identity"]]


def _file_digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        try:
            while block := file.read(1 << 20):
                digest.update(block)
        except OSError as error:
            what = f"cannot read the file ({error.strerror or error})"
            raise DataError(what, where=path) from error
    return digest.digest()[: BYTES["image"]]


def _packed(stems: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer("\0".join(stems).encode("utf-8", "surrogateescape"), np.uint8)
