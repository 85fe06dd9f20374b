"""Dense subclass labels of label maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.hierarchy.hierarchy import Hierarchy
from lstm2d.kernels.label_windows import nearest_centres

IGNORED = -1  # label of pixels that have no class
VALUES = 256  # of labels

Labels = NDArray[np.uint8]
Pixels = slice | NDArray[np.integer]
Place = tuple[Pixels, ...]  # rows and columns
EVERYWHERE: Place = (slice(None), slice(None))


def subclass_labels(
    hierarchy: Hierarchy, labels: Labels, stem: str, *, ignore: int = 255
) -> NDArray[np.int32]:
    """Return the subclass of every pixel.

    Parameters
    ----------
    hierarchy : Hierarchy
        The subclasses.
    labels : ndarray of shape (H, W), uint8
        Class numbers of an image, of its mirror image or of another size of it.
    stem : str
        The image; methods sn and ic look its group up.
    ignore : int, default 255
        Label of pixels without a class.

    Returns
    -------
    ndarray of shape (H, W), int32
        Numbers of subclasses; `IGNORED` for pixels without a class.

    Raises
    ------
    DataError
        If the hierarchy has no group for the image.
    """
    return SubclassLabels(hierarchy, ignore)(labels, stem)


class SubclassLabels:
    """Find the subclass of each pixel of a label map [1]_.

    A class with one subclass always has that one. Methods sn and ic: the subclass of the image's group.
    Method lc: the one whose centre is nearest to the histogram of the labels in the window around the pixel,
    divided by its Euclidean norm; the window is cut at the border, and pixels without a class do not count.

    Parameters
    ----------
    hierarchy : Hierarchy
        The subclasses.
    ignore : int, default 255
        Label of pixels without a class.

    References
    ----------
    .. [1] Z. Wang, H. Li, W. Ouyang, X. Wang, "Learning Deep Representations for Scene Labeling with Semantic
       Context Guided Supervision", 2017, section 3.1.
    """

    def __init__(self, hierarchy: Hierarchy, ignore: int = 255) -> None:
        self.hierarchy, self.ignore = hierarchy, ignore
        self.numbers = [np.flatnonzero(hierarchy.parents == k) for k in range(len(hierarchy.classes))]
        divided = hierarchy.method == "lc"
        self.clustered = [divided and len(numbers) > 1 for numbers in self.numbers]
        self.centres = {
            k: np.array([hierarchy.subclasses[number].centre for number in self.numbers[k]], np.float64)
            for k, clustered in enumerate(self.clustered)
            if clustered
        }
        self.tables: dict[int | None, NDArray[np.int32]] = {}  # by group: the subclass of each label

    def __call__(self, labels: Labels, stem: str, place: Place = EVERYWHERE) -> NDArray[np.int32]:
        """Return the subclasses of some pixels of an image.

        Parameters
        ----------
        labels : ndarray of shape (H, W), uint8
            Class numbers of the whole image: windows reach beyond the pixels that are asked for.
        stem : str
            The image.
        place : tuple of two slices or two ndarrays of int
            Rows and columns of the pixels, all by default; arrays as `numpy.ix_` returns them. Numbers may
            repeat, in any order.

        Returns
        -------
        ndarray of shape (R, C), int32
            Numbers of subclasses; `IGNORED` for pixels without a class.

        Raises
        ------
        DataError
            If the hierarchy has no group for the image.
        """
        chosen = [
            np.arange(side)[pixels].ravel().astype(np.int64, copy=False)
            for side, pixels in zip(labels.shape, place, strict=True)
        ]
        found = self._table(self._group(stem))[labels[np.ix_(*chosen)]]
        if self.centres:
            nearest = self._nearest(labels, *chosen)
            np.copyto(found, nearest, where=nearest >= 0)
        return found

    def _group(self, stem: str) -> int | None:
        hierarchy = self.hierarchy
        if hierarchy.method == "lc":
            return None
        if stem not in hierarchy.images:
            raise DataError("the label hierarchy has no group for this image", where=stem)
        return hierarchy.images[stem]

    def _table(self, group: int | None) -> NDArray[np.int32]:
        """Return the subclass of each label; where that of the group is missing, the class's largest one."""
        if group not in self.tables:
            table = np.full(VALUES, IGNORED, np.int32)
            for k, numbers in enumerate(self.numbers):
                several = [self.hierarchy.subclasses[number] for number in numbers]
                own = [n for n, one in zip(numbers, several, strict=True) if one.group == group]
                largest = numbers[int(np.argmax([one.samples for one in several]))]
                table[k] = own[0] if own and group is not None else largest
            table[self.ignore] = IGNORED
            self.tables[group] = table
        return self.tables[group]

    def _nearest(
        self, labels: Labels, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Return the nearest subclass of each pixel whose class is clustered, -1 for others."""
        present = [k for k in np.unique(labels).tolist() if k < len(self.numbers) and k != self.ignore]
        bins = np.full(VALUES, -1, np.int16)
        bins[present] = np.arange(len(present))
        centres = [self.centres.get(k, np.empty((0, len(self.numbers)))) for k in present]
        stacked = np.concatenate([*centres, np.empty((0, len(self.numbers)))])
        numbers = [self.numbers[k] for k in present if self.clustered[k]]
        window = self.hierarchy.window
        half = max(labels.shape) if window is None else window // 2
        nearest = nearest_centres(
            bins[labels],
            rows,
            columns,
            half,
            np.ascontiguousarray(stacked[:, present]),
            (stacked**2).sum(axis=1),
            np.cumsum([0, *map(len, centres)]),
        )
        lookup = np.concatenate([*numbers, [-1]]).astype(np.int32)  # -1, no centre, is the last one
        return lookup[nearest]
