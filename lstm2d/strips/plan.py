"""What is computed and stored in which pass of a network through an image; see `lstm2d.strips.run`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import DTypeLike

from lstm2d.strips.graph import Step, not_streamed
from lstm2d.strips.local import CHEAP, LOCAL
from lstm2d.strips.scans import is_scan

Stored = tuple[int, bool]  # a map by its step, or one half of that of a scan


class Plan:
    """What is computed and stored in which pass.

    Parameters
    ----------
    steps : list of Step
        From `lstm2d.strips.graph.steps_of`.
    dtype : dtype, default float32
        Data type of the maps.

    Attributes
    ----------
    passes : int
        Number of passes.
    level : list of int
        The pass in which each map is complete.
    stored : dict from (int, bool) to int
        The maps, or if True the halves of the maps, that are kept on the disk: the pass that reads them last.

    Raises
    ------
    ConfigError
        If a step needs all of its input at once.
    """

    def __init__(self, steps: Sequence[Step], dtype: DTypeLike = np.float32) -> None:
        self.steps, self.dtype = steps, np.dtype(dtype)
        self.level: list[int] = []
        for step in steps:
            if step.op != "image" and step.op not in LOCAL and not is_scan(step):
                raise not_streamed(f"`{step.op}` needs the whole image at once")
            before = max((self.level[n] for n in step.inputs.values()), default=0)
            self.level.append(before + is_scan(step))
        self.passes = self.level[-1] + 1
        self.stored: dict[Stored, int] = {}
        for number, step in enumerate(steps):
            for n in step.inputs.values():
                self._use(n, self.level[number])
            if is_scan(step):
                self.stored[number, True] = self.level[number]

    def up(self, turn: int) -> bool:
        """Return whether a pass goes through the image from its last row to the first."""
        return (self.passes - 1 - turn) % 2 == 1

    def recomputed(self, number: int) -> bool:
        """Return whether a map is computed again from the image instead of stored."""
        step = self.steps[number]
        return step.op in CHEAP and all(self.recomputed(n) for n in step.inputs.values())

    def _use(self, number: int, turn: int) -> None:
        if self.level[number] < turn and not self.recomputed(number):
            self.stored[number, False] = max(turn, self.stored.get((number, False), 0))

    def shape(self, stored: Stored) -> tuple[int, int, int]:
        """Return rows, columns and channels of what is stored."""
        rows, columns, channels = self.steps[stored[0]].shape
        return rows, columns, channels // 2 if stored[1] else channels

    def written(self, stored: Stored) -> int:
        """Return the pass that writes it."""
        return self.level[stored[0]] - stored[1]

    def disk_bytes(self) -> int:
        """Return the most bytes that are stored at a time."""
        return max(
            sum(
                self.dtype.itemsize * prod(self.shape(key))
                for key, last in self.stored.items()
                if self.written(key) <= turn <= last
            )
            for turn in range(self.passes)
        )
