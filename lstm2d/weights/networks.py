"""The networks whose weights can be imported; they are recognised by the names in a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lstm2d.errors import DataError
from lstm2d.weights.five_layers import OVERFEAT, ZF
from lstm2d.weights.lazy_array import short
from lstm2d.weights.published import PARTS, PublishedNetwork, Style
from lstm2d.weights.vgg16 import VGG16

FIRST = "vgg16"
"""The network of stored files that do not name one."""

NETWORKS: dict[str, PublishedNetwork] = {FIRST: VGG16, "zf": ZF, "overfeat": OVERFEAT}


@dataclass(frozen=True)
class Naming:
    """The layers of a published network among the arrays of a file.

    Parameters
    ----------
    network : str
        Which network, a key of `NETWORKS`.
    style : Style
        The naming style of the file.
    arrays : dict of (str, str) to str
        The file's name of each layer's "weight" and "bias".
    others : int
        Number of arrays that belong to no layer of the network.
    """

    network: str
    style: Style
    arrays: dict[tuple[str, str], str]
    others: int


Parsed = dict[str, tuple[Style, str, str]]  # style, layer and part by the name in the file


def recognise(
    names: Iterable[str], path: object, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> Naming:
    """Find the layers of a published network among the names of a file.

    Parameters
    ----------
    names : iterable of str
        All names in the file.
    path : object
        The file, for messages.
    shapes : mapping from str to tuple of int, optional
        Shapes of the arrays by name.

    Returns
    -------
    Naming
        Every layer in it has filters and bias. Of several networks with such names, the one that most shapes
        fit is taken; of equal ones the first in `NETWORKS`.

    Raises
    ------
    DataError
        If no network has such layers; or if a layer is not one of the network's, is there twice, or lacks its
        filters or bias; or if names of two styles are mixed.
    """
    names = list(names)
    parsed = {key: _parsed(network, names) for key, network in NETWORKS.items()}
    if not any(parsed.values()):
        *titles, last = (network.title for network in NETWORKS.values())
        expected = "; or ".join(network.expected for network in NETWORKS.values())
        raise DataError(
            f"no layer of {', '.join(titles)} or {last} in this file", where=path, expected=expected
        )
    key = max(parsed, key=lambda key: (_fitting(NETWORKS[key], parsed[key], shapes or {}), bool(parsed[key])))
    return Naming(key, *_arrays(NETWORKS[key], parsed[key], path), len(names) - len(parsed[key]))


def _parsed(network: PublishedNetwork, names: Iterable[str]) -> Parsed:
    return {name: found for name in names if (found := network.parse(name))}


def _fitting(network: PublishedNetwork, parsed: Parsed, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return the number of arrays that have the shape of their layer."""
    return sum(
        layer in network.layers and shapes.get(name) in network.file_shapes(layer, part, style)
        for name, (style, layer, part) in parsed.items()
    )


def _arrays(
    network: PublishedNetwork, parsed: Parsed, path: object
) -> tuple[Style, dict[tuple[str, str], str]]:
    """Return the style and the names of the arrays by layer and part."""
    found: dict[tuple[str, str], str] = {}
    first = next(iter(parsed.values()))[0]
    for name, (style, layer, part) in parsed.items():
        if layer not in network.layers or part not in PARTS:
            what = f"this is no {network.title}: it has {short(name)}"
            raise DataError(what, where=path, expected=network.expected, hint=style.hint)
        if (layer, part) in found or style is not first:
            what = "the file has layers twice or under names of two kinds"
            raise DataError(what, where=path, expected=network.expected)
        found[layer, part] = name
    for layer, _ in found:
        for part, word in zip(PARTS, ("filters", "biases"), strict=True):
            if (layer, part) not in found:
                raise DataError(f"layer {layer} has no {word}", where=path, expected=network.expected)
    return first, found
