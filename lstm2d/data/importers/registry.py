"""The kinds of sources that can be imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from lstm2d.data.importers.source import Options, Source


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
        Module of `lstm2d.data.importers` with the two functions.
    general : bool, default False
        Whether it fits many folders and is taken only if no other kind fits.
    """

    name: str
    expects: str
    module: str
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
        DataError
            If it is not of this kind, or damaged.
        """
        return cast(Callable[[Path, Options], Source], self._function("open_source"))(src, options)

    def _function(self, name: str) -> object:
        return getattr(import_module(f"lstm2d.data.importers.{self.module}"), name)


# In the order in which they are asked and listed. A row may be added by one line.
KINDS = (
    Kind("camvid", "701_StillsRaw_full/, LabeledApproved_full/, label_colors.txt", "camvid"),
    Kind("segnet", "train/, trainannot/, val/, ... and train.txt with path pairs", "segnet"),
    Kind("voc", "JPEGImages/, SegmentationClass/, ImageSets/Segmentation/", "voc"),
    Kind("cityscapes", "leftImg8bit/, gtFine/", "cityscapes"),
    Kind("weizmann", "photos and gray masks of horses, such as horse/ and mask/", "weizmann"),
    Kind("pairs", "two folders of images and masks, in any common naming", "pairs", general=True),
)
