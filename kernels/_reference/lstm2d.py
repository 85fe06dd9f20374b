"""The 2D-LSTM layer in plain NumPy, pixel by pixel.

Gates are stored in the order input gate, forget gate x, forget gate y, candidate, output gate; x is the
horizontal predecessor, y the vertical one. Directions: down-right, down-left, up-right, up-left.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm2d.kernels.arrays import FloatArray

STEPS = ((1, 1), (1, -1), (-1, 1), (-1, -1))  # (rows, columns) of one step of each direction
# Bound of a cell that is no mean of old ones, and with `gate_clip` of its gradient. With open forget gates
# both double at every step, and an image of 320x240 has 187 steps of 3x3 pixels; float32 ends at 3e38. The
# tanh and the gates are saturated long before.
LARGEST = 2.0**100


def _sigmoid(z: FloatArray) -> FloatArray:
    return 1 / (1 + np.exp(-z))


def lstm2d_forward(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    peepholes: FloatArray | None,
    cell_scale: float,
    leaky: bool,
    keep: bool,
) -> tuple[FloatArray, Any]:
    """Return the hidden states (N, H, W, 4 U) and, with `keep`, what the backward pass needs.

    Kept for each pixel and direction: the old hidden states and cells (4 U), the gates (5 U), tanh of the
    new cell (U).
    """
    n, _, w, _ = x.shape
    above = np.zeros((n, 4, w, recurrent.shape[1]), x.dtype)
    y, kept, _ = _scans(x, weight, recurrent, bias, peepholes, cell_scale, leaky, above)
    return y, kept if keep else None


def lstm2d_strip(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    peepholes: FloatArray | None,
    cell_scale: float,
    leaky: bool,
    above: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the hidden states (N, H, W, 2 U) of the scans from the top, and the state of the last row.

    `above` and the state, (N, 2, W, 2 U), hold h and c of each pixel of a row of the image.
    """
    y, _, below = _scans(x, weight, recurrent, bias, peepholes, cell_scale, leaky, above)
    return y, below


def _scans(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    peepholes: FloatArray | None,
    cell_scale: float,
    leaky: bool,
    above: FloatArray,
) -> tuple[FloatArray, Any, FloatArray]:
    """Return the hidden states of as many directions as there are weights, what is kept, the last states."""
    (n, h, w, _), directions = x.shape, len(weight)
    units = recurrent.shape[1] // 2
    y = np.zeros((n, h, w, directions * units), x.dtype)
    before = np.zeros((n, directions, h, w, 4, units), x.dtype)  # h_x, h_y, c_x, c_y
    gates = np.zeros((n, directions, h, w, 5, units), x.dtype)
    tanh_cell = np.zeros((n, directions, h, w, units), x.dtype)
    below = np.zeros_like(above)
    for b, d in np.ndindex(n, directions):
        flip = np.s_[:: STEPS[d][0], :: STEPS[d][1]]
        scan, out = x[b][flip], y[b, ..., d * units : (d + 1) * units][flip]
        hidden, cell = np.zeros((2, h + 1, w + 1, units), x.dtype)  # row 0 and column 0 lie outside the image
        hidden[0, 1:], cell[0, 1:] = np.split(above[b, d, :: STEPS[d][1]], 2, axis=1)
        p_ix, p_iy, p_fx, p_fy, p_o = np.zeros((5, units)) if peepholes is None else peepholes[d]
        for i, j in np.ndindex(h, w):
            h_x, h_y, c_x, c_y = hidden[i + 1, j], hidden[i, j + 1], cell[i + 1, j], cell[i, j + 1]
            z = (scan[i, j] @ weight[d] + np.concatenate([h_x, h_y]) @ recurrent[d] + bias[d]).reshape(
                5, units
            )
            gate_i = _sigmoid(z[0] + p_ix * c_x + p_iy * c_y)
            gate_fx, gate_fy = _sigmoid(z[1] + p_fx * c_x), _sigmoid(z[2] + p_fy * c_y)
            candidate = np.tanh(z[3])
            old = gate_fx * (gate_fy * c_y + (1 - gate_fy) * c_x) if leaky else gate_fx * c_x + gate_fy * c_y
            c = cell_scale * old + gate_i * candidate
            cell[i + 1, j + 1] = c = c if leaky else np.clip(c, -LARGEST, LARGEST)
            gate_o = _sigmoid(z[4] + p_o * c)
            tanh_cell[b, d, i, j] = np.tanh(c)
            hidden[i + 1, j + 1] = out[i, j] = gate_o * np.tanh(c)
            before[b, d, i, j] = h_x, h_y, c_x, c_y
            gates[b, d, i, j] = gate_i, gate_fx, gate_fy, candidate, gate_o
        below[b, d, :: STEPS[d][1]] = np.concatenate([hidden[h, 1:], cell[h, 1:]], axis=1)
    return y, (before, gates, tanh_cell), below


