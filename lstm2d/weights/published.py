"""Descriptions of published networks: layers, and their names in files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Shape: TypeAlias = tuple[int, int, int, int]

PARTS = ("weight", "bias")


@dataclass(frozen=True, kw_only=True)
class Style:
    """Naming and storage of layers in one kind of file.

    Parameters
    ----------
    name : str
        Name of the style, "keras" for example.
    convention : str
        Input that the filters expect, a key of `lstm2d.weights.import_file.CONVENTIONS`.
    pattern : re.Pattern
        Matches the whole name of an array of a layer. Group "layer" is the file's name of the layer, group
        "part" its name of filters or biases.
    layers : mapping of str to str, optional
        The network's name of a layer by the file's name; names that are not in it are the network's.
    parts : mapping of str to str, optional
        "weight" or "bias" by the file's name; names that are not in it are these two.
    channels_last : bool, default False
        Whether filters are stored as (kh, kw, in, out), not as (out, in, kh, kw).
    hint : str, optional
        Hint if a file has a layer in this style that the network does not have.
    """

    name: str
    convention: str
    pattern: re.Pattern[str]
    layers: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    channels_last: bool = False
    hint: str | None = None

    def parse(self, name: str) -> tuple[str, str] | None:
        """Return the layer and the part that an array's name stands for; None if it is not in this style."""
        match = self.pattern.fullmatch(name)
        if match is None:
            return None
        layer, part = match["layer"], match["part"]
        return self.layers.get(layer, layer), self.parts.get(part, part)


@dataclass(frozen=True, kw_only=True)
class PublishedNetwork:
    """A network whose weights can be imported.

    Parameters
    ----------
    title : str
        Name for messages.
    layers : mapping of str to (int, int, int, int)
        Shape of the filters of each layer, (kh, kw, in, out), in the order of the network. The first one
        takes RGB images. Fully connected layers are stated as convolutions.
    dense : collection of str
        Layers whose filters may be stored as a matrix: the fully connected ones.
    styles : tuple of Style
        Tried in this order.
    expected : str
        Description of the accepted names.
    """

    title: str
    layers: Mapping[str, Shape]
    dense: Collection[str] = ()
    styles: tuple[Style, ...]
    expected: str

    def file_shapes(self, layer: str, part: str, style: Style) -> list[tuple[int, ...]]:
        """Return the shapes that the "weight" or "bias" of a layer may have in a file of a style."""
        rows, columns, channels, width = self.layers[layer]
        if part == "bias":
            return [(width,)]
        inputs, dense = rows * columns * channels, layer in self.dense
        if style.channels_last:
            return [self.layers[layer]] + [(inputs, width)] * dense
        return [(width, channels, rows, columns)] + [(width, inputs)] * dense

    def parse(self, name: str) -> tuple[Style, str, str] | None:
        """Return style, layer and part of the first style that an array's name fits; None if it fits none."""
        for style in self.styles:
            if parsed := style.parse(name):
                return style, *parsed
        return None
