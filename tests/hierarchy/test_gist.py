"""GIST, against transforms and filters written out in loops."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d.hierarchy import gist as module
from lstm2d.hierarchy.gist import energies, gabor_bank, gist, with_local_contrast

Array = NDArray[np.float64]


def cycles(size: int) -> list[int]:
    return [k if k < size / 2 else k - size for k in range(size)]


def transform(size: int) -> NDArray[np.complex128]:
    return np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size)


def filtered(image: Array, transfer: Array) -> NDArray[np.complex128]:
    """Filter by the matrix of the Fourier transform, not by a fast transform."""
    forward = transform(len(image))
    back = forward.conj() / len(image)
    return back @ ((forward @ image @ forward) * transfer) @ back


def mirrored(image: Array, margin: int) -> Array:
    size = len(image)
    places = [
        -k - 1 if k < 0 else (k if k < size else 2 * size - 1 - k) for k in range(-margin, size + margin)
    ]
    return image[np.ix_(places, places)]


def gabor(size: int, scale: int, orientation: int) -> Array:
    """Return the published filter: exp(-3.5 (f/f0 - 1)^2 - 2 pi theta^2)."""
    values = np.zeros((size, size))
    for row, v in enumerate(cycles(size)):
        for column, u in enumerate(cycles(size)):
            theta = math.atan2(v, u) + orientation * math.pi / 8
            if theta > math.pi:
                theta -= 2 * math.pi
            f = math.hypot(u, v) / size
            values[row, column] = math.exp(
                -10 * 0.35 * (f / (0.3 / 1.85**scale) - 1) ** 2 - 2 * math.pi * theta**2
            )
    return values


def test_filters() -> None:
    bank = gabor_bank(24)
    for number in range(32):
        np.testing.assert_allclose(bank[number], gabor(24, *divmod(number, 8)), atol=1e-12)


def test_a_filter_passes_waves_of_its_frequency_and_direction() -> None:
    columns = np.arange(256)
    wave = np.cos(2 * np.pi * 0.3 * columns)[None, :].repeat(256, axis=0)  # vertical bars, finest scale
    found = energies(wave).mean(axis=(1, 2)).reshape(4, 8)
    assert np.unravel_index(found.argmax(), found.shape) == (0, 0)
    turned = energies(wave.T).mean(axis=(1, 2)).reshape(4, 8)
    assert np.unravel_index(turned.argmax(), turned.shape) == (0, 4)


def test_energies(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.setattr(module, "_MARGIN", 4)
    image = rng.random((16, 16))
    found = energies(image)
    padded = mirrored(image, 4)
    for number in (0, 5, 11, 31):
        output = np.abs(filtered(padded, gabor(24, *divmod(number, 8))))[4:-4, 4:-4]
        for row in range(4):
            for column in range(4):
                cell = output[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
                assert found[number, row, column] == pytest.approx(cell.mean(), abs=1e-12)


def test_local_contrast(rng: np.random.Generator) -> None:
    gray = 255 * rng.random((20, 20))
    padded = np.log(mirrored(gray, 5) + 1)
    size = len(padded)
    sigma = 4 / math.sqrt(math.log(2))
    blur = np.array([[math.exp(-(u * u + v * v) / sigma**2) for u in cycles(size)] for v in cycles(size)])
    detail = padded - filtered(padded, blur).real
    deviation = np.sqrt(np.abs(filtered(detail**2, blur)))
    expected = (detail / (0.2 + deviation))[5:-5, 5:-5]
    np.testing.assert_allclose(with_local_contrast(gray), expected, atol=1e-10)


def test_descriptor(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    found = gist(image)
    assert found.shape == (512,)
    assert np.sum(found**2) == pytest.approx(1)
    # brightness and contrast do not matter: gray levels are stretched
    assert gist(image.astype(np.float32) / 2 + 20) == pytest.approx(found, abs=1e-6)
    assert not gist(np.full((30, 40, 3), 77, np.uint8)).any()
