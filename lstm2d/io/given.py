"""Convert a caller's images (paths, arrays, lists, tensors, Pillow images) to photographs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError, ShapeError
from lstm2d.io.images import read_photo
from lstm2d.io.photo import Photo, Reading
from lstm2d.io.samples import Samples, check_pixels, first_pixel, to_photo

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNELS_FIRST = "channels come first, (3, H, W) or (1, H, W): read as (H, W, 3) or (H, W, 1)"
TURNED = "turned upright by its EXIF orientation"

_EXPECTED = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not empty"
_CHANNELS = (1, 3, 4)


def photo_of(image: object, reading: Reading | None = None) -> Photo:
    """Convert a caller's image to a photograph.

    Parameters
    ----------
    image : str, path, array, list, tensor or Pillow image
        A file, see `lstm2d.io.images.read_photo`; a Pillow image of any mode, turned upright as files are;
        or anything that NumPy converts to an array: (H, W) or (H, W, 1) gray, (H, W, 3) RGB, or (H, W, 4)
        RGBA. A leading axis of length 1 is dropped. (3, H, W) and (1, H, W) are accepted if the last axis
        cannot hold the channels. For the values see `lstm2d.io.samples.to_photo`.
    reading : Reading, optional
        Limits and choices.

    Returns
    -------
    Photo
        Its pixels may share memory with the array.

    Raises
    ------
    ShapeError
        If the shape is not that of an image; the message has a conversion.
    DataError
        If the values are not those of an image, some are masked, or a file cannot be read.
    """
    reading = reading or Reading()
    if isinstance(image, str | os.PathLike):
        return read_photo(image, reading)
    if _is_pillow(image):
        return to_photo(_of_pillow(image, reading), reading)
    array = _as_array(image)
    if isinstance(image, list | tuple) and array.ndim == 3 and array.shape[2] not in _CHANNELS:
        hint = "give one image at a time; channels as an array: np.stack(channels, axis=2)"
        raise ShapeError("list of images or of channels", where=array.shape, expected=_EXPECTED, hint=hint)
    return to_photo(_of_array(array), reading)


def _is_pillow(image: object) -> TypeGuard[Image]:
    pillow = sys.modules.get("PIL.Image")  # if Pillow is not loaded, nothing is a Pillow image
    return pillow is not None and isinstance(image, pillow.Image)


def _is_masked(array: NDArray[Any]) -> bool:
    # np.ma is imported on first access, and a fork must not happen during an import
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
    return masked is not None and isinstance(array, masked)


def _of_pillow(image: Image, reading: Reading) -> Samples:
    from dataclasses import replace

    from lstm2d.io.decoding import as_data_error
    from lstm2d.io.pillow_samples import from_pillow, orientation, raw_mode

    name = getattr(image, "filename", "") or "image"
    check_pixels(*image.size, reading.max_pixels, name)
    with as_data_error(name):
        raw = raw_mode(image)
        image.load()
        samples = from_pillow(image, raw)
        if orientation(image) != 1:
            samples = replace(samples, notes=(*samples.notes, TURNED))
    return samples


def _as_array(image: Any) -> NDArray[Any]:
    """Convert an image to an array; masked pixels are refused."""
    try:
        if hasattr(image, "detach") and hasattr(image, "cpu"):  # a tensor, perhaps on a GPU
            image = image.detach().cpu()
        elif hasattr(image, "__cuda_array_interface__") and hasattr(image, "get"):
            image = image.get()
        array = np.asanyarray(image)
    except Exception as e:  # for example ragged lists, or tensor types that NumPy lacks
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        what = f"cannot make an array of the image, a {type(image).__name__} ({reason})"
        raise DataError(what, expected=f"an array of shape {_EXPECTED}, a Pillow image or a path") from e
    if array.dtype.kind not in "buif":
        hint = "for a file, give its path; for its contents, PIL.Image.open(io.BytesIO(contents))"
        raise DataError(
            f"image of type {array.dtype}",
            expected="integers, floats or booleans",
            hint=hint if array.dtype.kind in "OSV" else None,
        )
    if _is_masked(array):
        masked = np.ma.getmaskarray(array)
        if masked.any():
            place = first_pixel(masked) if masked.ndim > 1 else (0, 0)
            what = f"image with {int(masked.sum())} masked values, the first at row {place[0]}"
            hint = "fill them: image.filled(0)"
            raise DataError(f"{what}, column {place[1]}", expected="a value at every pixel", hint=hint)
    return np.asarray(array)


def _of_array(array: NDArray[Any]) -> Samples:
    array, notes = _channels_last(array)
    alpha = None
    if array.ndim == 3:
        if array.shape[2] == 4:
            alpha = array[..., 3]
        array = array[..., 0] if array.shape[2] == 1 else array[..., :3]
    kind, size = array.dtype.kind, array.dtype.itemsize
    white = 1 if kind == "b" else {1: 255, 2: 65535}.get(size, 0) if kind == "u" else 0
    return Samples(array, white, alpha=alpha, notes=notes)


def _channels_last(array: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return an image as (H, W) or (H, W, C) with C 1, 3 or 4, and notes."""
    shape = array.shape
    if 0 not in shape:
        if array.ndim == 4 and shape[0] == 1:
            array = array[0]
        if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS):
            return array, ()
        if array.ndim == 3 and array.shape[0] in (1, 3):
            return np.moveaxis(array, 0, 2), (CHANNELS_FIRST,)
    raise ShapeError("image to label", where=shape, expected=_EXPECTED, hint=_conversion(shape))


def _conversion(shape: tuple[int, ...]) -> str | None:
    """Return a hint on how to convert an array of another shape to an image."""
    if 0 in shape or len(shape) < 2:
        return None
    if len(shape) == 4 and shape[0] > 1:
        return "give one image at a time: [model.predict(image) for image in images]"
    if len(shape) > 4:
        return "give one image at a time"
    height, channels = shape[-3], shape[-1]
    if height in (2, 4) and channels > 4:
        return (
            "channels come last: image.transpose(1, 2, 0); of channels that are not red, green, blue and "
            "opacity choose three or one"
        )
    if channels == 2:
        return "choose one of the two channels: image[..., 0]"
    return "choose three of the channels: image[..., :3]; channels come last: image.transpose(1, 2, 0)"
