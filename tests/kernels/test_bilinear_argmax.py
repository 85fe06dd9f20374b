"""Labels from scores of another size: by hand, against full-size scores, with any number of threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d import kernels
from lstm2d.kernels.taps import bilinear_taps

BACKENDS = kernels.available("resize")
CLEAR = 1e-4  # scores that differ by less may have another order after rounding


def labels(x: np.ndarray, height: int, width: int, backend: str = BACKENDS[0]) -> np.ndarray:
    with kernels.use(backend):
        return kernels.pick("resize", like=x).bilinear_argmax(x, height, width)


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_by_hand(backend: str) -> None:
    """Channel 1 is 1 - channel 0, so its border is where channel 0 falls below a half."""
    x = np.array([[[0.9, 0.1], [0.2, 0.8]]])
    # the four new centres lie 0, 0.25, 0.75 and 1 of the way from one old centre to the other
    assert labels(x, 1, 4, backend).tolist() == [[0, 0, 1, 1]]
    assert labels(x.swapaxes(0, 1), 4, 2, backend).tolist() == [[0, 0], [0, 0], [1, 1], [1, 1]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_third_class_between_two_others(backend: str) -> None:
    x = np.array([[[0.6, 0.4, 0.0], [0.0, 0.4, 0.6]]], np.float32)
    assert labels(x, 1, 8, backend).tolist() == [[0, 0, 0, 1, 1, 2, 2, 2]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ties_go_to_the_lowest(backend: str, dtype: type) -> None:
    x = np.array([[[0.25, 0.5, 0.25], [0.5, 0.5, 0.0], [0.2, 0.4, 0.4]]], dtype)
    assert labels(x, 1, 3, backend).tolist() == [[1, 0, 1]]


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    new=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    channels=st.sampled_from([1, 2, 3, 8, 33, 256]),
    seed=st.integers(0, 2**32 - 1),
    double=st.booleans(),
)
def test_agrees_with_the_full_size_scores(
    size: tuple[int, int], new: tuple[int, int], channels: int, seed: int, double: bool
) -> None:
    x = np.random.default_rng(seed).random((*size, channels)).astype(np.float64 if double else np.float32)
    found = labels(x, *new)
    assert found.shape == new
    assert found.dtype == np.uint8
    if 0 in new:
        return
    taps = [bilinear_taps(a, b) for a, b in zip(size, new, strict=True)]
    with kernels.use("_reference"):
        full = kernels.pick("resize", like=x).resample(x[None], *taps)[0]
    chosen = np.take_along_axis(full, found[..., None].astype(np.intp), axis=2)[..., 0]
    assert (chosen >= full.max(axis=2) - CLEAR).all()
    if channels > 1:
        two = np.sort(full, axis=2)[..., -2:]
        clear = two[..., 1] - two[..., 0] > CLEAR
        np.testing.assert_array_equal(found[clear], full.argmax(axis=2)[clear])


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_size_is_argmax(backend: str, rng: np.random.Generator) -> None:
    x = rng.integers(0, 4, (40, 30, 5)).astype(np.float32)  # many ties
    np.testing.assert_array_equal(labels(x, 40, 30, backend), x.argmax(axis=2))


@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (3, 3, 0), (2, 2, 257)])
def test_wrong_shape(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="bilinear_argmax"):
        labels(np.zeros(shape), 4, 4, "_cython")


def test_wrong_type() -> None:
    with pytest.raises(TypeError, match="float32"):
        labels(np.zeros((2, 2, 2), np.int64), 4, 4, "_cython")
