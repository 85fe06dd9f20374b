"""The report on the check of a dataset: an HTML page with thumbnails, and the findings as JSON."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.check import KINDS, Finding, Report
from lstm2d.data.description import Description
from lstm2d.data.index import outline, places_of
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.decoding import decode
from lstm2d.io.gallery import encode_png
from lstm2d.io.images import IMAGE_SUFFIXES
from lstm2d.io.photo import Reading
from lstm2d.io.samples import to_photo
from lstm2d.report.html import Picture, Section, Table, render
from lstm2d.report.result_folder import CHECK, ResultFolder

REPORT, FINDINGS = "report.html", "findings.json"
PICTURES = 12  # thumbnails of a kind of finding; all findings are listed
THUMB = (150, 200)  # largest height and width of a thumbnail, pixels
GAP, ARM = 6, 7  # pixels: between two pictures, from the middle of a cross to its ends
WRONG = (255, 0, 200)  # colour of undefined values, and of the cross at the first


def write_check(report: Report, out: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write the report on a check.

    Parameters
    ----------
    report : Report
        The findings.
    out : str or path
        The folder: report.html, which needs no other file, and findings.json, the object of
        ``lstm2d data check --json``. Those of an earlier check are replaced.
    overwrite : bool, default False
        Use a folder with other files, and replace files of these names; never an input file.

    Raises
    ------
    ConfigError
        If the folder holds files of others, or is one of the images or masks.
    OutputError
        If a file cannot be written.
    """
    names = [PurePath(REPORT), PurePath(FINDINGS)]
    with ResultFolder(out, names, data=report.files, models=[], overwrite=overwrite, kind=CHECK) as folder:
        page = render(*_page(report))
        folder.write(names[0], page.encode("utf-8", "surrogateescape"))
        folder.write(names[1], (json.dumps(report.as_json(), indent=2) + "\n").encode())


def _page(report: Report) -> tuple[str, str, list[Section]]:
    """Return title, introduction and sections of the page."""
    notes = len(report.findings) - report.faults
    intro = (
        f"{report.images} images of {report.name} ({report.root}): {report.faults} faults, {notes} notes.\n"
        "Faults stop a run, or make it learn or measure something else than was meant. Notes are unusual, "
        "and may be right."
    )
    if report.quick:
        intro += "\nOnly headers and the first masks were read, and images were not compared."
    rows = [
        (KINDS[kind].title, "fault" if KINDS[kind].fault else "note", str(count))
        for kind, count in report.kinds.items()
    ]
    overview = Section(
        "Findings", "" if rows else "None.", (Table(("kind", "", "number"), rows),) if rows else ()
    )
    thumbs = _Thumbs(report.root)
    return (
        f"Check of {report.name}",
        intro,
        [overview, *(_section(kind, report.of_kind(kind), thumbs) for kind in report.kinds)],
    )


def _section(kind: str, findings: list[Finding], thumbs: _Thumbs) -> Section:
    cards = []
    for one in findings[:PICTURES]:
        cards.append(Picture(f"{one.file}{_line(one)}", thumbs.of(one), one.message))
    details = []
    if len(findings) > PICTURES:
        lines = [f"{one.file}{_line(one)}: {one.message}" for one in findings]
        details.append((f"All {len(findings)}", "\n".join(lines)))
    return Section(KINDS[kind].title, KINDS[kind].advice, cards=cards, details=details)


def _line(finding: Finding) -> str:
    line = (finding.place or {}).get("line")
    return "" if line is None else f", line {line}"


class _Thumbs:
    """Draws small pictures of the files of findings, as far as they can be read.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._masks: set[Path] = set()
        self._colors = np.tile(np.arange(256, dtype=np.uint8)[:, None], 3)  # gray levels
        with suppress(DataError):  # reported as a finding
            description = outline(root)
            self._masks = {place.masks for place in places_of(root, description)}
            if description.classes:
                self._colors = _colors_of(description)

    def of(self, finding: Finding) -> bytes:
        """Return the file, and one that it is compared with, side by side; empty if none can be read."""
        place = finding.place or {}
        pixel = (place["row"], place["column"]) if "row" in place else None
        drawn = [self._drawn(finding.file, pixel)]
        if len(finding.others) == 1:
            drawn.append(self._drawn(finding.others[0], None))
        pictures = [one for one in drawn if one is not None]
        if not pictures:
            return b""
        height = max(one.shape[0] for one in pictures)
        cells = [
            np.pad(one, ((0, height - one.shape[0]), (0, GAP), (0, 0)), constant_values=255)
            for one in pictures
        ]
        return encode_png(np.concatenate(cells, axis=1)[:, :-GAP], colours=256)

    def _drawn(self, file: str, pixel: tuple[int, int] | None) -> NDArray[np.uint8] | None:
        path = self.root / file
        if not os.path.isfile(path) or not file.lower().endswith(IMAGE_SUFFIXES):
            return None
        try:
            return _small(self._pixels(path), pixel, smooth=path.parent not in self._masks)
        except DataError:
            return None

    def _pixels(self, path: Path) -> NDArray[np.uint8]:
        """Return a photograph, or a mask in the colours of its palette or its classes."""
        samples = decode(path).samples
        plain = samples.palette is None and samples.values.ndim == 2 and samples.values.dtype == np.uint8
        if plain and path.parent in self._masks:
            colored: NDArray[np.uint8] = self._colors[samples.values]
            return colored
        return np.rint(to_photo(samples, Reading(), path).pixels).clip(0, 255).astype(np.uint8)


def _colors_of(description: Description) -> NDArray[np.uint8]:
    """Return the colour of each mask value: that of its class, black if ignored, `WRONG` if undefined."""
    colors = np.array([WRONG, *(info.color for info in description.classes)], np.uint8)
    labels = description.label_of_value()
    table: NDArray[np.uint8] = colors[np.where(labels == IGNORE, -1, labels) + 1]
    table[labels == IGNORE] = 0
    return table


def _small(pixels: NDArray[np.uint8], pixel: tuple[int, int] | None, *, smooth: bool) -> NDArray[np.uint8]:
    """Return a picture at the size of a thumbnail, with a cross at a pixel."""
    from PIL import Image

    rows, columns = pixels.shape[:2]
    scale = min(THUMB[0] / rows, THUMB[1] / columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    way = Image.Resampling.BOX if smooth and scale < 1 else Image.Resampling.NEAREST
    small = np.array(Image.fromarray(pixels).resize(size, way))
    if pixel is not None:
        row, column = int((pixel[0] + 0.5) * scale), int((pixel[1] + 0.5) * scale)
        for offset in range(-ARM, ARM + 1):
            for r, c in ((row + offset, column + offset), (row + offset, column - offset)):
                if 0 <= r < small.shape[0] and 0 <= c < small.shape[1]:
                    small[r, c] = WRONG
    return small
