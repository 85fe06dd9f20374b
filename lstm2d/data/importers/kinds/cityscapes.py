"""Kind `cityscapes`: Cityscapes (Cordts et al., 2016)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lstm2d.data.importers.files import Folder, folders_below, subfolder_named
from lstm2d.data.importers.formats.mask_readers import number_reader
from lstm2d.data.importers.formats.split_lists import SPLITS
from lstm2d.data.importers.source import Item, Options, Source
from lstm2d.data.layout import some
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.classes import ClassInfo

KIND = "cityscapes"
# number in *_labelIds.png, name and colour of the 19 classes that are trained; from labels.py of the authors
_TRAINED = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
CLASSES = tuple(ClassInfo(name, color) for _, name, color in _TRAINED)
LAST_ID = 33

_IMAGE = "_leftImg8bit"
_IDS, _TRAIN_IDS = "_gtFine_labelIds", "_gtFine_labelTrainIds"


def recognise(src: Path) -> str | None:
    """Return which folders of Cityscapes there are.

    Parameters
    ----------
    src : Path
        A folder.

    Returns
    -------
    str or None
        None unless leftImg8bit/ and gtFine/ are there.
    """
    found = all(subfolder_named(src, name) is not None for name in ("leftImg8bit", "gtFine"))
    return "leftImg8bit/ and gtFine/" if found else None


def open_source(src: Path, options: Options) -> Source:
    """List the images of all cities.

    Parameters
    ----------
    src : Path
        A folder.
    options : Options
        Not used.

    Returns
    -------
    Source
        Images with the 19 classes that are trained, their splits, and cities as scenes. Masks are
        *_gtFine_labelTrainIds.png, or where there is none *_gtFine_labelIds.png; other numbers are ignored.

    Raises
    ------
    DataError
        If a folder is missing.
    """
    folders = [subfolder_named(src, name) for name in ("leftImg8bit", "gtFine")]
    if folders[0] is None or folders[1] is None:
        raise DataError("not Cityscapes", where=src, expected="leftImg8bit/ and gtFine/")
    masks = {f.stem: f for folder in folders_below(folders[1]) for f in folder.files if f.suffix == ".png"}
    by_id, by_train_id = number_reader(_labels_of_ids()), number_reader(_labels_of_train_ids())
    items: list[Item] = []
    missing: list[str] = []
    train_ids = 0
    for folder in folders_below(folders[0]):
        split, city = _place(folder)
        for image in folder.files:
            stem = image.stem.removesuffix(_IMAGE)
            if mask := masks.get(f"{stem}{_TRAIN_IDS}"):
                train_ids += 1
                items.append(Item(stem, image, partial(by_train_id, mask), split, city))
            elif mask := masks.get(f"{stem}{_IDS}"):
                items.append(Item(stem, image, partial(by_id, mask), split, city))
            else:
                missing.append(image.name)
    found = [f"masks: {len(items) - train_ids} *{_IDS}.png, {train_ids} *{_TRAIN_IDS}.png"]
    found.append(f"classes: the {len(CLASSES)} that are trained; all others are ignored")
    left_out = (f"images without a mask: {len(missing)} ({some(missing)})",) if missing else ()
    return Source(KIND, "Cityscapes", CLASSES, tuple(items), tuple(found), left_out)


def _place(folder: Folder) -> tuple[str, str]:
    """Return split and city of a folder such as train/aachen."""
    split = folder.parts[0] if folder.parts and folder.parts[0] in SPLITS else ""
    return split, folder.parts[-1] if len(folder.parts) > 1 else ""


def _labels_of_ids() -> list[int]:
    values = [IGNORE] * (LAST_ID + 1) + [-1] * (255 - LAST_ID)
    for label, (number, _, _) in enumerate(_TRAINED):
        values[number] = label
    values[IGNORE] = IGNORE  # -1, the number of licence plates, as a byte
    return values


def _labels_of_train_ids() -> list[int]:
    values = [k if k < len(CLASSES) else -1 for k in range(256)]
    values[IGNORE] = IGNORE
    return values
