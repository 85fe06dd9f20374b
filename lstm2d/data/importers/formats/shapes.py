"""Draw the regions of annotations as labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.importers.formats.polygons import Part
from lstm2d.data.mapping import IGNORE
from lstm2d.io.classes import ClassInfo, default_color

BACKGROUND = "background"
_BACKGROUNDS = (BACKGROUND, "_background_")  # names of the class in files, in any case


class Region(Protocol):
    """A part of an image."""

    @property
    def area(self) -> float:
        """Area in pixels."""

    def windows(self, size: tuple[int, int]) -> Iterator[Part]:
        """Yield the pixels of the region, for an image of `size` rows and columns."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A region and what it shows.

    Parameters
    ----------
    name : str
        Name of the class; "" for pixels to ignore.
    region : Region
        The pixels.
    """

    name: str
    region: Region


@dataclass(frozen=True)
class Classes:
    """The classes of annotations, and the label of pixels outside of all regions.

    Parameters
    ----------
    infos : tuple of ClassInfo
        The classes.
    rest : int
        Label of the pixels outside of all regions: a class, or 255 if they are ignored.
    """

    infos: tuple[ClassInfo, ...]
    rest: int

    @property
    def names(self) -> list[str]:
        """Names of the classes."""
        return [info.name for info in self.infos]

    def said(self, regions: str) -> str:
        """Return a line that says what pixels outside of all regions become.

        Parameters
        ----------
        regions : str
            What the regions are, in the singular, such as "a polygon".

        Returns
        -------
        str
            The line, with the option that changes it.
        """
        if self.rest == IGNORE:
            return f"pixels outside of {regions} are ignored; with `uncovered='background'` they are a class"
        name = self.infos[self.rest].name
        return f"pixels outside of {regions} are class {name!r}; with `uncovered='ignore'` they are ignored"


def background_of(names: Sequence[str]) -> int | None:
    """Return which class is the background.

    Parameters
    ----------
    names : sequence of str
        Names of the classes.

    Returns
    -------
    int or None
        Number of the class named "background" or "_background_", in any case; None if there is none.
    """
    return next((k for k, name in enumerate(names) if name.lower() in _BACKGROUNDS), None)


def classes_of(
    names: Sequence[str],
    uncovered: str,
    *,
    background: str = BACKGROUND,
    colors: Sequence[tuple[int, int, int]] | None = None,
) -> Classes:
    """Return the classes of a list of names, with one for the background if it is asked for.

    Parameters
    ----------
    names : sequence of str
        The names, all different.
    uncovered : str
        "background" if pixels outside of all regions are a class, "ignore" if they are not.
    background : str
        Name of that class, if no name in `names` is "background" or "_background_". It comes first.
    colors : sequence of tuple of int, optional
        A colour for each name; default colours if there are none, or if two are equal.

    Returns
    -------
    Classes
        The classes.
    """
    known = background_of(names)
    given: Sequence[tuple[int, int, int] | None] = colors or [None] * len(names)
    pairs = list(zip(names, given, strict=True))
    if uncovered == "background" and known is None:
        pairs.insert(0, (background, (0, 0, 0)))
        known = 0
    distinct = colors is not None and len({color for _, color in pairs}) == len(pairs)
    infos = tuple(
        ClassInfo(name, color if distinct and color is not None else default_color(k))
        for k, (name, color) in enumerate(pairs)
    )
    return Classes(infos, known if uncovered == "background" and known is not None else IGNORE)


def draw(size: tuple[int, int], shapes: Sequence[Shape], classes: Classes) -> NDArray[np.uint8]:
    """Draw shapes, the later ones above the earlier ones.

    Parameters
    ----------
    size : tuple of int
        Rows and columns of the image.
    shapes : sequence of Shape
        The regions and their classes.
    classes : Classes
        The classes, with all names of the shapes.

    Returns
    -------
    array of shape (H, W), uint8
        Class numbers, 255 where ignored.
    """
    labels = np.full(size, classes.rest, dtype=np.uint8)
    number = {info.name: k for k, info in enumerate(classes.infos)} | {"": IGNORE}
    for shape in shapes:
        for window, inside in shape.region.windows(size):
            labels[window][inside] = number[shape.name]
    return labels


def small_on_top(shapes: Sequence[Shape]) -> list[Shape]:
    """Return shapes in the order of drawing: small ones cover large ones, equal ones keep their order."""
    return sorted(shapes, key=lambda shape: -shape.region.area)
