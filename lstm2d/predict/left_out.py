"""Files among the images that are not labelled, counted per kind."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lstm2d.errors import DataError
from lstm2d.io.decoding import format_of
from lstm2d.io.image_kinds import HEAD_BYTES, ImageKind, has_ending, is_doubtful, kind_not_read
from lstm2d.io.safe_open import open_regular

BROKEN_LINK = ImageKind("broken link", "restore what it points to, or delete it")
SPECIAL = ImageKind("special file", "FIFOs, sockets and devices are not read")
NO_ENDING = ImageKind(
    "image without an ending",
    "give the file itself as an input, or add .jpg or .png to its name",
    many="images without an ending",
)
IN_OUTPUT = ImageKind(
    "image in the output folder",
    "choose an output folder that is not among the images",
    many="images in the output folder",
)


@dataclass(slots=True)
class LeftOut:
    """Files that were not labelled, by kind.

    Parameters
    ----------
    files : dict of ImageKind to list of Path
        The files of each kind, in the order in which they were found.
    unread : dict of Path to DataError
        Folders that cannot be listed, and links that cannot be followed: what is in them counts as failed.
    """

    files: dict[ImageKind, list[Path]] = field(default_factory=dict)
    unread: dict[Path, DataError] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def add(self, path: Path, kind: ImageKind) -> None:
        """Count a file, once even if it is found repeatedly."""
        name = os.path.join(os.path.realpath(path.parent), path.name)
        if name not in self._seen:
            self._seen.add(name)
            self.files.setdefault(kind, []).append(path)

    def lines(self) -> list[str]:
        """Return one line per kind."""
        lines = []
        for kind, paths in self.files.items():
            one = len(paths) == 1
            what = f"1 {kind.name} was" if one else f"{len(paths)} {kind.many or kind.name + 's'} were"
            example = str(paths[0]) if one else f"{paths[0]}, ..."
            lines.append(f"{what} not labelled ({example}): {kind.advice}")
        return lines

    def as_json(self) -> list[dict[str, Any]]:
        """Return kind, number of files, first file and advice per kind, as JSON values."""
        return [
            {"kind": kind.name, "files": len(paths), "first": str(paths[0]), "advice": kind.advice}
            for kind, paths in self.files.items()
        ]


def reason_to_leave_out(path: Path) -> ImageKind | None:
    """Return the kind of a file without the ending of a supported image format.

    Parameters
    ----------
    path : Path
        The file, found in a folder.

    Returns
    -------
    ImageKind or None
        None for files that are not images, such as text, programs or videos.
    """
    if not os.path.isfile(path):  # unlike the method of Path, it never raises
        if os.path.exists(path):
            return SPECIAL
        return BROKEN_LINK if os.path.islink(path) else None  # else it vanished after it was listed
    if has_ending(path.name):
        return kind_not_read(path)
    try:
        with open_regular(path) as file:
            head = file.read(HEAD_BYTES)
    except (DataError, OSError):
        return None
    if format_of(head) is not None and not is_doubtful(head):
        return NO_ENDING
    return kind_not_read(path, head)
