"""What the configurations of networks of ReNet layers share: checks of options, and the size of a layer."""

from __future__ import annotations

from typing import get_args

from lstm2d.nn import Unit
from lstm2d.nn.renet import GATES


def problems(units: tuple[int, ...], patches: tuple[int, ...], unit: Unit, loss: str) -> list[str]:
    """Return what is wrong with the options.

    Parameters
    ----------
    units, patches : tuple of int
        Hidden units of each direction and side of the patches, ReNet layer by ReNet layer.
    unit : str
        The recurrent unit.
    loss : str
        How the loss of an image is reduced.

    Returns
    -------
    list of str
        One text for each option that is out of its range.
    """
    wrong = []
    if min(units, default=1) < 1:
        wrong.append(f"units = {units}, expected one positive number for each layer")
    if len(patches) != len(units) or min(patches, default=1) < 1:
        wrong.append(f"patches = {patches}, expected one positive number for each layer")
    if unit not in get_args(Unit):
        wrong.append(f"unit = {unit!r}, expected one of {', '.join(get_args(Unit))}")
    if loss not in ("sum", "mean"):
        wrong.append(f"loss = {loss!r}, expected 'sum' or 'mean'")
    return wrong


def layer_count(inputs: int, units: int, patch: int, unit: Unit) -> int:
    """Return the number of weights and biases of a ReNet layer.

    Parameters
    ----------
    inputs : int
        Channels that it reads.
    units : int
        Hidden units of each direction.
    patch : int
        Side of its patches.
    unit : {"gru", "lstm", "tanh", "irnn"}
        The recurrent unit.

    Returns
    -------
    int
        Of both sweeps, each with two directions.
    """
    rows = sum(values + units + 1 for values in (inputs * patch**2, 2 * units))
    return 2 * GATES[unit] * units * rows
