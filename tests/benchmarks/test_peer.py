"""The 2D-LSTM layer against the PyTorch implementation of the benchmarks; skipped without PyTorch."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d.ops import lstm2d_layer
from lstm2d.tape import backward
from lstm2d.tensor import Tensor

torch: Any = pytest.importorskip("torch", exc_type=ImportError)


@pytest.fixture(scope="module")
def peer(checkout: Path) -> ModuleType:
    path = checkout / "benchmarks" / "peers" / "torch_lstm2d.py"
    spec = importlib.util.spec_from_file_location("torch_lstm2d", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("peepholes", [True, False])
@pytest.mark.parametrize(
    ("n", "height", "width", "channels", "units"),
    [
        (1, 1, 1, 2, 1),
        (1, 1, 7, 3, 2),
        (1, 7, 1, 3, 2),
        (2, 5, 3, 4, 3),
        (3, 4, 9, 1, 4),
        (1, 17, 16, 5, 10),
        (2, 33, 21, 3, 4),
    ],
)
def test_layer_equals_peer(
    peer: ModuleType,
    rng: np.random.Generator,
    n: int,
    height: int,
    width: int,
    channels: int,
    units: int,
    peepholes: bool,
) -> None:
    x = Tensor(rng.standard_normal((n, height, width, channels)), requires_grad=True)
    grad_y = rng.standard_normal((n, height, width, 4 * units))
    shapes = [(4, channels, 5 * units), (4, 2 * units, 5 * units), (4, 5 * units), (4, 5, units)]
    ours = [Tensor(rng.uniform(-0.5, 0.5, s), requires_grad=True) for s in shapes[: 3 + peepholes]]
    ours[2].data.reshape(4, 5, units)[:, 1:3] -= 1  # forget gates: cells that grow would magnify rounding
    y = lstm2d_layer(x, *ours)
    backward(y, grad_y)

    twin = peer.TorchLSTM2D(channels, units, peepholes=peepholes, dtype=torch.float64)
    theirs = [twin.weight, twin.recurrent, twin.bias, *([twin.peephole] if peepholes else [])]
    axes = [(0, 1, 2), (0, 1, 2), (0, 1), (1, 0, 2)]  # the peer's peepholes: kinds, then directions
    with torch.no_grad():
        for p, t, order in zip(ours, theirs, axes[: len(ours)], strict=True):
            t.copy_(torch.tensor(p.data.transpose(order)).reshape(t.shape))
    xt = torch.tensor(x.data, requires_grad=True)
    yt = twin(xt)
    yt.backward(torch.tensor(grad_y))

    assert max_error(y.data, yt.detach().numpy()) < 1e-10
    assert max_error(x.grad, xt.grad.numpy()) < 1e-10
    for p, t, order in zip(ours, theirs, axes[: len(ours)], strict=True):
        shape = tuple(p.shape[k] for k in order)
        assert max_error(p.grad, t.grad.numpy().reshape(shape).transpose(order)) < 1e-10


def max_error(a: np.ndarray | None, b: np.ndarray) -> float:
    assert a is not None
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))
