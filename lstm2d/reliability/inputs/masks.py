"""Cases of masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lstm2d.reliability.inputs import bombs
from lstm2d.reliability.inputs.case import Case, Place
from lstm2d.reliability.inputs.drawn import CLASSES, SIZE, labels_of
from lstm2d.reliability.inputs.images import (
    MEGAPIXELS_400,
    ORIENTATION,
    encoded,
    jpeg,
    png,
    tiff,
)
from lstm2d.reliability.inputs.rows import OK, bad, bad_mask, case, ok

LABELS = labels_of("odd")
COLOURS = np.array([one.color for one in CLASSES], np.uint8)


def mask(ending: str, content: Callable[[], bytes]) -> Callable[[Place], None]:
    """Return a function that writes the mask of the odd image."""

    def write(place: Place) -> None:
        place.mask(ending).write_bytes(content())

    return write


def stored(values: NDArray[Any], kind: str = "PNG", **options: Any) -> Callable[[Place], None]:
    """Return a function that writes an array as the mask of the odd image."""
    ending = {"PNG": ".png", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif", "JPEG": ".jpg"}[kind]
    return mask(ending, lambda: encoded(Image.fromarray(values), kind, **options))


def with_value(value: int) -> NDArray[np.uint8]:
    """Return the labels with another value in one pixel."""
    values = LABELS.copy()
    values[3, 5] = value
    return values


def in_colours(*, spoiled: bool = False) -> NDArray[np.uint8]:
    """Return the labels as class colours, with one unknown colour if asked for."""
    values = COLOURS[LABELS]
    if spoiled:
        values[3, 5] = (1, 2, 3)
    return values


def good_mask(name: str, write: Callable[[Place], object], note: str = "", **more: Any) -> Case:
    """Return the case of an unusual mask that can be used."""
    found = more.pop("found", "")
    return case(name, write, check=ok(found), train=ok(note), evaluate=ok(note), predict=OK, **more)


def black_and_white(place: Place) -> None:
    """Write all masks as 0 and 255, and delete dataset.toml."""
    for path in sorted((place.data / "masks").iterdir()):
        with Image.open(path) as image:
            values = np.array(image)
        place.put(f"masks/{path.name}", encoded(Image.fromarray(values * np.uint8(255)), "PNG"))
    place.clear("dataset.toml")


def palette() -> bytes:
    """Return the labels as a palette image."""
    image = Image.fromarray(LABELS).convert("P")
    image.putpalette([9, 9, 9, 200, 0, 0])
    return encoded(image, "PNG")


def see_through() -> bytes:
    """Return class colours with one transparent pixel."""
    alpha = np.full(SIZE, 255, np.uint8)
    alpha[3, 5] = 0
    return encoded(Image.fromarray(np.dstack([in_colours(), alpha])), "PNG")


def rotated() -> bytes:
    """Return the labels with an EXIF orientation that exchanges the sides."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return encoded(Image.fromarray(LABELS), "PNG", exif=exif)


def without_pair(folder: str) -> Callable[[Place], None]:
    """Return a function that deletes one file of a pair that no split lists."""

    def write(place: Place) -> None:
        place.split("train", ["a", "b"])
        place.clear(f"{folder}/odd.png")
        if folder == "images":
            del place.truth["odd.png"]

    return write


def folder_for_a_mask(place: Place) -> None:
    """Make a folder of a mask's name."""
    place.mask().mkdir()


TRUNCATED = "cannot decode the image"
SMALLER = "the mask is 12x8 pixels, its image 24x16"
TRANSPOSED = "the mask is 16x24 pixels, its image 24x16"

MASKS: tuple[Case, ...] = (
    bad_mask("mask of zero bytes", mask(".png", lambda: b""), "the file is empty", found="0 bytes"),
    bad_mask("mask of text", mask(".png", lambda: b"0 0 1\n"), "this is no image"),
    bad_mask("mask that is a folder", folder_for_a_mask, "this is a folder"),
    bad_mask("mask cut in half", mask(".png", lambda: png(LABELS, kind=0)[:50]), TRUNCATED),
    bad_mask("mask with a wrong CRC", mask(".png", lambda: png(LABELS, kind=0, wrong=1)), "checksum"),
    bad_mask(
        "mask that claims 400 Mpixel", mask(".png", lambda: bombs.png_claims(*MEGAPIXELS_400)), "pixels"
    ),
    bad_mask("mask of another size", stored(LABELS[::2, ::2]), SMALLER, found="12x8"),
    bad_mask("mask transposed", stored(LABELS.T.copy()), TRANSPOSED, found="16x24"),
    bad_mask("mask turned by EXIF", mask(".png", rotated), "the mask is", found="16x24"),
    bad_mask("mask with a value out of range", stored(with_value(9)), "row 3, column 5"),
    bad_mask("mask of 16-bit values", stored(LABELS.astype(np.uint16) * 300), "mask value 300"),
    bad_mask("mask of fractions", stored(LABELS * np.float32(0.5), "TIFF"), "a mask of fractions"),
    bad_mask("mask of negative values", stored(-LABELS.astype(np.int16), "TIFF"), "mask value -1"),
    bad_mask("mask of NaN", stored(np.full(SIZE, np.nan, np.float32), "TIFF"), "odd.tif"),
    bad_mask("mask as JPEG", mask(".jpg", jpeg), "JPEG"),
    bad_mask("mask as GIF", stored(LABELS, "GIF"), "GIF"),
    bad_mask("mask with an unknown colour", stored(in_colours(spoiled=True)), "(1, 2, 3)"),
    bad_mask("mask with transparent pixels", mask(".png", see_through), "transparent pixels"),
    bad_mask("image without mask", lambda place: place.clear("masks/odd.png"), "odd"),
    case(
        "masks of 0 and 255, no classes",
        black_and_white,
        check=bad("0 and 255"),
        train=bad("0 and 255"),
        evaluate=bad("0 and 255"),
        predict=OK,
    ),
    good_mask("mask with 255", stored(with_value(255))),
    good_mask(
        "mask that is all ignored", stored(np.full(SIZE, 255, np.uint8)), found="All pixels are ignored"
    ),
    good_mask("mask in class colours", stored(in_colours())),
    good_mask("mask of a palette", mask(".png", palette)),
    good_mask("mask of 1 bit", stored(LABELS == 1)),
    good_mask("mask of 16 bits", stored(LABELS.astype(np.uint16))),
    good_mask("mask of floats", stored(LABELS.astype(np.float32), "TIFF"), "whole numbers stored as floats"),
    good_mask("mask as BMP", stored(LABELS, "BMP")),
    good_mask("mask as big-endian TIFF", mask(".tif", lambda: tiff(LABELS, byteorder=">"))),
    good_mask(
        "mask without image", without_pair("images"), "masks have no image", found="Masks without image"
    ),
    good_mask(
        "image without mask in no split", without_pair("masks"), found="Images without mask, in no split"
    ),
)
