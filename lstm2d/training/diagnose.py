"""Find out where a number stopped being finite."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lstm2d import kernels
from lstm2d.tape import inputs_first
from lstm2d.tensor import Tensor


def first_not_finite(loss: Tensor, parameters: Mapping[str, Tensor]) -> str:
    """Return the first layer of a recorded computation whose output is not finite.

    Parameters
    ----------
    loss : Tensor
        Output of the computation, before `lstm2d.backward`.
    parameters : mapping of str to Tensor
        The network's parameters, which give a layer its name.

    Returns
    -------
    str
        Such as "layer1.lstm (lstm2d_layer)"; "the loss" where nothing was recorded.
    """
    names = {id(tensor): name for name, tensor in parameters.items()}
    for tensor in inputs_first(loss):
        if tensor.node is None or np.isfinite(kernels.to_host(tensor.data)).all():
            continue
        inputs = [
            names[id(x)].rpartition(".")[0] or names[id(x)]
            for x in tensor.node.inputs.values()
            if id(x) in names
        ]
        return f"{inputs[0]} ({tensor.node.op})" if inputs else tensor.node.op
    return "the loss"
