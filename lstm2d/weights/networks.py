"""The networks whose weights can be imported; they are recognised by the names in a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lstm2d.errors import DataError
from lstm2d.weights.lazy_array import short
from lstm2d.weights.published import PARTS, PublishedNetwork, Style
from lstm2d.weights.vgg16 import VGG16

FIRST = "vgg16"
"""The network of stored files that do not name one."""

NETWORKS: dict[str, PublishedNetwork] = {FIRST: VGG16}


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


def recognise(names: Iterable[str], path: object) -> Naming:
    """Find the layers of a published network among the names of a file.

    Parameters
    ----------
    names : iterable of str
        All names in the file.
    path : object
        The file, for messages.

    Returns
    -------
    Naming
        Every layer in it has filters and bias. Of several networks with such names the first in `NETWORKS`
        is taken.

    Raises
    ------
    DataError
        If no network has such layers; or if a layer is not one of the network's, is there twice, or lacks its
        filters or bias; or if names of two styles are mixed.
    """
    names = list(names)
    for key, network in NETWORKS.items():
        parsed = {name: found for name in names if (found := network.parse(name))}
        if parsed:
            return Naming(key, *_arrays(network, parsed, path), len(names) - len(parsed))
    titles, expected = zip(*((network.title, network.expected) for network in NETWORKS.values()), strict=True)
    what = f"no layer of {' or '.join(titles)} in this file"
    raise DataError(what, where=path, expected=" or ".join(expected))


def _arrays(
    network: PublishedNetwork, parsed: dict[str, tuple[Style, str, str]], path: object
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
