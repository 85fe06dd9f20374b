"""Bilinear and cubic resizing against hand values, SciPy, Pillow, finite differences and every backend."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import map_coordinates

from lstm2d import Tensor, backward, kernels
from lstm2d.errors import ShapeError
from lstm2d.ops import bilinear_resize, cubic_resize, repeat_cells
from lstm2d.tensor import FloatArray

BACKENDS = kernels.available("resize")
Resize = Callable[[Tensor, int, int], Tensor]


def bilinear(x: Tensor, height: int, width: int) -> Tensor:
    return bilinear_resize(x, height, width)


def aligned(x: Tensor, height: int, width: int) -> Tensor:
    return bilinear_resize(x, height, width, align_corners=True)


OPS: list[Resize] = [bilinear, aligned, cubic_resize]


def row(op: Resize, values: list[float], width: int) -> list[float]:
    """Return one row of pixels, resized to `width`."""
    y = op(Tensor(np.array(values, float).reshape(1, 1, -1, 1)), 1, width).data
    return [float(v) for v in y.reshape(-1)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_by_hand(backend: str) -> None:
    with kernels.use(backend):
        assert row(bilinear, [0, 1], 4) == [0, 0.25, 0.75, 1]
        assert row(bilinear, [0, 4, 8, 20], 2) == [2, 14]
        assert row(aligned, [0, 3], 4) == pytest.approx([0, 1, 2, 3])
        assert row(aligned, [0, 1, 2, 3, 4], 3) == pytest.approx([0, 2, 4])
        assert row(aligned, [5, 7], 1) == [5]
        # Keys' kernel at distances 0.25, 0.75, 1.25, 1.75: 0.8671875, 0.2265625, -0.0703125, -0.0234375
        half = [13.875, 3.625, -1.125, -0.375, 0.0]
        assert row(cubic_resize, [0, 0, 16, 0, 0], 10) == [*half[::-1], *half]
        assert row(cubic_resize, [8, 0, 0], 6)[0] == 8.5625  # the edge pixel counts at 1.75, 0.75 and 0.25
        assert row(cubic_resize, [1, 5, 2], 3) == [1, 5, 2]


@pytest.mark.parametrize("op", OPS)
def test_backward_is_the_transposed_matrix(op: Resize) -> None:
    for size, new in [((3, 4), (7, 5)), ((6, 5), (2, 9)), ((5, 5), (3, 2))]:
        units = np.eye(size[0] * size[1]).reshape(-1, *size, 1)  # one image a pixel
        matrix = op(Tensor(units), *new).data.reshape(len(units), -1)
        outputs = np.eye(new[0] * new[1]).reshape(-1, *new, 1)
        leaf = Tensor(np.zeros((len(outputs), *size, 1)), requires_grad=True)
        backward(op(leaf, *new), outputs)
        assert leaf.grad is not None
        np.testing.assert_allclose(leaf.grad.reshape(len(outputs), -1), matrix.T, atol=1e-15)


def places(size: int, new: int, corners: bool) -> FloatArray:
    if corners:
        return np.linspace(0, size - 1, new) if new > 1 else np.zeros(1)
    return (np.arange(new) + 0.5) * size / new - 0.5


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    new=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    corners=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_bilinear_equals_scipy(size: tuple[int, int], new: tuple[int, int], corners: bool, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal(size)
    where = np.meshgrid(*(places(s, n, corners) for s, n in zip(size, new, strict=True)), indexing="ij")
    expected = map_coordinates(x, where, order=1, mode="nearest")
    y = bilinear_resize(Tensor(x[None, :, :, None]), *new, align_corners=corners).data
    np.testing.assert_allclose(y[0, :, :, 0], expected, atol=1e-12)


def test_cubic_equals_pillow_away_from_the_edges(rng: np.random.Generator) -> None:
    x = rng.standard_normal((12, 10)).astype(np.float32)
    expected = np.asarray(Image.fromarray(x).resize((50, 60), Image.Resampling.BICUBIC))
    y = cubic_resize(Tensor(x[None, :, :, None]), 60, 50).data[0, :, :, 0]
    # Pillow leaves out the pixels beyond an edge, here the edge pixel is repeated
    np.testing.assert_allclose(y[10:-10, 10:-10], expected[10:-10, 10:-10], atol=2e-6)


@settings(max_examples=40)
@given(size=st.integers(1, 20), new=st.integers(1, 60), seed=st.integers(0, 2**32 - 1))
def test_cubic_keeps_constants_and_quadratics(size: int, new: int, seed: int) -> None:
    a, b, c = np.random.default_rng(seed).standard_normal(3)
    at, to = np.arange(size), places(size, new, False)
    x = np.stack([np.full(size, a), a * at**2 + b * at + c], -1)
    y = cubic_resize(Tensor(x[None, None]), 1, new).data[0, 0]
    np.testing.assert_allclose(y[:, 0], a, rtol=1e-12)
    inside = (to >= 1) & (to <= size - 2)
    np.testing.assert_allclose(y[inside, 1], (a * to**2 + b * to + c)[inside], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("op", OPS)
def test_same_size_is_the_same_image(op: Resize, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 7, 5, 3))
    np.testing.assert_allclose(op(Tensor(x), 7, 5).data, x, rtol=1e-14)


@pytest.mark.parametrize("op", OPS)
def test_wrong(op: Resize) -> None:
    with pytest.raises(ShapeError, match=r"\(4, 4, 1\)"):
        op(Tensor(np.zeros((4, 4, 1))), 2, 2)
    with pytest.raises(ShapeError, match="0x4 to 2x2"):
        op(Tensor(np.zeros((1, 0, 4, 1))), 2, 2)
    with pytest.raises(ShapeError, match="4x4 to -1x2"):
        op(Tensor(np.zeros((1, 4, 4, 1))), -1, 2)
    with pytest.raises(TypeError, match="uint8"):
        op(Tensor(np.zeros((1, 4, 4, 1), np.uint8)), 2, 2)  # type: ignore[arg-type]


def test_repeat_cells_by_hand() -> None:
    x = Tensor(np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1), requires_grad=True)
    y = repeat_cells(x, 2, 3, 5)
    rows = [[1, 1, 2, 2, 2], [1, 1, 2, 2, 2], [3, 3, 4, 4, 4]]  # the last column reaches to the end
    np.testing.assert_array_equal(y.data[0, :, :, 0], rows)
    backward(y, np.arange(15.0).reshape(y.shape))
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.reshape(-1), [12, 33, 21, 39])
    for shape, spacing, size in (
        ((2, 2, 1), 2, (4, 4)),
        ((1, 0, 2, 1), 2, (4, 4)),
        ((1, 2, 2, 1), 2, (-1, 4)),
    ):
        with pytest.raises(ShapeError, match="repeat_cells"):
            repeat_cells(Tensor(np.zeros(shape)), spacing, *size)
    with pytest.raises(ValueError, match="repeat_cells: spacing 0"):
        repeat_cells(x, 0, 4, 4)
