"""The kinds of sources that can be imported."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import cast

from lstm2d.data.importers.source import Options, Source
from lstm2d.errors import ConfigError, DataError

AUTO = "auto"
_ANY_KIND = ("resize_masks",)  # options of the writer


@dataclass(frozen=True)
class Kind:
    """An importer.

    Parameters
    ----------
    name : str
        Name of the kind.
    expects : str
        What its folders hold, in at most 60 characters.
    module : str
        Module of `lstm2d.data.importers.kinds` with the functions `recognise` and `open_source`.
    takes : tuple of str
        Names of the `Options` that have an effect, besides `resize_masks`. Others are refused.
    general : bool, default False
        Whether it fits many folders, and is taken only if no other kind fits.
    """

    name: str
    expects: str
    module: str
    takes: tuple[str, ...] = ()
    general: bool = False

    def recognise(self, src: Path) -> str | None:
        """Return why a folder or file is of this kind.

        Parameters
        ----------
        src : Path
            The folder or file.

        Returns
        -------
        str or None
            The reason in one line; None if it is not of this kind.
        """
        return cast(Callable[[Path], str | None], self._function("recognise"))(src)

    def open_source(self, src: Path, options: Options) -> Source:
        """List what there is to import.

        Parameters
        ----------
        src : Path
            The folder or file.
        options : Options
            Options of the import.

        Returns
        -------
        Source
            Images, labels and classes.

        Raises
        ------
        ConfigError
            If an option has no effect on this kind.
        DataError
            If the source is not found, not of this kind, or damaged.
        """
        self._check(options)
        _check_exists(src)
        return cast(Callable[[Path, Options], Source], self._function("open_source"))(src, options)

    def command(self, src: Path) -> str:
        """Return the command that imports a source."""
        return f"lstm2d data import {self.name} {shlex.quote(str(src))} -o DIR"

    def _check(self, options: Options) -> None:
        for option in fields(options):
            given = getattr(options, option.name) != option.default
            if given and option.name not in (*self.takes, *_ANY_KIND):
                others = ", ".join(kind.name for kind in KINDS if option.name in kind.takes)
                what = f"`{option.name}` has no effect on the kind {self.name}"
                raise ConfigError(what, hint=f"leave it out; it is for {others}")

    def _function(self, name: str) -> object:
        return getattr(import_module(f"lstm2d.data.importers.kinds.{self.module}"), name)


# in the order in which they are asked and listed
KINDS = (
    Kind("stanford", "iccv09Data/ with images/ and labels/*.regions.txt", "stanford"),
    Kind("sift-flow", "Images/, SemanticLabels/ with .mat or text, TestSet1.txt", "sift_flow"),
    Kind("camvid", "701_StillsRaw_full/, LabeledApproved_full/", "camvid", ("colors", "jpeg_masks")),
    Kind("segnet", "train/, trainannot/, val/, ... and train.txt with pairs", "segnet"),
    Kind("voc", "JPEGImages/, SegmentationClass/, ImageSets/Segmentation/", "voc"),
    Kind("cvat", "labelmap.txt, SegmentationClass/, or annotations.xml", "cvat", ("uncovered",)),
    Kind("labelme", "STEM.json beside the images, labels.txt", "labelme", ("uncovered",)),
    Kind("coco", "annotations/ with instances, stuff or panoptic JSON", "coco", ("uncovered",)),
    Kind("yolo", "data.yaml, images/, labels/*.txt with polygons", "yolo", ("uncovered",)),
    Kind("cityscapes", "leftImg8bit/, gtFine/", "cityscapes"),
    Kind("weizmann", "horse/ and mask/ with horse001, ...", "weizmann", ("threshold", "jpeg_masks")),
    Kind(
        "pairs",
        "folders of images and masks, in any common naming",
        "pairs",
        ("threshold", "colors", "jpeg_masks"),
        general=True,
    ),
)


def kind_named(name: str) -> Kind:
    """Return a kind by its name.

    Parameters
    ----------
    name : str
        Name of the kind.

    Returns
    -------
    Kind
        The kind.

    Raises
    ------
    ConfigError
        If there is no such kind.
    """
    names = [kind.name for kind in KINDS]
    if name not in names:
        close = get_close_matches(name, [AUTO, *names], n=1)
        hint = f"did you mean {close[0]}?" if close else None
        raise ConfigError("no such kind", where=name, expected=", ".join([AUTO, *names]), hint=hint)
    return KINDS[names.index(name)]


def recognised(src: Path) -> list[tuple[Kind, str]]:
    """List the kinds that fit a folder or file.

    Parameters
    ----------
    src : Path
        The folder or file.

    Returns
    -------
    list of (Kind, str)
        Each with the reason. General kinds are listed only if no other fits.
    """
    found: list[tuple[Kind, str]] = []
    for general in (False, True):
        for kind in KINDS:
            if kind.general == general and not (general and found):
                reason = kind.recognise(src)
                if reason is not None:
                    found.append((kind, reason))
    return found


def choose_kind(src: Path) -> tuple[Kind, str]:
    """Return the only kind that fits a folder or file.

    Parameters
    ----------
    src : Path
        The folder or file.

    Returns
    -------
    kind : Kind
        The kind.
    reason : str
        Why it fits.

    Raises
    ------
    DataError
        If the source is not found, or if no kind or several kinds fit.
    """
    _check_exists(src)
    found = recognised(src)
    if len(found) == 1:
        return found[0]
    if not found:
        width = max(len(kind.name) for kind in KINDS)
        rows = "".join(f"\n    {kind.name:{width}}  {kind.expects}" for kind in KINDS)
        hint = f"name the kind: lstm2d data import KIND {shlex.quote(str(src))} -o DIR"
        raise DataError("no kind fits", where=src, expected=f"one of these kinds{rows}", hint=hint)
    rows = "".join(f"\n    {kind.name}: {reason}" for kind, reason in found)
    commands = "".join(f"\n    {kind.command(src)}" for kind, _ in found)
    raise DataError(
        f"{len(found)} kinds fit", where=src, expected=f"one of them{rows}", hint=f"name the kind{commands}"
    )


def import_command(src: Path) -> str | None:
    """Return the command that would import a folder.

    Parameters
    ----------
    src : Path
        The folder.

    Returns
    -------
    str or None
        The command with the recognised kind; None unless exactly one kind fits.
    """
    found = recognised(src)
    return found[0][0].command(src) if len(found) == 1 else None


def _check_exists(src: Path) -> None:
    if not os.path.exists(src):
        raise DataError("file or folder not found", where=src, expected="a folder of images and masks")
