"""Rows of a manifest in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lstm2d.predict.manifest_file import Row
from lstm2d.predict.packed import Packed


class RowStore:
    """Rows by their label image, in little memory; a later row replaces an earlier one.

    Parameters
    ----------
    rows : iterable of mapping
        The first rows, each with the column "labels".
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._labels: set[str] = set()
        self._rows = Packed()
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
        self._rows.append(dict(row))
        return replaces

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows that no later one replaces, oldest first."""
        latest: dict[str, Row] = {}
        for row in self._rows:
            latest.pop(row["labels"], None)
            latest[row["labels"]] = row
        return iter(latest.values())
