"""[map] of dataset.toml: masks whose values are not the numbers of the classes, or more of them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VOID = "ignore"
OTHERS = "others"
IGNORE = 255  # the label of ignored pixels in memory, whatever the masks use for them


@dataclass(frozen=True)
class ValueMap:
    """What mask values mean.

    Parameters
    ----------
    labels : tuple of (int, int)
        Mask value and class number, or 255 for pixels that nothing counts; sorted.
    others : int or None
        The same for all values that `labels` lacks; None where they are an error.
    """

    labels: tuple[tuple[int, int], ...]
    others: int | None = None

    def table(self) -> NDArray[np.int16]:
        """Return the label of each mask value, -1 for one that means nothing; shape (256,)."""
        table = np.full(256, -1 if self.others is None else self.others, dtype=np.int16)
        for value, label in self.labels:
            table[value] = label
        return table

    def lines(self, names: Sequence[str]) -> list[str]:
        """Return the lines of dataset.toml that say this.

        Parameters
        ----------
        names : sequence of str
            Names of the classes, as TOML writes them.

        Returns
        -------
        list of str
            The table's header first.
        """

        def said(label: int) -> str:
            if label < len(names):
                return names[label]
            return str(IGNORE) if f'"{VOID}"' in names else f'"{VOID}"'

        others = [] if self.others is None else [f"{OTHERS} = {said(self.others)}  # values not listed here"]
        return ["[map]  # mask value = class", *others, *(f"{v} = {said(label)}" for v, label in self.labels)]


def read_map(table: Any, names: Sequence[str], problems: list[str]) -> ValueMap:
    """Check the values of a table [map].

    Parameters
    ----------
    table : object
        As TOML gives it: mask values as keys; names of classes, their numbers or "ignore" as values.
    names : sequence of str
        Names of the classes.
    problems : list of str
        Gets what is wrong.

    Returns
    -------
    ValueMap
        What it says, as far as it can be read.
    """
    if not isinstance(table, dict):
        problems.append("map: a table [map] is expected")
        return ValueMap(())
    labels: dict[int, int] = {}
    others = None
    for key, meant in table.items():
        label = _label(meant, names)
        if label is None:
            near = difflib.get_close_matches(str(meant), names, 1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            problems.append(f"map: {key} = {meant!r}: a class or {VOID!r} is expected{hint}")
        elif key == OTHERS:
            others = label
        elif not (key.isascii() and key.isdecimal() and int(key) <= 255):
            problems.append(f"map: {key!r}: a mask value from 0 to 255 is expected, or {OTHERS!r}")
        elif int(key) in labels:
            problems.append(f"map: {int(key)} is there twice")
        else:
            labels[int(key)] = label
    return ValueMap(tuple(sorted(labels.items())), others)


def _label(meant: object, names: Sequence[str]) -> int | None:
    """Return the class number, 255 for what is ignored, None for what is neither."""
    if isinstance(meant, str):
        return list(names).index(meant) if meant in names else IGNORE if meant == VOID else None
    if isinstance(meant, bool) or not isinstance(meant, int):
        return None
    return meant if 0 <= meant < len(names) or meant == IGNORE else None
