"""Training after frozen layers: their output is computed once, and they are neither trained nor stored."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm2d.config import RunConfig, apply_overrides, from_dict
from lstm2d.errors import InterruptedRun, OutputError
from lstm2d.io.model_file import load_model
from lstm2d.models import Network, build
from lstm2d.models.backbones.vgg16 import VGG16
from lstm2d.tensor import FloatArray, Tensor
from lstm2d.training.checkpoint import newest_file, unpack
from lstm2d.training.events import Event
from lstm2d.training.features import FrozenFeatures, frozen_digest, image_key
from lstm2d.training.loop import train
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
    """Keeps everything, and counts requests."""

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
    """Let all runs share one shelf of features."""
    shelf = Shelf()
    monkeypatch.setattr(
        "lstm2d.training.assemble.FrozenFeatures", lambda network: FrozenFeatures(network, shelf)
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
    assert FrozenFeatures(plain, Shelf())(x, keep=True) is x


def test_features_are_computed_once_for_what_comes_again(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 4, 5, 3)).astype(np.float32)
    shelf, net = Shelf(), network()
    features = FrozenFeatures(net, shelf)
    expected = net.frozen(Tensor(x)).data
    np.testing.assert_array_equal(features(x, keep=False), expected)
    assert shelf.asked == 0
    kept = features(x, keep=True)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, expected.astype(np.float16))
    features(x[:, :, ::-1], keep=True)
    features(x, keep=True)
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
    alone = list(network().stored_arrays())  # weights = "": nobody else has them
    imported = list(build({**SECTION, "weights": "vgg16"}, 3, np.random.default_rng(0)).stored_arrays())
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
    computed = config("train.steps=4", "data.feature_cache=off")  # each time: they change
    train(computed, dataset, straight)
    with pytest.raises(InterruptedRun):
        train(computed, dataset, cut, report=Stopper(2))
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True)
    assert digest(cut) == digest(straight)
    newest = newest_file(straight / "checkpoints")
    assert newest is not None
    tensors = unpack(newest.read_bytes()).tensors
    assert tensors["untrained.backbone.conv1_1.bias"].tolist() == [4] * 64
    assert "velocity.backbone.conv1_1.bias" not in tensors
    assert "backbone.conv1_1.bias" in load_model(straight / "model.safetensors").state


# kept on disk


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a cache of its own."""
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/features"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Return a list that gets the shape of every image whose features are computed."""
    shapes: list[tuple[int, ...]] = []
    computed = FrozenFeatures._computed

    def counting(self: FrozenFeatures, x: FloatArray) -> FloatArray:
        shapes.append(x.shape)
        return computed(self, x)

    monkeypatch.setattr(FrozenFeatures, "_computed", counting)
    return shapes


def cached(folder: Path, dtype: str) -> int:
    return len(list(folder.glob(f"*-{dtype}/*/*.npy")))


def test_a_run_fills_the_cache_and_the_next_one_computes_nothing(
    dataset: Path, tmp_path: Path, folder: Path, counted: list[tuple[int, ...]]
) -> None:
    listener = Stopper()
    train(config("train.flip=true"), dataset, tmp_path / "first", report=listener)
    assert len(counted) == 2 * 5 + 2
    assert (cached(folder, "float16"), cached(folder, "float32")) == (2 * 5, 2)  # a validation is exact
    events = [event.values for event in listener.events if event.kind == "features"]
    assert [values["done"] for values in events[:-1]] == list(range(1, 13))
    assert (events[-1]["computed"], events[-1]["total"]) == (12, 12)
    assert '"event": "features"' in (tmp_path / "first/log.jsonl").read_text()
    other = ("model.units=[3]", "train.learning_rate=0.02", "train.flip=true")  # with the same frozen part
    train(config(*other), dataset, tmp_path / "second", report=listener)
    assert len(counted) == 12
    train(config("train.flip=true"), dataset, tmp_path / "third")
    assert digest(tmp_path / "third") == digest(tmp_path / "first")
    assert len(counted) == 12


