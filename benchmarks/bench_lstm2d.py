"""The 2D-LSTM layer and the paper's two networks, compared with PyTorch and with their matrix products alone.

``torch``: a plain PyTorch implementation (``peers/torch_lstm2d.py``, or ``--peer FILE``); first, outputs and
gradients of both are compared. ``floor``: the same matrix products in BLAS alone, each as one large product
on allocated memory, one thread.

forward: no gradients. train: forward, backward and the gradients of all weights; for a layer after
another one also the gradient of its input, for a network also its loss on soft targets.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from comparison import check, command_line, on, our_tasks, parse, publish_rows, rows
from scipy.linalg.blas import sgemm
from timing import Task, interleaved, machine

import lstm2d
from lstm2d import kernels
from lstm2d.models import LSTM2DConfig, LSTM2DNetwork
from lstm2d.nn import LSTM2D, Module
from lstm2d.ops import soft_cross_entropy
from lstm2d.tensor import FloatArray, Tensor

SIZE, QUICK_SIZE = (240, 320), (30, 40)  # rows, columns
CLASSES = 8
NETWORKS = {5: ((10, 20, 50), (12, 30)), 3: ((4, 20, 50), (10, 30))}  # window: units, features
DIRECTIONS = ("forward", "train")
TOLERANCE = 1e-5  # of the largest value of an array, float32; seen: 1e-6
PEER = Path(__file__).parent / "peers" / "torch_lstm2d.py"

Arrays = list[FloatArray]
Program = Callable[[], Arrays]
Product = tuple[int, int, int]  # (m, k) times (k, n)


class Pair(NamedTuple):
    """A tensor of the library and its counterpart in the peer."""

    ours: Tensor
    twin: Any  # a torch tensor; its layout differs for linear weights (2 axes) and peepholes (5 axes)

    def give(self) -> None:
        """Copy our values to the twin."""
        axes = {2: (1, 0), 5: (1, 0, 2)}.get(self.twin.ndim)
        values = kernels.to_host(self.ours.data)
        values = values if axes is None else values.transpose(axes)
        self.twin.data.copy_(_torch().from_numpy(values.copy()).reshape(self.twin.shape))

    def grad(self) -> FloatArray:
        """Return the twin's gradient in our layout."""
        values: FloatArray = self.twin.grad.cpu().numpy()
        if self.twin.ndim == 2:
            values = values.T
        elif self.twin.ndim == 5:
            kinds, directions, *_, units = values.shape
            values = values.reshape(kinds, directions, units).transpose(1, 0, 2)
        return values.reshape(self.ours.shape)


@dataclass(frozen=True)
class Case:
    """A function in one direction, in the library and in the peer."""

    name: str
    direction: str
    ours: Program
    peer: Program | None
    products: list[Product]


def layer_cases(window: int, index: int, size: tuple[int, int], peer: Any) -> Iterator[Case]:
    """Yield the cases of a single layer of a network."""
    rng = np.random.default_rng([window, index])
    units, features = NETWORKS[window]
    u, inputs = units[index], (3 * window**2, *features)[index]
    rows, columns = grid(window, size)
    layer = LSTM2D(inputs, u, rng=rng)
    scatter(layer, rng)
    x = Tensor(rng.standard_normal((1, rows, columns, inputs), np.float32), requires_grad=index > 0)
    grad_y = rng.standard_normal((1, rows, columns, 4 * u), np.float32)
    ours = programs(layer, x, lambda: layer(x), lambda y: (y, grad_y))
    theirs: tuple[Program, ...] = ()
    if peer is not None:
        twin, xt = peer.TorchLSTM2D(inputs, u), _torch().from_numpy(x.data).requires_grad_(index > 0)
        gt = _torch().from_numpy(grad_y)
        pairs = lstm_pairs(layer, twin)
        theirs = twin_programs(pairs, Pair(x, xt), lambda: twin(xt), lambda y: (y, gt))
    for k, direction in enumerate(DIRECTIONS):
        products = layer_products(rows * columns, inputs, u, train=k == 1, first=index == 0)
        name = f"{window}x{window} layer {index + 1}, {inputs} to {u}"
        yield Case(name, direction, ours[k], theirs[k] if theirs else None, products)


