"""Runs on a device: the same as on the CPU, resumed on another device, and out of memory."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lstm2d
from lstm2d import kernels
from lstm2d.config import RunConfig, apply_overrides, from_dict
from lstm2d.errors import ConfigError, InterruptedRun, Lstm2dError
from lstm2d.io.images import read_photo
from lstm2d.io.model_file import load_model
from lstm2d.models import build
from lstm2d.training.checkpoint import newest_file, unpack
from lstm2d.training.events import Event
from lstm2d.training.features import FrozenFeatures, frozen_digest
from lstm2d.training.loop import train
from lstm2d.training.runfolder import RunFolder
from tests.training.runs import Stopper, rows

SECTIONS: dict[str, dict[str, Any]] = {
    "lstm2d": {"kind": "lstm2d", "window": 3, "units": [2, 3], "features": [3], "peepholes": True},
    "n-renet": {"kind": "n-renet", "units": [3], "patches": [3], "unit": "lstm"},
    "reseg": {"kind": "reseg", "features": "image", "units": [2], "patches": [2], "unit": "gru"}
    | {"weights": "", "upsample_channels": 3},
}
TRAIN = {"epochs": 2, "learning_rate": 0.01, "clip_norm": 20.0, "average": 0.9, "checkpoint_minutes": 0.0}


def config(kind: str, *overrides: str) -> RunConfig:
    return apply_overrides(from_dict({"model": SECTIONS[kind], "train": TRAIN}, "test"), overrides)


def losses(run: Path) -> list[float]:
    return [float(row["loss"]) for row in rows(run)]


def state_of(run: Path) -> dict[str, NDArray[Any]]:
    """Return everything in the newest checkpoint."""
    newest = newest_file(run / "checkpoints")
    assert newest is not None
    return unpack(newest.read_bytes()).tensors


def devices(run: Path) -> list[str]:
    """Return where each part of a run was computed."""
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [event["device"] for event in events if event["event"] in ("start", "resume")]


def assert_close(ours: dict[str, NDArray[Any]], theirs: dict[str, NDArray[Any]]) -> None:
    assert sorted(ours) == sorted(theirs)
    for name, values in ours.items():
        assert values.dtype == theirs[name].dtype
        np.testing.assert_allclose(values, theirs[name], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("lstm2d", ["train.class_weights=median_frequency"]),
        ("n-renet", ["train.batch=2", "train.optimizer=adadelta", "train.learning_rate=1.0"]),
        ("reseg", ["train.class_weights=median_frequency", "train.groups.classify.rate=0.5"]),
    ],
)
def test_a_run_is_that_of_the_cpu(
    dataset: Path, tmp_path: Path, device: str, kind: str, options: list[str]
) -> None:
    results = {}
    for place in ("cpu", device):
        run = tmp_path / place.replace(":", "")
        train(config(kind, *options), dataset, run, device=place)
        results[place] = run
    cpu, gpu = results["cpu"], results[device]
    np.testing.assert_allclose(losses(gpu), losses(cpu), rtol=1e-4)
    assert losses(gpu)[1] < losses(gpu)[0]
    assert_close(state_of(gpu), state_of(cpu))
    assert_close(load_model(gpu / "model.safetensors").state, load_model(cpu / "model.safetensors").state)
    assert (gpu / "config.toml").read_text() == (cpu / "config.toml").read_text()
    assert (devices(cpu), devices(gpu)) == (["cpu"], [device])
    image = read_photo(dataset / "images" / "i5.png").pixels
    of_cpu, of_gpu = (lstm2d.load(gpu, device=place) for place in ("cpu", device))
    assert type(of_gpu.predict(image)) is np.ndarray
    np.testing.assert_array_equal(of_gpu.predict(image), of_cpu.predict(image))
    np.testing.assert_allclose(of_gpu.predict_proba(image), of_cpu.predict_proba(image), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["cpu", "device"])
def test_a_run_goes_on_on_another_device(dataset: Path, tmp_path: Path, device: str, first: str) -> None:
    places = ["cpu", device] if first == "cpu" else [device, "cpu"]
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    train(config("n-renet"), dataset, straight)
    with pytest.raises(InterruptedRun):
        train(config("n-renet"), dataset, cut, device=places[0], report=Stopper(4))
    train(RunFolder(cut).reopen(""), dataset, cut, resume=True, device=places[1])
    assert devices(cut) == places
    np.testing.assert_allclose(losses(cut), losses(straight), rtol=1e-4)
    assert_close(state_of(cut), state_of(straight))


@pytest.mark.slow
def test_a_run_starts_from_a_model(dataset: Path, tmp_path: Path, device: str) -> None:
    train(config("n-renet"), dataset, tmp_path / "first")
    results = []
    for place in ("cpu", device):
        out = tmp_path / place.replace(":", "")
        train(config("n-renet", "train.epochs=1"), dataset, out, init_from=tmp_path / "first", device=place)
        results.append(losses(out))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4)


class Limiter:
    """Takes the device's memory away after a step."""

    def __init__(self, cupy: ModuleType, step: int) -> None:
        self.cupy, self.step = cupy, step

    def __call__(self, event: Event) -> None:
        if event.kind == "step" and event.values["step"] == self.step:
            take_memory(self.cupy)


