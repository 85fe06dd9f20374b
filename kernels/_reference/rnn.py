"""Recurrent sweeps over columns or rows in plain NumPy, step by step.

Units and their gates in stored order: "gru" reset gate, update gate, candidate; "lstm" input gate, forget
gate, candidate, output gate; "tanh" and "relu" one activation. Directions: down or right, then up or left.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm2d.kernels.arrays import FloatArray


def _sigmoid(z: FloatArray) -> FloatArray:
    return 1 / (1 + np.exp(-z))


def rnn_forward(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    unit: str,
    axis: int,
    keep: bool,
) -> tuple[FloatArray, Any]:
    """Return the hidden states (N, H, W, 2 U) and, with `keep`, what else the backward pass needs.

    Kept for each pixel and direction: gru the three gates and the candidate's recurrent product (4 U); lstm
    the four gates and the new cell (5 U); tanh and relu nothing.
    """
    across = x.shape[3 - axis]
    above = np.zeros((x.shape[0], 2, across, 2 * recurrent.shape[1]), x.dtype)
    y, kept, _ = _sweeps(x, weight, recurrent, bias, unit, axis, above)
    return y, kept if keep else None


def rnn_strip(
    x: FloatArray, weight: FloatArray, recurrent: FloatArray, bias: FloatArray, unit: str, above: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the hidden states (N, H, W, U) of the sweep down the columns, and the state of the last row.

    `above` and the state, (N, 1, W, S), hold h, and for lstm c after it, of each pixel of a row of the image.
    """
    units = recurrent.shape[1]
    both = np.zeros((*above.shape[:3], 2 * units), above.dtype)
    both[..., : above.shape[3]] = above
    y, _, below = _sweeps(x, weight, recurrent, bias, unit, 1, both)
    return y, below[..., : above.shape[3]]


def _sweeps(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    unit: str,
    axis: int,
    above: FloatArray,
) -> tuple[FloatArray, Any, FloatArray]:
    """Return the hidden states of as many directions as there are weights, what is kept, the last states."""
    directions, units = len(weight), recurrent.shape[1]
    y = np.zeros((*x.shape[:3], directions * units), x.dtype)
    kept: list[dict[int, tuple[FloatArray, ...]]] = [{}, {}]
    below = np.zeros_like(above)
    for d in range(directions):
        sweep, out = np.moveaxis(x, axis, 0), np.moveaxis(y, axis, 0)[..., d * units : (d + 1) * units]
        h, c = np.split(above[:, d], 2, axis=-1)
        for t in _order(d, len(sweep)):
            z, r = sweep[t] @ weight[d] + bias[d], h @ recurrent[d]
            if unit == "gru":
                reset, update = np.split(_sigmoid((z + r)[..., :-units]), 2, axis=-1)
                candidate = np.tanh(z[..., -units:] + reset * r[..., -units:])
                h = (1 - update) * h + update * candidate
                kept[d][t] = reset, update, candidate, r[..., -units:]
            elif unit == "lstm":
                gates = np.split(z + r, 4, axis=-1)
                gate_i, gate_f, gate_o = _sigmoid(gates[0]), _sigmoid(gates[1]), _sigmoid(gates[3])
                candidate = np.tanh(gates[2])
                c = gate_f * c + gate_i * candidate
                h = gate_o * np.tanh(c)
                kept[d][t] = gate_i, gate_f, candidate, gate_o, c
            else:
                h = np.tanh(z + r) if unit == "tanh" else np.maximum(z + r, 0)
            out[t] = h
        below[:, d] = np.concatenate([h, c], axis=-1)
    return y, kept, below


def rnn_backward(
    grad_y: FloatArray,
    x: FloatArray,
    y: FloatArray,
    kept: Any,
    weight: FloatArray,
    recurrent: FloatArray,
    unit: str,
    axis: int,
    need_x: bool,
) -> tuple[FloatArray | None, FloatArray, FloatArray, FloatArray]:
    """Return the gradients of x (None unless `need_x`), weight, recurrent, bias."""
    units = recurrent.shape[1]
    grad_x, grad_weight, grad_recurrent = np.zeros_like(x), np.zeros_like(weight), np.zeros_like(recurrent)
    grad_bias = np.zeros((2, weight.shape[2]), x.dtype)
    for d in range(2):
        part = np.s_[..., d * units : (d + 1) * units]
        sweep, sweep_grad = np.moveaxis(x, axis, 0), np.moveaxis(grad_x, axis, 0)
        hidden, hidden_grad = np.moveaxis(y, axis, 0)[part], np.moveaxis(grad_y, axis, 0)[part]
        order = _order(d, len(sweep))
        carry = np.zeros((2, *sweep.shape[1:3], units), x.dtype)  # gradients of h and c from the next step
        for k in range(len(order) - 1, -1, -1):
            t, before = order[k], order[k - 1] if k else None
            h = np.zeros_like(carry[0]) if before is None else hidden[before]
            dh = hidden_grad[t] + carry[0]
            if unit == "gru":
                dz, dr, direct = _gru_backward(dh, h, *kept[d][t])
            elif unit == "lstm":
                c = np.zeros_like(h) if before is None else kept[d][before][-1]
                dz, direct = _lstm_backward(dh, carry[1], c, *kept[d][t])
                dr = dz
            else:
                slope = 1 - hidden[t] ** 2 if unit == "tanh" else np.where(hidden[t] <= 0, 0, 1)
                dz = dr = dh * slope
                direct = np.zeros_like(carry)
            carry = direct
            carry[0] += dr @ recurrent[d].T
            sweep_grad[t] += dz @ weight[d].T
            grad_weight[d] += np.einsum("nsc,nsg->cg", sweep[t], dz)
            grad_recurrent[d] += np.einsum("nsu,nsg->ug", h, dr)
            grad_bias[d] += dz.sum((0, 1))
    return grad_x if need_x else None, grad_weight, grad_recurrent, grad_bias


def _order(direction: int, steps: int) -> range:
    return range(steps) if direction == 0 else range(steps - 1, -1, -1)


def _gru_backward(
    dh: FloatArray,
    h: FloatArray,
    reset: FloatArray,
    update: FloatArray,
    candidate: FloatArray,
    product: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the gradients of both products, of input and state, and those passed to the previous step."""
    dn = dh * update * (1 - candidate**2)
    dr = dn * product * reset * (1 - reset)
    du = dh * (candidate - h) * update * (1 - update)
    direct = np.stack([dh * (1 - update), np.zeros_like(dh)])
    return np.concatenate([dr, du, dn], -1), np.concatenate([dr, du, dn * reset], -1), direct


def _lstm_backward(
    dh: FloatArray,
    dc: FloatArray,
    before: FloatArray,
    gate_i: FloatArray,
    gate_f: FloatArray,
    candidate: FloatArray,
    gate_o: FloatArray,
    c: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the gradient of both products, and those passed to the previous step."""
    t = np.tanh(c)
    dc = dc + dh * gate_o * (1 - t * t)
    di, df = dc * candidate * gate_i * (1 - gate_i), dc * before * gate_f * (1 - gate_f)
    dg, do = dc * gate_i * (1 - candidate**2), dh * t * gate_o * (1 - gate_o)
    return np.concatenate([di, df, dg, do], -1), np.stack([np.zeros_like(dh), dc * gate_f])
