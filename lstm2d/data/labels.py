"""Convert mask values and colours to class numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.colors import ColorTable
from lstm2d.data.description import Description
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.masks import GRAY_AS_COLOURS, Mask, colours_error
from lstm2d.io.samples import first_pixel

BY_COLOUR = "the mask is read by colour"


class LabelReader:
    """Convert masks to labels, by number or by colour.

    Parameters
    ----------
    description : Description
        Classes and mask encoding.
    """

    def __init__(self, description: Description) -> None:
        self._description = description
        self._labels = description.label_of_value()
        self._colors = ColorTable(description.label_of_color())

    def labels_of(self, mask: Mask, path: Path) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
        """Return the labels of a mask.

        Parameters
        ----------
        mask : Mask
            Contents of the mask file.
        path : Path
            The file, for messages.

        Returns
        -------
        labels : array of shape (H, W), uint8
            Class numbers; 255 where ignored.
        notes : tuple of str
            How the mask was read, if not simply by number.

        Raises
        ------
        DataError
            If a value or colour is undefined, or the mask is ambiguous.
        """
        by_number = None if mask.numbers is None else self._labels[mask.numbers]
        by_color = None
        if mask.colors is not None and self._colors.labels:
            by_color = self._colors.labels_of(mask.colors)
        if by_color is not None and by_color.min() >= 0:
            if by_number is None or by_number.min() < 0:
                return by_color.astype(np.uint8), (BY_COLOUR,)
            if (by_color != by_number).any():
                raise _two_readings(path, by_color != by_number, mask)
        if by_number is not None:
            if by_number.min() < 0:
                raise self._unknown_value(path, mask, by_number < 0)
            return by_number.astype(np.uint8), () if mask.colors is None else (GRAY_AS_COLOURS,)
        if by_color is None:
            raise colours_error(path)
        raise self._unknown_color(path, mask, by_color < 0)

    def _unknown_value(self, path: Path, mask: Mask, wrong: NDArray[np.bool_]) -> DataError:
        assert mask.numbers is not None
        row, column = first_pixel(wrong)
        values, n_classes = np.flatnonzero(self._labels >= 0).tolist(), len(self._description.classes)
        if values == [*range(n_classes), self._description.ignore]:
            expected = f"0 to {n_classes - 1}, or {values[-1]} to ignore"
        else:
            expected = "one of " + ", ".join(map(str, values))
        value = mask.numbers[row, column]
        return DataError(
            f"mask value {value} at row {row}, column {column} ({int(wrong.sum())} such pixels)",
            where=path,
            expected=expected,
            hint="correct the mask, or define the value in dataset.toml",
        ).at(row, column)

    def _unknown_color(self, path: Path, mask: Mask, wrong: NDArray[np.bool_]) -> DataError:
        assert mask.colors is not None
        row, column = first_pixel(wrong)
        color = tuple(mask.colors[row, column].tolist())
        names = [f"{color} {self._name(label)}" for color, label in list(self._colors.labels.items())[:8]]
        more = ", ..." if len(self._colors.labels) > len(names) else ""
        count = int(wrong.sum())
        return DataError(
            f"mask colour {color} at row {row}, column {column} ({count} pixels have no class's colour)",
            where=path,
            expected=", ".join(names) + more,
            hint="correct the mask, or add the colour to dataset.toml (color of a class, or ignore_color)",
        ).at(row, column)

    def _name(self, label: int) -> str:
        return "ignored" if label == IGNORE else self._description.classes[label].name


def _two_readings(path: Path, differing: NDArray[np.bool_], mask: Mask) -> DataError:
    assert mask.numbers is not None
    row, column = first_pixel(differing)
    value = int(mask.numbers[row, column])
    return DataError(
        f"the mask is ambiguous: {value} at row {row}, column {column} is a class number, and "
        f"{(value,) * 3} is the colour of another class",
        where=path,
        hint="save masks of class numbers with one channel; otherwise give the class another color",
    ).at(row, column)
