"""The layers of VGG-16, and what files call them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lstm2d.errors import DataError
from lstm2d.weights.lazy_array import short

_WIDTHS = {1: (64, 64), 2: (128, 128), 3: (256,) * 3, 4: (512,) * 3, 5: (512,) * 3}


def _layers() -> dict[str, tuple[int, int, int, int]]:
    layers, channels = {}, 3
    for block, widths in _WIDTHS.items():
        for number, width in enumerate(widths, start=1):
            layers[f"conv{block}_{number}"] = (3, 3, channels, width)
            channels = width
    return {**layers, "fc6": (7, 7, 512, 4096), "fc7": (1, 1, 4096, 4096)}


LAYERS = _layers()
"""Shape of each layer's filters, (kh, kw, in, out), in the network's order; fc6 and fc7 as convolutions."""

# in a torchvision Sequential every convolution and ReLU has a number, and so has the pooling behind a block
_FEATURES = dict(zip((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), LAYERS, strict=False))
_TORCHVISION = {f"features.{number}": layer for number, layer in _FEATURES.items()}
_TORCHVISION |= {"classifier.0": "fc6", "classifier.3": "fc7"}  # torchvision
_TORCHVISION |= {"pre_logits.fc1": "fc6", "pre_logits.fc2": "fc7"}  # timm

_PLAIN = re.compile(r"(conv\d+_\d+|fc[67])\.(weight|bias)")
_SEQUENTIAL = re.compile(
    r"(?:module\.|model\.)?((?:features|classifier)\.\d+|pre_logits\.fc[12])\.(weight|bias|running_mean)"
)
_KERAS = re.compile(
    r"(?:.*/)?(?:block(\d+)_conv(\d+)|fc([12]))[_/](kernel|W|weight|bias|b)(?:_1)?(?::0)?", re.DOTALL
)
_TENSORFLOW = re.compile(r"(conv\d+_\d+|fc[67])_(W|b)")


@dataclass(frozen=True)
class Naming:
    """What a file's names say about its contents.

    Parameters
    ----------
    style : {"plain", "torchvision", "keras", "tensorflow"}
        Whose names they are.
    arrays : dict of (str, str) to str
        The file's name of each layer's "weight" and "bias".
    others : int
        Names that belong to no layer of `LAYERS`.
    """

    style: str
    arrays: dict[tuple[str, str], str]
    others: int


def recognise(names: Iterable[str], path: object) -> Naming:
    """Find the layers of VGG-16 among a file's names.

    Parameters
    ----------
    names : iterable of str
        All names in the file.
    path : object
        The file, for messages.

    Returns
    -------
    Naming
        Every layer in it has filters and bias.

    Raises
    ------
    DataError
        If there is no such layer, a layer that VGG-16 does not have, one without its filters or bias, or
        names of two styles.
    """
    found: dict[tuple[str, str], str] = {}
    styles: set[str] = set()
    others = 0
    for name in names:
        parsed = _parse(name)
        if parsed is None:
            others += 1
            continue
        style, layer, kind = parsed
        if layer not in LAYERS or kind not in ("weight", "bias"):
            raise DataError(
                f"this is no VGG-16: it has {short(name)}", where=path, expected=_expected(), hint=_hint(name)
            )
        styles.add(style)
        if (layer, kind) in found or len(styles) > 1:
            raise DataError(
                "the file has layers twice or under names of two kinds", where=path, expected=_expected()
            )
        found[layer, kind] = name
    if not found:
        what = "no layer of VGG-16 in this file"
        raise DataError(what, where=path, expected=_expected())
    for name, _ in found:
        for kind, word in (("weight", "filters"), ("bias", "biases")):
            if (name, kind) not in found:
                raise DataError(f"layer {name} has no {word}", where=path, expected=_expected())
    return Naming(styles.pop(), found, others)


def _parse(name: str) -> tuple[str, str, str] | None:
    """Return style, layer and kind; None for names that are no convolution's, or lie behind fc7."""
    if match := _PLAIN.fullmatch(name):
        return "plain", match[1], match[2]
    if match := _TENSORFLOW.fullmatch(name):
        return "tensorflow", match[1], {"W": "weight", "b": "bias"}[match[2]]
    if match := _KERAS.fullmatch(name):
        layer = f"fc{int(match[3]) + 5}" if match[3] else f"conv{match[1]}_{match[2]}"
        return "keras", layer, "bias" if match[4] in ("bias", "b") else "weight"
    if match := _SEQUENTIAL.fullmatch(name):
        layer = _TORCHVISION.get(match[1], match[1])
        return None if layer.startswith("classifier.") else ("torchvision", layer, match[2])
    return None


def _expected() -> str:
    return "conv1_1 ... conv5_3 of VGG-16 under the names of torchvision, timm, Keras or convB_N.weight"


def _hint(name: str) -> str | None:
    if "features." in name:
        return "VGG-16 without batch normalisation is needed (torchvision's vgg16, timm's vgg16.tv_in1k)"
    return None
