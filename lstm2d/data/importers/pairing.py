"""Pair images and masks by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from lstm2d.data.layout import composed

Group = tuple[Sequence[str], Sequence[str]]  # stems of images, stems of masks
Pair = tuple[int, int]  # indices of an image and a mask in their group
_Key = Callable[[str], Hashable]

# words that are dropped from both ends of a stem, in lower case
MASK_WORDS = frozenset({
    "mask", "masks", "gt", "gts", "groundtruth", "ground", "truth", "seg", "segs", "segm", "segmentation",
    "label", "labels", "labeled", "lbl", "annotation", "annotations", "annot", "annots", "ann", "trimap",
    "target", "matte", "semantic", "index", "l", "p", "m",
})  # fmt: skip
IMAGE_WORDS = frozenset({
    "image", "images", "img", "imgs", "im", "photo", "photos", "pic", "picture", "rgb", "input", "sat", "raw",
    "original", "orig", "frame", "x",
})  # fmt: skip


@dataclass(frozen=True)
class Pairing:
    """Images and masks that belong together.

    Parameters
    ----------
    rule : str
        How the names agree, for the user.
    pairs : tuple of list of (int, int)
        For each group, indices of image and mask, in the order of the images.
    unclear : tuple of str
        Names among which the rule cannot choose.
    """

    rule: str
    pairs: tuple[list[Pair], ...]
    unclear: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of pairs."""
        return sum(map(len, self.pairs))


def pair_names(groups: Sequence[Group]) -> Pairing:
    """Pair images and masks by the rule that pairs most.

    Parameters
    ----------
    groups : sequence of (sequence of str, sequence of str)
        Stems of the images and of the masks of each folder. Names are compared within a group only; one rule
        applies to all groups.

    Returns
    -------
    Pairing
        The pairs of the first rule that pairs most: equal stems; stems that are equal without words such as
        "image" and "mask" at their ends; then, if all images have names of one form and all masks too, equal
        numbers, the first number, the last number.
    """
    best = Pairing("", tuple([] for _ in groups))
    for rule, image_key, mask_key in _rules(groups):
        found = _paired(groups, image_key, mask_key)
        if found.count > best.count:
            group = next(k for k, pairs in enumerate(found.pairs) if pairs)
            image, mask = found.pairs[group][0]
            names = f"{groups[group][1][mask]} for {groups[group][0][image]}"
            best = Pairing(rule if not rule.endswith(":") else f"{rule} {names}", found.pairs, found.unclear)
    return best


def _rules(groups: Sequence[Group]) -> list[tuple[str, _Key, _Key]]:
    rules: list[tuple[str, _Key, _Key]] = [
        ("equal names", composed, composed),
        ("names that differ at their ends:", _image_core, _mask_core),
    ]
    images = {_form(stem) for group in groups for stem in group[0]}
    masks = {_form(stem) for group in groups for stem in group[1]}
    if len(images) == 1 and len(masks) == 1:  # otherwise equal numbers may be a coincidence
        rules += [
            ("names with equal numbers:", _numbers, _numbers),
            ("names with an equal first number:", _first_number, _first_number),
            ("names with an equal last number:", _last_number, _last_number),
        ]
    return rules


def _paired(groups: Sequence[Group], image_key: _Key, mask_key: _Key) -> Pairing:
    pairs: list[list[Pair]] = []
    unclear: list[str] = []
    for images, masks in groups:
        of_key: dict[Hashable, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for k, stem in enumerate(images):
            of_key[image_key(stem)][0].append(k)
        for k, stem in enumerate(masks):
            of_key[mask_key(stem)][1].append(k)
        of_key.pop(None, None)
        both = [found for found in of_key.values() if found[0] and found[1]]
        pairs.append(sorted((i[0], m[0]) for i, m in both if len(i) == len(m) == 1))
        for i, m in both:
            if len(i) > 1 or len(m) > 1:
                unclear.append(f"{', '.join(images[k] for k in i)} and {', '.join(masks[k] for k in m)}")
    return Pairing("", tuple(pairs), tuple(unclear))


def words_of(stem: str) -> list[str]:
    """Return the runs of letters and of digits in a name, in lower case.

    Parameters
    ----------
    stem : str
        The name.

    Returns
    -------
    list of str
        For example ["image", "0001"] for "image_0001".
    """
    return re.findall(r"[^\W\d_]+|\d+", composed(stem).lower())


def ends_as_mask(stem: str) -> bool:
    """Return whether a name starts or ends with a word for masks of at least two letters."""
    words = words_of(stem)
    return len(words) > 1 and any(len(w) > 1 and w in MASK_WORDS for w in (words[0], words[-1]))


def _image_core(stem: str) -> Hashable:
    return _without_ends(words_of(stem), IMAGE_WORDS)


def _mask_core(stem: str) -> Hashable:
    return _without_ends(words_of(stem), MASK_WORDS | IMAGE_WORDS)


def _without_ends(words: list[str], dropped: frozenset[str]) -> Hashable:
    """Return the words without those dropped at both ends; None if nothing would remain."""
    start, end = 0, len(words)
    while start < end and words[start] in dropped:
        start += 1
    while end > start and words[end - 1] in dropped:
        end -= 1
    return tuple(words[start:end]) or None


def _form(stem: str) -> str:
    """Return a name with every number replaced by one sign."""
    return re.sub(r"\d+", "#", composed(stem))


def _numbers(stem: str) -> Hashable:
    return tuple(int(n) for n in re.findall(r"\d+", stem)) or None


def _first_number(stem: str) -> Hashable:
    found = re.search(r"\d+", stem)
    return int(found[0]) if found else None


def _last_number(stem: str) -> Hashable:
    found = re.findall(r"\d+", stem)
    return int(found[-1]) if found else None
