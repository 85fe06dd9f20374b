"""Recurrent convolutional networks: prediction at several resolutions, and dense training against patches.

The networks of the presets with random weights and 8 classes, on an image of 320x240.

predict: probabilities of every pixel after the last instance, from one pass at each resolution, and by
shift-and-stitch at the full one. ``torch``: the one-pass form at the full resolution in PyTorch
(``peers/torch_rcnn.py``), the faster of the two memory formats; first the scores of both are compared.

train: gradients of a step, divided by its number of patches: all patches of a grid in one pass, and one patch
alone.

With a model and a dataset, the pixel accuracy on its test images at each resolution (table 5 of the paper).
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from comparison import backends, on
from timing import Task, interleaved, machine, publish

import lstm2d
from lstm2d.config import resolve
from lstm2d.data.folder import DatasetFolder
from lstm2d.models import RCNNNetwork, Step, build
from lstm2d.predict.evaluate import evaluate
from lstm2d.tensor import Tensor

PRESETS = ("rcnn2", "rcnn1", "cnn-133")
CLASSES, HEIGHT, WIDTH = 8, 240, 320
PEER = Path(__file__).parent / "peers" / "torch_rcnn.py"
TOLERANCE = 1e-3  # of the largest score, float32


def make(preset: str) -> RCNNNetwork:
    """Return the network of a preset with random weights."""
    network = build(resolve(preset).model, CLASSES, np.random.default_rng(0))
    assert isinstance(network, RCNNNetwork)
    return network


def padded(network: RCNNNetwork, height: int, width: int) -> Tensor:
    """Return a random image with the zeros around it."""
    image = np.random.default_rng(1).standard_normal((height, width, 3), np.float32)
    zeros = network.padding
    return Tensor(np.pad(image, ((zeros, zeros), (zeros, zeros), (0, 0)))[np.newaxis])


def predictions(preset: str, height: int, width: int) -> dict[str, Any]:
    """Return the ways to label an image, by name."""
    programs = {}
    stride = make(preset).fields[-1].stride
    z = padded(make(preset), height, width)
    for resolution in [2**k for k in range(stride.bit_length())][::-1]:
        network = make(preset)
        network.resolution = resolution
        programs["1" if resolution == 1 else f"1/{resolution}"] = lambda n=network: n.probabilities(z)
    network = make(preset)
    programs["1, shift-and-stitch"] = lambda: network.shift_and_stitch(z)
    return programs


def peers(preset: str, height: int, width: int) -> dict[str, Any]:
    """Return PyTorch's programs by memory format, after a comparison of their scores; none without it."""
    if importlib.util.find_spec("torch") is None:
        return {}
    spec = importlib.util.spec_from_file_location("torch_rcnn", PEER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch, network = sys.modules["torch"], make(preset)
    z = padded(network, height, width)
    with lstm2d.no_grad():
        expected = network.scores(z).data
    arrays = {name: p.data for name, p in network.named_parameters()}
    found = {}
    for name in ("channels_first", "channels_last"):
        twin = module.TorchRCNN(arrays, network.config.pools, network.fields, last=name == "channels_last")

        def run(twin: Any = twin) -> Any:
            with torch.no_grad():
                return twin(torch.from_numpy(z.data))

        difference = np.abs(run().numpy() - expected).max()
        if difference > TOLERANCE * np.abs(expected).max():
            raise SystemExit(f"{preset}, {name}: scores differ by {difference:.2g}")
        found[name] = run
    return found


def steps(preset: str, height: int, width: int) -> dict[str, tuple[Any, int]]:
    """Return the gradients of a pass over an image and of a patch, with the numbers of their patches."""
    network = make(preset)
    step = next(
        s
        for n in range(100)
        if network.instances_of(0, 0, (s := Step(training=True, samples=(n,))).samples[0]) == network.trained
    )
    size, stride = network.fields[-1]
    image, patch = padded(network, height, width), padded(network, 1, 1)
    assert patch.shape[1] == size
    shape = (1, -(-height // stride), -(-width // stride))
    labels = np.random.default_rng(2).integers(0, CLASSES, shape).astype(np.uint8)

    def gradients(x: Tensor, targets: Any) -> None:
        for p in network.parameters():
            p.grad = None
        lstm2d.backward(network.compare(network.scores(x, step), targets))

    return {
        "grid": (lambda: gradients(image, labels), labels.size),
        "patch": (lambda: gradients(patch, labels[:, :1, :1]), 1),
    }


def accuracies(model: str, data: str, images: int | None) -> list[dict[str, Any]]:
    """Return pixel accuracy and seconds per image of a model at each resolution."""
    dataset, rows = DatasetFolder(data), []
    stride = 16
    while stride:
        try:
            predictor = lstm2d.load(model, resolution=stride)
        except lstm2d.errors.ConfigError:  # coarser than its cells
            stride //= 2
            continue
        samples = dataset.split("test")[:images]
        figures = evaluate(predictor, dataset, samples).figures
        rows.append(
            {
                "case": f"{model}, 1/{stride}" if stride > 1 else f"{model}, 1",
                "direction": "accuracy",
                "ours_ms": round(1000 * figures["seconds_per_image"], 1),
                "pixel_accuracy": figures["pixel_accuracy"],
                "class_accuracy": figures["class_accuracy"],
            }
        )
        stride //= 2
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", default=",".join(PRESETS), help="networks to measure")
    parser.add_argument("--threads", default="1,2", help="numbers of threads (1,2)")
    parser.add_argument(
        "--backend",
        type=backends,
        default=[""],
        metavar="NAME",
        help="as for bench_ops.py, like numba,cython",
    )
    parser.add_argument("--repeats", type=int, default=5, help="measured rounds (5)")
    parser.add_argument("--model", help="a trained model, for accuracies")
    parser.add_argument("--data", help="its dataset")
    parser.add_argument("--images", type=int, help="the first N test images (all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test: once, small")
    options = parser.parse_args()
    threads = [int(n) for n in options.threads.split(",")]
    height, width = (24, 20) if options.quick else (HEIGHT, WIDTH)
    repeats = 1 if options.quick else options.repeats
    rows: list[dict[str, Any]] = []
    for preset in options.presets.split(","):
        for n in threads:
            rows += measured(preset, options.backend, n, height, width, repeats)
    if options.model:
        rows += accuracies(options.model, options.data, options.images)
    cells = [
        (
            row["case"],
            row["direction"],
            row.get("backend", ""),
            str(row.get("threads", "")),
            f"{row['ours_ms']:.2f}",
            f"{row['torch_ms']:.1f}" if "torch_ms" in row else "",
            f"{row['ratio']:.2f}" if "ratio" in row else "",
            f"{row['pixel_accuracy']:.4f}" if "pixel_accuracy" in row else "",
        )
        for row in rows
    ]
    note = (
        f"medians of {repeats} rounds; ratio: PyTorch / ours for one pass at resolution 1, "
        "shift-and-stitch / one pass, a patch alone / one of a grid"
    )
    titles = ["case", "direction", "backend", "threads", "ms", "torch", "ratio", "pixel accuracy"]
    publish(options.json, {"machine": machine(threads), "rows": rows}, note, titles, cells)


def measured(
    preset: str, names: Sequence[str], threads: int, height: int, width: int, repeats: int
) -> list[dict[str, Any]]:
    """Return the rows of a preset with a number of threads, for each backend."""
    ours, torch = predictions(preset, height, width), peers(preset, height, width)
    trained = steps(preset, height, width)
    tasks = {("torch", "", name): Task(run, threads) for name, run in torch.items()}
    for backend in names:
        tasks |= {("ours", backend, name): Task(on(backend, run), threads) for name, run in ours.items()}
        tasks |= {
            ("train", backend, name): Task(on(backend, run), threads) for name, (run, _) in trained.items()
        }
    times = {key: timing.ms for key, timing in interleaved(tasks, repeats=repeats).items()}
    theirs = min((times["torch", "", order] for order in torch), default=None)
    counts = {name: count for name, (_, count) in trained.items()}
    return [row for backend in names for row in rows_of(preset, backend, threads, times, theirs, counts)]


def rows_of(
    preset: str,
    backend: str,
    threads: int,
    times: dict[tuple[str, str, str], float],
    theirs: float | None,
    counts: dict[str, int],
) -> list[dict[str, Any]]:
    """Return the rows of a preset on one backend; `counts` are the patches of a training step."""
    rows = []
    for name in (name for kind, used, name in times if kind == "ours" and used == backend):
        row = {"case": f"{preset}, {name}", "direction": "forward", "backend": backend, "threads": threads}
        row["ours_ms"] = round(times["ours", backend, name], 2)
        if name == "1" and theirs is not None:
            row |= {"torch_ms": round(theirs, 2), "ratio": round(theirs / row["ours_ms"], 2)}
        if name.endswith("stitch"):
            row["ratio"] = round(times["ours", backend, name] / times["ours", backend, "1"], 2)
        rows.append(row)
    each = {name: times["train", backend, name] / count for name, count in counts.items()}
    for name, ms in each.items():
        row = {"case": f"{preset}, {name}", "direction": "train", "backend": backend, "threads": threads}
        row["ours_ms"] = round(ms, 4)
        if name == "patch":
            row["ratio"] = round(ms / each["grid"], 1)
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
