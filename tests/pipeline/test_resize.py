"""Resized photographs against plain matrix products and Pillow, and labels of the original size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lstm2d.kernels.taps import Taps, cubic_taps, shrinking_taps
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.pipeline import resize
from lstm2d.pipeline.resize import labels_at, nearest_labels, noise, probabilities_at, resize_photo


def dense(taps: Taps, size: int) -> np.ndarray:
    """Return the taps of an axis as a dense matrix."""
    start, index, weight = taps
    matrix = np.zeros((len(start) - 1, size))
    np.add.at(matrix, (np.repeat(np.arange(len(start) - 1), np.diff(start)), index), weight)
    return matrix


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    ("size", "new"),
    [((240, 320), (60, 80)), ((97, 131), (31, 17)), ((20, 30), (50, 61)), ((9, 40), (20, 30))],
)
def test_is_a_product_with_one_matrix_an_axis(
    rng: np.random.Generator, size: tuple[int, int], new: tuple[int, int], dtype: type
) -> None:
    pixels = rng.integers(60, 190, (*size, 3)).astype(dtype)
    reach = resize._reach(pixels, *new)
    rows, columns = (
        dense(shrinking_taps(a, b, reach) if b < a else cubic_taps(a, b), a)
        for a, b in zip(size, new, strict=True)
    )
    expected = np.einsum("ai,ijc,bj->abc", rows, pixels.astype(float), columns)
    found = resize_photo(pixels, *new)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.clip(expected, 0, 255), atol=2e-4)


@pytest.mark.parametrize("factor", [2, 5])
def test_enlarging_is_pillows_bicubic_filter_away_from_the_edges(
    rng: np.random.Generator, factor: int
) -> None:
    """Pillow leaves out pixels beyond an edge instead of repeating the edge pixel."""
    pixels = rng.integers(60, 190, (20, 30, 3), dtype=np.uint8)
    planes = [Image.fromarray(np.ascontiguousarray(p, np.float32)) for p in np.moveaxis(pixels, 2, 0)]
    size = (30 * factor, 20 * factor)
    expected = np.stack([np.array(p.resize(size, Image.Resampling.BICUBIC)) for p in planes], axis=2)
    found = resize_photo(pixels, size[1], size[0])
    inner = slice(2 * factor, -2 * factor)
    np.testing.assert_allclose(found[inner, inner], np.clip(expected, 0, 255)[inner, inner], atol=2e-4)


@given(
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    new=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    value=st.integers(0, 255),
)
def test_an_even_photograph_stays_even(size: tuple[int, int], new: tuple[int, int], value: int) -> None:
    found = resize_photo(np.full((*size, 3), value, np.uint8), *new)
    assert found.shape == (*new, 3)
    np.testing.assert_allclose(found, value, atol=1e-3)


def test_noise_is_averaged_away(rng: np.random.Generator) -> None:
    """Each new pixel is a mean of 16 x 16: a filter that picks single pixels would not reduce the noise."""
    noisy = np.clip(128 + rng.integers(-40, 41, (320, 480, 3)), 0, 255).astype(np.uint8)
    assert resize_photo(noisy, 20, 30).std() < 1.5
    assert noisy[::16, ::16].std() > 20


@pytest.mark.parametrize("deviation", [0.5, 5.0, 20.0])
def test_noise_is_estimated(rng: np.random.Generator, deviation: float) -> None:
    smooth = np.add.outer(np.arange(300) / 3, np.arange(400) / 4)[..., None] + [0, 10, 20]
    smooth[100:200, 50:300] = 30  # edges are not noise
    assert noise(smooth.astype(np.float32)) < 1e-4
    noisy = (smooth + rng.normal(0, deviation, smooth.shape)).astype(np.float32)
    assert noise(noisy) == pytest.approx(deviation, rel=0.03)
    assert noise(noisy[:1]) == noise(noisy[:, :1]) == 0


def test_the_kernel_is_as_wide_as_the_noise_that_is_left_asks_for(rng: np.random.Generator) -> None:
    clean = np.full((300, 300, 3), 100, np.float32)
    noisy = clean + rng.normal(0, 20, clean.shape).astype(np.float32)
    assert [resize._reach(clean, side, side) for side in (300, 200, 30)] == [1, 1, 1]
    assert [resize._reach(noisy, side, side) for side in (400, 200, 100, 84, 30)] == pytest.approx(
        [1, 1.5, 20 * 2 / 9 / 3.4, 1.09, 1], abs=0.05
    )


def test_overshoot_is_clipped() -> None:
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 255
    found = resize_photo(edge, 24, 24)
    assert (found.min(), found.max()) == (0, 255)


def test_strips_and_threads_change_no_bit(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = rng.integers(0, 256, (211, 157, 3), dtype=np.uint8)
    whole = resize_photo(pixels, 40, 33)
    before = get_num_threads()
    try:
        for strip, threads in ((1, 1), (5000, 2), (20_000, 3)):
            monkeypatch.setattr(resize, "STRIP", strip)
            set_num_threads(threads)
            assert resize_photo(pixels, 40, 33).tobytes() == whole.tobytes()
    finally:
        set_num_threads(before)


def test_nearest_labels_by_hand() -> None:
    labels = np.arange(5, dtype=np.uint8)[None]
    assert nearest_labels(labels, 1, 3).tolist() == [[0, 2, 4]]  # centres 0.83, 2.5 and 4.17
    assert nearest_labels(labels, 2, 10).tolist() == [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]] * 2
    assert nearest_labels(labels, 1, 5).tolist() == labels.tolist()


def test_probabilities_return_to_the_size_of_the_photograph(rng: np.random.Generator) -> None:
    small = rng.dirichlet([1.0] * 4, (6, 7)).astype(np.float32)
    full = probabilities_at(small, 30, 21)
    np.testing.assert_allclose(full.sum(axis=2), 1, atol=1e-6)
    corners = full[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, small[[0, 0, -1, -1], [0, -1, 0, -1]], rtol=1e-6)
    assert probabilities_at(small, 6, 7) is small
    clear = np.diff(np.sort(full, axis=2)[..., -2:], axis=2)[..., 0] > 1e-5
    np.testing.assert_array_equal(labels_at(small, 30, 21)[clear], full.argmax(axis=2)[clear])
