"""Find images that can be skipped because their results are up to date."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lstm2d.predict.csv_text import csv_name, csv_text
from lstm2d.predict.fingerprint import Fingerprint
from lstm2d.predict.inputs import Task
from lstm2d.predict.manifest_file import FILES, IMAGE_FILE, Row
from lstm2d.predict.result_names import LABELS
from lstm2d.predict.settings_text import changed_keys

NO_DIGESTS = "labelled by an older version, which has not recorded how"
FAILED = "failed before"
OTHER_MODEL = "another model"
OTHER_IMAGE = "another photograph"
MISSING = "label file missing"
CHANGED = "label file changed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Model, settings and result kinds of a prediction.

    Parameters
    ----------
    model : str
        Digest of the model, as recorded.
    settings : str
        Settings that labels depend on, from `settings_text`.
    kinds : sequence of str
        Results to write, of `lstm2d.predict.result_names.KINDS`.
    """

    model: str
    settings: str
    kinds: Sequence[str]


def compare(task: Task, rows: Sequence[Row], folder: Path, wanted: Wanted) -> tuple[Row | None, str]:
    """Find a record that shows that an image is done.

    Parameters
    ----------
    task : Task
        The image and its results.
    rows : sequence of mapping
        Records of its label image, the latest last.
    folder : Path
        The output folder.
    wanted : Wanted
        This prediction.

    Returns
    -------
    row : mapping or None
        The record, updated; None if the image must be labelled.
    reason : str
        Why it must be labelled; "" for an image without a record.
    """
    reason = ""
    for row in reversed(rows):
        difference = _difference(task, row, folder, wanted)
        if not difference:
            return _renewed(task, row, folder), ""
        reason = reason or difference
        if _matches(row, FILES[LABELS], folder / task.labels):
            return None, difference  # the row of the existing label image; older rows are obsolete
    return None, reason


def _difference(task: Task, row: Row, folder: Path, wanted: Wanted) -> str:
    """Return how a record differs from this prediction, "" if it does not; cheap comparisons first."""
    if row["error"]:
        return FAILED
    if not row.get("model"):
        return NO_DIGESTS
    if row["model"] != wanted.model:
        return OTHER_MODEL
    changed = changed_keys(csv_name(row["settings"]), wanted.settings)
    if changed:
        return f"other settings ({', '.join(changed)})"
    if not _matches(row, IMAGE_FILE, task.source):
        return OTHER_IMAGE
    for kind in wanted.kinds:
        path = folder / task.results[kind]
        if not _matches(row, FILES[kind], path):
            if kind == LABELS:
                return CHANGED if os.path.isfile(path) else MISSING
            return f"{kind} missing or changed"
    return ""


def _matches(row: Row, column: str, path: Path) -> bool:
    known = Fingerprint.parse(row.get(column, ""))
    return known is not None and known.refreshed(path) is not None


def _renewed(task: Task, row: Row, folder: Path) -> Row:
    """Update the file times in a record, so that the next comparison is cheap."""
    paths = {IMAGE_FILE: task.source} | {FILES[kind]: folder / name for kind, name in task.results.items()}
    fresh = {}
    for column, path in paths.items():
        known = Fingerprint.parse(row.get(column, ""))
        now = None if known is None else known.refreshed(path)
        if now is not None:
            fresh[column] = str(now)
    return {**row, "image": csv_text(str(task.source)), **fresh}
