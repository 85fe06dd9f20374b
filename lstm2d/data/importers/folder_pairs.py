"""Find folders of images and folders of their masks, in any common naming."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product
from pathlib import Path

from lstm2d.data.importers.files import Folder, folders_below
from lstm2d.data.importers.formats.few_values import have_few_values
from lstm2d.data.importers.pairing import Group, Pairing, ends_as_mask, pair_names
from lstm2d.data.layout import some
from lstm2d.errors import DataError
from lstm2d.io.masks import MASK_SUFFIXES

# words in the names of folders, in lower case; those for images in the order of preference
_MASK_WORDS = frozenset({
    "mask", "masks", "label", "labels", "labeled", "labelled", "annotation", "annotations", "annot", "annots",
    "ann", "anns", "gt", "gts", "groundtruth", "truth", "seg", "segs", "segmentation", "segmentations",
    "segmentationclass", "segmentationclassaug", "trimap", "trimaps", "target", "targets", "ground", "manual",
    "labeledapproved", "segmaps", "segmap",
})  # fmt: skip
_IMAGE_WORDS = (
    "images", "image", "imgs", "img", "jpegimages", "photos", "photo", "pictures", "rgb", "jpg", "jpeg",
    "inputs", "input", "originals", "original", "frames", "gray",
)  # fmt: skip
# pictures made from the masks, masks of single objects, and other measurements
_OTHER_WORDS = frozenset({
    "segmentationobject", "instance", "instances", "overlay", "overlays", "preview", "previews", "vis",
    "visualization", "depth", "disparity", "thumbnails",
})  # fmt: skip
_SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
_SPLIT = re.compile(rf"({'|'.join(sorted(_SPLITS, key=len, reverse=True))})?(.*?)\d*")

_Place = tuple[str, tuple[str, ...]]  # the split, and the parts of a path that say neither split nor role
_Family = tuple[str, ...]


@dataclass(frozen=True)
class FilePair:
    """An image and its mask.

    Parameters
    ----------
    image, mask : Path
        The two files.
    parts : tuple of str
        Path of the image's folder below the source.
    split : str
        The split that the names of the folders state; "" if none.
    """

    image: Path
    mask: Path
    parts: tuple[str, ...]
    split: str


@dataclass(frozen=True)
class FolderPairs:
    """What was found in a source.

    Parameters
    ----------
    pairs : tuple of FilePair
        Images with their masks, sorted by path.
    reason : str
        Which folders, how many, and how the names agree.
    left_out : tuple of str
        Files that are not in a pair.
    """

    pairs: tuple[FilePair, ...]
    reason: str
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Choice:
    """Two families of folders, compared by name."""

    images: str
    masks: str
    groups: tuple[tuple[str, tuple[Folder, ...], tuple[Folder, ...]], ...]  # split, images, masks
    pairing: Pairing
    by_contents: bool = False  # the names of the folders do not say which are the masks


def find_pairs(src: Path) -> FolderPairs | None:
    """Find images and their masks by the names of folders and files.

    Where these do not tell masks from images, some files are read: masks have few values.

    Parameters
    ----------
    src : Path
        A folder, for example with images/ and masks/, or with images and masks side by side.

    Returns
    -------
    FolderPairs or None
        None if there is no image with a mask.

    Raises
    ------
    DataError
        If several folders of masks fit equally well, or several masks fit one image.
    """
    if not os.path.isdir(src):
        return None
    folders = folders_below(src)
    choices = _choices(folders)
    best = max((c.pairing.count for c in choices), default=0)
    if best == 0:
        return None
    fitting = [c for c in choices if c.pairing.count == best]
    if len({c.masks for c in fitting}) > 1:
        names = some(sorted({c.masks for c in fitting}))
        hint = "make a folder with links to the images and to one folder of masks, and import it"
        raise DataError(f"several folders of masks fit: {names}", where=src, hint=hint)
    choice = fitting[0]
    if choice.pairing.unclear:
        what = f"several masks or images fit each other: {some(choice.pairing.unclear)}"
        raise DataError(what, where=src, expected="one mask per image", hint="rename or move the others")
    return _described(choice, folders)


def _choices(folders: Sequence[Folder]) -> list[_Choice]:
    """Return the possible pairs of folders, preferred ones first."""
    images: dict[_Family, dict[_Place, list[Folder]]] = defaultdict(lambda: defaultdict(list))
    masks: dict[_Family, dict[_Place, list[Folder]]] = defaultdict(lambda: defaultdict(list))
    for folder in folders:
        role, family, place = _role(folder.parts)
        if role != "other":
            (masks if role == "mask" else images)[family][place].append(folder)
    order = sorted(images, key=_preference)
    found = [_compared(images[i], masks[m]) for i, m in product(order, sorted(masks))]
    if any(choice.pairing.count for choice in found):
        return found
    beside = _side_by_side(folders)
    if beside is not None and beside.pairing.count:
        return [beside]
    return [
        replace(choice, by_contents=True)
        for i, m in permutations(order, 2)
        if (choice := _compared(images[i], images[m])).pairing.count
        and have_few_values(_files(images[m]))
        and not have_few_values(_files(images[i]))
    ]


def _compared(images: dict[_Place, list[Folder]], masks: dict[_Place, list[Folder]]) -> _Choice:
    groups: list[tuple[str, tuple[Folder, ...], tuple[Folder, ...]]] = []
    if len(images) == 1 and not set(images) & set(masks):
        [(place, alone)] = images.items()
        groups = [(split or place[0], tuple(alone), tuple(found)) for (split, _), found in masks.items()]
    else:
        for place, found in images.items():
            fitting = masks.get(place) or (next(iter(masks.values())) if len(masks) == 1 else [])
            groups.append((place[0], tuple(found), tuple(fitting)))
    names: list[Group] = [(_stems(i), _stems(m)) for _, i, m in groups]
    shown = [", ".join(f.shown for f in _folders(side.values())) for side in (images, masks)]
    return _Choice(shown[0], shown[1], tuple(groups), pair_names(names))


def _side_by_side(folders: Sequence[Folder]) -> _Choice | None:
    """Return the choice for images and masks in the same folders."""
    groups = []
    for folder in folders:
        masks = tuple(f for f in folder.files if ends_as_mask(f.stem))
        if not masks:  # a photograph as JPEG and its mask as PNG
            masks = tuple(f for f in folder.files if f.suffix.lower() in MASK_SUFFIXES)
        taken = set(masks)
        images = tuple(f for f in folder.files if f not in taken)
        if images and masks:
            split = _role(folder.parts)[2][0]
            groups.append((split, (Folder(folder.parts, images),), (Folder(folder.parts, masks),)))
    if not groups:
        return None
    shown = ", ".join(group[1][0].shown for group in groups)
    return _Choice(shown, shown, tuple(groups), pair_names([(_stems(i), _stems(m)) for _, i, m in groups]))


def _described(choice: _Choice, folders: Sequence[Folder]) -> FolderPairs:
    pairs: dict[Path, FilePair] = {}
    images: dict[Path, None] = {}
    masks: dict[Path, None] = {}
    for (split, image_folders, mask_folders), found in zip(choice.groups, choice.pairing.pairs, strict=True):
        parts = {file: folder.parts for folder in image_folders for file in folder.files}
        mask_files = [file for folder in mask_folders for file in folder.files]
        image_files = list(parts)
        images |= dict.fromkeys(image_files)
        masks |= dict.fromkeys(mask_files)
        for i, m in found:
            image = image_files[i]
            pairs[image] = FilePair(image, mask_files[m], parts[image], split)
    left_out = []
    paired = {p.mask for p in pairs.values()}
    for files, text in [
        ([f.name for f in images if f not in pairs], "images without a mask"),
        ([f.name for f in masks if f not in paired and f not in pairs], "masks without an image"),
    ]:
        if files:
            left_out.append(f"{text}: {len(files)} ({some(files)})")
    used = images.keys() | masks.keys()
    unused = [f"{f.shown} ({len(f.files)})" for f in folders if used.isdisjoint(f.files)]
    if unused:
        left_out.append(f"folders that are not used: {some(unused)}")
    where = f"{choice.images} and {choice.masks}" if choice.images != choice.masks else choice.images
    where += ", whose files have few values" if choice.by_contents else ""
    reason = f"{where}: {len(pairs)} of {len(images)} images have a mask, by {choice.pairing.rule}"
    return FolderPairs(
        tuple(sorted(pairs.values(), key=lambda p: (p.parts, p.image))), reason, tuple(left_out)
    )


def _role(parts: tuple[str, ...]) -> tuple[str, _Family, _Place]:
    """Return whether a folder holds images, masks or something else, its family, and its place in that."""
    split, role = "", ""
    family: list[str] = []
    rest: list[str] = []
    for part in parts:
        found, words = _words(part)
        split = found or split
        if not words:
            continue
        kind = _kind(words)
        if not kind:
            rest.append(part)
        elif role != "other" and (kind != "image" or role != "mask"):
            family = [*family, *words] if kind == role else words
            role = kind
    if not role:
        role, family, rest = "image", rest[:1], rest[1:]
    return role, tuple(family), (split, tuple(rest))


def _words(part: str) -> tuple[str, list[str]]:
    """Return the split that a name states, and its other words: "trainannot" is train and annot."""
    split = ""
    words: list[str] = []
    for word in re.findall(r"[^\W_]+", part.lower()):
        match = _SPLIT.fullmatch(word)
        if match and match[1] and (not match[2] or _kind([match[2]])):
            split = _SPLITS[match[1]]
            words += [match[2]] if match[2] else []
        else:
            words.append(word)
    return split, words


def _kind(words: Sequence[str]) -> str:
    found = set(words)
    if found & _OTHER_WORDS:
        return "other"
    if found & _MASK_WORDS:
        return "mask"
    return "image" if found.intersection(_IMAGE_WORDS) else ""


def _preference(family: _Family) -> tuple[int, _Family]:
    ranks = [_IMAGE_WORDS.index(word) for word in family if word in _IMAGE_WORDS]
    return min(ranks, default=len(_IMAGE_WORDS)), family


def _stems(folders: Sequence[Folder]) -> list[str]:
    return [file.stem for folder in folders for file in folder.files]


def _files(places: dict[_Place, list[Folder]]) -> list[Path]:
    return [file for folder in _folders(places.values()) for file in folder.files]


def _folders(groups: Iterable[Sequence[Folder]]) -> list[Folder]:
    return sorted((folder for group in groups for folder in group), key=lambda f: f.parts)
