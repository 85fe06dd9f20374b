"""The ops of the table of cases in PyTorch, in PyTorch's order of axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F

from lstm2d.selftest import Case

Axes = tuple[int, ...]
Tensors = dict[str, Any]


class Twin(NamedTuple):
    """A case in PyTorch: a function of tensors, and the order of axes of each tensor."""

    run: Callable[..., Any]
    axes: tuple[Axes, ...]
    result: Axes


def first(axes: int) -> Axes:
    """Return the order that puts the channels, our last axis, after the images."""
    return (0, axes - 1, *range(1, axes - 1)) if axes > 1 else tuple(range(axes))


def twin(case: Case, arrays: Tensors) -> Twin | None:
    """Return a case in PyTorch; None if PyTorch does not have it.

    Parameters
    ----------
    case : Case
        A row of the table.
    arrays : dict of str to torch.Tensor
        Its arrays without a gradient.

    Returns
    -------
    Twin or None
        Functions of the tensors of the case.
    """
    sizes = [len(shape) for shape in case.shapes]
    plain = tuple(tuple(range(n)) for n in sizes)
    options = dict(case.options)
    if case.call is not None and case.op not in ("batch_norm", "concatenate"):
        return None
    if case.op in POSITIONS:
        make = POSITIONS[case.op]
        ours = plain if case.op != "linear" else (plain[0], (1, 0), *plain[2:])
        result = () if "cross_entropy" in case.op else plain[0]
        return Twin(lambda *t: make(*t, **arrays, **options), ours, result)
    if case.op in IMAGES and fits(case):
        make = IMAGES[case.op]
        weights = {"conv2d": (3, 2, 0, 1), "conv_transpose2d": (2, 3, 0, 1)}
        ours = tuple(
            weights[case.op] if k == 1 and case.op in weights else first(n) for k, n in enumerate(sizes)
        )
        return Twin(lambda *t: make(*t, **arrays, **options), ours, first(sizes[0]))
    if case.family == "rnn":
        return Twin(
            lambda *t: sweep(case.op, *t, **options), (first(4), (0, 2, 1), (0, 2, 1), (0, 1)), first(4)
        )
    return None


def fits(case: Case) -> bool:
    """Return whether PyTorch accepts the input: a batch of maps, and padding by at most one reflection."""
    if len(case.shapes[0]) < 4:
        return case.op == "batch_norm"
    padding = case.options.get("padding")
    if case.options.get("mode") != "reflect":
        return True
    sides = [padding] * 4 if isinstance(padding, int) else list(padding)
    return max(sides[:2]) < case.shapes[0][1] and max(sides[2:]) < case.shapes[0][2]


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """Apply the transpose of the library's matrix."""
    return F.linear(x, weight, bias)


def cross_entropy(scores: Any, labels: Any, class_weights: Any = None, **options: Any) -> Any:
    """Compare scores with labels; classes come last."""
    rows = scores.reshape(-1, scores.shape[-1])
    return F.cross_entropy(rows, labels.reshape(-1).long(), weight=class_weights, **options)


def soft_cross_entropy(scores: Any, targets: Any, weight: Any = None, *, reduction: str) -> Any:
    """Compare scores with target distributions."""
    terms = -(targets * torch.log_softmax(scores, -1)).sum(-1)
    weight = torch.ones_like(terms) if weight is None else weight
    total = (terms * weight).sum()
    return total / weight.sum() if reduction == "mean" else total


