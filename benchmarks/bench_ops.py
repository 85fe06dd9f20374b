"""Every op compared with PyTorch and with its matrix products alone; cases come from the table of cases.

``torch``: PyTorch's own op on the same values, the faster of channels first and channels last; first, outputs
and gradients of both sides are compared. ``floor``: the matrix products in the op's definition, each as one
large product in BLAS on allocated memory, one thread; Winograd's method needs fewer multiplications for a
convolution. GFLOP/s and GB/s: operations and bytes of the definition, every array read or written once per
pass, divided by the library's time.

forward: no gradients. train: forward, backward and the gradients of all parameters and of the input, unless
the case is a network's first layer.

ours MB, torch MB: peak memory besides inputs and parameters, as ``memory.py`` measures it; PyTorch's in the
memory format that needs less.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from comparison import check, command_line, on, our_tasks, parse, publish_rows, rows
from memory import in_fresh_process, measurable, peak_mb
from scipy.linalg.blas import sgemm
from timing import Task, interleaved, machine, set_threads

import lstm2d
from lstm2d.models.backbones.vgg16 import VGG16
from lstm2d.selftest import CASES, Case
from lstm2d.selftest.case import BENCH, CUDA, Product, Values, Work, normal
from lstm2d.tensor import FloatArray, Tensor

VGG = (64, 64, 128, 128, 256, 256, 256)  # channels of the convolutions, 3 x 3 each
VGG_POOLS = (2, 4)  # of 2 x 2, before these convolutions
VGG_NAME = "VGG-16 conv1_1 to conv3_3"
FIRST = ("conv 3x3 3-64", "lstm 12-40 columns", VGG_NAME)  # layers whose input needs no gradient
FORWARD = (VGG_NAME,)  # whose training is not measured
MEMORY = ("conv 3x3 64-64", VGG_NAME)  # peak of the last direction is measured without --memory
ORDERS = ("channels_first", "channels_last")  # of PyTorch's memory
TOLERANCE = 1e-4  # of the largest value of an array, float32: for Winograd's convolutions
PEER = Path(__file__).parent / "peers/torch_ops.py"
Arrays = list[FloatArray]
Program = Callable[[], Arrays]


@dataclass(frozen=True)
class Programs:
    """The programs of one case in one direction."""

    ours: Program
    peers: dict[str, Program]  # by order of memory
    products: list[Product]
    work: Work | None = None


def vgg(rows: int, columns: int) -> Case:
    """Return the first layers of VGG-16, up to conv3_3 after its ReLU."""
    ends = list(pairwise((3, *VGG)))
    network = VGG16("conv3_3", rng=np.random.default_rng(0))

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        for own, given in zip(network.parameters(), parameters, strict=True):
            own.data = given.data
        return network(x)

    pools = [sum(k >= pool for pool in VGG_POOLS) for k in range(len(VGG))]
    return Case(
        VGG_NAME,
        ((1, rows, columns, 3), *(s for c_in, c_out in ends for s in ((3, 3, c_in, c_out), (c_out,)))),
        call=call,
        products=tuple(
            ((rows >> p) * (columns >> p), 9 * c_in, c_out)
            for p, (c_in, c_out) in zip(pools, ends, strict=True)
        ),
        label=VGG_NAME,
    )


def cases(*, quick: bool) -> dict[str, Case]:
    """Return the cases by name; `quick`: small cases of the same ops under these names."""
    found = {case.name: case for case in CASES if BENCH in case.users}
    if quick:
        found = {name: small(case) for name, case in found.items()}
    return found | {VGG_NAME: vgg(*((24, 28) if quick else (360, 480)))}


def small(case: Case) -> Case:
    """Return the largest of the tests' small cases of the same op with as many tensors and arrays."""

    def form(other: Case) -> tuple[object, ...]:
        return other.op, other.call, len(other.shapes), list(other.arrays), other.changes

    found = [c for c in CASES if CUDA in c.users and form(c) == form(case) and all(map(all, c.shapes))]
    return max(found, key=lambda other: sum(map(prod, other.shapes)))


