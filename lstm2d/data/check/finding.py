"""What a check of a dataset finds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding.

    Parameters
    ----------
    title : str
        Heading.
    advice : str
        What it means or what to do, one or two sentences.
    fault : bool, default True
        Whether the dataset is wrong: training or evaluation stops, reads something else than was meant, or
        measures on what was trained on. Other findings are notes.
    stops : bool, default False
        Whether a command that uses the file reports the same as an error.
    """

    title: str
    advice: str
    fault: bool = True
    stops: bool = False


KINDS: Mapping[str, Kind] = {  # in the order of reports
    "dataset": Kind(
        "Description or folders that are not valid",
        "Nothing else can be relied on before this is corrected.",
        stops=True,
    ),
    "empty-file": Kind("Empty files", "The file has no bytes: copy it again.", stops=True),
    "broken-link": Kind("Broken links", "Correct the link, or delete it.", stops=True),
    "unreadable-image": Kind(
        "Images that cannot be read", "Damaged or truncated: copy or export them again.", stops=True
    ),
    "unreadable-mask": Kind(
        "Masks that cannot be read", "Damaged or truncated: copy or export them again.", stops=True
    ),
    "mask-size": Kind(
        "Masks of another size than their image", "Save each mask at the size of its image.", stops=True
    ),
    "mask-value": Kind(
        "Masks with undefined values",
        "Correct the pixels, or define the value in dataset.toml.",
        stops=True,
    ),
    "mask-colour": Kind(
        "Masks with undefined colours",
        "Correct the pixels, or add the colour to dataset.toml (color of a class, or ignore_color).",
        stops=True,
    ),
    "jpeg-mask": Kind(
        "Masks in a format that changes class numbers",
        "JPEG blurs numbers and colours, GIF renumbers them: export the masks again as PNG.",
        stops=True,
    ),
    "missing-mask": Kind(
        "Images without mask", "Add the mask, or list only images that have one in splits/.", stops=True
    ),
    "same-stem": Kind("Files of the same stem", "Rename or remove one of them.", stops=True),
    "letter-case": Kind(
        "Names that differ only in capital letters",
        "Linux takes them for different files, Windows and macOS for the same: use the same letters.",
    ),
    "split-entry": Kind(
        "Lines of splits that name no image", "Add the image, or correct or delete the line.", stops=True
    ),
    "empty-split": Kind("Empty splits", "List images in it, or delete the file.", stops=True),
    "shared-image": Kind(
        "Images in several splits", "What was trained on measures nothing: remove it from one of the splits."
    ),
    "equal-across-splits": Kind(
        "Equal images in different splits",
        "Their pixels are equal, so the evaluation measures on training images: remove one of the two, or "
        "move it to the split of the other.",
    ),
    "equal-images": Kind("Equal images", "Their pixels are equal; they count twice.", fault=False),
    "nearly-equal-images": Kind(
        "Nearly equal images",
        "The same picture, perhaps compressed or resized: it should not be in two splits.",
        fault=False,
    ),
    "missing-image": Kind("Masks without image", "They are not used.", fault=False),
    "unlabelled-image": Kind("Images without mask, in no split", "They are not used.", fault=False),
    "not-read": Kind(
        "Files of kinds that are not read", "They are not used; convert them if they should be.", fault=False
    ),
    "exif-rotation": Kind(
        "Images turned by EXIF",
        "Images are turned as EXIF states. Look whether the mask shows the turned image.",
        fault=False,
    ),
    "one-colour": Kind("Images of one colour", "Black or empty: is this the right file?", fault=False),
    "ignored-mask": Kind("Masks without any label", "All pixels are ignored.", fault=False),
    "one-class-mask": Kind(
        "Masks of one class",
        "Every pixel has the same label: was the image really labelled?",
        fault=False,
    ),
    "tiny-image": Kind("Tiny images", "Networks see little in them.", fault=False),
    "unusual-size": Kind(
        "Images of an unusual size",
        "More than 4 times larger or smaller than the others: networks learn one scale.",
        fault=False,
    ),
    "unused-class": Kind("Classes that never occur", "No mask has a pixel of them.", fault=False),
    "class-in-one-split": Kind(
        "Classes that are not in all splits",
        "A class that is not in the training split cannot be learned; one only there is not measured.",
        fault=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong or unusual.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    file : str
        The file: relative to the dataset's folder, absolute if it lies outside.
    message : str
        What was found, without the name of the file.
    place : mapping of str to int, optional
        Where in the file: "row" and "column" of a pixel, or the "line" of a text file.
    others : tuple of str, optional
        Other files that it is about, such as the equal image.
    """

    kind: str
    file: str
    message: str
    place: Mapping[str, int] | None = None
    others: tuple[str, ...] = ()

    @property
    def fault(self) -> bool:
        """Whether the dataset is wrong."""
        return KINDS[self.kind].fault

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON types; keys without a value are left out."""
        found = {"kind": self.kind, "fault": self.fault, "file": self.file, "message": self.message}
        if self.place is not None:
            found["place"] = dict(self.place)
        if self.others:
            found["others"] = list(self.others)
        return found


@dataclass(frozen=True)
class Report:
    """The findings of a check.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    name : str
        Name of the dataset.
    images : int
        Number of images checked.
    findings : tuple of Finding
        All findings, in the order of `KINDS`, then of files.
    quick : bool, default False
        Whether only headers and the first masks were read.
    files : tuple of Path, optional
        All images and masks.
    """

    root: Path
    name: str
    images: int
    findings: tuple[Finding, ...] = ()
    quick: bool = False
    files: tuple[Path, ...] = field(default=(), repr=False)

    @property
    def kinds(self) -> dict[str, int]:
        """Number of findings of each kind that was found."""
        counts = Counter(one.kind for one in self.findings)
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    @property
    def faults(self) -> int:
        """Number of findings that are faults."""
        return sum(one.fault for one in self.findings)

    def of_kind(self, kind: str) -> list[Finding]:
        """Return the findings of one kind."""
        return [one for one in self.findings if one.kind == kind]

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return {
            "data": str(self.root),
            "images": self.images,
            "quick": self.quick,
            "faults": self.faults,
            "notes": len(self.findings) - self.faults,
            "kinds": self.kinds,
            "findings": [one.as_json() for one in self.findings],
        }


def shown(path: Path, root: Path) -> str:
    """Return the name of a file in a report: relative to the dataset's folder if it lies inside."""
    try:
        name = path.relative_to(root)
    except ValueError:
        return os.path.abspath(path)
    return name.as_posix() if ".." not in name.parts else os.path.abspath(path)


def ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return findings in the order of a report."""
    numbers = {kind: number for number, kind in enumerate(KINDS)}

    def key(one: Finding) -> tuple[int, str, tuple[int, ...]]:
        return numbers[one.kind], one.file, tuple((one.place or {}).values())

    return tuple(sorted(findings, key=key))