def network_cases(window: int, size: tuple[int, int], peer: Any) -> Iterator[Case]:
    """Yield the cases of a whole network, from the image to scores or loss."""
    rng = np.random.default_rng(window)
    units, features = NETWORKS[window]
    config = LSTM2DConfig(window=window, units=units, features=features, feedforward="separate")
    model = LSTM2DNetwork(config, CLASSES, rng)
    scatter(model, rng)
    rows, columns = grid(window, size)
    x = Tensor(rng.standard_normal((1, rows * window, columns * window, 3), np.float32))
    targets = rng.dirichlet(np.ones(CLASSES), (1, rows, columns)).astype(np.float32)
    weight = rng.random((1, rows, columns), np.float32)
    ours = programs(
        model, x, lambda: model.scores(x), lambda y: (soft_cross_entropy(y, targets, weight), None)
    )
    theirs: tuple[Program, ...] = ()
    if peer is not None:
        twin = peer.TorchByeon(window, CLASSES)
        xt, tt, wt = map(_torch().from_numpy, (x.data, targets, weight))
        cut = xt.view(1, rows, window, columns, window, 3)
        pairs = [pair for k, layer in enumerate(model.lstm) for pair in lstm_pairs(layer, twin.layers[2 * k])]
        for k, linear in enumerate(model.feedforward):
            other = twin.layers[2 * k + 1]
            pairs += [Pair(p, getattr(other, name)) for name, p in linear.named_parameters()]
        theirs = twin_programs(
            pairs,
            Pair(x, xt),
            lambda: twin(cut.permute(0, 1, 3, 2, 4, 5).reshape(1, rows, columns, -1)),
            lambda y: (-(wt * (tt * y.log_softmax(-1)).sum(-1)).sum(), None),
        )
    for k, direction in enumerate(DIRECTIONS):
        products = network_products(window, rows * columns, train=k == 1)
        yield Case(f"{window}x{window} network", direction, ours[k], theirs[k] if theirs else None, products)


