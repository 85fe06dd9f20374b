from typing import Any
import numpy as np
from numpy.typing import NDArray
from lstm2d.errors import *

CHANNELS = 3


def _to_bytes_range(image: NDArray[Any]) -> NDArray[Any]:
    """Return an image of a caller as `read_image` would: (H, W, 3), uint8 or float32 in 0..255."""
    if image.ndim == 2:
        image = image[:, :, np.newaxis]
    if image.ndim != 3 or image.shape[2] not in (1, CHANNELS) or 0 in image.shape:
        raise ShapeError("image to label", where=image.shape, expected="(H, W, 3) or (H, W), not empty")
    image = np.broadcast_to(image, (*image.shape[:2], CHANNELS))
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind in "iu":
        if image.min() < 0:
            raise DataError(f"image with the value {image.min()}", expected="integers from 0")
        if image.max() > 65535:
            raise DataError(f"image with the value {image.max()}", expected="integers up to 255 or 65535")
        sixteen_bits = image.dtype == np.uint16 or image.max() > 255
        return (image * (1 / 257 if sixteen_bits else 1.0)).astype(np.float32)
    if image.dtype.kind != "f":
        raise DataError(f"image of type {image.dtype}", expected="integers, floats or booleans")
    low, high = float(image.min()), float(image.max())  # NaN if there is one
    if not (low >= 0 and high <= 255):
        raise DataError(f"image with values from {low:g} to {high:g}", expected="floats in 0..1 or 0..255")
    return image.astype(np.float32) * np.float32(1 if high > 1 else 255)
