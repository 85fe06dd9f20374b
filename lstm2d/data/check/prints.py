"""Compare images by their pixels: equal ones by a digest, nearly equal ones by a perceptual hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HASH_SIDE = 8  # the hash has HASH_SIDE**2 bits
THUMB_SIDE = 16
MAX_BITS = 6  # bits in which the hashes of nearly equal images may differ
MIN_CORRELATION = 0.99999  # of their thumbnails; frames of a camera that stands still reach 0.99998
BLOCK = 512  # images compared with all others at a time


@dataclass(frozen=True, slots=True)
class Print:
    """What identifies the picture in an image.

    Parameters
    ----------
    digest : bytes
        Of size and pixels.
    bits : int
        Difference hash of 64 bits: whether brightness rises from a cell to the next one on its right, in a
        grid of 8 rows and 9 columns. Cells overlap: they are weighted means.
    thumb : array of shape (256,), float32
        Brightness in a grid of 16x16 such cells, 0..255.
    """

    digest: bytes
    bits: int
    thumb: NDArray[np.float32]


def digest_of(pixels: NDArray[np.uint8] | NDArray[np.float32]) -> bytes:
    """Return a digest of the pixels of an image.

    Parameters
    ----------
    pixels : array of shape (H, W, 3)
        The upright image.

    Returns
    -------
    bytes
        16 bytes, equal for equal pixels only.
    """
    found = hashlib.blake2b(f"{pixels.dtype.str}{pixels.shape}".encode(), digest_size=16)
    found.update(np.ascontiguousarray(pixels).data)
    return found.digest()


def print_of(pixels: NDArray[np.uint8] | NDArray[np.float32]) -> Print:
    """Return what identifies the picture in an image.

    Parameters
    ----------
    pixels : array of shape (H, W, 3)
        Red, green, blue in 0..255.

    Returns
    -------
    Print
        Equal for equal pixels, similar for similar pictures.
    """
    from PIL import Image

    bytes_ = pixels if pixels.dtype == np.uint8 else np.rint(pixels).clip(0, 255).astype(np.uint8)
    gray = Image.fromarray(bytes_).convert("L").convert("F")  # means keep their fractions
    cells = np.array(gray.resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BILINEAR))
    rises = cells[:, 1:] > cells[:, :-1]
    bits = int.from_bytes(np.packbits(rises).tobytes(), "big")
    thumb = np.array(gray.resize((THUMB_SIDE, THUMB_SIDE), Image.Resampling.BILINEAR)).ravel()
    return Print(digest_of(pixels), bits, thumb)


def nearly_equal(marks: Sequence[Print]) -> Iterator[tuple[int, int]]:
    """Find pairs of images that show the same picture.

    Parameters
    ----------
    marks : sequence of Print
        Of all images.

    Yields
    ------
    tuple of (int, int)
        Numbers of the two images, the smaller one first, in ascending order. The hashes differ in at most
        `MAX_BITS` bits, the thumbnails have a correlation of at least `MIN_CORRELATION`, and the pixels are
        not equal.
    """
    if not marks:
        return
    bits = np.array([mark.bits for mark in marks], dtype=np.uint64)
    thumbs = np.stack([mark.thumb for mark in marks]).astype(np.float32)
    thumbs -= thumbs.mean(axis=1, keepdims=True)
    thumbs /= np.maximum(np.linalg.norm(thumbs, axis=1, keepdims=True), 1e-6)
    for start in range(0, len(marks), BLOCK):
        block = slice(start, start + BLOCK)
        near = np.bitwise_count(bits[block, None] ^ bits[None, start:]) <= MAX_BITS
        rows, columns = np.nonzero(np.triu(near, 1))
        distance = thumbs[block][rows] - thumbs[start:][columns]  # its square is 2 (1 - correlation)
        alike = np.einsum("ij,ij->i", distance, distance) <= 2 * (1 - MIN_CORRELATION)
        for row, column in zip(rows[alike].tolist(), columns[alike].tolist(), strict=True):
            if marks[start + row].digest != marks[start + column].digest:
                yield start + row, start + column
