"""Get values, opacity and palette from Pillow images of any mode."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.io.claims import repeats_itself
from lstm2d.io.samples import Samples
from lstm2d.kernels import forks

if TYPE_CHECKING:
    from PIL.Image import Image

ORIENTATION = 274  # tag number in EXIF and TIFF
FEW_BITS = (("L;2", 3), ("L;4", 15))  # Pillow scales 0..3 and 0..15 to 0..255
pillow_state = threading.Lock()  # guards warning filters and Pillow's limits, which are global to the process
forks.hold(pillow_state)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Suppress warnings about broken metadata, one thread at a time."""
    with pillow_state, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def from_pillow(image: Image, raw: str, *, sixteen_bits: bool = False) -> Samples:
    """Get the samples of a Pillow image.

    Parameters
    ----------
    image : Image
        The loaded image; not modified.
    raw : str
        Pillow's name for the sample layout in the file, see `raw_mode`.
    sixteen_bits : bool, default False
        Whether a 32-bit integer image is from a 16-bit file.

    Returns
    -------
    Samples
        Upright. Other colour spaces are converted to RGB.
    """
    found = _by_mode(image, raw, sixteen_bits)
    turned = orientation(image)
    return Samples(
        values=upright(found.values, turned),
        white=found.white,
        palette=found.palette,
        alpha=None if found.alpha is None else upright(found.alpha, turned),
        premultiplied=found.premultiplied,
        exact=found.exact,
    )


def raw_mode(image: Image) -> str:
    """Return Pillow's name for the sample layout in the file, for example "RGB;16B".

    Parameters
    ----------
    image : Image
        The image, not yet loaded; for a loaded image the mode is returned.

    Returns
    -------
    str
        The name.
    """
    tile = getattr(image, "tile", None)
    if not tile:
        return str(image.mode)
    arguments = tile[0][3]
    raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw if isinstance(raw, str) else str(image.mode)


def orientation(image: Image) -> int:
    """Return the EXIF orientation of an image.

    Parameters
    ----------
    image : Image
        The image.

    Returns
    -------
    int
        1 to 8; 1 (upright) if it is not stated.
    """
    exif = image.info.get("exif")
    if isinstance(exif, bytes) and repeats_itself(exif):
        return 1
    try:
        with quiet_pillow():
            value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # broken EXIF data must not make the photo unreadable
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Rotate and flip an array by its EXIF orientation.

    Parameters
    ----------
    values : array of shape (H, W) or (H, W, C)
        As stored.
    orientation : int
        1 to 8.

    Returns
    -------
    array of shape (H, W), (W, H), (H, W, C) or (W, H, C)
        Contiguous.
    """
    if orientation in (2, 3, 7, 8):
        values = values[:, ::-1]
    if orientation in (3, 4, 6, 7):
        values = values[::-1]
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    return np.ascontiguousarray(values)


def transparent(values: NDArray[Any], key: object) -> NDArray[np.bool_] | None:
    """Return the opacity of an image in which one gray value or colour is transparent.

    Parameters
    ----------
    values : array of shape (H, W) or (H, W, 3)
        Samples as stored.
    key : object
        The transparent value or colour from Pillow; other types are ignored.

    Returns
    -------
    array of shape (H, W), bool, or None
        False for transparent pixels; None if there is no transparency.
    """
    if values.ndim == 2 and isinstance(key, int):
        return np.asarray(values != key)
    if values.ndim == 3 and isinstance(key, tuple) and len(key) == 3:
        return np.asarray((values != np.array(key)).any(axis=2))
    return None


def _by_mode(image: Image, raw: str, sixteen_bits: bool) -> Samples:
    mode = image.mode
    key = image.info.get("transparency")
    if mode in ("P", "PA"):
        return _indexed(image)
    if mode in ("LA", "La"):
        both = np.array(image)
        return Samples(both[..., 0], 255, alpha=both[..., 1], premultiplied=mode == "La")
    if mode in ("RGBA", "RGBa"):
        four = np.array(image)
        return Samples(four[..., :3], 255, alpha=four[..., 3], premultiplied=mode == "RGBa")
    if mode == "F":
        return Samples(np.array(image))
    if mode.startswith("I"):
        values = np.array(image)
        if mode != "I" or sixteen_bits:
            values = values.astype(np.uint16)
            white = 4095 if raw.startswith("I;12") else 65535
            return Samples(values, white, alpha=transparent(values, key))
        return Samples(values)
    if mode == "1":
        values = np.array(image).astype(np.uint8)
        return Samples(values, 1, alpha=transparent(values, key))
    if mode == "L":
        values = np.array(image)
        white = next((w for start, w in FEW_BITS if raw.startswith(start)), 255)
        if white < 255:
            values //= np.uint8(255 // white)
        return Samples(values, white, alpha=transparent(values, key))
    if mode == "RGB":
        values = np.array(image)
        return Samples(values, 255, alpha=transparent(values, key))
    converted = _lab_to_rgb(image) if mode == "LAB" else image.convert("RGB")
    return Samples(np.array(converted), 255, exact=mode == "RGBX")


def _indexed(image: Image) -> Samples:
    palette = np.zeros((256, 3), dtype=np.uint8)
    colors = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)[:256]
    palette[: len(colors)] = colors
    opacity = np.full(256, 255, dtype=np.uint8)
    key = image.info.get("transparency")
    if isinstance(key, bytes):
        opacity[: len(key[:256])] = list(key[:256])
    elif isinstance(key, int) and 0 <= key <= 255:
        opacity[key] = 0
    elif image.palette is not None and image.palette.mode == "RGBA":
        stored = (image.getpalette("RGBA") or [])[3::4][:256]
        opacity[: len(stored)] = stored
    values = np.array(image.getchannel(0))
    alpha = np.array(image.getchannel(1)) if image.mode == "PA" else opacity[values]
    return Samples(values, 255, palette=palette, alpha=None if alpha.min() == 255 else alpha)


def _lab_to_rgb(image: Image) -> Image:
    from PIL import ImageCms

    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert converted is not None  # None only for in-place conversion
    return converted
