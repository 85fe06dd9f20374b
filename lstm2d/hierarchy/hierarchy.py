"""A label hierarchy: classes and the subclasses into which the common ones are divided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Method: TypeAlias = Literal["sn", "lc", "ic"]
Setting: TypeAlias = str | int | float | bool | tuple[int, ...] | None

METHODS: dict[Method, str] = {
    "sn": "scene names",
    "lc": "clusters of label maps",
    "ic": "clusters of whole images",
}


@dataclass(frozen=True)
class Subclass:
    """One subclass.

    Parameters
    ----------
    name : str
        For example "sky / coast" or "sky 2"; that of a rare class is the name of the class.
    class_number : int
        Its class, 0 to K - 1.
    samples : int
        Number of superpixels from which it was built; 0 for a class that does not occur.
    centre : tuple of float, optional
        Method lc: centre of the cluster, a label histogram of K values; empty for rare classes and other
        methods.
    group : int, optional
        Methods sn and ic: number of the scene or image cluster; None for rare classes and method lc.
    """

    name: str
    class_number: int
    samples: int
    centre: tuple[float, ...] = ()
    group: int | None = None


@dataclass(frozen=True)
class Hierarchy:
    """Classes and their subclasses.

    Parameters
    ----------
    method : {"sn", "lc", "ic"}
        How the common classes were divided: by scene names, by clusters of label maps around each pixel, or
        by clusters of whole images.
    dataset : str
        Name of the dataset.
    classes : tuple of str
        Names of the K classes.
    common : tuple of int
        Numbers of the common classes, sorted; the others are rare and have one subclass each.
    subclasses : tuple of Subclass
        The n subclasses, sorted by class; each class has at least one. A common class with one subclass could
        not be divided: that subclass has no centre and no group.
    window : int, optional
        Method lc: side of the square window around a pixel whose labels are counted, odd; None for the whole
        image.
    images : mapping of str to int
        Methods sn and ic: group of each training image, by stem; else empty.
    groups : tuple of str
        Methods sn and ic: names of the scenes or image clusters, by number; else empty.
    settings : mapping of str to JSON value
        What built it: split, rho, factors, seed and so on.
    """

    method: Method
    dataset: str
    classes: tuple[str, ...]
    common: tuple[int, ...]
    subclasses: tuple[Subclass, ...]
    window: int | None = None
    images: Mapping[str, int] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of subclasses."""
        return len(self.subclasses)

    @cached_property
    def samples(self) -> tuple[int, ...]:
        """Number of samples of each class: K values."""
        return tuple(
            sum(one.samples for one in self.subclasses if one.class_number == number)
            for number in range(len(self.classes))
        )

    @cached_property
    def parents(self) -> NDArray[np.int64]:
        """Class of each subclass, shape (n,)."""
        return np.array([s.class_number for s in self.subclasses], np.int64)

    @cached_property
    def membership(self) -> NDArray[np.int64]:
        """1 where a subclass belongs to a class, else 0: shape (K, n)."""
        return np.equal(self.parents, np.arange(len(self.classes))[:, None]).astype(np.int64)
