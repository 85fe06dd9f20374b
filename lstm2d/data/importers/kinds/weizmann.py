"""Kind `weizmann`: photographs of horses with gray masks (Borenstein and Ullman, 2002)."""

from __future__ import annotations

import re
from pathlib import Path

from lstm2d.data.importers.decide import decide_two
from lstm2d.data.importers.folder_pairs import find_pairs
from lstm2d.data.importers.formats.mask_contents import read_contents
from lstm2d.data.importers.kinds.pairs import pairs_of, source_of
from lstm2d.data.importers.source import Options, Source
from lstm2d.errors import DataError

KIND = "weizmann"
_HORSE = re.compile(r"horse[\W_]*\d+", re.IGNORECASE)


def recognise(src: Path) -> str | None:
    """Return which folders hold horses and their masks.

    Parameters
    ----------
    src : Path
        A folder, for example with horse/ and mask/, or rgb/ and figure_ground/.

    Returns
    -------
    str or None
        None unless all images are named horse001 and so on.
    """
    try:
        found = find_pairs(src)
    except DataError:
        return None
    if found is None or not all(_HORSE.fullmatch(pair.image.stem) for pair in found.pairs):
        return None
    return f"images named {found.pairs[0].image.stem}, ...; {found.reason}"


def open_source(src: Path, options: Options) -> Source:
    """List the horses.

    Parameters
    ----------
    src : Path
        A folder.
    options : Options
        Options of the import; gray masks are horse from `threshold` up, by default 128.

    Returns
    -------
    Source
        Images with the classes background and horse.

    Raises
    ------
    DataError
        If there are no pairs, files cannot be read, or the masks cannot be read without further options.
    """
    found = pairs_of(src)
    contents = read_contents([(pair.image, pair.mask) for pair in found.pairs])
    return source_of(KIND, src, found, decide_two(src, contents, options, ("background", "horse")))
