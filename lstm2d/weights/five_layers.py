"""ZF and OverFeat, of five convolutions each: their shapes, and the names that files give to them.

Their fully connected layers are not among them: networks of exact sizes have others.
"""

from __future__ import annotations

import re

from lstm2d.weights.published import PublishedNetwork, Shape, Style

SEQUENTIAL = (0, 3, 6, 8, 10)
"""Numbers of the convolutions in a Sequential that counts ReLU and pooling too."""


def _layers(*filters: tuple[int, int]) -> dict[str, Shape]:
    """Return the layers by name from the side and the number of the filters of each."""
    layers: dict[str, Shape] = {}
    inputs = 3
    for number, (side, outputs) in enumerate(filters, start=1):
        layers[f"conv{number}"] = (side, side, inputs, outputs)
        inputs = outputs
    return layers


def _styles(convention: str) -> tuple[Style, ...]:
    """Return the styles of files whose filters expect an input, a key of `CONVENTIONS`."""
    return (
        Style(
            name="plain",
            convention=convention,
            pattern=re.compile(r"(?:module\.|model\.)?(?P<layer>conv\d)\.(?P<part>weight|bias)"),
        ),
        Style(
            name="sequential",
            convention=convention,
            pattern=re.compile(r"(?:module\.|model\.)?(?P<layer>features\.\d+)\.(?P<part>weight|bias)"),
            layers={f"features.{n}": f"conv{k}" for k, n in enumerate(SEQUENTIAL, start=1)},
        ),
        Style(
            name="tensorflow",
            convention="rgb",
            channels_last=True,
            pattern=re.compile(r"(?P<layer>conv\d)_(?P<part>W|b)"),
            parts={"W": "weight", "b": "bias"},
        ),
        Style(
            name="keras",
            convention=convention,
            channels_last=True,
            pattern=re.compile(r"(?:.*/)?(?P<layer>conv\d)/(?P<part>kernel|bias)(?::0)?", re.DOTALL),
            parts={"kernel": "weight"},
        ),
    )


ZF = PublishedNetwork(
    title="ZF",
    layers=_layers((7, 96), (5, 256), (3, 384), (3, 384), (3, 256)),
    styles=_styles("caffe"),
    expected="conv1 ... conv5 of ZF under the names convN.weight, features.N.weight, convN_W or convN/kernel",
)
"""The network of M. Zeiler and R. Fergus, ECCV 2014, also called Clarifai."""

OVERFEAT = PublishedNetwork(
    title="OverFeat",
    layers=_layers((11, 96), (5, 256), (3, 512), (3, 1024), (3, 1024)),
    styles=_styles("overfeat"),
    expected="conv1 ... conv5 of OverFeat (fast) under the same names",
)
"""The fast network of P. Sermanet et al., ICLR 2014."""
