"""Base class of the layers whose weights are imported."""

from __future__ import annotations

from lstm2d.nn import Module
from lstm2d.weights.published import PublishedNetwork


class Backbone(Module):
    """Convolutions of a published network, each an attribute with the network's name of the layer.

    Attributes
    ----------
    published : PublishedNetwork
        The network.
    names : tuple of str
        The layers, first to last.
    """

    published: PublishedNetwork
    names: tuple[str, ...]
