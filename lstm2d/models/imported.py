"""Take the layers of a network that are not trained from the start out of a published network."""

from __future__ import annotations

from collections.abc import Mapping

from lstm2d.errors import DataError
from lstm2d.models.network import Network
from lstm2d.models.vgg import VGG16
from lstm2d.tensor import FloatArray


def frozen_names(backbone: VGG16) -> tuple[str, ...]:
    """Return the names, in the network, of the parameters of its backbone that are never trained."""
    return tuple(f"backbone.{name}" for name, p in backbone.named_parameters() if not p.requires_grad)


def load_imported(
    network: Network, layers: Mapping[str, tuple[FloatArray, FloatArray]], *, source: object = None
) -> list[str]:
    """Set the layers of a network's backbone that published weights have.

    Parameters
    ----------
    network : Network
        Its other layers stay as they are, and so do those that the weights lack or that have another number
        of channels here (option `width` of some networks).
    layers : mapping from str to (ndarray, ndarray)
        Filters of shape (3, 3, in, out) for RGB images and biases of shape (out,), by the layer's name
        "conv1_1" to "conv5_3".
    source : object, optional
        Where they come from, for messages.

    Returns
    -------
    list of str
        The layers that were not set, first to last: training starts them at random values.

    Raises
    ------
    DataError
        If one of them is never trained, so that it would stay random. Nothing is changed then.
    """
    backbone = network.backbone
    if backbone is None:
        return []
    own = dict(backbone.named_parameters())
    parts = {name: (own[f"{name}.weight"], own[f"{name}.bias"]) for name in backbone.names}
    fitting = [
        name
        for name, part in parts.items()
        if name in layers and all(p.shape == v.shape for p, v in zip(part, layers[name], strict=True))
    ]
    absent = [name for name in parts if name not in fitting]
    needed = [name for name in absent if not parts[name][0].requires_grad]
    if needed:
        raise DataError(
            f"the weights lack layers that this network does not train: {', '.join(needed)}",
            where=source,
            expected="3 x 3 filters of the sizes of VGG-16",
            hint="lstm2d weights import FILE, with a file that has these layers",
        )
    for name in fitting:
        for p, values in zip(parts[name], layers[name], strict=True):
            p.data[...] = values
    return absent
