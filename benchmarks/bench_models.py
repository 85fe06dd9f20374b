"""Networks of the presets, compared with PyTorch and with their matrix products alone.

``torch``: the same network with the same weights (``peers/torch_models.py``), the faster of the two memory
formats of convolutions; first, scores, loss and all gradients of both sides are compared. ``floor``: the
matrix products in the definitions of the layers, each as one large product in BLAS on allocated memory, one
thread; Winograd's method needs fewer multiplications for a convolution.

forward: from the image to the scores of its pixels, including VGG-16, no gradients. train: loss and
the gradients of all trained parameters of one image; from cached features if a network starts with frozen
layers.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from bench_ops import ORDERS, Arrays, Product, Program, Programs, floor
from comparison import check, command_line, on, our_tasks, parse, publish_rows, rows
from timing import Task, interleaved, machine

import lstm2d
from lstm2d.config import resolve
from lstm2d.models import HReNetConfig, Network, NReNetConfig, ReSegConfig, Step, build
from lstm2d.models.h_renet import FROZEN
from lstm2d.tape import inputs_first
from lstm2d.tensor import Tensor

NO_DROPOUT = "model.dropout=0"  # as its masks differ from PyTorch's
CASES = {  # case: preset, values set, rows and columns, classes: those of CamVid, or of Stanford background
    "reseg": ("reseg", [], (360, 480), 11),
    "reseg-paper": ("reseg-paper", [], (360, 480), 11),
    "n-renet": ("n-renet", [], (240, 320), 8),
    "n-renet-ref": ("n-renet-ref", [], (240, 321), 8),
    "h-renet, width 0.125": ("h-renet", ["model.width=0.125", NO_DROPOUT], (240, 320), 8),
    "fcn-largefov, width 0.125": ("fcn-largefov", ["model.width=0.125", NO_DROPOUT], (240, 320), 8),
}
QUICK = 24  # rows and columns: a multiple of all strides
TOLERANCE = 1e-2  # of the largest value, float32: rounding may switch a ReLU near 0
PEER = Path(__file__).parent / "peers" / "torch_models.py"


@dataclass(frozen=True)
class Case:
    """A preset's network, an image with labels, and the output of the network's frozen part for it."""

    name: str
    network: Network
    image: Tensor
    labels: np.ndarray[Any, np.dtype[np.int64]]
    kept: Tensor

    @property
    def trained(self) -> dict[str, Tensor]:
        """The parameters that have gradients, by name."""
        return {name: p for name, p in self.network.named_parameters() if p.requires_grad}


def make(name: str, size: tuple[int, int] | None = None) -> Case:
    """Return a preset's network with random weights, and a random image, optionally of `size`.

    A name that is not in `CASES` is that of a preset, with the classes of Stanford background.
    """
    rng = np.random.default_rng(list(name.encode()))
    preset, sets, usual, classes = CASES.get(name, (name, [], (QUICK, QUICK), 8))
    network = build(resolve(preset, [(item, "--set") for item in sets]).model, classes, rng)
    image = Tensor(rng.standard_normal((1, *(size or usual), 3), np.float32))
    labels = rng.integers(0, classes, image.shape[:3])
    return Case(name, network, image, labels, network.frozen(image))


def our_programs(case: Case) -> dict[str, Program]:
    """Return our forward and our training step."""
    network, leaves = case.network, list(case.trained.values())

    def forward() -> Arrays:
        with lstm2d.no_grad():
            return [network.scores(network.frozen(case.image)).data]

    def train() -> Arrays:
        for leaf in leaves:
            leaf.grad = None
        loss = network.compare(network.scores(case.kept, Step(training=True)), case.labels)
        lstm2d.backward(loss)
        return [loss.data, *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    return {"forward": forward, "train": train}


def peer_programs(case: Case, peer: ModuleType, order: str) -> dict[str, Program]:
    """Return PyTorch's programs in one memory format; their arrays are in the library's."""
    torch, twin = sys.modules["torch"], make_twin(case, peer, order)
    network = case.network
    twin.load({name: p.data for name, p in network.named_parameters()} | dict(network.named_buffers()))
    image, kept = (torch.from_numpy(t.data) for t in (case.image, case.kept))
    labels, names = torch.from_numpy(case.labels), list(case.trained)

    def forward() -> Arrays:
        twin.eval()
        with torch.no_grad():
            return [twin(twin.frozen(image)).numpy()]

    def train() -> Arrays:
        twin.train()
        twin.zero_grad()
        loss = twin.loss(kept, labels, network.reduction)
        loss.backward()
        return [loss.detach().numpy(), *twin.gradients(names).values()]

    return {"forward": forward, "train": train}


def make_twin(case: Case, peer: ModuleType, order: str) -> Any:
    """Return the network in PyTorch, with weights of its own."""
    network = case.network
    config: Any = network.config  # type: ignore[attr-defined]
    backbone = network.backbone
    if backbone is not None:
        vgg = {name: getattr(backbone, name).weight.shape[3] for name in backbone.names}
    if isinstance(config, ReSegConfig):
        assert backbone is not None
        return peer.TorchReSeg(
            backbone.steps, vgg, config.units, config.patches, config.unit,
            config.upsample_channels, config.doublings, network.n_classes, order,
        )  # fmt: skip
    if isinstance(config, HReNetConfig):
        assert backbone is not None
        begin = backbone.steps.index(FROZEN) + 1
        return peer.TorchHReNet(
            backbone.steps[:begin], backbone.steps[begin:], vgg,
            {source: config.channels_of(source) for source in config.sources}, config.conv7_kernel,
            config.normalisation == "batch", config.norm_order == "norm-relu", config.align_corners,
            config.units, config.patches, config.unit, network.n_classes, order,
        )  # fmt: skip
    assert isinstance(config, NReNetConfig)
    return peer.TorchNReNet(
        config.units, config.patches, config.features, config.unit, network.n_classes, order
    )


def products(y: Tensor, *, backward: bool) -> list[Product]:
    """Return the matrix products of the graph of `y`, including those of the gradients."""
    found: list[Product] = []
    for t in inputs_first(y):
        if t.node is None:
            continue
        forward = node_products(t)
        found += forward
        if backward and forward:
            found += [(k, m, n) for m, k, n in forward]
            needs_x, sweeps = t.node.inputs["x"].requires_grad, t.node.op.endswith("_sweep")
            found += [(m, n, k) for i, (m, k, n) in enumerate(forward) if needs_x or (sweeps and i % 2)]
    return found


def node_products(y: Tensor) -> list[Product]:
    """Return the products of one operation's forward, if any."""
    assert y.node is not None
    op, inputs = y.node.op, y.node.inputs
    if op == "conv2d":
        kh, kw, c_in, c_out = inputs["weight"].shape
        return [(y.shape[1] * y.shape[2], kh * kw * c_in, c_out)]
    if op == "conv_transpose2d":
        kh, kw, c_in, c_out = inputs["weight"].shape
        _, rows, columns, _ = inputs["x"].shape
        return [(rows * columns, c_in, kh * kw * c_out)]
    if op == "linear":
        c_in, c_out = inputs["weight"].shape
        return [(inputs["x"].data.size // c_in, c_in, c_out)]
    if op.endswith("_sweep"):
        (_, c_in, gates), (_, units, _) = inputs["weight"].shape, inputs["recurrent"].shape
        positions = y.shape[1] * y.shape[2]
        return 2 * [(positions, c_in, gates), (positions, units, gates)]
    return []


def all_products(case: Case) -> dict[str, list[Product]]:
    """Return the products of both directions."""
    network, config = case.network, case.network.config  # type: ignore[attr-defined]
    trained = products(
        network.compare(network.scores(case.kept, Step(training=True)), case.labels), backward=True
    )
    front: list[Product] = []
    if network.backbone is not None:
        image = Tensor(case.image.data, requires_grad=True)  # so that layers without gradients are recorded
        last = FROZEN if isinstance(config, HReNetConfig) else None
        front = products(network.backbone(image, last=last), backward=False)
    return {
        "forward": front + products(network.scores(case.kept), backward=False),
        "train": trained,
    }


def prepare(case: Case, peer: ModuleType | None) -> dict[str, Programs]:
    """Return the programs of both directions."""
    ours, needed = our_programs(case), all_products(case)
    orders = ORDERS if peer is not None else ()
    peers = {order: peer_programs(case, peer, order) for order in orders if peer is not None}
    return {
        direction: Programs(run, {order: both[direction] for order, both in peers.items()}, needed[direction])
        for direction, run in ours.items()
    }


def compare(title: str, programs: Programs, backends: Sequence[str]) -> None:
    """Compare the values of all backends and peers; exit if they differ."""
    for backend in backends:
        for peer in programs.peers.values():
            check(f"{title} {backend}".rstrip(), on(backend, programs.ours)(), peer(), TOLERANCE)


def load_peer() -> ModuleType | None:
    """Return the peer's module, or None if PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    spec = importlib.util.spec_from_file_location("torch_models", PEER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Measure and print."""
    parser = command_line(__doc__, "renet")
    parser.set_defaults(repeats=7)
    options = parse(parser)
    repeats = 1 if options.quick else options.repeats
    peer = load_peer()
    described = machine(options.threads)
    found: list[dict[str, Any]] = []
    for name in (name for name in CASES if options.only in name):
        case = make(name, (QUICK, QUICK) if options.quick else None)
        for direction, programs in prepare(case, peer).items():
            compare(f"{name}, {direction}", programs, options.backend)
            tasks = {("floor", 1): Task(floor(programs.products))}
            tasks |= our_tasks(programs.ours, options.backend, options.threads)
            for n in options.threads:
                tasks |= {(order, n): Task(program, n) for order, program in programs.peers.items()}
            times = interleaved(tasks, repeats=repeats, clock=options.clock)
            found += rows(name, direction, times, options.backend, options.threads, list(programs.peers))
    result = {"machine": described, "clock": options.clock, "rows": found}
    note = f"batch 1, float32; medians of {repeats}, {options.clock} time; +-: quartiles"
    publish_rows(options.json, result, note)


if __name__ == "__main__":
    main()
