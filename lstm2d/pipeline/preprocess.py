"""Image preparation: size, contrast, channel statistics and padding."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.contrast import with_contrast
from lstm2d.data.transforms import normalise, pad_labels_to_multiple, pad_to_multiple
from lstm2d.errors import ConfigError
from lstm2d.pipeline.resize import nearest_labels, resize_photo

Label = TypeVar("Label", bound=np.integer)
Size = Literal["auto", "native"] | float
TOLERANCE = 1.5  # ratio of the sizes of a photograph and the training images up to which it is not resized
MAX_ENLARGEMENT = 4.0  # of each side; beyond, interpolation adds no information
LARGE = 1_000_000  # pixels; for such photographs the labels depend strongly on the network's input size
UNKNOWN_SIZE = (
    "the model file does not say the size of its training images: images are labelled at their own size "
    "unless `size` is set"
)
MAX_SIZE = 32768.0  # pixels, of a requested size
_SHOWN = 60  # characters of a wrong size


def parse_size(value: object) -> Size:
    """Parse a size given by the user.

    Parameters
    ----------
    value : object
        "auto", "native", or a number or numeric string in pixels.

    Returns
    -------
    "auto", "native" or float
        A number is the square root of the pixel count, 1 to 32768.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if isinstance(value, str) and value in ("auto", "native"):
        return cast(Size, value)
    shown = type(value).__name__  # arrays and numbers of thousands of digits have no short text
    if isinstance(value, str | Real) and not isinstance(value, bool):
        with suppress(ValueError):
            shown = repr(value)[:_SHOWN]
            text = str(value).strip()
            number = float(text) if re.fullmatch(r"\d{1,9}(\.\d{0,9})?", text) else 0.0
            if 1 <= number <= MAX_SIZE:
                return number
    raise ConfigError(
        f"size {shown}",
        expected=f"auto, native, or the square root of the pixel count, 1 to {MAX_SIZE:.0f}",
        hint="320 stands for a photograph of 370x277 pixels, for example",
    )


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Preparation of images for a network, the same in training, validation, evaluation and prediction.

    An image is prepared in two steps: `prepare_whole` needs all of its pixels, `prepare_part` can be applied
    to a part of it. Training extracts crops and patches between the two.

    Parameters
    ----------
    mean, std : tuple of float
        Mean and deviation of each channel over the training images, 0..255; one value per channel.
    stride : int, default 1
        Sides are padded to multiples of it, in pixels.
    contrast : {"none", "local", "image"}, default "none"
        Contrast normalisation before the channel statistics, see `lstm2d.data.contrast.with_contrast`.
    typical_size : float, optional
        Median over the training images of the square root of the pixel count; None if unknown.
    native : bool, default False
        Whether pixels have a fixed scale (satellite, microscope); images are then not resized.
    padding : int, default 0
        Zeros on each side of the normalised image, in pixels.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    stride: int = 1
    contrast: str = "none"
    typical_size: float | None = None
    native: bool = False
    padding: int = 0

    def network_size(self, height: int, width: int, size: Size = "auto") -> tuple[int, int]:
        """Return the size of the network's input for a photograph.

        Parameters
        ----------
        height, width : int
            Size of the photograph in pixels.
        size : "auto", "native" or float
            Sizes are measured as the square root of the pixel count. A number sets the size; "native" keeps
            that of the photograph. "auto" uses the size of the training images, but keeps that of the
            photograph if the model has a fixed scale, if the size of the training images is unknown, or if
            the two differ by a factor of at most 1.5.

        Returns
        -------
        tuple of int
            Rows and columns, at least 1 and enlarged at most 4 times; the aspect ratio is kept.
        """
        wanted = self.typical_size if size == "auto" and not self.native else size
        if not isinstance(wanted, int | float):
            return height, width
        factor = wanted / math.sqrt(height * width)
        if size == "auto" and 1 / TOLERANCE <= factor <= TOLERANCE:
            return height, width
        return scaled(height, width, min(factor, MAX_ENLARGEMENT))

    def resized(self, pixels: NDArray[Any], size: Size = "auto") -> NDArray[Any]:
        """Resize a photograph to the size of the network's input.

        Parameters
        ----------
        pixels : array of shape (H, W, C)
            Values in 0..255.
        size : "auto", "native" or float
            As for `network_size`.

        Returns
        -------
        array of shape (rows, columns, C)
            The input array if the size does not change, else float32.
        """
        height, width = pixels.shape[:2]
        rows, columns = self.network_size(height, width, size)
        return pixels if (rows, columns) == (height, width) else resize_photo(pixels, rows, columns)

    def prepare_whole(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Apply the steps that need the whole image: contrast normalisation.

        Parameters
        ----------
        pixels : array of shape (H, W, C)
            Values in 0..255, at the size of the network's input.

        Returns
        -------
        array of shape (H, W, C)
            The input array if there is nothing to do, else float32.
        """
        return with_contrast(pixels, self.contrast)

    def prepare_part(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Normalise the channels and pad, for a whole image or a part of it.

        Parameters
        ----------
        pixels : array of shape (H, W, C)
            Output of `prepare_whole`, or a part of it.

        Returns
        -------
        array of shape (1, H', W', C), float32
            Input of the network; without the zeros H' and W' are multiples of `stride`.
        """
        padded = pad_to_multiple(normalise(pixels, self.mean, self.std), self.stride)
        return surrounded(padded, self.padding)[np.newaxis]

    def prepare_window(
        self, pixels: NDArray[Any], rows: slice, columns: slice, padding: int
    ) -> NDArray[np.float32]:
        """Normalise the channels of a window of an image and of the pixels around it.

        Parameters
        ----------
        pixels : array of shape (H, W, C)
            Output of `prepare_whole`.
        rows, columns : slice
            Window within the image, every row and column.
        padding : int
            Pixels on each side of the window.

        Returns
        -------
        array of shape (1, rows + 2 * padding, columns + 2 * padding, C), float32
            Zeros outside of the image.
        """
        sides = [(side.start - padding, side.stop + padding) for side in (rows, columns)]
        inside = pixels[tuple(slice(max(0, start), stop) for start, stop in sides)]
        outside = [
            (max(0, -start), max(0, stop - side))
            for (start, stop), side in zip(sides, pixels.shape[:2], strict=True)
        ]
        return np.pad(normalise(inside, self.mean, self.std), [*outside, (0, 0)])[np.newaxis]

    def prepare_labels(self, labels: NDArray[Label], ignore: int) -> NDArray[Label]:
        """Pad labels in the same way as `prepare_part` pads their image.

        Parameters
        ----------
        labels : array of shape (H, W), int
            Numbers of classes or subclasses.
        ignore : int
            Label of the padding.

        Returns
        -------
        array of shape (1, H', W'), int
            One label per pixel of the network's input.
        """
        return pad_labels_to_multiple(labels, self.stride, ignore=ignore)[np.newaxis]

    def network_input(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Prepare a whole image.

        Parameters
        ----------
        pixels : array of shape (H, W, C)
            Values in 0..255, at the size of the network's input.

        Returns
        -------
        array of shape (1, H', W', C), float32
            Output of `prepare_whole` and then `prepare_part`.
        """
        return self.prepare_part(self.prepare_whole(pixels))


def surrounded(image: NDArray[np.float32], padding: int) -> NDArray[np.float32]:
    """Return an image (H, W, C) with zeros on each side; the image itself if there are none."""
    if not padding:
        return image
    return np.pad(image, ((padding, padding), (padding, padding), (0, 0)))


def scaled(height: int, width: int, factor: float) -> tuple[int, int]:
    """Return rows and columns multiplied by a factor, at least 1."""
    return max(1, round(height * factor)), max(1, round(width * factor))


def reduced(
    pixels: NDArray[Any], labels: NDArray[np.uint8], size: Literal["native"] | float
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Downsample an image and its labels to the training size.

    Parameters
    ----------
    pixels : array of shape (H, W, C), uint8 or float32
        Values in 0..255.
    labels : array of shape (H, W), uint8
        Class numbers.
    size : "native" or float
        Largest square root of the pixel count; smaller images are not changed.

    Returns
    -------
    pixels : array of shape (rows, columns, C)
        Antialiased, same dtype; rounded if that is uint8.
    labels : array of shape (rows, columns), uint8
        Label of the pixel at the centre of each new pixel.
    """
    height, width = labels.shape
    factor = math.inf if size == "native" else size / math.sqrt(height * width)
    if factor >= 1:
        return pixels, labels
    rows, columns = scaled(height, width, factor)
    small = resize_photo(pixels, rows, columns)
    if pixels.dtype == np.uint8:
        small = np.rint(small, out=small)
    return small.astype(pixels.dtype, copy=False), nearest_labels(labels, rows, columns)