def take_memory(cupy: ModuleType) -> None:
    pool = cupy.get_default_memory_pool()
    pool.set_limit(size=1)
    pool.free_all_blocks()


@pytest.fixture
def cupy(cupy_module: ModuleType) -> Iterator[ModuleType]:
    """Return the module, and free all memory at the end."""
    yield cupy_module
    cupy_module.get_default_memory_pool().set_limit(size=0)


@pytest.mark.slow
def test_out_of_memory_in_training(dataset: Path, tmp_path: Path, device: str, cupy: ModuleType) -> None:
    run = tmp_path / "run"
    with pytest.raises(Lstm2dError) as caught:
        train(config("n-renet"), dataset, run, device=device, report=Limiter(cupy, 7))
    error = caught.value
    assert error.what.startswith("out of GPU memory (Out of memory allocating ")
    assert error.where == "after step 7"
    assert str(newest_file(run / "checkpoints")) in str(error.hint)
    assert "step-00000005" in str(error.hint)
    assert error.__context__ is None  # a context would keep the arrays of the step alive
    cupy.get_default_memory_pool().set_limit(size=0)
    train(RunFolder(run).reopen(""), dataset, run, resume=True, device=device)
    train(config("n-renet"), dataset, tmp_path / "straight")
    np.testing.assert_allclose(losses(run), losses(tmp_path / "straight"), rtol=1e-4)


def test_out_of_memory_in_prediction(dataset: Path, tmp_path: Path, device: str, cupy: ModuleType) -> None:
    train(config("n-renet", "train.epochs=1"), dataset, tmp_path / "run")
    predictor = lstm2d.load(tmp_path / "run", device=device)
    image = read_photo(dataset / "images" / "i5.png").pixels
    expected = predictor.predict(image)
    take_memory(cupy)
    with pytest.raises(Lstm2dError, match="out of GPU memory") as caught:
        predictor.predict(image)
    assert caught.value.where == "13x8 pixels"
    cupy.get_default_memory_pool().set_limit(size=0)
    np.testing.assert_array_equal(predictor.predict(image), expected)


def test_a_device_that_is_not_there(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm2d.kernels.gpu.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="CuPy is not installed"):
        train(config("n-renet"), dataset, tmp_path / "run", device="cuda")
    assert not (tmp_path / "run").exists()


def test_features_lie_on_the_device_and_are_kept_on_the_host(device: str, rng: np.random.Generator) -> None:
    section = {"kind": "reseg", "features": "conv1_1", "weights": "", "units": [2], "patches": [1]}
    network = build(section | {"unit": "gru", "upsampling": "bilinear"}, 3, rng)
    x = rng.standard_normal((1, 4, 5, 3), np.float32)
    expected = FrozenFeatures(network)(x, keep=True)
    digest = frozen_digest(network)
    kept: list[NDArray[Any]] = []

    class Shelf:
        def get(self, key: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
            if not kept:
                kept.append(compute())
            return kept[0]

    features = FrozenFeatures(network.to(device), Shelf())
    for _ in range(2):
        found = features(x, keep=True)
        assert kernels.device_of(found) == device
        np.testing.assert_allclose(kernels.to_host(found), expected, atol=1e-5)
    assert [type(values) for values in kept] == [np.ndarray]
    assert len(frozen_digest(network)) == len(digest)
