"""Divide the images of a dataset into train, val and test."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lstm2d.data.check.prints import digest_of
from lstm2d.data.index import FileIndex, outline
from lstm2d.data.lists import read_scenes
from lstm2d.data.parallel import Progress, mapped
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.atomic import make_folder, write_text
from lstm2d.io.images import read_photo
from lstm2d.random import Purpose, generator

SPLITS = ("train", "val", "test")
PART = 1  # of the random stream of held-out images: the choice differs from that of a run with the same seed


@dataclass(frozen=True)
class Partition:
    """The images of new splits.

    Parameters
    ----------
    splits : dict of str to list of str
        Sorted stems of train, and of val and test if they get images.
    equal : int
        Number of images that are in the split of an earlier one because their pixels are equal.
    left_out : list of str
        Images without mask.
    """

    splits: dict[str, list[str]]
    equal: int
    left_out: list[str]


def partition(
    path: str | os.PathLike[str],
    *,
    val: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    by_scene: bool = False,
    progress: Progress = lambda done, total: None,
) -> Partition:
    """Divide the images of a dataset at random.

    Parameters
    ----------
    path : str or path
        The dataset folder. Its images are read: those with equal pixels get into one split.
    val, test : float, optional
        Shares of the two splits, in [0, 1); together above 0 and below 1. A share above 0 gets at least one
        image.
    seed : int, default 0
        Seed for the choice; it does not depend on the order of the files.
    by_scene : bool, default False
        Whether images of one scene (scenes.txt) get into one split; the shares are then met as far as the
        sizes of the scenes allow.
    progress : callable, optional
        Gets the numbers of images read and of all.

    Returns
    -------
    Partition
        The splits.

    Raises
    ------
    ConfigError
        If the shares are out of range, or dataset.toml has the splits as folders.
    DataError
        If the folder is not a dataset, an image cannot be read or has no scene, or there are too few images.
    """
    root = Path(path)
    if not (0 <= val < 1 and 0 <= test < 1 and 0 < val + test < 1):
        expected = "shares from 0 to below 1, together above 0 and below 1"
        raise ConfigError(
            "cannot split into these shares", where=f"val {val:g}, test {test:g}", expected=expected
        )
    if not os.path.isdir(root):
        raise DataError("folder not found", where=root, expected="a folder with images/ and masks/")
    description = outline(root)
    if description.folders:
        where, hint = root / "dataset.toml", "remove [folders] to split anew"
        raise ConfigError("the splits are the folders of dataset.toml", where=where, hint=hint)
    files = FileIndex(root, description)
    stems = sorted(stem for stem in files.images if stem in files.masks)
    left_out = [stem for stem in files.images if stem not in files.masks]
    wrong = next((stem for stem in stems if "\n" in stem or stem != stem.strip(" \t\r")), None)
    if wrong is not None:
        what = f"a name that a line of a split cannot hold: {wrong!r}"
        raise DataError(what, where=files.images[wrong], hint="rename the image and its mask")
    keys = mapped(_digest, [files.images[stem] for stem in stems], progress)
    groups = _groups(stems, keys, _scenes(root, stems) if by_scene else {})
    splits = _divide(groups, {"test": test, "val": val}, seed)
    return Partition(splits, len(stems) - len(set(keys)), left_out)


def write_splits(splits: Mapping[str, Sequence[str]], folder: str | os.PathLike[str]) -> list[Path]:
    """Write splits as text files, all of them or none.

    Parameters
    ----------
    splits : mapping of str to sequence of str
        Stems of each split.
    folder : str or path
        The folder; it is created if it is missing.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ConfigError
        If one of the files exists.
    OutputError
        If they cannot be written.
    """
    refuse_existing(folder)
    files = {make_folder(folder) / f"{name}.txt": stems for name, stems in splits.items()}
    written: list[Path] = []
    try:
        for path, stems in files.items():
            write_text(path, "".join(f"{stem}\n" for stem in stems))
            written.append(path)
    except BaseException:
        for path in written:
            with suppress(OSError):
                path.unlink()
        raise
    return written


def refuse_existing(folder: str | os.PathLike[str]) -> None:
    """Raise ConfigError if a folder has one of the files train.txt, val.txt and test.txt."""
    for name in SPLITS:
        path = Path(folder) / f"{name}.txt"
        if os.path.lexists(path):
            hint = "delete the splits first, or write to another folder: `out`"
            raise ConfigError("the file exists", where=path, expected="a folder without splits", hint=hint)


def _scenes(root: Path, stems: Sequence[str]) -> dict[str, str]:
    scenes = read_scenes(root / "scenes.txt")
    missing = [stem for stem in stems if stem not in scenes]
    if missing:
        what = f"{len(missing)} of {len(stems)} images have no scene (for example {missing[0]})"
        raise DataError(what, where=root / "scenes.txt", expected="a line STEM SCENE for each image")
    return scenes


def _digest(path: Path) -> bytes:
    return digest_of(read_photo(path).pixels)


def _groups(stems: Sequence[str], keys: Sequence[bytes], scenes: Mapping[str, str]) -> list[list[str]]:
    """Return groups of images that stay together: equal pixels or, if `scenes` has them, the same scene."""
    parents: dict[bytes | str, bytes | str] = {}

    def top(mark: bytes | str) -> bytes | str:
        while parents.setdefault(mark, mark) != mark:
            parents[mark] = mark = parents[parents[mark]]
        return mark

    for stem, key in zip(stems, keys, strict=True):
        if stem in scenes:
            parents[top(key)] = top(scenes[stem])
    groups: dict[bytes | str, list[str]] = {}
    for stem, key in zip(stems, keys, strict=True):
        groups.setdefault(top(key), []).append(stem)
    return list(groups.values())


def _divide(groups: Sequence[list[str]], shares: Mapping[str, float], seed: int) -> dict[str, list[str]]:
    """Draw groups for each split until its share is reached; the rest is for training."""
    total = sum(map(len, groups))
    wanted = {name: max(1, round(share * total)) for name, share in shares.items() if share}
    if len(groups) <= len(wanted):
        what = f"{len(groups)} images or groups of images cannot be split into {len(wanted) + 1} parts"
        raise DataError(what, expected="at least one for each split")
    order = generator(seed, 0, 0, Purpose.HOLD_OUT, PART).permutation(len(groups))
    left = [groups[i] for i in order]
    found: dict[str, list[str]] = {}
    for number, (name, room) in enumerate(wanted.items()):
        chosen: list[list[str]] = []
        rest: list[list[str]] = []
        needed = len(wanted) - number  # groups for the splits to come
        for position, group in enumerate(left):
            remaining = len(rest) + len(left) - position - 1
            if len(group) <= room and remaining >= needed:
                chosen.append(group)
                room -= len(group)
            else:
                rest.append(group)
        if not chosen:  # all groups are larger than the share
            chosen = [rest.pop(min(range(len(rest)), key=lambda k: len(rest[k])))]
        found[name] = sorted(stem for group in chosen for stem in group)
        left = rest
    found["train"] = sorted(stem for group in left for stem in group)
    return {name: found[name] for name in SPLITS if name in found}
