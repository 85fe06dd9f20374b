"""Networks of the presets on a GPU, compared with PyTorch on the same GPU.

``torch``: the same network with the same weights (``peers/``), with cuDNN's recurrent layers and convolutions
and its autotuning; the faster of the two memory formats of convolutions. Both sides compute in float32,
PyTorch without TF32. First, scores, loss and all gradients of both are compared.

forward: from images on the device to the scores of their pixels, no gradients. step: loss, the gradients of
all trained parameters and one step of SGD with momentum, at a learning rate of 0; from cached features
if a network starts with frozen layers.

Times are measured between two events on the device, for a whole batch. Without a GPU nothing is measured.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bench_models
import numpy as np
from bench_lstm2d import Pair, lstm_pairs, scatter
from bench_models import Case
from bench_ops import ORDERS, Program
from comparison import check
from timing import Timing, machine, publish

import lstm2d
from lstm2d import kernels
from lstm2d.config import resolve
from lstm2d.errors import ConfigError
from lstm2d.kernels import gpu
from lstm2d.models import LSTM2DNetwork, Step, build
from lstm2d.tensor import FloatArray, Tensor
from lstm2d.training.sgd import SGD

SIZE, TINY = (240, 320), (24, 24)  # rows, columns
CLASSES = 8
SEPARATE = ["model.feedforward=separate", "model.leaky=false", "model.cell_scale=1.0"]  # as the peer has them
NO_DROPOUT = ["model.dropout=0"]  # as its masks differ from PyTorch's
CASES = {  # case: preset, values set
    "lstm2d-5x5": ("lstm2d-5x5", SEPARATE),
    "lstm2d-3x3": ("lstm2d-3x3", SEPARATE),
    "n-renet": ("n-renet", []),
    "n-renet-ref": ("n-renet-ref", []),
    "reseg": ("reseg", []),
    "reseg-paper": ("reseg-paper", []),
    "h-renet": ("h-renet", NO_DROPOUT),
    "fcn-largefov": ("fcn-largefov", NO_DROPOUT),
}
TOLERANCE = 1e-2  # of the largest value, float32: rounding may switch a ReLU near 0
FOLDER = Path(__file__).parent / "peers"
Programs = dict[str, tuple[Program, Callable[[], Any]]]  # forward and step: arrays to compare, what is timed


def make(name: str, images: int, size: tuple[int, int], device: str) -> Case:
    """Return a preset's network and random images on a device; sides are multiples of its stride."""
    rng = np.random.default_rng([*name.encode(), images])
    preset, sets = CASES[name]
    network = build(resolve(preset, [(item, "--set") for item in sets]).model, CLASSES, rng)
    if isinstance(network, LSTM2DNetwork):
        scatter(network, rng)
    network.to(device)
    rows, columns = (-(-side // network.stride) * network.stride for side in size)
    values = rng.standard_normal((images, rows, columns, 3), np.float32)
    labels = rng.integers(0, CLASSES, values.shape[:3])
    image = Tensor(kernels.to_device(values, device))
    return Case(name, network, image, kernels.to_device(labels, device), network.frozen(image))


def our_programs(case: Case) -> Programs:
    """Return our forward and our step."""
    network, optimizer = case.network, SGD(case.trained)

    def forward() -> Any:
        with lstm2d.no_grad():
            return network.scores(network.frozen(case.image)).data

    def gradients() -> Tensor:
        optimizer.zero_grad()
        loss = network.compare(network.scores(case.kept, Step(training=True)), case.labels)
        lstm2d.backward(loss)
        return loss

    def compared() -> list[FloatArray]:
        loss = gradients()
        arrays = [loss.data, *(leaf.grad for leaf in case.trained.values())]
        return [kernels.to_host(array) for array in arrays]

    def step() -> None:
        gradients()
        optimizer.step(0.0, optimizer.gradient_norm(), 0)

    return {"forward": (lambda: [kernels.to_host(forward())], forward), "step": (compared, step)}


def peer_programs(case: Case, order: str) -> Programs:
    """Return PyTorch's forward and step, with convolutions in one memory format."""
    torch = sys.modules["torch"]
    where = kernels.device_of(case.image.data)  # PyTorch calls them the same
    arrays = (case.image.data, case.kept.data, case.labels)
    image, kept, labels = (torch.from_numpy(kernels.to_host(a)).to(where) for a in arrays)
    if isinstance(case.network, LSTM2DNetwork):
        forward, loss_of, parameters, gradients = byeon(case.network, image, labels)
    else:
        forward, loss_of, parameters, gradients = twin_of(case, order, image, kept, labels)
    optimizer = torch.optim.SGD(parameters, lr=0.0, momentum=0.9)

    def scores() -> Any:
        with torch.no_grad():
            return forward()

    def backward() -> Any:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        return loss

    def step() -> None:
        backward()
        optimizer.step()

    def compared() -> list[FloatArray]:
        loss = backward()
        return [loss.detach().cpu().numpy(), *gradients()]

    return {"forward": (lambda: [scores().cpu().numpy()], scores), "step": (compared, step)}


def twin_of(case: Case, order: str, image: Any, kept: Any, labels: Any) -> tuple[Any, Any, Any, Any]:
    """Return forward, loss, parameters and gradients of ReSeg, N-ReNet and H-ReNet in PyTorch."""
    network = case.network
    twin = bench_models.make_twin(case, load_peer("torch_models"), order)
    twin.load(network.state_dict())
    twin.to(image.device)
    if network.backbone is not None:
        for name, p in network.named_parameters():
            if not p.requires_grad:
                twin.get_parameter(name).requires_grad_(False)

    def forward() -> Any:
        twin.eval()
        return twin(twin.frozen(image))

    def loss() -> Any:
        twin.train()
        return twin.loss(kept, labels, network.reduction)

    parameters = [p for p in twin.parameters() if p.requires_grad]
    return forward, loss, parameters, lambda: list(twin.gradients(iter(case.trained)).values())


def byeon(network: LSTM2DNetwork, image: Any, labels: Any) -> tuple[Any, Any, Any, Any]:
    """Return the same for the 2D-LSTM network; the targets of windows are precomputed."""
    torch, window = sys.modules["torch"], network.stride
    twin = load_peer("torch_lstm2d").TorchByeon(window, CLASSES).to(image.device)
    pairs = [pair for k, layer in enumerate(network.lstm) for pair in lstm_pairs(layer, twin.layers[2 * k])]
    for k, linear in enumerate(network.feedforward):
        pairs += [Pair(p, getattr(twin.layers[2 * k + 1], n)) for n, p in linear.named_parameters()]
    by_tensor = {id(pair.ours): pair for pair in pairs}
    for p in network.parameters():
        by_tensor[id(p)].give()
    n, rows, columns, _ = image.shape
    cut = image.view(n, rows // window, window, columns // window, window, 3)

    def windows(values: Any) -> Any:
        return values.permute(0, 1, 3, 2, 4, 5).reshape(n, rows // window, columns // window, -1)

    one_hot = torch.nn.functional.one_hot(labels, CLASSES).float()
    parts = windows(one_hot.view(n, rows // window, window, columns // window, window, CLASSES))
    targets = parts.view(*parts.shape[:3], window**2, CLASSES).mean(3)

    def gradients() -> list[FloatArray]:
        return [by_tensor[id(p)].grad() for p in network.parameters()]

    return (
        lambda: twin(windows(cut)),
        lambda: -(targets * twin(windows(cut)).log_softmax(-1)).sum(),
        list(twin.parameters()),
        gradients,
    )


def load_peer(name: str) -> ModuleType:
    """Return a module of ``peers``."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def use_torch() -> bool:
    """Return whether PyTorch can use the GPU; set float32 and autotuning."""
    if importlib.util.find_spec("torch") is None:
        return False
    torch: Any = importlib.import_module("torch")
    if not torch.cuda.is_available():
        return False
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    return True


def measured(run: Callable[[], Any], start: Any, end: Any) -> None:
    """Return the time of a program between two events on the device."""
    start.record()
    run()
    end.record()
    end.synchronize()


def interleaved(tasks: dict[str, Callable[[], Any]], repeats: int) -> dict[str, Timing]:
    """Run every program once per round, after two warm-up rounds."""
    cuda: Any = importlib.import_module("cupy").cuda
    samples: dict[str, list[float]] = {name: [] for name in tasks}
    gc.collect()
    for turn in range(-2, repeats):
        for name, run in tasks.items():
            if name == "ours":
                start, end = cuda.Event(), cuda.Event()
                measured(run, start, end)
                ms = cuda.get_elapsed_time(start, end)
            else:
                event = sys.modules["torch"].cuda.Event
                start, end = event(enable_timing=True), event(enable_timing=True)
                measured(run, start, end)
                ms = start.elapsed_time(end)
            if turn >= 0:
                samples[name].append(ms)
    return {name: Timing(tuple(values)) for name, values in samples.items()}


def rows_of(case: Case, images: int, repeats: int, torch: bool) -> list[dict[str, Any]]:
    """Return the rows of a case in both directions, with PyTorch's faster memory format."""
    ours = our_programs(case)
    peers = {order: peer_programs(case, order) for order in ORDERS} if torch else {}
    found = []
    for direction, (arrays, run) in ours.items():
        for peer in peers.values():
            check(f"{case.name}, {direction}", arrays(), peer[direction][0](), TOLERANCE)
        times = interleaved(
            {"ours": run} | {order: peer[direction][1] for order, peer in peers.items()}, repeats
        )
        mine = times.pop("ours")
        row: dict[str, Any] = {"case": case.name, "images": images, "direction": direction}
        row |= {"ours_ms": round(mine.ms, 3), "ours_spread": round(mine.spread, 3)}
        if times:
            best = min(times.values(), key=lambda timing: timing.ms)
            row |= {"torch_ms": round(best.ms, 3), "torch_spread": round(best.spread, 3)}
            row["ratio"] = round(best.ms / mine.ms, 2)
        found.append(row)
    return found


def lines_of(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return the titles and rows of the table."""
    titles = ["case", "images", "", "ours ms", "+-", "torch ms", "+-", "torch/ours"]
    keys = ["case", "images", "direction", "ours_ms", "ours_spread", "torch_ms", "torch_spread", "ratio"]
    forms = [str, str, str, *2 * ["{:.2f}".format, "{:.0%}".format], "{:.2f}".format]
    lines = [
        [form(row[key]) if key in row else "" for key, form in zip(keys, forms, strict=True)] for row in rows
    ]
    return titles, lines


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda (default), or cuda:N")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 16], help="images of a batch (1 16)")
    parser.add_argument("--repeats", type=int, default=25, help="measured rounds of each case (25)")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help='cases with TEXT in their names, like "lstm2d"'
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test: tiny images, once")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    asked = options()
    try:
        device = gpu.resolve_device(asked.device)
    except ConfigError as error:
        print(f"nothing to measure: {error.what}", file=sys.stderr)
        sys.exit(not asked.quick)  # without a GPU a quick run succeeds
    if device == "cpu":
        sys.exit("nothing to measure: this compares programs on a GPU")
    repeats, size = (1, TINY) if asked.quick else (asked.repeats, SIZE)
    rows: list[dict[str, Any]] = []
    with gpu.current(device):
        torch = use_torch()
        described = machine([lstm2d.get_num_threads()]) | {"gpu": gpu.describe(device)}
        for name in (name for name in CASES if asked.only in name):
            for images in asked.images:
                rows += rows_of(make(name, images, size, device), images, repeats, torch)
    card = ", ".join(f"{key} {value}" for key, value in described["gpu"].items())
    note = f"{card}\nfloat32, {size[1]}x{size[0]} pixels; medians of {repeats}; +-: quartiles"
    publish(asked.json, {"machine": described, "rows": rows}, note, *lines_of(rows))


if __name__ == "__main__":
    main()