@pytest.mark.usefixtures("folder")
def test_every_way_to_keep_features(
    dataset: Path, tmp_path: Path, folder: Path, counted: list[tuple[int, ...]]
) -> None:
    once = 5 + 2
    for kind, computed in (("float32", once), ("off", 3 * once)):
        train(config(f"data.feature_cache={kind}", "train.flip=false"), dataset, tmp_path / kind)
        assert len(counted) == computed
        counted.clear()
    assert cached(folder, "float32") == once
    assert digest(tmp_path / "float32") == digest(tmp_path / "off")


def test_a_full_cache_changes_no_result(
    dataset: Path, tmp_path: Path, folder: Path, counted: list[tuple[int, ...]]
) -> None:
    train(config(), dataset, tmp_path / "kept")
    for path in folder.rglob("*.npy"):
        path.unlink()
    listener = Stopper()
    train(config("data.feature_cache_gib=4e-5"), dataset, tmp_path / "full", report=listener)
    assert digest(tmp_path / "full") == digest(tmp_path / "kept")
    warnings = [event.values["text"] for event in listener.events if event.kind == "warning"]
    assert len(warnings) == 1  # of the rounded and of the exact ones together
    assert "training goes on" in warnings[0]
    kept = cached(folder, "float16") + cached(folder, "float32")
    assert 1 <= kept < 5 + 2
    (computed,) = [event.values["computed"] for event in listener.events if "computed" in event.values]
    assert computed == kept  # features that were not kept are computed again in the epochs


def test_a_full_disk_changes_no_result_and_is_reported_once(
    dataset: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config(), dataset, tmp_path / "kept")
    for path in folder.rglob("*.npy"):
        path.unlink()

    def full(path: Path, parts: object) -> None:
        raise OutputError("cannot write (No space left on device)", where=path)

    monkeypatch.setattr("lstm2d.training.feature_cache.write_parts", full)
    listener = Stopper()
    train(config(), dataset, tmp_path / "full", report=listener)
    assert digest(tmp_path / "full") == digest(tmp_path / "kept")
    (warning,) = [event.values["text"] for event in listener.events if event.kind == "warning"]
    assert "No space left" in warning
    assert str(folder) in warning
    assert "features" not in listener.kinds()


def test_a_run_that_is_stopped_while_it_fills_the_cache(
    dataset: Path, tmp_path: Path, folder: Path, counted: list[tuple[int, ...]]
) -> None:
    train(config(), dataset, tmp_path / "straight")
    for path in folder.rglob("*.npy"):
        path.unlink()
    counted.clear()

    def stop(event: Event) -> None:
        if event.kind == "features" and event.values.get("done") == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRun):
        train(config(), dataset, tmp_path / "cut", report=stop)
    assert len(counted) == 3
    train(RunFolder(tmp_path / "cut").reopen(""), dataset, tmp_path / "cut", resume=True)
    assert digest(tmp_path / "cut") == digest(tmp_path / "straight")
    assert len(counted) == 2 * 5 * config().train.flip + 5 * (not config().train.flip) + 2


@pytest.mark.usefixtures("folder")
def test_images_of_one_epoch_are_not_computed_beforehand(
    dataset: Path, tmp_path: Path, counted: list[tuple[int, ...]]
) -> None:
    listener = Stopper()
    train(config("train.epochs=1", "train.flip=true"), dataset, tmp_path / "run", report=listener)
    assert "features" not in listener.kinds()
    assert len(counted) == 5 + 2


def test_the_digest_is_that_of_the_frozen_part(rng: np.random.Generator) -> None:
    before = frozen_digest(network())
    assert frozen_digest(network()) == before
    other = build({**SECTION, "units": [7]}, 5, rng)  # other random values
    assert frozen_digest(other) != before
    other.load_state_dict({n: v for n, v in network().state_dict().items() if "backbone" in n}, strict=False)
    assert frozen_digest(other) == before
    changed = network()
    changed.backbone.conv1_1.weight.data[0, 0, 0, 0] += 1e-6  # type: ignore[union-attr]
    assert frozen_digest(changed) != before


def test_the_digest_sees_another_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    before = frozen_digest(network())
    call = VGG16.__call__
    monkeypatch.setattr(
        VGG16, "__call__", lambda self, x, *rest: Tensor(call(self, x, *rest).data * 1.000001)
    )
    assert frozen_digest(network()) != before
