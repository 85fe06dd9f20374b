"""A list of JSON values in little memory: a prediction may label any number of images."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

BLOCK = 200  # values that are compressed together


class Packed:
    """A list that is only appended to and iterated over; most of it is compressed."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._last: list[Any] = []

    def append(self, value: Any) -> None:
        """Append a JSON value."""
        self._last.append(value)
        if len(self._last) == BLOCK:
            self._blocks.append(zlib.compress(json.dumps(self._last).encode()))
            self._last = []

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the values, or over equal ones."""
        for block in self._blocks:
            yield from json.loads(zlib.decompress(block))
        yield from self._last
