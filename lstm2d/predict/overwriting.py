"""Check that only results are overwritten; files are compared by identity, not by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError, DataError
from lstm2d.io.masks import read_mask_palette
from lstm2d.predict.earlier import Earlier
from lstm2d.predict.left_out import IN_OUTPUT, LeftOut

_OTHER_FOLDER = "choose another output folder"
Identity = tuple[int, int]


def refuse_output_among_inputs(sources: Sequence[Path], results: Iterable[PurePath], out: Path) -> None:
    """Check that results replace no input image and are not written to a folder of input images.

    Otherwise the next prediction would label results as photographs.

    Parameters
    ----------
    sources : sequence of Path
        The images that are read.
    results : iterable of PurePath
        All files that may be written, relative to the output folder.
    out : Path
        The output folder.

    Raises
    ------
    ConfigError
        If a result and an image, or two results, are the same file or folder. Links are followed; hard links
        and file systems that ignore case are detected.
    """
    folders = {source.parent for source in sources}
    folders |= {Path(os.path.realpath(source)).parent for source in sources if os.path.islink(source)}
    paths: dict[Path, Path] = {}  # real path of a result, and its name
    parents: dict[Path, Path] = {}
    for name in results:
        path = out / name
        if path.parent not in parents:
            parents[path.parent] = Path(os.path.realpath(path.parent))
        real = parents[path.parent] / path.name
        if paths.setdefault(real, path) != path:
            what = f"two results would be one file through a link in the output folder ({paths[real]})"
            raise ConfigError(what, where=path, hint=_OTHER_FOLDER)
    read = {os.path.realpath(folder) for folder in folders} | _identities(folders)
    for folder, real_folder in parents.items():
        if str(real_folder) in read or _identity(folder) in read:
            raise ConfigError("the results would lie among the images", where=folder, hint=_OTHER_FOLDER)
    images = _identities(sources)
    for path in paths.values():
        if _identity(path) in images:
            raise ConfigError(
                "a result would replace an input image (both are the same file)",
                where=path,
                hint=_OTHER_FOLDER,
            )


def refuse_foreign_files(
    results: Mapping[PurePath, PurePath], earlier: Earlier, palette: NDArray[np.uint8]
) -> None:
    """Check that only results are replaced.

    Parameters
    ----------
    results : mapping of PurePath to PurePath
        Each file to be written, and the label image that it belongs to; relative to the output folder.
    earlier : Earlier
        Records of earlier predictions.
    palette : array of shape (K, 3), uint8
        Colours of the classes, by which label images are recognised if a record is damaged.

    Raises
    ------
    ConfigError
        If a file exists that no prediction has written.
    DataError
        If that is not known, as a record cannot be read.
    """
    foreign = [name for name in results if _is_there(earlier.folder / name) and not earlier.owns(name)]
    if earlier.damaged:
        foreign = [name for name in foreign if not _has_palette(earlier.folder / results[name], palette)]
    if foreign and earlier.unreadable:  # it may list these files
        raise earlier.unreadable[0]
    if foreign:
        what = "a file that is not a result of lstm2d would be replaced"
        if len(foreign) > 1:
            what = f"{len(foreign)} files that are not results of lstm2d would be replaced, the first of them"
        raise ConfigError(
            what,
            where=earlier.folder / foreign[0],
            expected="files listed in predictions.csv, or none",
            hint="choose another output folder, or replace them with `overwrite=True`",
        )


def refuse_images_in_output(left_out: LeftOut) -> None:
    """Check that an output folder inside an input folder holds only results.

    Parameters
    ----------
    left_out : LeftOut
        From `lstm2d.predict.inputs.plan`.

    Raises
    ------
    ConfigError
        If it holds other images: they would not be labelled.
    """
    found = left_out.files.get(IN_OUTPUT)
    if found:
        raise ConfigError(
            f"the output folder lies among the images, and holds images that are not results ({len(found)})",
            where=found[0],
            hint="choose another output folder; with `overwrite=True` these images are not labelled",
        )


def _has_palette(path: Path, palette: NDArray[np.uint8]) -> bool:
    try:
        found = read_mask_palette(path)
    except DataError:
        return False
    return found is not None and np.array_equal(found[: len(palette)], palette)


def _is_there(path: Path) -> bool:
    """Return whether writing would replace a file or link."""
    return os.path.islink(path) or os.path.isfile(path)


def _identities(paths: Iterable[Path]) -> set[Identity | str]:
    return {found for found in map(_identity, paths) if found is not None}


def _identity(path: Path) -> Identity | None:
    """Return the identity of a file or folder, following links; None if it does not exist."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino)
