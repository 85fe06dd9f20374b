"""Image preparation: size, contrast, channel statistics and padding, in this one place."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.contrast import with_contrast
from lstm2d.data.transforms import normalise, pad_labels_to_multiple, pad_to_multiple
from lstm2d.errors import ConfigError
from lstm2d.pipeline.resize import nearest_labels, resize_photo

Size = Literal["auto", "native"] | float
TOLERANCE = 1.5  # factor between a photograph and the training images up to which it keeps its size
MAX_ENLARGEMENT = 4.0  # of each side; beyond, interpolated pixels show nothing new
LARGE = 1_000_000  # pixels: of such photographs the size at which the network sees them decides the labels
UNKNOWN_SIZE = (
    "the model file does not say the size of its training images: images are labelled at their own size, "
    "unless `size` chooses another one"
)
MAX_SIZE = 32768.0  # pixels, of a size that is asked for


def parse_size(value: object) -> Size:
    """Return the size that a user asks for.

    Parameters
    ----------
    value : object
        "auto", "native", or a number of pixels as number or text.

    Returns
    -------
    "auto", "native" or float
        A number is the square root of the pixel count, 1 to 32768.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if value == "auto" or value == "native":
        return value
    text = str(value).strip()
    if not isinstance(value, bool) and re.fullmatch(r"\d{1,9}(\.\d{0,9})?", text):
        number = float(text)
        if 1 <= number <= MAX_SIZE:
            return number
    raise ConfigError(
        f"size {value!r}",
        expected=f"auto, native, or the square root of the pixel count, 1 to {MAX_SIZE:.0f}",
        hint="320 stands for a photograph of 370x277 pixels, for example",
    )


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Preparation of images for a network, the same in training, validation, evaluation and prediction.

    An image is prepared in two steps: `prepare_whole` does what depends on all of its pixels, `prepare_part`
    what may be done to a part of it. Training cuts crops and patches out between the two.

    Parameters
    ----------
    mean, std : tuple of float
        Mean and deviation of each channel over the training images, 0..255; one value per channel.
    stride : int, default 1
        Sides are padded to multiples of it, in pixels.
    contrast : {"none", "local"}, default "none"
        Contrast normalisation before the channel statistics, see `lstm2d.data.contrast.with_contrast`.
    typical_size : float, optional
        Median over the training images of the square root of the pixel count; None where it is unknown.
    native : bool, default False
        Whether pixels have a fixed scale (satellite, microscope): photographs then keep their size.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    stride: int = 1
    contrast: str = "none"
    typical_size: float | None = None
    native: bool = False

    def network_size(self, height: int, width: int, size: Size = "auto") -> tuple[int, int]:
        """Return the size at which the network sees a photograph.

        Parameters
        ----------
        height, width : int
            Of the photograph, in pixels.
        size : "auto", "native" or float
            "native" keeps it. "auto" keeps it too if the model is for a fixed scale, if the size of its
            training images is unknown, or if the photograph has up to 1.5 times that size or down to 1/1.5
            of it, measured as the square root of the pixel count; else that size is taken. A number is taken
            as such a size.

        Returns
        -------
        tuple of int
            Rows and columns; the ratio of the sides is kept, none is below 1 or enlarged more than 4 times.
        """
        wanted = self.typical_size if size == "auto" and not self.native else size
        if not isinstance(wanted, int | float):
            return height, width
        factor = wanted / math.sqrt(height * width)
        if size == "auto" and 1 / TOLERANCE <= factor <= TOLERANCE:
            return height, width
        return scaled(height, width, min(factor, MAX_ENLARGEMENT))

    def resized(self, pixels: NDArray[Any], size: Size = "auto") -> NDArray[Any]:
        """Bring a photograph to the size at which the network sees it.

        Parameters
        ----------
        pixels : array of shape (H, W, C)
            Values in 0..255.
        size : "auto", "native" or float
            As for `network_size`.

        Returns
        -------
        array of shape (rows, columns, C)
            The same array where nothing changes, else float32.
        """
        height, width = pixels.shape[:2]
        rows, columns = self.network_size(height, width, size)
        return pixels if (rows, columns) == (height, width) else resize_photo(pixels, rows, columns)

    def prepare_whole(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Do what depends on the whole image: the contrast.

        Parameters
        ----------
        pixels : array of shape (H, W, C)
            Values in 0..255, at the size at which the network sees the image.

        Returns
        -------
        array of shape (H, W, C)
            The same array if there is nothing to do, else float32.
        """
        return with_contrast(pixels, self.contrast)

    def prepare_part(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Normalise the channels and pad: of the whole image, or of a part cut out of it.

        Parameters
        ----------
        pixels : array of shape (H, W, C)
            Output of `prepare_whole`, or a part of it.

        Returns
        -------
        array of shape (1, H', W', C), float32
            Input of the network; H' and W' are multiples of `stride`.
        """
        return pad_to_multiple(normalise(pixels, self.mean, self.std), self.stride)[np.newaxis]

    def prepare_labels(self, labels: NDArray[np.uint8], ignore: int) -> NDArray[np.uint8]:
        """Pad labels as `prepare_part` pads their image.

        Parameters
        ----------
        labels : array of shape (H, W), uint8
            Class numbers.
        ignore : int
            Label of the padding.

        Returns
        -------
        array of shape (1, H', W'), uint8
            One label for each pixel of the network's input.
        """
        return pad_labels_to_multiple(labels, self.stride, ignore=ignore)[np.newaxis]

    def network_input(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Prepare a whole image.

        Parameters
        ----------
        pixels : array of shape (H, W, C)
            Values in 0..255, at the size at which the network sees the image.

        Returns
        -------
        array of shape (1, H', W', C), float32
            Output of `prepare_whole` and then `prepare_part`.
        """
        return self.prepare_part(self.prepare_whole(pixels))


def scaled(height: int, width: int, factor: float) -> tuple[int, int]:
    """Return rows and columns of an image whose sides are multiplied, none below 1."""
    return max(1, round(height * factor)), max(1, round(width * factor))


def reduced(
    pixels: NDArray[Any], labels: NDArray[np.uint8], size: Literal["native"] | float
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Bring an image and its labels down to a size to train at.

    Parameters
    ----------
    pixels : array of shape (H, W, C), uint8 or float32
        Values in 0..255.
    labels : array of shape (H, W), uint8
        Class numbers.
    size : "native" or float
        Largest square root of the pixel count; images that are not larger stay as they are.

    Returns
    -------
    pixels : array of shape (rows, columns, C)
        Antialiased, of the same type: rounded where that is uint8.
    labels : array of shape (rows, columns), uint8
        The label of the pixel at the centre of each new one.
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
