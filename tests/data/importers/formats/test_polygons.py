"""Polygons and ellipses: which pixels they hold, by hand and against a second implementation."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.data.importers.formats import polygons
from lstm2d.data.importers.formats.polygons import Ellipse, Outline, fill_ellipse, fill_polygon, rectangle

Point = tuple[Fraction, Fraction]


def filled(points: object, size: tuple[int, int]) -> np.ndarray:
    image = np.zeros(size, bool)
    window, inside = fill_polygon(np.array(points, np.float64), size)
    image[window] = inside
    return image


def crossings(points: list[Point], x: Fraction, y: Fraction) -> int:
    """Count the edges to the left of a point, in exact numbers."""
    count = 0
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        if (y0 <= y) != (y1 <= y):
            count += x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x
    return count


def by_point(points: list[Point], size: tuple[int, int]) -> np.ndarray:
    half = Fraction(1, 2)
    return np.array(
        [[crossings(points, c + half, r + half) % 2 for c in range(size[1])] for r in range(size[0])], bool
    )


def test_a_square_on_the_grid() -> None:
    expected = np.zeros((5, 6), bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(filled([(1, 1), (4, 1), (4, 3), (1, 3)], (5, 6)), expected)


def test_centres_decide() -> None:
    # columns 1 and 2 have their centres at 1.5 and 2.5; row 0 at 0.5
    assert filled([(1.4, 0), (2.6, 0), (2.6, 1), (1.4, 1)], (1, 5)).tolist() == [
        [False, True, True, False, False]
    ]
    assert filled([(1.6, 0), (2.4, 0), (2.4, 1), (1.6, 1)], (1, 5)).sum() == 0
    # a centre on an edge belongs to the polygon to the right of it, or below it
    assert filled([(1.5, 0), (2.5, 0), (2.5, 1), (1.5, 1)], (1, 5)).tolist() == [
        [False, True, False, False, False]
    ]
    assert filled([(0, 0.5), (3, 0.5), (3, 1.5), (0, 1.5)], (3, 3)).any(axis=1).tolist() == [
        True,
        False,
        False,
    ]


def test_a_triangle() -> None:
    expected = [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]
    np.testing.assert_array_equal(filled([(0, 0.5), (0, 4.5), (4, 4.5)], (4, 4)), np.array(expected, bool))


def test_a_star_is_hollow_where_it_covers_itself_twice() -> None:
    bow = filled([(0, 0), (6, 0), (6, 6), (2, 6), (2, 2), (4, 2), (4, 4), (0, 4)], (6, 6))
    assert not bow[2, 2:4].any()
    assert bow[:2].all()


def test_parts_outside_of_the_image_are_cut() -> None:
    square = [(-3, -2), (2, -2), (2, 2), (-3, 2)]
    expected = np.zeros((4, 5), bool)
    expected[:2, :2] = True
    np.testing.assert_array_equal(filled(square, (4, 5)), expected)
    for shift in [(100, 0), (-100, 0), (0, 100), (0, -100)]:
        assert not filled(np.array(square) + shift, (4, 5)).any()


def test_no_area_no_pixel() -> None:
    assert not filled([(1, 1), (4, 4), (2, 2)], (6, 6)).any()
    assert not filled([(0.5, 0.5), (5.5, 0.5), (3, 0.5)], (6, 6)).any()
    assert not filled([(2.5, 0), (2.5, 6), (2.5, 3)], (6, 6)).any()


coordinate = st.integers(-12, 52).map(lambda n: Fraction(n, 4))
points = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=9)
sizes = st.tuples(st.integers(1, 10), st.integers(1, 10))


@given(points, sizes)
def test_agrees_with_a_ray_per_pixel(corners: list[Point], size: tuple[int, int]) -> None:
    values = [(float(x), float(y)) for x, y in corners]
    np.testing.assert_array_equal(filled(values, size), by_point(corners, size))


@given(points, sizes, st.integers(1, 8))
def test_blocks_of_edges_change_nothing(corners: list[Point], size: tuple[int, int], block: int) -> None:
    values = [(float(x), float(y)) for x, y in corners]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(polygons, "_CROSSINGS", block)
        blocked = filled(values, size)
    np.testing.assert_array_equal(blocked, filled(values, size))


@given(st.floats(0, 9), st.floats(0, 7))
def test_triangles_around_a_point_share_no_pixel_and_leave_no_gap(x: float, y: float) -> None:
    corners = [(0.0, 0.0), (9.0, 0.0), (9.0, 7.0), (0.0, 7.0)]
    count = np.zeros((7, 9), int)
    for first, second in zip(corners, [*corners[1:], corners[0]], strict=True):
        count += filled([first, second, (x, y)], (7, 9))
    np.testing.assert_array_equal(count, 1)


def test_many_windings_count_modulo_two() -> None:
    square = [(1, 1), (4, 1), (4, 3), (1, 3)]
    assert filled(square * 256, (5, 6)).sum() == 0  # 512 crossings do not overflow into something else
    assert filled(square * 257, (5, 6)).sum() == 6


def test_a_circle() -> None:
    image = np.zeros((5, 5), bool)
    window, inside = fill_ellipse(Ellipse(2.5, 2.5, 1.5, 1.5), (5, 5))
    image[window] = inside
    # centres at distance 0, 1, sqrt(2) = 1.414 and 2 from the middle
    expected = [[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(image, np.array(expected, bool))


@given(
    st.tuples(st.floats(-4, 14), st.floats(-4, 12)),
    st.tuples(st.floats(0.1, 9), st.floats(0.1, 9)),
    st.floats(-360, 360),
)
def test_ellipses_agree_with_the_formula(
    middle: tuple[float, float], radii: tuple[float, float], degrees: float
) -> None:
    image = np.zeros((8, 10), bool)
    window, inside = fill_ellipse(Ellipse(*middle, *radii, degrees), (8, 10))
    image[window] = inside
    turn = np.exp(-1j * np.deg2rad(degrees))
    for row in range(8):
        for column in range(10):
            place = complex(column + 0.5 - middle[0], row + 0.5 - middle[1]) * turn
            value = (place.real / radii[0]) ** 2 + (place.imag / radii[1]) ** 2
            if abs(value - 1) > 1e-9:
                assert image[row, column] == (value < 1)


def test_rectangles_turn_clockwise() -> None:
    np.testing.assert_allclose(rectangle(1, 2, 5, 4), [(1, 2), (5, 2), (5, 4), (1, 4)])
    # the upper left corner of a rectangle around (3, 3) goes to the upper right
    np.testing.assert_allclose(rectangle(1, 2, 5, 4, 90), [(4, 1), (4, 5), (2, 5), (2, 1)])


def test_areas() -> None:
    triangle = np.array([(0.0, 0.0), (4.0, 0.0), (0.0, 3.0)])
    assert Outline((triangle,)).area == 6
    assert Outline((triangle[::-1], triangle + 1e6)).area == 12
    assert Ellipse(0, 0, 2, 3).area == pytest.approx(18.849556)
