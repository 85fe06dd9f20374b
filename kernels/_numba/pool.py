"""Pooling, one row at a time; meaning: kernels/_reference/pool.py. Lanes run over channels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstm2d.kernels import arena
from lstm2d.kernels._numba.jit import kernel, part, row, spread
from lstm2d.kernels.arrays import FloatArray, IntArray, Pair, contiguous
from lstm2d.kernels.checks import contiguous_floats


class Windows(NamedTuple):
    """Sizes of image and result, and the windows: pairs are for rows and columns."""

    size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair


def max_pool2d_forward(
    x: FloatArray, size: Pair, stride: Pair, padding: Pair, dilation: Pair, keep: bool
) -> tuple[FloatArray, IntArray | None]:
    (x,) = contiguous_floats(x)
    windows = _windows(size, stride, padding, dilation)
    y = arena.empty(_shape(x.shape, windows), x.dtype)
    winner = arena.empty(y.shape, np.uint8 if size[0] * size[1] <= 256 else np.intc) if keep else None
    if y.size:
        tasks, work = y.shape[0] * y.shape[1], x.size // y.shape[1] // y.shape[0]
        if stride[1] == 1 and size[1] > 1 and not keep:
            spread(_max_everywhere, tasks, work * size[0], x, windows, y)
        elif stride[1] == 1 and keep:
            spread(_max_in_lines, tasks, work * size[0], x, windows, y, winner)
        else:
            spread(_max, tasks, work, x, windows, y, winner)
    return y, winner


def max_pool2d_backward(
    grad_y: FloatArray,
    winner: IntArray,
    shape: tuple[int, ...],
    size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> FloatArray:
    windows = _windows(size, stride, padding, dilation)
    return _backward(grad_y, contiguous(winner), shape, windows)


def avg_pool2d_forward(x: FloatArray, size: Pair, stride: Pair, padding: Pair) -> FloatArray:
    (x,) = contiguous_floats(x)
    windows = _windows(size, stride, padding)
    y = arena.empty(_shape(x.shape, windows), x.dtype)
    if y.size:
        spread(_mean, y.shape[0] * y.shape[1], x.size // y.shape[1] // y.shape[0], x, windows, y)
    return y


def avg_pool2d_backward(
    grad_y: FloatArray, shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair
) -> FloatArray:
    windows = _windows(size, stride, padding)
    return _backward(grad_y, None, shape, windows)


def _backward(
    grad_y: FloatArray, winner: IntArray | None, shape: tuple[int, ...], windows: Windows
) -> FloatArray:
    (grad_y,) = contiguous_floats(grad_y)
    grad_x = arena.empty(shape, grad_y.dtype)
    if grad_x.size:
        work = 2 * shape[2] * shape[3]
        spread(_grad, shape[0] * shape[1], work, grad_y, winner, windows, grad_x)
    return grad_x


def _windows(size: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> Windows:
    # tuples: Numba compiles for the types of their fields
    return Windows(*((int(rows), int(columns)) for rows, columns in (size, stride, padding, dilation)))


def _shape(shape: tuple[int, ...], w: Windows) -> tuple[int, ...]:
    rows, columns = (
        (shape[1 + a] + 2 * w.padding[a] - w.dilation[a] * (w.size[a] - 1) - 1) // w.stride[a] + 1
        for a in range(2)
    )
    return shape[0], rows, columns, shape[3]


@kernel
def _max(x, w, y, winner, begin, end):
    _, height, width, channels = x.shape
    rows, columns = y.shape[1], y.shape[2]
    places = np.empty(channels, np.int32)  # as wide as a float: the comparison vectorises
    pixels, results = x.reshape(-1), y.reshape(-1)
    chosen = None if winner is None else winner.reshape(-1)
    for task in range(begin, end):
        b, i = task // rows, task % rows
        top = i * w.stride[0] - w.padding[0]
        first_row, last_row = _inside(top, w.size[0], w.dilation[0], height)
        for j in range(columns):
            left = j * w.stride[1] - w.padding[1]
            first, last = _inside(left, w.size[1], w.dilation[1], width)
            most, found = row(results, (task * columns + j) * channels, channels), False
            for r in range(first_row, last_row):
                line = (b * height + top + r * w.dilation[0]) * width + left
                for q in range(first, last, 2):  # in pairs, the last one twice if it has no other
                    other = min(q + 1, last - 1)
                    one = row(pixels, (line + q * w.dilation[1]) * channels, channels)
                    two = row(pixels, (line + other * w.dilation[1]) * channels, channels)
                    if chosen is None:
                        _larger(one, two, most, found)
                    else:
                        place = r * w.size[1]
                        _larger_at(
                            one, two, most, places, np.int32(place + q), np.int32(place + other), found
                        )
                    found = True
            if not found:  # a window that lies in the padding
                most[:] = -np.inf
                places[:] = -1
            if chosen is not None:
                to = row(chosen, (task * columns + j) * channels, channels)
                for c in range(to.size):
                    to[c] = places[c]


@part
def _inside(first, size, dilation, length):
    """Return the first place of a window inside of the image, and the one after the last."""
    low = (max(0, -first) + dilation - 1) // dilation
    return low, min(size, (length - first + dilation - 1) // dilation)


@part
def _wins(value, most):
    """Return whether a value takes the place of the largest one before it; of several NaN the last stays."""
    return value > most or value != value


@part
def _larger(one, two, most, compare):
    for c in range(most.size):
        value = two[c] if _wins(two[c], one[c]) else one[c]
        if compare:
            value = value if _wins(value, most[c]) else most[c]
        most[c] = value


@part
def _larger_at(one, two, most, winner, first, second, compare):
    for c in range(most.size):
        later = _wins(two[c], one[c])
        value, place = two[c] if later else one[c], second if later else first
        if compare:
            better = _wins(value, most[c])
            value, place = value if better else most[c], place if better else winner[c]
        most[c], winner[c] = value, place


@kernel
def _max_everywhere(x, w, y, begin, end):
    """Compute the maximum of windows at every column: over columns, once for each row, then over rows.

    In this order, the first of several equal places (0 and -0) is the one that `_max` takes.
    """
    _, height, width, channels = x.shape
    rows, lanes = y.shape[1], y.shape[2] * channels
    line = np.full((width + 2 * w.padding[1]) * channels, -np.inf, x.dtype)
    between, kept = np.empty_like(line), (w.size[0] - 1) * w.dilation[0] + 1
    lines, held = np.empty(kept * lanes, x.dtype), np.full(kept, -1)
    pixels, results = x.reshape(-1), y.reshape(-1)
    for task in range(begin, end):
        b, top = task // rows, task % rows * w.stride[0] - w.padding[0]
        first, last = _inside(top, w.size[0], w.dilation[0], height)
        to = row(results, task * lanes, lanes)
        if first >= last:
            to[:] = -np.inf
        for r in range(first, last):
            here = b * height + top + r * w.dilation[0]
            found = row(lines, here % kept * lanes, lanes)
            if held[here % kept] != here:
                line[w.padding[1] * channels : (w.padding[1] + width) * channels] = row(
                    pixels, here * width * channels, width * channels
                )
                _max_of_columns(line, between, w.size[1], w.dilation[1] * channels, found)
                held[here % kept] = here
            _larger(found, found, to, r > first)


@kernel
def _max_in_lines(x, w, y, winner, begin, end):
    """Compute the maximum and its place where windows lie at every column: lanes run over whole lines."""
    _, height, width, channels = x.shape
    rows, lanes = y.shape[1], y.shape[2] * channels
    places = np.empty(lanes, np.int32)  # as wide as a float: the comparison vectorises
    pixels, results, winners = x.reshape(-1), y.reshape(-1), winner.reshape(-1)
    for task in range(begin, end):
        b, top = task // rows, task % rows * w.stride[0] - w.padding[0]
        most, chosen = row(results, task * lanes, lanes), row(winners, task * lanes, lanes)
        most[:], places[:] = -np.inf, -1
        first, last = _inside(top, w.size[0], w.dilation[0], height)
        for place in range(first * w.size[1], last * w.size[1]):
            line = (b * height + top + place // w.size[1] * w.dilation[0]) * width
            offset = place % w.size[1] * w.dilation[1] - w.padding[1]
            low, n = _columns(offset, width, y.shape[2])
            values, lane = row(pixels, (line + low + offset) * channels, n * channels), low * channels
            _replace(values, row(most, lane, values.size), row(places, lane, values.size), np.int32(place))
        for k in range(lanes):
            chosen[k] = places[k]


@part
def _columns(offset, width, columns):
    """Return the first column with `column + offset` inside of the image, and their number."""
    low = min(columns, max(0, -offset))
    return low, max(0, min(columns, width - offset) - low)


@part
def _replace(values, most, winner, place):
    for k in range(values.size):
        wins = values[k] > most[k] or values[k] != values[k] or winner[k] < 0
        most[k], winner[k] = values[k] if wins else most[k], place if wins else winner[k]


@part
def _max_of_columns(line, between, size, apart, to):
    """Compute the maximum of windows of a line, in doubling sizes."""
    seen, values, reach = line, line.size, 1  # windows of `reach` columns at the first `values`
    while 2 * reach < size:
        values -= reach * apart
        _larger(seen, row(seen, reach * apart, values), row(between, 0, values), False)
        seen, reach = between, 2 * reach
    _larger(seen, row(seen, (size - reach) * apart, to.size), to, False)


@kernel
def _mean(x, w, y, begin, end):
    _, height, width, channels = x.shape
    rows, columns = y.shape[1], y.shape[2]
    count = x.dtype.type(w.size[0] * w.size[1])
    pixels, results = x.reshape(-1), y.reshape(-1)
    for task in range(begin, end):
        b, top = task // rows, task % rows * w.stride[0] - w.padding[0]
        line = row(results, task * columns * channels, columns * channels)
        line[:] = 0
        for p in range(max(0, top), min(height, top + w.size[0])):
            source = row(pixels, (b * height + p) * width * channels, width * channels)
            for place in range(w.size[1]):
                _add_line(source, line, channels, w.stride[1], place - w.padding[1], width, columns, False)
        for k in range(line.size):
            line[k] = line[k] / count


@part
def _add_line(source, to, channels, stride, offset, width, columns, back):
    """Add pixels `column * stride + offset` of a line of the image to the columns of a result, or back."""
    if stride == 1:
        low, n = _columns(offset, width, columns)
        image, result, n = (low + offset) * channels, low * channels, n * channels
        _add(row(source, result if back else image, n), row(to, image if back else result, n))
        return
    for j in range(columns):
        q = j * stride + offset
        if 0 <= q < width:
            image, result = q * channels, j * channels
            _add(
                row(source, result if back else image, channels), row(to, image if back else result, channels)
            )


@kernel
def _grad(grad_y, winner, w, grad_x, begin, end):
    """Gather for each row of the image the gradients of windows that see it, places of a window in order."""
    _, height, width, channels = grad_x.shape
    rows, columns = grad_y.shape[1], grad_y.shape[2]
    count = grad_y.dtype.type(w.size[0] * w.size[1])
    grads, pixels, lanes = grad_y.reshape(-1), grad_x.reshape(-1), columns * channels
    winners = None if winner is None else winner.reshape(-1)
    for task in range(begin, end):
        b, p = task // height, task % height
        line = row(pixels, task * width * channels, width * channels)
        line[:] = 0
        for place in range(w.size[0] * w.size[1]):
            top = p + w.padding[0] - place // w.size[1] * w.dilation[0]
            i = top // w.stride[0]
            if top % w.stride[0] or not 0 <= i < rows:
                continue
            offset, result = place % w.size[1] * w.dilation[1] - w.padding[1], (b * rows + i) * lanes
            source = row(grads, result, lanes)
            if winners is None:
                _add_line(source, line, channels, w.stride[1], offset, width, columns, True)
            else:
                chosen = row(winners, result, lanes)
                _add_chosen(source, chosen, place, line, channels, w.stride[1], offset, width)
        if winners is None:
            for k in range(line.size):
                line[k] = line[k] / count


@part
def _add_chosen(source, winner, place, to, channels, stride, offset, width):
    """Add the gradients of a line of results whose maximum lies at `place` to pixels of the image."""
    wanted, columns = winner.dtype.type(place), source.size // channels
    if stride == 1:
        low, n = _columns(offset, width, columns)
        image, result, n = (low + offset) * channels, low * channels, n * channels
        _add_where(row(source, result, n), row(winner, result, n), wanted, row(to, image, n))
        return
    for j in range(columns):
        q = j * stride + offset
        if 0 <= q < width:
            values, chosen = row(source, j * channels, channels), row(winner, j * channels, channels)
            _add_where(values, chosen, wanted, row(to, q * channels, channels))


@part
def _add(values, total):
    for c in range(total.size):
        total[c] += values[c]


@part
def _add_where(values, winner, place, total):
    zero = total.dtype.type(0)
    for c in range(total.size):
        total[c] += values[c] if winner[c] == place else zero
