"""VGG-16: its blocks, layers and shapes, and the names that published files give to them."""

from __future__ import annotations

import re

from lstm2d.weights.published import PublishedNetwork, Shape, Style

BLOCKS: tuple[tuple[int, int], ...] = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""Convolutions of 3 x 3 and their channels; max pooling of 2 x 2 after each block."""

STEPS: tuple[str, ...] = tuple(
    name
    for block, (layers, _) in enumerate(BLOCKS, start=1)
    for name in (*(f"conv{block}_{layer}" for layer in range(1, layers + 1)), f"pool{block}")
)
"""Convolutions and max pooling, first to last."""


def _layers() -> dict[str, Shape]:
    layers: dict[str, Shape] = {}
    inputs = 3
    for name in STEPS:
        if name.startswith("conv"):
            channels = BLOCKS[int(name[4]) - 1][1]
            layers[name] = (3, 3, inputs, channels)
            inputs = channels
    return {**layers, "fc6": (7, 7, inputs, 4096), "fc7": (1, 1, 4096, 4096)}


def _sequential() -> dict[str, str]:
    """Return the layers by their names in a torchvision Sequential, which numbers ReLU and pooling too."""
    names, number = {}, 0
    for step in STEPS:
        if step in LAYERS:
            names[f"features.{number}"] = step
        number += 2 if step in LAYERS else 1
    return names


LAYERS = _layers()
"""Shape of each layer's filters, (kh, kw, in, out), in the network's order; fc6 and fc7 as convolutions."""

_PLAIN = Style(
    name="plain",
    convention="caffe",
    pattern=re.compile(r"(?P<layer>conv\d+_\d+|fc[67])\.(?P<part>weight|bias)"),
)
_TENSORFLOW = Style(
    name="tensorflow",
    convention="rgb",
    channels_last=True,
    pattern=re.compile(r"(?P<layer>conv\d+_\d+|fc[67])_(?P<part>W|b)"),
    parts={"W": "weight", "b": "bias"},
)
_KERAS = Style(
    name="keras",
    convention="caffe",
    channels_last=True,
    pattern=re.compile(
        r"(?:.*/)?(?P<layer>block\d+_conv\d+|fc[12])[_/](?P<part>kernel|W|weight|bias|b)(?:_1)?(?::0)?",
        re.DOTALL,
    ),
    layers={f"block{name[4]}_conv{name[6]}": name for name in LAYERS if name.startswith("conv")}
    | {"fc1": "fc6", "fc2": "fc7"},
    parts={"kernel": "weight", "W": "weight", "b": "bias"},
)
_TORCHVISION = Style(
    name="torchvision",
    convention="torchvision",
    pattern=re.compile(
        r"(?:module\.|model\.)?(?P<layer>features\.\d+|classifier\.[03]|pre_logits\.fc[12])"
        r"\.(?P<part>weight|bias|running_mean)"
    ),
    layers=_sequential()
    | {"classifier.0": "fc6", "classifier.3": "fc7"}  # torchvision
    | {"pre_logits.fc1": "fc6", "pre_logits.fc2": "fc7"},  # timm
    hint="VGG-16 without batch normalisation is needed (torchvision's vgg16, timm's vgg16.tv_in1k)",
)

VGG16 = PublishedNetwork(
    title="VGG-16",
    layers=LAYERS,
    dense=("fc6", "fc7"),
    styles=(_PLAIN, _TENSORFLOW, _KERAS, _TORCHVISION),
    expected="conv1_1 ... conv5_3 of VGG-16 under the names of torchvision, timm, Keras or convB_N.weight",
)
