"""Locate and report values that are not finite, or out of any sensible range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lstm2d import kernels
from lstm2d.errors import DivergedError
from lstm2d.tape import inputs_first
from lstm2d.tensor import Tensor
from lstm2d.training.checkpoint import newest_file
from lstm2d.training.events import Diverged, Report, Warned

if TYPE_CHECKING:
    from lstm2d.training.run import Run

# The networks here have gradients of norms up to 1e5 and trained weights below 100. Beyond these limits
# float32 has no digits left for what is to be learned.
LARGEST_NORM, LARGEST_WEIGHT = 1e8, 1e6


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
        Such as "layer1.lstm (lstm2d_layer)", with a parameter or input of it that is not finite itself;
        "the loss" if nothing was recorded.
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
        layer = f"{inputs[0]} ({tensor.node.op})" if inputs else tensor.node.op
        return layer + _cause(tensor.node.inputs.values(), names)
    return "the loss"


def _cause(inputs: Iterable[Tensor], names: Mapping[int, str]) -> str:
    """Return which inputs of a layer are not finite themselves, as the end of a phrase."""
    wrong = [x for x in inputs if x.node is None and not np.isfinite(kernels.to_host(x.data)).all()]
    found = [f"its parameter {names[id(x)]}" if id(x) in names else "its input, the image" for x in wrong]
    return f", {' and '.join(found)} is not finite" if found else ""


def diverged(
    run: Run,
    tell: Report,
    what: str,
    names: Sequence[str],
    layer: str,
    culprits: Sequence[str] = (),
    expected: str = "finite numbers; the step was not applied",
    *,
    is_step: bool = True,
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
        The examples of the step; empty if it is not known in which step it arose.
    layer : str
        Layer in which it arose.
    culprits : sequence of str, optional
        The examples in which it arose, if known.
    expected : str, optional
        What was expected, and what happened to the step.
    is_step : bool, default True
        Whether it arose in the next step; if not, in validation after the last one.

    Returns
    -------
    DivergedError
        The error; it names the last good checkpoint.
    """
    step = run.progress.step
    found = f"step {step + 1}" if is_step else f"after step {step}"
    place = f"{images_text(names, culprits)}, {found}" if names else f"found after step {step}"
    where = f"{place}, layer {layer}"
    tell(Diverged(step=step, what=what, where=where))
    return DivergedError(
        f"training diverged, {what}",
        where=where,
        expected=expected,
        hint="start a new run with a lower train.learning_rate or train.clip_norm; "
        f"the last good checkpoint is {newest_file(run.folder.checkpoints)}",
    )


def check_weights(run: Run, tell: Report) -> None:
    """Check that the weights of a run are worth saving.

    Parameters
    ----------
    run : Run
        The run.
    tell : callable
        Gets the event.

    Raises
    ------
    DivergedError
        If they are not finite, or out of any sensible range.
    """
    optimizer, unsaved = run.active.optimizer, "; they are not saved"
    if not optimizer.is_finite():
        expected = f"finite numbers{unsaved}"
        raise diverged(run, tell, "the weights are not finite", (), "(any)", expected=expected)
    for name, values in run.untrained().items():  # such as the running statistics of a normalisation
        if not np.isfinite(kernels.to_host(values)).all():
            expected = f"finite numbers{unsaved}"
            raise diverged(run, tell, "a stored value is not finite", (), name, expected=expected)
    name, value = optimizer.largest_weight()
    if value > LARGEST_WEIGHT:
        what, expected = f"a weight is {value:.1e}", f"weights up to {LARGEST_WEIGHT:.0e}{unsaved}"
        raise diverged(run, tell, what, (), name, expected=expected)


def exploding(run: Run, norm: float, names: Sequence[str]) -> Warned:
    """Return the warning about a gradient that is out of any sensible range.

    Parameters
    ----------
    run : Run
        The run, before the step.
    norm : float
        Norm of the gradient.
    names : sequence of str
        The examples of the step.

    Returns
    -------
    Warned
        Names the parameter with the largest gradient, and what limits it.
    """
    step, limit = run.progress.step, run.active.train.clip_norm
    clipped = (
        f" It is scaled down to train.clip_norm = {limit:g}, which keeps only its direction." if limit else ""
    )
    text = (
        f"the gradient explodes: its norm is {norm:.1e} in step {step + 1}, {images_text(names)}, largest in "
        f"{run.active.optimizer.largest_gradient()}; norms up to {LARGEST_NORM:.0e} are usual.{clipped} "
        "A smaller train.learning_rate or train.clip_norm may help; in a 2D-LSTM, model.gate_clip with "
        "model.init, or model.leaky"
    )
    return Warned(step=step, text=text)


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
