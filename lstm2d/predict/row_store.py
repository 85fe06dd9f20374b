"""Rows of a manifest in memory, compressed: a prediction may label any number of images."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator

from lstm2d.predict.manifest_file import Row

BLOCK = 100  # rows that are compressed together


class RowStore:
    """Rows by their label image; a later row replaces an earlier one.

    Parameters
    ----------
    rows : iterable of mapping
        The first rows, each with the column "labels".
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._labels: set[str] = set()
        self._blocks: list[bytes] = []
        self._last: list[Row] = []
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> bool:
        """Add a row.

        Parameters
        ----------
        row : mapping
            Column to text.

        Returns
        -------
        bool
            Whether it replaces one.
        """
        replaces = row["labels"] in self._labels
        self._labels.add(row["labels"])
        self._last.append(row)
        if len(self._last) == BLOCK:
            self._blocks.append(zlib.compress(json.dumps([dict(row) for row in self._last]).encode()))
            self._last = []
        return replaces

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows that no later one replaces, oldest first."""
        latest: dict[str, Row] = {}
        for row in self._all():
            latest.pop(row["labels"], None)
            latest[row["labels"]] = row
        return iter(latest.values())

    def _all(self) -> Iterator[Row]:
        for block in self._blocks:
            yield from json.loads(zlib.decompress(block))
        yield from self._last
