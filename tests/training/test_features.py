"""Training behind a part of the network that is never trained: computed once, neither trained nor stored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d.config import RunConfig, apply_overrides, from_dict
from lstm2d.errors import InterruptedRun
from lstm2d.io.model_file import load_model
from lstm2d.models import Network, build
from lstm2d.models.vgg import VGG16
from lstm2d.tensor import FloatArray, Tensor
from lstm2d.training.checkpoint import newest_file, unpack
from lstm2d.training.features import FrozenFeatures, image_key
from lstm2d.training.loop import train
from lstm2d.training.prepare import stored_arrays
from lstm2d.training.runfolder import RunFolder
from tests.training.runs import Stopper, digest, model_digest

SECTION = {
    "kind": "reseg",
    "features": "conv1_1",
    "weights": "",
    "units": [2],
    "patches": [1],
    "unit": "gru",
    "upsampling": "bilinear",
}


class Shelf:
    """Keeps everything, and counts what it was asked."""

    def __init__(self) -> None:
        self.kept: dict[str, NDArray[Any]] = {}
        self.asked = 0

    def get(self, key: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        self.asked += 1
        if key not in self.kept:
            self.kept[key] = compute().astype(np.float16)
        return self.kept[key]


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Let every run keep its features on one shelf."""
    shelf = Shelf()
    monkeypatch.setattr(
        "lstm2d.training.prepare.FrozenFeatures", lambda network: FrozenFeatures(network, shelf)
    )
    return shelf


def config(*overrides: str) -> RunConfig:
    table = {
        "model": SECTION,
        "train": {"epochs": 3, "learning_rate": 0.01, "clip_norm": 20.0, "checkpoint_minutes": 0.0},
    }
    return apply_overrides(from_dict(table, "test"), overrides)


def network() -> Network:
    return build(SECTION, 3, np.random.default_rng(0))


def test_without_a_frozen_part_the_image_itself_is_the_input(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 4, 5, 3)).astype(np.float32)
    plain = build({**SECTION, "features": "image"}, 3, rng)
    assert FrozenFeatures(plain, Shelf())(x, again=True) is x


def test_features_are_computed_once_for_what_comes_again(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 4, 5, 3)).astype(np.float32)
    shelf, net = Shelf(), network()
    features = FrozenFeatures(net, shelf)
    expected = net.frozen(Tensor(x)).data
    np.testing.assert_array_equal(features(x, again=False), expected)
    assert shelf.asked == 0
    kept = features(x, again=True)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, expected.astype(np.float16))
    features(x[:, :, ::-1], again=True)
    features(x, again=True)
    assert (shelf.asked, len(shelf.kept)) == (3, 2)


def test_a_key_is_that_of_one_image_in_one_size(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 4, 6, 3)).astype(np.float32)
    others = [x[:, ::-1], x[:, :, ::-1], x.reshape(1, 6, 4, 3), x.astype(np.float64), x + 1e-3]
    assert len({image_key(one) for one in (x, *others)}) == 6
    assert image_key(x.copy()) == image_key(x)


def test_each_image_of_a_run_is_computed_once(dataset: Path, tmp_path: Path, shelf: Shelf) -> None:
    train(config("train.flip=false"), dataset, tmp_path / "run")
    assert len(shelf.kept) == 5 + 2
    assert shelf.asked == 3 * (5 + 2)


def test_images_that_never_come_again_are_not_kept(dataset: Path, tmp_path: Path, shelf: Shelf) -> None:
    train(config("train.scale_jitter=0.2"), dataset, tmp_path / "run")
    assert (len(shelf.kept), shelf.asked) == (2, 3 * 2)  # those of the validation


@pytest.mark.parametrize("batch", [1, 3])
def test_resumed_is_uninterrupted(dataset: Path, tmp_path: Path, batch: int, shelf: Shelf) -> None:
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    override = f"train.batch={batch}"
    train(config(override), dataset, straight)
    with pytest.raises(InterruptedRun):
        train(config(override), dataset, cut, report=Stopper(3))
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert digest(cut) == digest(straight)
    assert model_digest(cut) == model_digest(straight)


def test_imported_layers_are_not_stored() -> None:
    alone = list(stored_arrays(network()))  # weights = "": nobody else has them
    imported = list(stored_arrays(build({**SECTION, "weights": "vgg16"}, 3, np.random.default_rng(0))))
    assert imported == [name for name in alone if not name.startswith("backbone.")]
    assert imported != alone


def test_what_is_not_trained_stays_and_is_stored(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrays that change without a gradient, such as running means, are in checkpoints and model files."""
    call = VGG16.__call__

    def counting(self: VGG16, x: Tensor, maps: dict[str, FloatArray] | None = None) -> Tensor:
        result = call(self, x, maps)
        self.conv1_1.bias.data += 1  # type: ignore[attr-defined]
        return result

    monkeypatch.setattr(VGG16, "__call__", counting)
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    train(config("train.steps=4"), dataset, straight)
    with pytest.raises(InterruptedRun):
        train(config("train.steps=4"), dataset, cut, report=Stopper(2))
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert digest(cut) == digest(straight)
    newest = newest_file(straight / "checkpoints")
    assert newest is not None
    tensors = unpack(newest.read_bytes()).tensors
    assert tensors["untrained.backbone.conv1_1.bias"].tolist() == [4] * 64
    assert "velocity.backbone.conv1_1.bias" not in tensors
    assert "backbone.conv1_1.bias" in load_model(straight / "model.safetensors").state
