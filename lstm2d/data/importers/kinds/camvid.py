"""Kind `camvid`: CamVid with masks of colours (Brostow, Fauqueur and Cipolla, 2009)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lstm2d.data.importers.files import image_files, subfolder_named
from lstm2d.data.importers.formats.color_file import VOID_NAMES, ColorFile, find_color_file, read_color_file
from lstm2d.data.importers.formats.mask_readers import color_reader
from lstm2d.data.importers.formats.split_lists import find_splits
from lstm2d.data.importers.source import Item, Options, Source
from lstm2d.data.layout import some
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import DataError
from lstm2d.io.classes import ClassInfo

KIND = "camvid"
# label_colors.txt of the authors
_COLORS = (
    ("Animal", (64, 128, 64)),
    ("Archway", (192, 0, 128)),
    ("Bicyclist", (0, 128, 192)),
    ("Bridge", (0, 128, 64)),
    ("Building", (128, 0, 0)),
    ("Car", (64, 0, 128)),
    ("CartLuggagePram", (64, 0, 192)),
    ("Child", (192, 128, 64)),
    ("Column_Pole", (192, 192, 128)),
    ("Fence", (64, 64, 128)),
    ("LaneMkgsDriv", (128, 0, 192)),
    ("LaneMkgsNonDriv", (192, 0, 64)),
    ("Misc_Text", (128, 128, 64)),
    ("MotorcycleScooter", (192, 0, 192)),
    ("OtherMoving", (128, 64, 64)),
    ("ParkingBlock", (64, 192, 128)),
    ("Pedestrian", (64, 64, 0)),
    ("Road", (128, 64, 128)),
    ("RoadShoulder", (128, 128, 192)),
    ("Sidewalk", (0, 0, 192)),
    ("SignSymbol", (192, 128, 128)),
    ("Sky", (128, 128, 128)),
    ("SUVPickupTruck", (64, 128, 192)),
    ("TrafficCone", (0, 0, 64)),
    ("TrafficLight", (0, 64, 64)),
    ("Train", (192, 64, 128)),
    ("Tree", (128, 128, 0)),
    ("Truck_Bus", (192, 128, 192)),
    ("Tunnel", (64, 0, 64)),
    ("VegetationMisc", (192, 192, 0)),
    ("Void", (0, 0, 0)),
    ("Wall", (64, 192, 0)),
)
CLASSES = tuple(ClassInfo(name, color) for name, color in _COLORS if name.lower() not in VOID_NAMES)

_IMAGES, _MASKS = "701_StillsRaw_full", "LabeledApproved_full"
_END = "_L"  # of the names of masks


def recognise(src: Path) -> str | None:
    """Return which folders of CamVid there are.

    Parameters
    ----------
    src : Path
        A folder.

    Returns
    -------
    str or None
        None unless the folders of photographs and of labels are there.
    """
    found = all(subfolder_named(src, name) is not None for name in (_IMAGES, _MASKS))
    return f"{_IMAGES}/ and {_MASKS}/" if found else None


def open_source(src: Path, options: Options) -> Source:
    """List the photographs.

    Parameters
    ----------
    src : Path
        A folder.
    options : Options
        Options of the import. `colors` replaces label_colors.txt of the folder, which replaces the published
        colours.

    Returns
    -------
    Source
        Images with the classes of the colours; pixels of the colour Void are ignored. Splits come from lists
        such as train.txt if there are any.

    Raises
    ------
    DataError
        If a folder is missing or the file of colours is not valid.
    """
    folders = [subfolder_named(src, name) for name in (_IMAGES, _MASKS)]
    if folders[0] is None or folders[1] is None:
        raise DataError("not CamVid", where=src, expected=f"{_IMAGES}/ and {_MASKS}/")
    table = _table(src, options)
    read = color_reader(table.colors, table.classes, nearest=options.jpeg_masks)
    images = image_files(folders[0])
    masks = {stem.removesuffix(_END): path for stem, path in image_files(folders[1]).items()}
    both = [stem for stem in images if stem in masks]
    lists = find_splits(src, [images[stem] for stem in both])
    splits = lists.splits if lists else [""] * len(both)
    items = tuple(
        Item(stem, images[stem], partial(read, masks[stem]), split)
        for stem, split in zip(both, splits, strict=True)
    )
    origin = "the published colours" if not table.path.name else table.path.name
    ignored = sum(label == IGNORE for _, label in table.colors)
    line = f"classes: {len(table.classes)} colours of {origin}; {ignored} more ignored (Void)"
    found = (f"{len(both)} images with masks NAME{_END}.png", line, *(lists.notes if lists else ()))
    left_out = [
        f"{text}: {len(names)} ({some(names)})"
        for names, text in (
            ([images[s].name for s in images if s not in masks], "images without a mask"),
            ([masks[s].name for s in masks if s not in images], "masks without an image"),
        )
        if names
    ]
    return Source(KIND, "CamVid", table.classes, items, found, tuple(left_out))


def _table(src: Path, options: Options) -> ColorFile:
    path = options.colors or find_color_file(src)
    if path is not None:
        table = read_color_file(path)
        if not table.colors:
            raise DataError(
                "this file has no colours", where=path, expected="a line 64 128 64 Animal per class"
            )
        return table
    labels = {info.name: k for k, info in enumerate(CLASSES)}
    colors = tuple((color, labels.get(name, IGNORE)) for name, color in _COLORS)
    return ColorFile(Path(), CLASSES, colors, ())
