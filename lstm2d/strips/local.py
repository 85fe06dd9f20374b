"""Steps whose rows depend on a few rows of their input: on which ones, and how they are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm2d import kernels, ops
from lstm2d.kernels.taps import Taps, bilinear_taps, cubic_taps, part_of
from lstm2d.strips.graph import Step
from lstm2d.tape import no_grad
from lstm2d.tensor import FloatArray, Tensor

Needs = Callable[[Step, int, int, int], tuple[int, int]]
Apply = Callable[[Step, Sequence[FloatArray], int, int, int], FloatArray]


@dataclass(frozen=True, slots=True)
class Local:
    """How an operation is computed in strips.

    Parameters
    ----------
    needs : callable
        Takes the step, a range of rows of its map, and the number of rows of its input. Returns the range of
        rows of the input that they depend on, which may exceed the input where it is padded.
    apply : callable
        Takes the step, the rows of its inputs in that range and within them, the range of rows to compute,
        and the number of rows of its input. Returns these rows.
    """

    needs: Needs
    apply: Apply


def rows_of_input(step: Step, first: int, last: int, height: int) -> tuple[int, int]:
    """Return the rows of its inputs that rows `first` to `last` - 1 of a step depend on, within the input.

    Parameters
    ----------
    step : Step
        A step in `LOCAL`.
    first, last : int
        Rows of its map.
    height : int
        Rows of its inputs.

    Returns
    -------
    tuple of int
        The first row, and the one after the last; equal if the rows depend on padding alone.
    """
    low, high = LOCAL[step.op].needs(step, first, last, height)
    low = min(max(low, 0), height)
    return low, min(max(high, low), height)


def computed(step: Step, parts: Sequence[FloatArray], first: int, last: int, height: int) -> FloatArray:
    """Return rows `first` to `last` - 1 of the map of a step.

    Parameters
    ----------
    step : Step
        A step in `LOCAL`.
    parts : sequence of ndarray of shape (1, rows, columns, channels)
        Of each input, the rows that `rows_of_input` names.
    first, last : int
        Rows of its map.
    height : int
        Rows of its inputs.

    Returns
    -------
    ndarray of shape (1, last - first, columns, channels)
        The rows; values as for the whole image, up to the rounding of products of other shapes.
    """
    return LOCAL[step.op].apply(step, parts, first, last, height)


def replayed(step: Step, parts: Sequence[FloatArray], **changed: Any) -> FloatArray:
    """Return what the operation of a step computes from other inputs, with some attributes changed."""
    tensors: dict[str, Any] = {name: Tensor(values) for name, values in step.constants.items()}
    tensors |= {name: Tensor(values) for name, values in zip(step.inputs, parts, strict=True)}
    members = [tensors.pop(name) for name in [*tensors] if name.startswith("tensors[")]
    if members:
        tensors["tensors"] = members
    arguments = tensors | dict(step.arrays) | dict(step.attributes) | changed
    with no_grad(), np.errstate(over="ignore", invalid="ignore"):  # the output is checked
        result: Tensor = getattr(ops, step.op)(**arguments)
    return result.data


# ---- each row depends on the same row


def _same(step: Step, first: int, last: int, height: int) -> tuple[int, int]:
    return first, last


def _by_row(step: Step, parts: Sequence[FloatArray], first: int, last: int, height: int) -> FloatArray:
    return replayed(step, parts)


# ---- windows of rows: convolutions, pooling


def _window(step: Step) -> tuple[int, int, int]:
    """Return stride, padding and extent of the windows along the rows."""
    a: Mapping[str, Any] = step.attributes
    taps = step.constants["weight"].shape[0] if "weight" in step.constants else a["size"][0]
    apart = a["dilation"][0] if "dilation" in a else 1
    return a["stride"][0], a["padding"][0], apart * (taps - 1) + 1


def _rows_of_windows(step: Step, first: int, last: int, height: int) -> tuple[int, int]:
    stride, padding, extent = _window(step)
    return first * stride - padding, (last - 1) * stride - padding + extent


def _windows(fill: float) -> Apply:
    """Return the computation of windows whose padding has this value."""

    def apply(step: Step, parts: Sequence[FloatArray], first: int, last: int, height: int) -> FloatArray:
        low, high = _rows_of_windows(step, first, last, height)
        top = min(max(-low, 0), high - low)
        bottom = high - low - top - parts[0].shape[1]
        rows = _framed(parts[0], top, bottom, fill)
        padding: Any = step.attributes["padding"]
        return replayed(step, [rows], padding=(0, padding[1]))

    return apply


def _framed(x: FloatArray, top: int, bottom: int, fill: float) -> FloatArray:
    """Return rows with others above and below them."""
    if not top and not bottom:
        return x
    n, rows, *rest = x.shape
    framed: FloatArray = kernels.empty((n, top + rows + bottom, *rest), x.dtype, like=x)
    framed[:, :top] = fill
    framed[:, top : top + rows] = x
    framed[:, top + rows :] = fill
    return framed


# ---- transposed convolution


def _rows_to_enlarge(step: Step, first: int, last: int, height: int) -> tuple[int, int]:
    stride, padding, extent = _window(step)
    low = min((first + padding - extent) // stride + 1, (first + padding) // stride)
    # between the windows of a kernel smaller than the stride lie rows of bias alone: up to the next window
    return low, (last - 1 + padding) // stride + (2 if extent < stride else 1)


def _enlarged(step: Step, parts: Sequence[FloatArray], first: int, last: int, height: int) -> FloatArray:
    stride, padding, _ = _window(step)
    columns: Any = step.attributes["padding"]
    y = replayed(step, parts, padding=(0, columns[1]))
    low, _ = rows_of_input(step, first, last, height)
    begin = first - (low * stride - padding)
    return kernels.ascontiguousarray(y[:, begin : begin + last - first])


# ---- resampling


def _taps(step: Step, axis: int, size: int) -> Taps:
    new: Any = step.attributes["height" if axis == 0 else "width"]
    if step.op == "cubic_resize":
        return cubic_taps(size, new)
    return bilinear_taps(size, new, bool(step.attributes["align_corners"]))


def _rows_of_taps(step: Step, first: int, last: int, height: int) -> tuple[int, int]:
    _, low, high = part_of(_taps(step, 0, height), first, last)
    return low, high


def _resampled(step: Step, parts: Sequence[FloatArray], first: int, last: int, height: int) -> FloatArray:
    (x,) = parts
    rows, _, _ = part_of(_taps(step, 0, height), first, last)
    result: FloatArray = kernels.pick("resize", like=x).resample(x, rows, _taps(step, 1, x.shape[2]))
    return result


# ---- moving rows


def _rows_gathered(step: Step, first: int, last: int, height: int) -> tuple[int, int]:
    window: Any = step.attributes["window"]
    return first * window, last * window


def _rows_cropped(step: Step, first: int, last: int, height: int) -> tuple[int, int]:
    top: Any = step.attributes["top"]
    return first + top, last + top


def _cropped(step: Step, parts: Sequence[FloatArray], first: int, last: int, height: int) -> FloatArray:
    return replayed(step, parts, top=0, height=last - first)


LOCAL: dict[str, Local] = {
    **dict.fromkeys(
        (
            "add",
            "batch_norm",
            "concatenate",
            "direction_sum",
            "gru_sweep",  # along the rows; along the columns it is a scan
            "linear",
            "local_response_norm",
            "lstm_sweep",
            "relu",
            "rnn_sweep",
            "scale",
            "sigmoid",
            "softmax",
            "tanh",
        ),
        Local(_same, _by_row),
    ),
    "conv2d": Local(_rows_of_windows, _windows(0.0)),
    "avg_pool2d": Local(_rows_of_windows, _windows(0.0)),
    "max_pool2d": Local(_rows_of_windows, _windows(-np.inf)),
    "conv_transpose2d": Local(_rows_to_enlarge, _enlarged),
    "bilinear_resize": Local(_rows_of_taps, _resampled),
    "cubic_resize": Local(_rows_of_taps, _resampled),
    "window_gather": Local(_rows_gathered, _by_row),
    "crop": Local(_rows_cropped, _cropped),
}
# the image is read again rather than kept: so are maps that only move its values
CHEAP = frozenset({"image", "window_gather", "crop", "concatenate"})
