"""The scan directions of recurrent layers, by the names that networks give their feature maps."""

from __future__ import annotations

import re

SCANS = ("down-right", "down-left", "up-right", "up-left")  # of a 2D-LSTM layer
SWEEPS = {"V": ("down", "up"), "H": ("right", "left")}  # of a ReNet layer: vertical, horizontal


def directions_of(layer: str) -> tuple[str, ...]:
    """Return the scan directions whose hidden states the channels of a layer hold.

    Parameters
    ----------
    layer : str
        Name of the layer, as in `Network.feature_maps`.

    Returns
    -------
    tuple of str
        In the order of the channels, which each direction has in equal number: four for "lstm1", two for
        "renet1(V)" and "renet1(H)"; none for layers without recurrence.
    """
    if re.fullmatch(r"lstm\d+", layer):
        return SCANS
    sweep = re.fullmatch(r"renet\d+\(([VH])\)", layer)
    return SWEEPS[sweep[1]] if sweep else ()
