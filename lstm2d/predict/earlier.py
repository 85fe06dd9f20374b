"""The results of earlier predictions in an output folder, and how they were made."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePath

from lstm2d.errors import DataError
from lstm2d.io.atomic import write_text
from lstm2d.io.class_files import own_class_files
from lstm2d.io.parse import BadText, parse_json
from lstm2d.io.safe_open import read_existing
from lstm2d.predict.csv_text import csv_name
from lstm2d.predict.manifest_file import FILES, Row, Table, read_table
from lstm2d.predict.result_names import EVERY_MODEL, KINDS, result_names

EARLIER = "earlier"  # instead of a fingerprint: the file is a result of another prediction


class Earlier:
    """Records of earlier predictions: which files are results, and how they were made.

    Parameters
    ----------
    out : str or path
        The output folder; it need not exist.

    Attributes
    ----------
    damaged : bool
        Whether a record in the folder is damaged.
    unreadable : list of DataError
        Why records could not be read.

    Notes
    -----
    A result is a file that a ``predictions*.csv`` lists, of the output folder or of a folder above or below
    it, or a file that a killed prediction started to write.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self.folder = Path(out)
        self.unreadable: list[DataError] = []
        tables = self._tables(self.folder)
        self.damaged = any(table.damaged for table in tables)
        self._names = {Path(os.path.realpath(self.folder)): _listed(self.folder, tables)}
        self._rows: dict[str, list[Row]] = defaultdict(list)
        for table in tables:
            for row in table.rows:
                self._rows[csv_name(row["labels"])].append(row)

    def rows(self, labels: PurePath) -> list[Row]:
        """Return the rows about a label image in the records of the output folder, the latest last."""
        return self._rows.get(str(labels), [])

    def owns(self, name: str | PurePath) -> bool:
        """Return whether a file is a result.

        Parameters
        ----------
        name : str or PurePath
            The file, relative to the output folder.

        Returns
        -------
        bool
            False for every file that is not in a record.
        """
        path = self.folder / name
        path = Path(os.path.realpath(path.parent)) / path.name
        for folder in path.parents:
            if folder not in self._names:
                self._names[folder] = _listed(folder, self._tables(folder))
            if str(path.relative_to(folder)) in self._names[folder]:
                return True
        return False

    def _tables(self, folder: Path) -> list[Table]:
        """Read the records in a folder, shards first: a run over all images may be later.

        One that cannot be read lists nothing; that is an error only if it is written, or if it is needed.
        """
        tables = []
        for name in _entries(folder):
            if name.startswith("predictions") and name.endswith(".csv"):
                try:
                    tables.append(read_table(folder / name))
                except DataError as error:
                    self.unreadable.append(error)
        return tables


def begin(manifest: Path, names: Iterable[PurePath]) -> None:
    """Note the files a prediction will write, in case it is killed before it records them.

    Parameters
    ----------
    manifest : Path
        The record of the prediction.
    names : iterable of PurePath
        The results, relative to its folder.

    Raises
    ------
    OutputError
        If the note cannot be written.
    """
    write_text(_note(manifest), json.dumps([*sorted(_begun(manifest)), *map(str, names)]))


def end(manifest: Path) -> None:
    """Delete the note of `begin`: all is recorded."""
    with suppress(OSError):
        _note(manifest).unlink()


def _note(manifest: Path) -> Path:
    return manifest.with_name(f".{manifest.name}.begun")


def _begun(manifest: Path) -> set[str]:
    with suppress(DataError, BadText):
        names = parse_json(read_existing(_note(manifest)) or b"null")
        return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
    return set()


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _listed(folder: Path, tables: Iterable[Table]) -> set[str]:
    """Return the results that the records in a folder list, relative to it."""
    names = set(own_class_files(folder))
    for table in tables:
        for row in table.rows:
            results = _results(row["labels"])
            names |= {str(results[kind]) for kind in _written(row) if kind in results}
        for fragment in table.fragments:
            names |= set(map(str, _results(fragment).values()))
    for name in _entries(folder):
        if name.startswith(".predictions") and name.endswith(".csv.begun"):
            names |= _begun(folder / name[1 : -len(".begun")])
    return names


def _results(cell: str) -> dict[str, PurePath]:
    """Return the names of the results of a row; none if a damaged row names no file."""
    labels = PurePath(csv_name(cell))
    return result_names(labels) if labels.name else {}


def _written(row: Row) -> Sequence[str]:
    """Return the kinds of results of a row; older versions did not record them, so theirs are assumed."""
    recorded = [kind for kind in KINDS if row.get(FILES[kind])]
    return recorded if recorded or row["error"] else EVERY_MODEL