def lstm2d_backward(
    grad_y: FloatArray,
    x: FloatArray,
    kept: Any,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    peepholes: FloatArray | None,
    cell_scale: float,
    leaky: bool,
    gate_clip: float,
    need_x: bool,
) -> tuple[FloatArray | None, FloatArray, FloatArray, FloatArray, FloatArray | None]:
    """Return the gradients of x (None unless `need_x`), weight, recurrent, bias, peepholes.

    With a `gate_clip` above 0 the gradient of each gate and of the candidate, before the activation, is
    clipped to [-gate_clip, gate_clip] before anything else reads it; that of a cell only to `LARGEST`.
    """
    before, gates, tanh_cell = kept
    limit, largest = gate_clip or np.inf, LARGEST if gate_clip else np.inf
    n, h, w, _ = x.shape
    units = recurrent.shape[1] // 2
    grad_x = np.zeros(x.shape, x.dtype)
    grad_weight, grad_recurrent, grad_bias = (
        np.zeros_like(weight),
        np.zeros_like(recurrent),
        np.zeros_like(bias),
    )
    grad_peepholes = np.zeros((4, 5, units), x.dtype)
    for b, d in np.ndindex(n, 4):
        flip = np.s_[:: STEPS[d][0], :: STEPS[d][1]]
        scan, scan_grad = x[b][flip], grad_x[b][flip]
        scan_grad_y = grad_y[b, ..., d * units : (d + 1) * units][flip]
        grad_hidden, grad_cell = np.zeros((2, h + 1, w + 1, units), x.dtype)
        p_ix, p_iy, p_fx, p_fy, p_o = np.zeros((5, units)) if peepholes is None else peepholes[d]
        for i, j in list(np.ndindex(h, w))[::-1]:
            h_x, h_y, c_x, c_y = before[b, d, i, j]
            gate_i, f_x, f_y, candidate, gate_o = gates[b, d, i, j]
            t = tanh_cell[b, d, i, j]
            old = f_x * (f_y * c_y + (1 - f_y) * c_x) if leaky else f_x * c_x + f_y * c_y
            dh = scan_grad_y[i, j] + grad_hidden[i + 1, j + 1]
            dz_o = np.clip(dh * t * gate_o * (1 - gate_o), -limit, limit)
            dc = dh * gate_o * (1 - t * t) + grad_cell[i + 1, j + 1] + dz_o * p_o
            dc = np.clip(dc, -largest, largest)
            dz_i = np.clip(dc * candidate * gate_i * (1 - gate_i), -limit, limit)
            dz_g = np.clip(dc * gate_i * (1 - candidate**2), -limit, limit)
            df_x = cell_scale * dc * (f_y * c_y + (1 - f_y) * c_x if leaky else c_x)
            df_y = cell_scale * dc * (f_x * (c_y - c_x) if leaky else c_y)
            dz_x = np.clip(df_x * f_x * (1 - f_x), -limit, limit)
            dz_y = np.clip(df_y * f_y * (1 - f_y), -limit, limit)
            dz = np.concatenate([dz_i, dz_x, dz_y, dz_g, dz_o])
            grad_cell[i + 1, j] += (
                cell_scale * dc * f_x * ((1 - f_y) if leaky else 1) + dz_i * p_ix + dz_x * p_fx
            )
            grad_cell[i, j + 1] += cell_scale * dc * f_y * (f_x if leaky else 1) + dz_i * p_iy + dz_y * p_fy
            back = recurrent[d] @ dz
            grad_hidden[i + 1, j] += back[:units]
            grad_hidden[i, j + 1] += back[units:]
            scan_grad[i, j] += weight[d] @ dz
            grad_weight[d] += np.outer(scan[i, j], dz)
            grad_recurrent[d] += np.outer(np.concatenate([h_x, h_y]), dz)
            grad_bias[d] += dz
            cell = cell_scale * old + gate_i * candidate
            grad_peepholes[d] += dz_i * c_x, dz_i * c_y, dz_x * c_x, dz_y * c_y, dz_o * cell
    return (
        grad_x if need_x else None,
        grad_weight,
        grad_recurrent,
        grad_bias,
        None if peepholes is None else grad_peepholes,
    )
