"""[map] of dataset.toml: classes of arbitrary mask values."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VOID = "ignore"
OTHERS = "others"
IGNORE = 255  # label of ignored pixels in memory, whatever value the masks use


@dataclass(frozen=True)
class ValueMap:
    """Classes of mask values.

    Parameters
    ----------
    labels : tuple of (int, int)
        Mask value and class number, or 255 for ignored pixels; sorted.
    others : int or None
        Label of all values not in `labels`; None if these are an error.
    """

    labels: tuple[tuple[int, int], ...]
    others: int | None = None

    def table(self) -> NDArray[np.int16]:
        """Return the label of each mask value, -1 for undefined values; shape (256,)."""
        table = np.full(256, -1 if self.others is None else self.others, dtype=np.int16)
        for value, label in self.labels:
            table[value] = label
        return table

    def lines(self, names: Sequence[str]) -> list[str]:
        """Return the table as lines of dataset.toml.

        Parameters
        ----------
        names : sequence of str
            Names of the classes, quoted for TOML.

        Returns
        -------
        list of str
            Lines, starting with the table's header.
        """

        def name(label: int) -> str:
            if label < len(names):
                return names[label]
            return str(IGNORE) if f'"{VOID}"' in names else f'"{VOID}"'

        others = [] if self.others is None else [f"{OTHERS} = {name(self.others)}  # values not listed here"]
        return ["[map]  # mask value = class", *others, *(f"{v} = {name(label)}" for v, label in self.labels)]


def read_map(table: Any, names: Sequence[str], problems: list[str]) -> ValueMap:
    """Check the values of a table [map].

    Parameters
    ----------
    table : object
        Parsed TOML: mask values as keys; class names, class numbers or "ignore" as values.
    names : sequence of str
        Names of the classes.
    problems : list of str
        Problems found are appended.

    Returns
    -------
    ValueMap
        The valid part of the table.
    """
    if not isinstance(table, dict):
        problems.append("map: a table [map] is expected")
        return ValueMap(())
    labels: dict[int, int] = {}
    others = None
    for key, value in table.items():
        label = _label(value, names)
        if label is None:
            near = difflib.get_close_matches(str(value), names, 1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            problems.append(f"map: {key} = {value!r}: a class or {VOID!r} is expected{hint}")
        elif key == OTHERS:
            others = label
        elif not (key.isascii() and key.isdecimal() and int(key) <= 255):
            problems.append(f"map: {key!r}: a mask value from 0 to 255 is expected, or {OTHERS!r}")
        elif int(key) in labels:
            problems.append(f"map: {int(key)} appears twice")
        else:
            labels[int(key)] = label
    return ValueMap(tuple(sorted(labels.items())), others)


def _label(value: object, names: Sequence[str]) -> int | None:
    """Return the class number, 255 for ignored values, None if `value` is not valid."""
    if isinstance(value, str):
        return list(names).index(value) if value in names else IGNORE if value == VOID else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < len(names) or value == IGNORE else None
