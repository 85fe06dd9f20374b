"""The PyTorch networks of the benchmarks against the library in float64; skipped without PyTorch."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, backward
from lstm2d.models import Step, build

torch: Any = pytest.importorskip("torch", exc_type=ImportError)
CLASSES = 5
VGG = {"kind": "reseg", "features": "conv2_1", "upsample_channels": 6}


@pytest.fixture(scope="module")
def bench(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("bench_models")


@pytest.mark.parametrize(("order", "images"), [("channels_first", 2), ("channels_last", 1)])
@pytest.mark.parametrize(
    "config",
    [
        VGG | {"units": (7, 5), "patches": (2, 1), "unit": "gru"},
        VGG | {"units": (7,), "patches": (1,), "unit": "tanh"},
        {"kind": "n-renet", "units": (4, 6), "patches": (3, 1), "features": (9,), "unit": "lstm"},
        {"kind": "n-renet", "units": (4, 6), "patches": (2, 1), "unit": "irnn"},
        {"kind": "h-renet", "width": 1 / 64, "units": (4,), "patches": (1,), "unit": "lstm"},
        {"kind": "h-renet", "width": 1 / 64, "units": (), "patches": (), "unit": "gru", "conv7_kernel": 1}
        | {"sources": ("conv7", "pool4", "pool5"), "normalisation": "batch"},
        {"kind": "h-renet", "width": 1 / 64, "units": (4,), "patches": (1,), "unit": "irnn"}
        | {"sources": ("pool5", "conv7"), "normalisation": "batch"}
        | {"norm_order": "norm-relu", "align_corners": True},
    ],
    ids=lambda config: f"{config['kind']}-{config['unit']}",
)
def test_networks_are_equal(
    bench: ModuleType, config: dict[str, Any], order: str, images: int, rng: np.random.Generator
) -> None:
    network = build(config, CLASSES, rng, dtype=np.float64)
    image = Tensor(rng.standard_normal((images, 24, 48, 3)))
    labels = rng.integers(0, CLASSES, (images, 24, 48))
    case = bench.Case("any", network, image, labels, network.frozen(image))
    peer = bench.load_peer()
    twin = bench.make_twin(case, peer, order).double()
    twin.load({name: p.data for name, p in network.named_parameters()} | dict(network.named_buffers()))
    kept = torch.from_numpy(case.kept.data)
    np.testing.assert_allclose(twin.frozen(torch.from_numpy(image.data)), kept, rtol=1e-9, atol=1e-10)
    twin.eval()
    with torch.no_grad():
        np.testing.assert_allclose(twin(kept), network.scores(case.kept).data, rtol=1e-9, atol=1e-10)
    twin.train()
    loss = twin.loss(kept, torch.from_numpy(labels), network.reduction)
    loss.backward()
    ours = network.compare(network.scores(case.kept, Step(training=True)), labels)
    backward(ours)
    assert float(ours.data) == pytest.approx(loss.item(), rel=1e-10)
    assert case.trained
    for name, grad in twin.gradients(list(case.trained)).items():
        np.testing.assert_allclose(case.trained[name].grad, grad, rtol=1e-8, atol=1e-9, err_msg=name)


def test_products(bench: ModuleType, rng: np.random.Generator) -> None:
    config = {"kind": "n-renet", "units": (4, 6), "patches": (2, 1), "features": (9,)}
    network = build(config, CLASSES, rng)
    image = Tensor(rng.standard_normal((1, 8, 6, 3), np.float32))
    case = bench.Case("any", network, image, rng.integers(0, CLASSES, (1, 8, 6)), image)
    found = bench.all_products(case)
    n = 12  # positions; 4 gates
    sweeps = [(12, 4), (8, 4), (9, 6), (12, 6)]  # inputs, units; two directions each
    forward = [p for c, u in sweeps for p in 2 * [(n, c, 4 * u), (n, u, 4 * u)]]
    forward += [(n, 8, 9), (n, 12, CLASSES)]
    assert sorted(found["forward"]) == sorted(forward)
    weights = [(k, m, j) for m, k, j in forward]
    inputs = [(m, j, k) for m, k, j in forward]
    for _ in range(2):
        inputs.remove((n, 16, 12))  # the image has no gradient
    assert sorted(found["train"]) == sorted(forward + weights + inputs)
