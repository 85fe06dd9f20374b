"""GIST: a descriptor of whole images by the energy of oriented filters."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE = 256  # pixels: side of the image that is described
CELLS = 4  # along each axis
SCALES, ORIENTATIONS = 4, 8
_CONTRAST_CYCLES = 4.0  # an image, below which the filter of the local contrast passes
_CONTRAST_MARGIN, _MARGIN = 5, 32  # pixels, mirrored at each side


def gist(image: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float64]:
    """Describe an image by its GIST [1]_.

    Parameters
    ----------
    image : array of shape (H, W, 3), uint8 or float32
        Red, green and blue in 0..255.

    Returns
    -------
    array of shape (512,), float64
        Mean magnitude in 4x4 cells of each of 32 Gabor filters (4 scales x 8 orientations), of length 1; 0
        for an image of one gray level. Order: filter, then cell row by row.

    Notes
    -----
    The image is brought to 256x256 gray pixels in 0..255, and its local contrast normalised. Constants and
    filters are those of the authors' program.

    References
    ----------
    .. [1] A. Oliva and A. Torralba, "Modeling the Shape of the Scene: A Holistic Representation of the
       Spatial Envelope", International Journal of Computer Vision 42 (3), 2001.
    """
    from PIL import Image

    gray = Image.fromarray(np.asarray(image, np.float32).mean(axis=2))
    small = gray.resize((SIZE, SIZE), Image.Resampling.BILINEAR)  # antialiased
    found = energies(with_local_contrast(_stretched(np.asarray(small, np.float64)))).ravel()
    length = np.sqrt((found**2).sum())
    return found / length if length > 0 else found


def with_local_contrast(gray: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract the blurred logarithm of an image, and divide by the local deviation.

    Parameters
    ----------
    gray : array of shape (S, S), float64
        Gray levels, 0 or more; S is even.

    Returns
    -------
    array of shape (S, S), float64
        The normalised image.
    """
    padded = np.pad(np.log(gray + 1), _CONTRAST_MARGIN, mode="symmetric")
    _, radius = _frequencies(len(padded))
    blur = np.exp(-(radius**2) * np.log(2) / _CONTRAST_CYCLES**2)
    detail = padded - _filtered(padded, blur).real
    deviation = np.sqrt(np.abs(_filtered(detail**2, blur)))
    inside = slice(_CONTRAST_MARGIN, -_CONTRAST_MARGIN)
    return np.asarray((detail / (0.2 + deviation))[inside, inside])


def energies(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean magnitude of the output of each Gabor filter in each cell.

    Parameters
    ----------
    image : array of shape (S, S), float64
        The image; S is a multiple of 4.

    Returns
    -------
    array of shape (32, 4, 4), float64
        Scales from fine to coarse, for each the orientations.
    """
    from scipy import fft

    spectrum = fft.fft2(np.pad(image, _MARGIN, mode="symmetric"))
    inside, side = slice(_MARGIN, -_MARGIN), len(image) // CELLS
    found = np.empty((SCALES * ORIENTATIONS, CELLS, CELLS))
    for values, transfer in zip(found, gabor_bank(len(spectrum)), strict=True):
        magnitude = np.abs(fft.ifft2(spectrum * transfer))[inside, inside]
        values[...] = magnitude.reshape(CELLS, side, CELLS, side).mean(axis=(1, 3))
    return found


@cache
def gabor_bank(size: int) -> NDArray[np.float64]:
    """Return the transfer functions of the Gabor filters.

    Parameters
    ----------
    size : int
        Side of the images in pixels, even.

    Returns
    -------
    array of shape (32, size, size), float64
        By frequency, in the order of `scipy.fft.fft2`: a Gaussian in the logarithm-like radius and in the
        angle around the centre of each filter.
    """
    angle, radius = _frequencies(size)
    bank = []
    for scale in range(SCALES):
        centre, width = 0.3 / 1.85**scale, 16 * ORIENTATIONS**2 / 32**2
        for orientation in range(ORIENTATIONS):
            turned = angle + np.pi / ORIENTATIONS * orientation
            turned = turned - 2 * np.pi * (turned > np.pi)
            exponent = -3.5 * (radius / size / centre - 1) ** 2 - 2 * width * np.pi * turned**2
            bank.append(np.exp(exponent))
    found = np.stack(bank)
    found.flags.writeable = False  # all callers share it
    return found


def _frequencies(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return angle and radius, in cycles an image, of each frequency, in the order of the transform."""
    from scipy import fft

    cycles = fft.fftfreq(size, 1 / size)
    angle = np.arctan2(cycles[:, None], cycles[None, :])
    return angle, np.hypot(cycles[:, None], cycles[None, :])


def _filtered(image: NDArray[np.float64], transfer: NDArray[np.float64]) -> NDArray[Any]:
    from scipy import fft

    return np.asarray(fft.ifft2(fft.fft2(image) * transfer))


def _stretched(gray: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return gray levels that fill 0..255."""
    low, high = gray.min(), gray.max()
    return 255 * (gray - low) / (high - low) if high > low else np.zeros_like(gray)