def programs(
    module: Module,
    x: Tensor,
    forward: Callable[[], Tensor],
    objective: Callable[[Tensor], tuple[Tensor, FloatArray | None]],
) -> tuple[Program, Program]:
    """Return our forward and our training step; the latter returns the output and all gradients."""
    leaves = [*module.parameters(), *([x] if x.requires_grad else [])]

    def run_forward() -> Arrays:
        with lstm2d.no_grad():
            return [forward().data]

    def run_train() -> Arrays:
        for leaf in leaves:
            leaf.grad = None
        y, grad_y = objective(forward())
        lstm2d.backward(y, grad_y)
        return [y.data, *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    return run_forward, run_train


def twin_programs(
    pairs: list[Pair],
    x: Pair,
    forward: Callable[[], Any],
    objective: Callable[[Any], tuple[Any, Any]],
) -> tuple[Program, Program]:
    """Return the same two programs of the peer, with our weights."""
    torch = _torch()
    for pair in pairs:
        pair.give()
    leaves = [*pairs, *([x] if x.twin.requires_grad else [])]

    def run_forward() -> Arrays:
        with torch.no_grad():
            return [forward().numpy()]

    def run_train() -> Arrays:
        for leaf in leaves:
            leaf.twin.grad = None
        y, grad_y = objective(forward())
        y.backward(grad_y)
        return [y.detach().numpy(), *(leaf.grad() for leaf in leaves)]

    return run_forward, run_train


def lstm_pairs(layer: LSTM2D, twin: Any) -> list[Pair]:
    """Return the parameters of a layer with their twins."""
    assert layer.peepholes is not None
    ours = (layer.weight, layer.recurrent, layer.bias, layer.peepholes)
    return [Pair(*both) for both in zip(ours, (twin.weight, twin.recurrent, twin.bias, twin.peephole))]  # noqa: B905


def scatter(module: Module, rng: np.random.Generator) -> None:
    """Set biases and peepholes, which start at 0, to random values, and lower the forget gates.

    With two forget gates above one half, cells and rounding errors would grow exponentially.
    """
    for name, p in module.named_parameters():
        if not p.data.any():
            p.data[...] = rng.uniform(-0.1, 0.1, p.shape)
        if name.endswith("bias") and p.data.ndim == 2:
            p.data.reshape(4, 5, -1)[:, 1:3] -= 1


def grid(window: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of windows, the last ones padded."""
    return -(-size[0] // window), -(-size[1] // window)


def matrix_products(positions: int, inputs: int, outputs: int, *, train: bool, back: int) -> list[Product]:
    """Return the products of ``x @ weight``; `back` of the inputs have a gradient."""
    forward = (positions, inputs, outputs)
    return [forward, (inputs, positions, outputs), (positions, outputs, back)] if train else [forward]


def layer_products(positions: int, inputs: int, units: int, *, train: bool, first: bool) -> list[Product]:
    """Return the products of a 2D-LSTM layer: input and hidden states of both neighbours, to the gates."""
    known, state = (inputs, 2 * units) if first else (0, inputs + 2 * units)
    return 4 * matrix_products(positions, known + state, 5 * units, train=train, back=state)


def network_products(window: int, positions: int, *, train: bool) -> list[Product]:
    """Return the products of all layers and of the feedforward layers between them."""
    units, features = NETWORKS[window]
    inputs = (3 * window**2, *features)
    found: list[Product] = []
    for k, (u, f) in enumerate(zip(units, (*features, CLASSES), strict=True)):
        found += layer_products(positions, inputs[k], u, train=train, first=k == 0)
        found += matrix_products(positions, 4 * u, f, train=train, back=4 * u)
    return found


def floor(products: Sequence[Product]) -> Callable[[], None]:
    """Return a function that computes only the products, in BLAS."""
    rng = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> FloatArray:
        return rng.standard_normal((columns, rows), np.float32).T  # BLAS stores by columns

    operands = [(matrix(n, k), matrix(k, m), matrix(n, m)) for m, k, n in products]

    def run() -> None:
        for a, b, c in operands:
            sgemm(1.0, a, b, c=c, overwrite_c=True)

    return run


def measure(
    case: Case, backends: Sequence[str], threads: Sequence[int], repeats: int, clock: str
) -> list[dict[str, Any]]:
    """Return one row for each number of threads and backend; first, compare the values."""
    tasks = {("floor", 1): Task(floor(case.products)), **our_tasks(case.ours, backends, threads)}
    if case.peer is not None:
        tasks |= {("torch", n): Task(case.peer, n) for n in threads}
        for backend in backends:
            title = f"{case.name}, {case.direction} {backend}".rstrip()
            check(title, on(backend, case.ours)(), case.peer(), TOLERANCE)
    times = interleaved(tasks, repeats=repeats, clock=clock)
    peers = [] if case.peer is None else ["torch"]
    return rows(case.name, case.direction, times, backends, threads, peers)


def load_peer(path: Path) -> Any:
    """Return the peer's module, or None if PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    spec = importlib.util.spec_from_file_location("peer", path)
    if spec is None or spec.loader is None or not path.is_file():
        sys.exit(f"--peer {path}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _torch() -> Any:
    return sys.modules["torch"]  # imported by the peer


def main() -> None:
    """Measure and print."""
    parser = command_line(__doc__, "network")
    parser.add_argument("--peer", type=Path, default=PEER, metavar="FILE", help="another PyTorch program")
    options = parse(parser)
    size, repeats = (QUICK_SIZE, 1) if options.quick else (SIZE, options.repeats)
    peer = load_peer(options.peer)
    described = machine(options.threads)
    found: list[dict[str, Any]] = []
    for window in NETWORKS:
        cases = [case for k in range(3) for case in layer_cases(window, k, size, peer)]
        for case in [*cases, *network_cases(window, size, peer)]:
            if options.only in case.name:
                found += measure(case, options.backend, options.threads, repeats, options.clock)
    result = {"machine": described, "size": list(size), "clock": options.clock, "rows": found}
    what = f"{size[1]}x{size[0]}, batch 1, float32"
    publish_rows(options.json, result, f"{what}; medians of {repeats}, {options.clock} time; +-: quartiles")


if __name__ == "__main__":
    main()
