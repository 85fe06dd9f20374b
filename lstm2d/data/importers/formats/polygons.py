"""Which pixels belong to a polygon or an ellipse: those whose centres are inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Window = tuple[slice, slice]
Part = tuple[Window, NDArray[np.bool_]]  # some rows and columns of an image, and which of their pixels belong

_CROSSINGS = 2**22  # of edges and rows, computed at a time


def fill_polygon(points: NDArray[np.float64], size: tuple[int, int]) -> Part:
    """Return the pixels whose centres are inside a polygon.

    Parameters
    ----------
    points : array of shape (N, 2), float64
        Corners (x, y) in pixels, finite. The origin is the upper left corner of the image, so the pixel in
        row r and column c has its centre at (c + 0.5, r + 0.5). The last corner is joined to the first.
    size : tuple of int
        Rows and columns of the image; what lies outside is cut off.

    Returns
    -------
    window : tuple of slice
        Rows and columns of the smallest rectangle that holds the polygon.
    inside : array of bool
        Which pixels of the window belong to the polygon.

    Notes
    -----
    Even-odd rule: a pixel belongs if a ray to its left crosses the edges an odd number of times. A centre on
    an edge belongs to the polygon to the right of it, on a horizontal edge to the one below: polygons that
    share an edge neither overlap nor leave a gap. `skimage.draw.polygon` gives such centres to both of them,
    and tests each pixel against each edge: 3.4 s for 300 corners around 5.7 million pixels, here 0.02 s.
    """
    x, y = points.T
    top, bottom = (int(v) for v in np.clip(_first_centre(np.array([y.min(), y.max()])), 0, size[0]))
    left, right = (int(v) for v in np.clip(_first_centre(np.array([x.min(), x.max()])), 0, size[1]))
    window = slice(top, bottom), slice(left, right)
    width = right - left
    crossings = np.zeros((bottom - top, width + 1), dtype=np.uint8)  # modulo 256: only odd or even matters
    if crossings.size and width:
        edges = np.hstack([points, np.roll(points, -1, axis=0)])
        step = max(1, _CROSSINGS // (bottom - top))
        for start in range(0, len(edges), step):
            rows, columns = _crossings(edges[start : start + step], top, bottom)
            np.add.at(crossings, (rows - top, np.clip(columns - left, 0, width)), 1)
    inside = np.cumsum(crossings[:, :width], axis=1, dtype=np.uint8) & 1
    return window, inside.astype(np.bool_)


def fill_ellipse(ellipse: Ellipse, size: tuple[int, int]) -> Part:
    """Return the pixels whose centres are inside an ellipse or on its edge.

    Parameters
    ----------
    ellipse : Ellipse
        Centre, radii and angle.
    size : tuple of int
        Rows and columns of the image.

    Returns
    -------
    window : tuple of slice
        Rows and columns of the smallest rectangle that holds the ellipse.
    inside : array of bool
        Which pixels of the window belong to the ellipse.
    """
    sine, cosine = np.sin(np.radians(ellipse.degrees)), np.cos(np.radians(ellipse.degrees))
    reach = np.hypot([ellipse.rx * cosine, ellipse.rx * sine], [ellipse.ry * sine, ellipse.ry * cosine])
    middle = np.array([ellipse.x, ellipse.y])
    low = np.clip(np.floor(middle - reach), 0, size[::-1]).astype(np.int64)
    high = np.clip(np.ceil(middle + reach), low, size[::-1]).astype(np.int64)
    window = slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
    dx = np.arange(low[0], high[0]) + 0.5 - ellipse.x
    dy = (np.arange(low[1], high[1]) + 0.5 - ellipse.y)[:, np.newaxis]
    along, across = (dx * cosine + dy * sine) / ellipse.rx, (dy * cosine - dx * sine) / ellipse.ry
    return window, along**2 + across**2 <= 1


@dataclass(frozen=True, slots=True)
class Outline:
    """A region bounded by one or more polygons.

    Parameters
    ----------
    parts : tuple of arrays of shape (N, 2), float64
        The corners of each polygon, see `fill_polygon`. Pixels of any part belong to the region.
    """

    parts: tuple[NDArray[np.float64], ...]

    @property
    def area(self) -> float:
        """Sum of the areas of the polygons, in pixels."""
        return sum(map(_area, self.parts))

    def windows(self, size: tuple[int, int]) -> Iterator[Part]:
        """Yield the pixels of each polygon, for an image of `size` rows and columns."""
        for points in self.parts:
            yield fill_polygon(points, size)


@dataclass(frozen=True, slots=True)
class Ellipse:
    """A region bounded by an ellipse.

    Parameters
    ----------
    x, y : float
        Centre, in pixels from the upper left corner of the image.
    rx, ry : float
        Radii, above 0.
    degrees : float
        Angle by which the ellipse is rotated clockwise.
    """

    x: float
    y: float
    rx: float
    ry: float
    degrees: float = 0.0

    @property
    def area(self) -> float:
        """Area in pixels."""
        return np.pi * self.rx * self.ry

    def windows(self, size: tuple[int, int]) -> Iterator[Part]:
        """Yield the pixels of the ellipse, for an image of `size` rows and columns."""
        yield fill_ellipse(self, size)


def rectangle(x0: float, y0: float, x1: float, y1: float, degrees: float = 0.0) -> NDArray[np.float64]:
    """Return the corners of a rectangle.

    Parameters
    ----------
    x0, y0, x1, y1 : float
        Two opposite corners before the rotation.
    degrees : float
        Angle by which it is rotated clockwise around its centre.

    Returns
    -------
    array of shape (4, 2), float64
        The corners (x, y), for `fill_polygon`.
    """
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64)
    if not degrees:
        return corners
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    middle = corners.mean(axis=0)
    turned: NDArray[np.float64] = middle + (corners - middle) @ np.array([[cosine, sine], [-sine, cosine]])
    return turned


def _crossings(edges: NDArray[np.float64], top: int, bottom: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the rows whose centres each edge crosses, and the first column right of each crossing."""
    # an edge is the same line in both directions, so that the edges of neighbours round alike
    upward = edges[:, 1] > edges[:, 3]
    x0, y0, x1, y1 = np.where(upward[:, np.newaxis], edges[:, [2, 3, 0, 1]], edges).T
    first, last = (np.clip(_first_centre(ends), top, bottom) for ends in (y0, y1))
    counts = last - first
    edge = np.repeat(np.arange(len(edges)), counts)
    rows = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts - first, counts)
    run, rise = (x1 - x0)[edge], (y1 - y0)[edge]
    return rows, _first_centre(x0[edge] + (rows + 0.5 - y0[edge]) * run / rise)


def _first_centre(positions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the first row or column whose centre is at a position or after it."""
    return np.ceil(positions - 0.5).astype(np.int64)


def _area(points: NDArray[np.float64]) -> float:
    x, y = (points - points[0]).T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
