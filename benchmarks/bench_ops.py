"""Every other op beside PyTorch, and beside its matrix products alone.

``torch``: PyTorch's own op on the same values, the faster of its two orders of memory, channels first and
channels last; before anything is measured, outputs and gradients of both sides are compared. ``floor``: the
matrix products that the op's definition needs, each as one big product in BLAS on memory that exists
already, one thread; a convolution by Winograd's method needs fewer multiplications than that.

forward: no gradients. train: forward, backward and the gradients of all parameters and of the input, unless
the case is a network's first layer.

ours MB, torch MB: peak memory beyond inputs and parameters, as ``memory.py`` says; PyTorch's in the order of
memory that needs less.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from comparison import command_line, parse, publish_rows, row
from memory import in_fresh_process, measurable, peak_mb
from scipy.linalg.blas import sgemm
from timing import Task, interleaved, machine, set_threads

import lstm2d
from lstm2d import ops
from lstm2d.models.backbones.vgg16 import VGG16
from lstm2d.tensor import FloatArray, Tensor

DIRECTIONS = ("forward", "train")
VGG = (64, 64, 128, 128, 256, 256, 256)  # channels of the convolutions, 3 x 3 each
VGG_POOLS = (2, 4)  # of 2 x 2, before these convolutions
ORDERS = ("channels_first", "channels_last")  # of PyTorch's memory
TOLERANCE = 1e-4  # of the largest value of an array, float32: Winograd's convolutions are allowed that much
Arrays = list[FloatArray]
Program = Callable[[], Arrays]
Product = tuple[int, int, int]  # (m, k) times (k, n)


@dataclass(frozen=True)
class Case:
    """One op on both sides.

    ``ours`` takes Tensors, ``torch`` the module and tensors in PyTorch's order of axes; both take the input
    first and then the parameters, and return the output. ``axes`` moves each parameter into PyTorch's order.
    ``products`` names the forward's, from the shapes of input and output; ``first`` is a layer whose input
    needs no gradient.
    """

    name: str
    shape: tuple[int, int, int]  # rows, columns, channels
    parameters: tuple[tuple[int, ...], ...]
    axes: tuple[tuple[int, ...], ...]
    ours: Callable[..., Tensor]
    torch: Callable[..., Any]
    products: Callable[[tuple[int, ...], tuple[int, ...]], list[Product]] = lambda x, y: []
    first: bool = False
    directions: tuple[str, ...] = DIRECTIONS
    memory: tuple[str, ...] = ()  # directions whose peak is measured without --memory


def conv(
    name: str, shape: tuple[int, int, int], kernel: int, outputs: int, *, first: bool = False, **options: int
) -> Case:
    """Return a convolution with bias."""

    def products(x: tuple[int, ...], y: tuple[int, ...]) -> list[Product]:
        return [(y[1] * y[2], kernel * kernel * x[3], outputs)]

    return Case(
        f"conv {name}",
        shape,
        ((kernel, kernel, shape[2], outputs), (outputs,)),
        ((3, 2, 0, 1), (0,)),
        lambda x, w, b: ops.conv2d(x, w, b, **options),
        lambda torch, x, w, b: torch.nn.functional.conv2d(x, w, b, **options),
        products,
        first,
    )


def transposed(name: str, shape: tuple[int, int, int], kernel: int, outputs: int, stride: int) -> Case:
    """Return a transposed convolution with bias."""

    def products(x: tuple[int, ...], y: tuple[int, ...]) -> list[Product]:
        return [(x[1] * x[2], x[3], kernel * kernel * outputs)]

    return Case(
        f"transposed conv {name}",
        shape,
        ((kernel, kernel, shape[2], outputs), (outputs,)),
        ((2, 3, 0, 1), (0,)),
        lambda x, w, b: ops.conv_transpose2d(x, w, b, stride=stride),
        lambda torch, x, w, b: torch.nn.functional.conv_transpose2d(x, w, b, stride=stride),
        products,
    )


def pool(name: str, shape: tuple[int, int, int], size: int) -> Case:
    """Return a maximum pooling."""
    return Case(
        f"max pool {name}",
        shape,
        (),
        (),
        lambda x: ops.max_pool2d(x, size),
        lambda torch, x: torch.nn.functional.max_pool2d(x, size),
    )


def sweep(
    unit: str, name: str, shape: tuple[int, int, int], units: int, axis: int, *, first: bool = False
) -> Case:
    """Return the two directions of a GRU or an LSTM along one axis."""
    gates = {"gru": 3, "lstm": 4}[unit] * units

    def products(x: tuple[int, ...], y: tuple[int, ...]) -> list[Product]:
        return 2 * [(x[1] * x[2], x[3], gates), (x[1] * x[2], units, gates)]

    def peer(torch: Any, x: Any, weight: Any, recurrent: Any, bias: Any) -> Any:
        if unit == "gru":  # PyTorch's update gate is one minus ours
            sign = torch.ones(gates)
            sign[units : 2 * units] = -1
            weight, recurrent, bias = weight * sign[:, None], recurrent * sign[:, None], bias * sign
        none = torch.zeros(gates)
        parameters = [t for d in range(2) for t in (weight[d], recurrent[d], bias[d], none)]
        state = torch.zeros(2, x.shape[3 if axis == 1 else 2], units)
        options = (parameters, True, 1, 0.0, False, True, axis == 2)
        steps = x[0].permute(1, 2, 0)  # (H, W, C): steps first (columns), sequences first (rows)
        y = (
            torch.gru(steps, state, *options)
            if unit == "gru"
            else torch.lstm(steps, (state, state), *options)
        )
        return y[0].permute(2, 0, 1)[None]

    op = {"gru": ops.gru_sweep, "lstm": ops.lstm_sweep}[unit]
    return Case(
        f"{unit} {name} {'columns' if axis == 1 else 'rows'}",
        shape,
        ((2, shape[2], gates), (2, units, gates), (2, gates)),
        ((0, 2, 1), (0, 2, 1), (0, 1)),
        lambda *tensors: op(*tensors, axis=axis),
        peer,
        products,
        first,
    )


def vgg(name: str, shape: tuple[int, int, int]) -> Case:
    """Return the first layers of VGG-16, up to conv3_3 after its ReLU."""
    ends = list(pairwise((shape[2], *VGG)))
    network = VGG16("conv3_3", rng=np.random.default_rng(0))

    def ours(x: Tensor, *parameters: Tensor) -> Tensor:
        for own, given in zip(network.parameters(), parameters, strict=True):
            own.data = given.data
        return network(x)

    def peer(torch: Any, x: Any, *parameters: Any) -> Any:
        for k in range(len(VGG)):
            if k in VGG_POOLS:
                x = torch.nn.functional.max_pool2d(x, 2)
            y = torch.nn.functional.conv2d(x, parameters[2 * k], parameters[2 * k + 1], padding=1)
            x = torch.relu_(y)
        return x

    def products(x: tuple[int, ...], y: tuple[int, ...]) -> list[Product]:
        pools = [sum(k >= pool for pool in VGG_POOLS) for k in range(len(VGG))]
        return [
            ((x[1] >> p) * (x[2] >> p), 9 * c_in, c_out) for p, (c_in, c_out) in zip(pools, ends, strict=True)
        ]

    parameters = tuple(s for c_in, c_out in ends for s in ((3, 3, c_in, c_out), (c_out,)))
    axes = len(VGG) * ((3, 2, 0, 1), (0,))
    return Case(
        name,
        shape,
        parameters,
        axes,
        ours,
        peer,
        products,
        first=True,
        directions=("forward",),
        memory=("forward",),
    )


CASES = [
    replace(conv("3x3 64-64", (180, 240, 64), 3, 64, padding=1), memory=("train",)),
    conv("3x3 128-128", (90, 120, 128), 3, 128, padding=1),
    conv("3x3 256-256", (90, 120, 256), 3, 256, padding=1),
    conv("3x3 3-64", (360, 480, 3), 3, 64, first=True, padding=1),
    conv("8x8 11-25", (240, 320, 11), 8, 25),
    conv("8x8 25-50", (116, 156, 25), 8, 50),
    conv("3x3 dilation 12 512-1024", (50, 63, 512), 3, 1024, padding=12, dilation=12),
    transposed("2x2 200-50", (45, 60, 200), 2, 50, 2),
    pool("2 on 64 channels", (360, 480, 64), 2),
    pool("8 on 25 channels", (128, 128, 25), 8),
    sweep("gru", "256-100", (90, 120, 256), 100, 1),
    sweep("gru", "200-100", (90, 120, 200), 100, 2),
    sweep("lstm", "12-40", (120, 160, 12), 40, 1, first=True),
    sweep("lstm", "120-60", (120, 160, 120), 60, 1),
    sweep("lstm", "120-60", (120, 160, 120), 60, 2),
    vgg("VGG-16 conv1_1 to conv3_3", (360, 480, 3)),
]
QUICK = (24, 28)  # rows, columns at most; multiples of the stride of VGG-16


@dataclass(frozen=True)
class Programs:
    """What is measured of one case in one direction."""

    ours: Program
    peers: dict[str, Program]  # by order of memory
    products: list[Product]


def small(case: Case) -> Case:
    """Return the case on a tiny image."""
    rows, columns, channels = case.shape
    return replace(case, shape=(min(rows, QUICK[0]), min(columns, QUICK[1]), channels))


def prepare(case: Case, torch: Any) -> dict[str, Programs]:
    """Return the programs of the case's directions on the same random values."""
    rng = np.random.default_rng(list(case.name.encode()))
    leaves = [Tensor(rng.standard_normal((1, *case.shape), np.float32), requires_grad=not case.first)]
    for shape in case.parameters:
        scale = 1 / np.sqrt(np.prod(shape[:-1])) if len(shape) > 1 else 1.0
        values = rng.standard_normal(shape, np.float32) * np.float32(scale)
        leaves.append(Tensor(values, requires_grad=True))
    with lstm2d.no_grad():
        y = case.ours(*leaves)
    grad_y = rng.standard_normal(y.shape, np.float32)
    products = case.products(leaves[0].shape, y.shape)

    def forward() -> Arrays:
        with lstm2d.no_grad():
            return [case.ours(*leaves).data]

    def train() -> Arrays:
        for leaf in leaves:
            leaf.grad = None
        out = case.ours(*leaves)
        lstm2d.backward(out, grad_y)
        return [out.data, *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    backward = [p for m, k, n in products for p in [(k, m, n), *([] if case.first else [(m, n, k)])]]
    orders = ORDERS if torch is not None else ()
    peers = {order: peer_programs(case, leaves, grad_y, torch, order) for order in orders}
    both = {
        "forward": Programs(forward, {order: pair[0] for order, pair in peers.items()}, products),
        "train": Programs(train, {order: pair[1] for order, pair in peers.items()}, products + backward),
    }
    return {direction: both[direction] for direction in case.directions}


def peer_programs(
    case: Case, leaves: Sequence[Tensor], grad_y: FloatArray, torch: Any, order: str
) -> tuple[Program, Program]:
    """Return PyTorch's forward and training step in one order of memory; their arrays in ours."""
    axes = [(0, 3, 1, 2), *case.axes]
    layout = torch.channels_last if order == "channels_last" else torch.contiguous_format

    def twin(values: FloatArray, order_of_axes: tuple[int, ...]) -> Any:
        t = torch.from_numpy(values.transpose(order_of_axes).copy())
        return t.contiguous(memory_format=layout) if t.ndim == 4 else t

    tensors = [twin(x.data, a).requires_grad_(x.requires_grad) for x, a in zip(leaves, axes, strict=True)]
    grad = twin(grad_y, (0, 3, 1, 2))

    def array(t: Any, order_of_axes: Sequence[int]) -> FloatArray:
        values: FloatArray = t.numpy().transpose(np.argsort(order_of_axes))
        return values

    def forward() -> Arrays:
        with torch.no_grad():
            return [array(case.torch(torch, *tensors), axes[0])]

    def train() -> Arrays:
        for t in tensors:
            t.grad = None
        out = case.torch(torch, *tensors)
        out.backward(grad)
        grads = [array(t.grad, a) for t, a in zip(tensors, axes, strict=True) if t.grad is not None]
        return [array(out.detach(), axes[0]), *grads]

    return forward, train


def check(name: str, programs: Programs) -> None:
    """Compare both sides; exit if an array differs by more than `TOLERANCE` of its largest value."""
    for peer in programs.peers.values():
        for k, (a, b) in enumerate(zip(programs.ours(), peer(), strict=True)):
            error = float(np.abs(a - b).max() / np.abs(b).max())
            if not error <= TOLERANCE:
                sys.exit(f"{name}: array {k} and PyTorch's differ by {error:.1e}")


def floor(products: Sequence[Product]) -> Callable[[], None]:
    """Return a function that computes the products in BLAS and does nothing else."""
    rng = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> FloatArray:
        return rng.standard_normal((columns, rows), np.float32).T  # BLAS stores by columns

    def run() -> None:
        for a, b, c in operands:
            sgemm(1.0, a, b, c=c, overwrite_c=True)

    operands = [(matrix(n, k), matrix(k, m), matrix(n, m)) for m, k, n in products]
    return run


def measure(
    case: Case, direction: str, programs: Programs, threads: Sequence[int], repeats: int, clock: str
) -> list[dict[str, Any]]:
    """Return one row for each number of threads."""
    tasks: dict[tuple[str, int], Task] = {}
    if programs.products:
        tasks["floor", 1] = Task(floor(programs.products))
    for n in threads:
        tasks["ours", n] = Task(programs.ours, n)
        for order, peer in programs.peers.items():
            tasks[order, n] = Task(peer, n)
    times = interleaved(tasks, repeats=repeats, clock=clock)
    name = f"{case.name} @{case.shape[0]}x{case.shape[1]}"
    return [row(name, direction, n, times, list(programs.peers)) for n in threads]


def peaks(case: Case, direction: str, threads: int, torch: Any) -> dict[str, float]:
    """Return the peak memory of both sides in MB; PyTorch's in the order of memory that needs less."""

    def side(name: str) -> float:
        return in_fresh_process(peak, case.name, case.shape, direction, name, threads)

    found = {"ours_peak_mb": side("ours")}
    if torch is not None:
        found["torch_peak_mb"] = min(side(order) for order in ORDERS)
    return {key: round(mb, 1) for key, mb in found.items()}


def peak(name: str, shape: tuple[int, int, int], direction: str, side: str, threads: int) -> float:
    """Return the peak memory of one side's program in this process, in MB."""
    set_threads(threads)
    torch = None if side == "ours" else load_torch()
    case = replace(next(case for case in CASES if case.name == name), shape=shape)

    def program(case: Case) -> Program:
        chosen = prepare(case, torch)[direction]
        return chosen.ours if torch is None else chosen.peers[side]

    program(small(case))()  # loads what is loaded late
    return peak_mb(program(case))


def load_torch() -> Any:
    """Return PyTorch, or None where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    return importlib.import_module("torch")


def main() -> None:
    """Measure and print."""
    parser = command_line(__doc__, "conv")
    parser.add_argument("--memory", action="store_true", help="peak memory of every case, not of some only")
    options = parse(parser)
    repeats = 1 if options.quick else options.repeats
    torch = load_torch()
    described = machine(options.threads)
    rows: list[dict[str, Any]] = []
    for chosen in (case for case in CASES if options.only in case.name):
        case = small(chosen) if options.quick else chosen
        for direction, programs in prepare(case, torch).items():
            check(f"{case.name}, {direction}", programs)
            found = measure(case, direction, programs, options.threads, repeats, options.clock)
            if measurable() and (options.memory or direction in case.memory):
                found = [line | peaks(case, direction, line["threads"], torch) for line in found]
            rows += found
    result = {"machine": described, "clock": options.clock, "rows": rows}
    note = f"batch 1, float32; medians of {repeats}, {options.clock} time; +-: quartiles"
    publish_rows(options.json, result, note)


if __name__ == "__main__":
    main()
