"""Networks on a GPU, or the stand-in: loss, gradients, probabilities as on the host."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, backward, kernels
from lstm2d.models import Network, Step, build

CLASSES, IGNORE = 3, 255
VGG = {"kind": "h-renet", "width": 1 / 64}
SECTIONS: dict[str, dict[str, Any]] = {
    "lstm2d": {
        "kind": "lstm2d",
        "window": 2,
        "units": [2, 3],
        "features": [4],
        "gate_clip": 0.05,
        "init": 0.1,
    },
    "lstm2d, leaky": {
        "kind": "lstm2d",
        "window": 1,
        "units": [2],
        "features": [],
        "feedforward": "separate",
        "peepholes": False,
        "leaky": True,
    },
    "n-renet": {"kind": "n-renet", "units": [3, 2], "patches": [2, 1], "features": [4]},
    "n-renet, irnn": {"kind": "n-renet", "units": [3], "patches": [2], "unit": "irnn", "loss": "sum"},
    "reseg": {
        "kind": "reseg",
        "features": "image",
        "units": [3, 2],
        "patches": [2, 1],
        "upsample_channels": 4,
    },
    "reseg after vgg": {
        "kind": "reseg",
        "features": "conv2_1",
        "weights": "",
        "units": [2],
        "patches": [1],
        "upsampling": "bilinear",
    },
    "fcn-largefov": {**VGG, "units": [], "patches": []},
    "h-renet, batch": {**VGG, "units": [2], "sources": ["conv7", "pool4"], "normalisation": "batch"},
    "h-renet, l2": {**VGG, "units": [2], "sources": ["pool5"], "normalisation": "l2", "l2_scale": 10.0},
    "h-renet, as in the code": {
        **VGG,
        "units": [2],
        "sources": ["conv7", "pool5"],
        "normalisation": "l2",  # with "batch" the gradient of conv7's bias is 0, and rounding all there is
        "l2_scale": 10.0,
        "norm_order": "norm-relu",
        "dropout": 0.5,
        "align_corners": True,
    },
    "fcn-16s": {"kind": "fcn", "finest": 16, "weights": "", "width": 1 / 64, "dropout": 0.5},
    "clarifai": {"kind": "patch-cnn", "architecture": "clarifai", "patch": 235, "width": 1 / 32},
}


def run(network: Network, bring: Any) -> dict[str, np.ndarray]:
    """Return a network's probabilities, loss and gradients for two images, on the host."""
    rng = np.random.default_rng(3)
    columns = 1 if network.padding else 2 * network.stride  # one patch, or an image
    shape, zeros = (2, network.stride, columns), 2 * network.padding
    x = Tensor(bring(rng.standard_normal((2, shape[1] + zeros, columns + zeros, 3))))
    labels = rng.integers(0, CLASSES, shape).astype(np.uint8)
    labels[0, 0, 0] = IGNORE
    found = {"probabilities": network.probabilities(x)}
    loss = network.compare(
        network.scores(network.frozen(x), Step(samples=(4, 2), training=True)),
        bring(labels),
        bring(np.array([1.0, 2.0, 0.5])),
    )
    backward(loss)
    found |= {"loss": loss.data, "terms": np.array(network.terms(bring(labels)))}
    found |= {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    found |= {f"buffer {name}": values for name, values in network.named_buffers()}
    found |= {f"map {name}": values for name, values in network.feature_maps(x).items()}
    return {name: kernels.to_host(values) for name, values in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", SECTIONS)
def test_same_as_on_the_host(cp: ModuleType, name: str) -> None:
    def network() -> Network:
        return build(SECTIONS[name], CLASSES, np.random.default_rng(0), dtype=np.float64)

    host = run(network(), np.asarray)
    found = run(network().to("cuda:0"), cp.asarray)
    assert list(found) == list(host)
    for key, expected in host.items():
        scale = np.abs(expected).max(initial=1e-30)
        np.testing.assert_allclose(found[key] / scale, expected / scale, atol=1e-9, err_msg=key)
