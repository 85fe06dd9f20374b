"""The networks of all presets at the size of a photograph, on a GPU against the host."""

import tomllib
from importlib.resources import files
from types import ModuleType

import numpy as np
import pytest

from lstm2d import Tensor, backward, kernels
from lstm2d.models import Network, Step, build

PRESETS = sorted(path.name.removesuffix(".toml") for path in (files("lstm2d") / "presets").iterdir())
CLASSES = 8

pytestmark = [pytest.mark.gpu, pytest.mark.slow]


@pytest.fixture
def gpu(cupy_module: ModuleType) -> ModuleType:
    if hasattr(cupy_module, "_pool"):
        pytest.skip("no GPU, or no CuPy")
    return cupy_module


def network(preset: str) -> Network:
    section = tomllib.loads((files("lstm2d") / f"presets/{preset}.toml").read_text("utf-8"))["model"]
    if "weights" in section:
        section["weights"] = ""  # a random start
    return build(section, CLASSES, np.random.default_rng(0))


def loss_and_gradients(model: Network, device: str, images: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    shape = (images, *(side // model.stride * model.stride for side in (240, 320)))
    x = Tensor(kernels.to_device(rng.standard_normal((*shape, 3)).astype(np.float32), device))
    labels = kernels.to_device(rng.integers(0, CLASSES, shape).astype(np.uint8), device)
    loss = model.compare(model.scores(model.frozen(x), Step(training=True)), labels)
    backward(loss)
    found = {"loss": loss.data, "probabilities": model.probabilities(x)}
    found |= {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {name: kernels.to_host(values) for name, values in found.items()}


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("preset", PRESETS)
def test_single_precision_agrees_with_the_host(gpu: ModuleType, preset: str, images: int) -> None:
    expected = loss_and_gradients(network(preset), "cpu", images)
    found = loss_and_gradients(network(preset).to("cuda:0"), "cuda:0", images)
    assert list(found) == list(expected)
    for name, values in expected.items():
        scale = np.abs(values).max(initial=1e-30)
        np.testing.assert_allclose(found[name] / scale, values / scale, rtol=0, atol=1e-4, err_msg=name)


def test_a_run_gives_the_same_bits_twice(gpu: ModuleType) -> None:
    first, second = (loss_and_gradients(network("lstm2d-5x5").to("cuda:0"), "cuda:0", 2) for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(second[name], values, err_msg=name)
