"""Locate and report values that are not finite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lstm2d import kernels
from lstm2d.errors import DivergedError
from lstm2d.tape import inputs_first
from lstm2d.tensor import Tensor
from lstm2d.training.checkpoint import newest_file
from lstm2d.training.events import Diverged, Report

if TYPE_CHECKING:
    from lstm2d.training.run import Run


def first_not_finite(loss: Tensor, parameters: Mapping[str, Tensor]) -> str:
    """Return the first layer of a recorded computation whose output is not finite.

    Parameters
    ----------
    loss : Tensor
        Output of the computation, before `lstm2d.backward`.
    parameters : mapping of str to Tensor
        Parameters of the network, used to name the layers.

    Returns
    -------
    str
        Such as "layer1.lstm (lstm2d_layer)"; "the loss" if nothing was recorded.
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


def diverged(
    run: Run, tell: Report, what: str, names: Sequence[str], layer: str, culprits: Sequence[str] = ()
) -> DivergedError:
    """Report a value that is not finite, and return the error for it.

    Parameters
    ----------
    run : Run
        The run.
    tell : callable
        Gets the event.
    what : str
        What is not finite.
    names : sequence of str
        The examples of the step.
    layer : str
        Layer in which it arose.
    culprits : sequence of str, optional
        The examples in which it arose, if known.

    Returns
    -------
    DivergedError
        The error; it names the last good checkpoint.
    """
    step = run.progress.step
    where = f"{images_text(names, culprits)}, step {step + 1}, layer {layer}"
    tell(Diverged(step=step, what=what, where=where))
    return DivergedError(
        f"training diverged, {what}",
        where=where,
        expected="finite numbers; the step was not applied",
        hint="start a new run with a lower train.learning_rate or train.clip_norm; "
        f"the last good checkpoint is {newest_file(run.folder.checkpoints)}",
    )


def images_text(names: Sequence[str], culprits: Sequence[str] = ()) -> str:
    """Describe the examples of a minibatch.

    Parameters
    ----------
    names : sequence of str
        All of them.
    culprits : sequence of str, optional
        The relevant examples, if known.

    Returns
    -------
    str
        Part of a message.
    """
    if 0 < len(culprits) < len(names):
        return f"image {', '.join(culprits)} of the minibatch {', '.join(names)}"
    return f"image{'s' if len(names) > 1 else ''} {', '.join(names)}"