def window_gather(x: Any, window: int) -> Any:
    """Cut images into windows."""
    n, rows, columns, c = x.shape
    cut = x.reshape(n, rows // window, window, columns // window, window, c).transpose(2, 3)
    return cut.reshape(n, rows // window, columns // window, -1)


def batch_norm(x: Any, scale: Any = None, shift: Any = None, *, mean: Any, var: Any, **options: Any) -> Any:
    """Normalise; running statistics are changed in place."""
    return F.batch_norm(x, mean, var, scale, shift, **options)


def activated(convolve: Callable[..., Any]) -> Callable[..., Any]:
    """Return a convolution with an activation."""

    def run(*tensors: Any, activation: str | None = None, **options: Any) -> Any:
        y = convolve(*tensors, **options)
        return y if activation is None else getattr(torch, activation)(y)

    return run


def pool(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a pooling with the library's argument names."""
    return lambda x, size, **options: function(x, size, **options)


def pad(x: Any, padding: Any, mode: str) -> Any:
    """Add rows and columns."""
    top, bottom, left, right = [padding] * 4 if isinstance(padding, int) else padding
    return F.pad(x, (left, right, top, bottom), mode="constant" if mode == "zero" else mode)


def resize(x: Any, height: int, width: int, align_corners: bool = False) -> Any:
    """Resample bilinearly."""
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=align_corners)


def sweep(
    op: str, x: Any, weight: Any, recurrent: Any, bias: Any, *, axis: int, activation: str | None = None
) -> Any:
    """Sweep along one axis: steps come first along columns, sequences along rows."""
    units = recurrent.shape[2]
    if op == "gru_sweep":  # PyTorch's update gate is one minus ours
        sign = torch.ones(recurrent.shape[1], dtype=x.dtype)
        sign[units : 2 * units] = -1
        weight, recurrent, bias = weight * sign[:, None], recurrent * sign[:, None], bias * sign
    none = torch.zeros_like(bias[0])
    parameters = [t for d in range(2) for t in (weight[d], recurrent[d], bias[d], none)]
    n, _, height, width = x.shape
    steps = x.permute(0, 2, 3, 1)
    steps = (
        steps.reshape(n * height, width, -1)
        if axis == 2
        else steps.transpose(0, 1).reshape(height, n * width, -1)
    )
    state = torch.zeros(2, n * height if axis == 2 else n * width, units, dtype=x.dtype)
    options = (parameters, True, 1, 0.0, False, True, axis == 2)
    if op == "lstm_sweep":
        y = torch.lstm(steps, (state, state), *options)[0]
    else:
        y = {"gru_sweep": torch.gru, "tanh": torch.rnn_tanh, "relu": torch.rnn_relu}[activation or op](
            steps, state, *options
        )[0]
    y = y.reshape(n, height, width, -1) if axis == 2 else y.reshape(height, n, width, -1).transpose(0, 1)
    return y.permute(0, 3, 1, 2)


POSITIONS: dict[str, Callable[..., Any]] = {  # in our order of axes
    "add": torch.add,
    "concatenate": lambda *tensors: torch.cat(tensors, -1),
    "cross_entropy": cross_entropy,
    "direction_sum": lambda x: x.unflatten(-1, (4, -1)).sum(-2),
    "l2_normalise": lambda x, scale: scale * F.normalize(x.flatten(1)).view_as(x),
    "linear": linear,
    "relu": torch.relu,
    "reshape": torch.reshape,
    "scale": lambda x, factor: x * factor,
    "sigmoid": torch.sigmoid,
    "soft_cross_entropy": soft_cross_entropy,
    "softmax": lambda x: torch.softmax(x, -1),
    "tanh": torch.tanh,
    "window_gather": window_gather,
    "transpose": lambda x, axes: x.permute(axes),
}
IMAGES: dict[str, Callable[..., Any]] = {  # channels first
    "avg_pool2d": pool(F.avg_pool2d),
    "batch_norm": batch_norm,
    "bilinear_resize": resize,
    "conv2d": activated(F.conv2d),
    "conv_transpose2d": activated(F.conv_transpose2d),
    "crop": lambda x, top, left, height, width: x[:, :, top : top + height, left : left + width].contiguous(),
    "local_response_norm": F.local_response_norm,
    "max_pool2d": pool(F.max_pool2d),
    "pad2d": pad,
}
