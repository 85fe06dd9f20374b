"""Photographs of another size, against Pillow and by hand; and what comes back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.pipeline import resize
from lstm2d.pipeline.resize import labels_at, nearest_labels, probabilities_at, resize_photo


def by_pillow(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return what Pillow's antialiased bicubic filter makes of each channel, in float."""
    planes = [Image.fromarray(np.ascontiguousarray(p, np.float32)) for p in np.moveaxis(pixels, 2, 0)]
    small = [np.array(p.resize((columns, rows), Image.Resampling.BICUBIC)) for p in planes]
    return np.clip(np.stack(small, axis=2), 0, 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    ("size", "new"), [((240, 320), (60, 80)), ((97, 131), (31, 17)), ((20, 30), (50, 61))]
)
def test_is_pillows_filter_away_from_the_edges(
    rng: np.random.Generator, size: tuple[int, int], new: tuple[int, int], dtype: type
) -> None:
    pixels = rng.integers(60, 190, (*size, 3)).astype(dtype)
    found, expected = resize_photo(pixels, *new), by_pillow(pixels, *new)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[5:-5, 5:-5], expected[5:-5, 5:-5], atol=2e-3)


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
    """Of 16 x 16 pixels each new one is a mean: a filter that picks pixels leaves the noise as it is."""
    noisy = np.clip(128 + rng.integers(-40, 41, (320, 480, 3)), 0, 255).astype(np.uint8)
    assert resize_photo(noisy, 20, 30).std() < 2.5
    assert noisy[::16, ::16].std() > 20


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