def prepare(name: str, case: Case, peer: ModuleType | None) -> dict[str, Programs]:
    """Return the programs of the case's directions on the same random values."""
    values, first = case.values(), name in FIRST
    leaves = [Tensor(a, requires_grad=k > 0 or not first) for k, a in enumerate(values.inputs)]

    def result() -> Tensor:
        y: Tensor = case.run(*leaves, **{k: a.copy() for k, a in values.arrays.items()}, **case.options)
        return y

    def forward() -> Arrays:
        with lstm2d.no_grad():
            return [result().data]

    def train() -> Arrays:
        for leaf in leaves:
            leaf.grad = None
        out = result()
        lstm2d.backward(out, grad_y)
        return [out.data, *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    grad_y = normal(values.rng, forward()[0].shape)
    peers = (
        {order: peer_programs(case, values, grad_y, peer, order, first) for order in ORDERS} if peer else {}
    )
    found = {}
    for k, (direction, run) in enumerate({"forward": forward, "train": train}.items()):
        work = case.work(grad_y.shape, train=k > 0, first=first)
        theirs = {order: pair[k] for order, pair in peers.items() if pair is not None}
        found[direction] = Programs(run, theirs, work.products, work)
    return {"forward": found["forward"]} if name in FORWARD else found


def peer_programs(
    case: Case, values: Values, grad_y: FloatArray, peer: ModuleType, order: str, first: bool
) -> tuple[Program, Program] | None:
    """Return PyTorch's forward and training step in one memory format, if it has the op."""
    torch = sys.modules["torch"]
    given = {name: torch.from_numpy(a) for name, a in values.arrays.items()}
    twin = vgg_twin(peer, case) if case.name == VGG_NAME else peer.twin(case, given)
    if twin is None:
        return None
    layout = torch.channels_last if order == "channels_last" else torch.contiguous_format

    def moved(array: FloatArray, axes: tuple[int, ...]) -> Any:
        t = torch.from_numpy(np.asarray(array).transpose(axes).copy())
        return t.contiguous(memory_format=layout) if t.ndim == 4 and axes != (0, 1, 2, 3) else t

    pairs = list(zip(values.inputs, twin.axes, strict=True))
    tensors = [moved(a, axes).requires_grad_(k > 0 or not first) for k, (a, axes) in enumerate(pairs)]
    grad = moved(grad_y, twin.result)

    def array(t: Any, axes: Sequence[int]) -> FloatArray:
        ours: FloatArray = t.numpy().transpose(np.argsort(axes))
        return ours

    def forward() -> Arrays:
        with torch.no_grad():
            return [array(twin.run(*tensors), twin.result)]

    def train() -> Arrays:
        for t in tensors:
            t.grad = None
        out = twin.run(*tensors)
        out.backward(grad)
        grads = [
            array(t.grad, axes) for t, axes in zip(tensors, twin.axes, strict=True) if t.grad is not None
        ]
        return [array(out.detach(), twin.result), *grads]

    return forward, train


def vgg_twin(peer: ModuleType, case: Case) -> Any:
    """Return the layers in PyTorch."""
    functional = sys.modules["torch.nn.functional"]

    def run(x: Any, *parameters: Any) -> Any:
        for k in range(len(VGG)):
            if k in VGG_POOLS:
                x = functional.max_pool2d(x, 2)
            x = functional.conv2d(x, parameters[2 * k], parameters[2 * k + 1], padding=1).relu_()
        return x

    return peer.Twin(run, ((0, 3, 1, 2), *len(VGG) * ((3, 2, 0, 1), (0,))), (0, 3, 1, 2))


def floor(products: Sequence[Product]) -> Callable[[], None]:
    """Return a function that computes only the products, in BLAS."""
    rng = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> FloatArray:
        return rng.standard_normal((columns, rows), np.float32).T  # BLAS stores by columns

    def run() -> None:
        for a, b, c in operands:
            sgemm(1.0, a, b, c=c, overwrite_c=True)

    operands = [(matrix(n, k), matrix(k, m), matrix(n, m)) for m, k, n in products]
    return run


def measure(
    case: Case,
    direction: str,
    programs: Programs,
    backends: Sequence[str],
    threads: Sequence[int],
    repeats: int,
    clock: str,
) -> list[dict[str, Any]]:
    """Return one row for each number of threads and backend; first, compare the values."""
    for backend in backends:
        title = f"{case.label}, {direction} {backend}".rstrip()
        for peer in programs.peers.values():
            check(title, on(backend, programs.ours)(), peer(), TOLERANCE)
    tasks: dict[tuple[str, int], Task] = {}
    if programs.products:
        tasks["floor", 1] = Task(floor(programs.products))
    tasks |= our_tasks(programs.ours, backends, threads)
    for n in threads:
        tasks |= {(order, n): Task(peer, n) for order, peer in programs.peers.items()}
    times = interleaved(tasks, repeats=repeats, clock=clock)
    name = f"{case.label} @{'x'.join(map(str, case.shapes[0][1:3]))}"
    found = rows(name, direction, times, backends, threads, list(programs.peers))
    if programs.work:
        for line in found:
            per_ms = 1e-6 / times[line.get("backend", ""), line["threads"]].ms
            line |= {
                "gflops": round(programs.work.flop * per_ms, 2),
                "gbps": round(programs.work.bytes * per_ms, 2),
            }
    return found


def peaks(name: str, quick: bool, line: dict[str, Any], torch: bool) -> dict[str, float]:
    """Return the peak memory of both sides of a row in MB; PyTorch's in the memory format that needs less."""

    def side(which: str) -> float:
        return in_fresh_process(
            peak, name, quick, line["direction"], which, line.get("backend", ""), line["threads"]
        )

    found = {"ours_peak_mb": side("ours")}
    if torch:
        found["torch_peak_mb"] = min(side(order) for order in ORDERS)
    return {key: round(mb, 1) for key, mb in found.items()}


def peak(name: str, quick: bool, direction: str, side: str, backend: str, threads: int) -> float:
    """Return the peak memory of one side's program in this process, in MB."""
    set_threads(threads)
    peer = None if side == "ours" else load_peer()

    def program(quick: bool) -> Program:
        chosen = prepare(name, cases(quick=quick)[name], peer)[direction]
        return on(backend, chosen.ours) if peer is None else chosen.peers[side]

    program(True)()  # triggers lazy imports
    return peak_mb(program(quick))


def load_peer() -> ModuleType | None:
    """Return the peer's module, or None if PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    spec = importlib.util.spec_from_file_location("torch_ops", PEER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Measure and print."""
    parser = command_line(__doc__, "conv")
    parser.add_argument("--memory", action="store_true", help="peak memory of every case")
    options = parse(parser)
    repeats = 1 if options.quick else options.repeats
    peer = load_peer()
    described = machine(options.threads)
    lines: list[dict[str, Any]] = []
    for name, case in cases(quick=options.quick).items():
        if options.only not in name:
            continue
        directions = prepare(name, case, peer)
        for direction, programs in directions.items():
            shown, given = (
                replace(case, label=name),
                (options.backend, options.threads, repeats, options.clock),
            )
            found = measure(shown, direction, programs, *given)
            usual = name in MEMORY and direction == list(directions)[-1]
            if measurable() and (options.memory or usual):
                found = [line | peaks(name, options.quick, line, bool(programs.peers)) for line in found]
            lines += found
    result = {"machine": described, "clock": options.clock, "rows": lines}
    note = f"batch 1, float32; medians of {repeats}, {options.clock} time; +-: quartiles"
    publish_rows(options.json, result, note)


if __name__ == "__main__":
    main()
