"""Read run folders."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path

from lstm2d.errors import DataError
from lstm2d.io.model_file import ModelFile, read_header
from lstm2d.io.safe_open import read_text
from lstm2d.predict.zoo import MODEL_IN_RUN

Row = dict[str, float | None]


@dataclass(frozen=True)
class RunSummary:
    """The contents of a run folder.

    Parameters
    ----------
    path : Path
        The folder.
    model : ModelFile
        Header of the best model, without parameters.
    parameters : int
        Trained values.
    config : str
        Text of config.toml; empty if there is none.
    results : list of dict
        results.csv, one row per epoch.
    """

    path: Path
    model: ModelFile
    parameters: int
    config: str
    results: list[Row]

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def seconds(self) -> float | None:
        """Seconds of training up to the last row of results."""
        return self.results[-1].get("seconds") if self.results else None


def read_run(path: str | os.PathLike[str]) -> RunSummary:
    """Read a run folder.

    Parameters
    ----------
    path : str or path
        The run folder.

    Returns
    -------
    RunSummary
        Its contents.

    Raises
    ------
    DataError
        If there is no model in it, or a file is damaged.
    """
    root = Path(path)
    if not os.path.isfile(root / MODEL_IN_RUN):
        raise DataError("no trained model in this folder", where=root, expected="a run folder")
    header = read_header(root / MODEL_IN_RUN)
    config = root / "config.toml"
    try:
        text = read_text(config) if os.path.exists(config) else ""
    except DataError as error:
        raise DataError(f"cannot read the run's configuration ({error.what})", where=config) from error
    return RunSummary(root, header.model, header.parameters, text, read_results(root / "results.csv"))


def read_results(path: str | os.PathLike[str]) -> list[Row]:
    """Read the rows of results.csv.

    Parameters
    ----------
    path : str or path
        The file; a missing file has no rows.

    Returns
    -------
    list of dict
        Column to number; None if the cell is empty.

    Raises
    ------
    DataError
        If it cannot be read or a cell is no number.
    """
    if not os.path.exists(path):
        return []
    try:
        rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
        return [{name: float(cell) if cell else None for name, cell in row.items()} for row in rows]
    except (ValueError, TypeError, csv.Error) as error:
        raise DataError(f"cannot read the results of a run ({error})", where=path) from error
