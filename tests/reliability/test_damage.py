"""Damaged model files, checkpoints, stored weights and cached features are refused, or read as they were."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lstm2d.errors import DataError
from lstm2d.io.model_file import load_model, model_digest, save_model
from lstm2d.training.checkpoint import Checkpoint, file_name, load_newest, pack, save_checkpoint
from lstm2d.training.feature_cache import FeatureCache
from lstm2d.weights.store import load_stored, store_weights, weights_digest
from lstm2d.weights.vgg16 import LAYERS
from tests.reliability.damage import ROUNDS, outcomes

SIZE = 300_000  # values of the largest array: more than a megabyte


def refused(error: DataError) -> str:
    """Return "refused" if an error gives a reason."""
    return "refused" if error.what and "nexpected" not in str(error) else f"no reason: {error}"


def check(found: Counter[str], record: Callable[[str, object], None]) -> None:
    """Check that nothing else happened, and record the numbers for the report of pytest."""
    record("outcomes", dict(found))
    print(dict(found))
    assert set(found) <= {"refused", "harmless"}
    assert found["refused"] > 0.9 * ROUNDS


@pytest.mark.slow
def test_model_file(
    tmp_path: Path, rng: np.random.Generator, brightness_model: Path, record_property: Callable
) -> None:
    model, path = load_model(brightness_model), tmp_path / "model.safetensors"
    more = {f"extra.{k}": rng.standard_normal(SIZE // 3).astype(np.float32) for k in range(3)}
    save_model(path, replace(model, state=dict(model.state) | more))
    digest = model_digest(load_model(path))

    def read(path: Path) -> str:
        try:
            found = load_model(path)
        except DataError as error:
            return refused(error)
        return "harmless" if model_digest(found) == digest else "another model"

    check(outcomes(path, read, ROUNDS, seed=1), record_property)


@pytest.mark.slow
def test_checkpoint(tmp_path: Path, rng: np.random.Generator, record_property: Callable) -> None:
    """The older one is used, and the damaged one is named."""
    older = Checkpoint({"weight.a": np.zeros(5, np.float32)}, {"step": 1})
    arrays = {f"weight.{k}": rng.standard_normal(SIZE // 3).astype(np.float32) for k in range(3)}
    newer = Checkpoint(arrays, {"step": 2, "text": "settings" * 100})
    save_checkpoint(tmp_path, 1, older)
    path = save_checkpoint(tmp_path, 2, newer)
    intact = pack(newer)

    def read(path: Path) -> str:
        notes: list[str] = []
        found = load_newest(tmp_path, notes.append)
        for aside in tmp_path.glob("*.damaged"):
            aside.rename(path)
        assert found is not None
        if found.state["step"] == 1:
            named = len(notes) == 1 and path.name in notes[0]
            return "refused" if named else f"not named: {notes}"
        same = all(np.array_equal(found.tensors[name], values) for name, values in arrays.items())
        return "harmless" if same and found.state == newer.state and not notes else "another checkpoint"

    assert path.read_bytes() == intact
    assert path.name == file_name(2)
    check(outcomes(path, read, ROUNDS, seed=2), record_property)


@pytest.mark.slow
def test_stored_weights(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, record_property: Callable
) -> None:
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path))
    layers = {
        name: (
            rng.standard_normal(LAYERS[name]).astype(np.float32),
            rng.standard_normal(LAYERS[name][3:]).astype(np.float32),
        )
        for name in ("conv1_1", "conv1_2", "conv2_1", "conv2_2")
    }
    stored = store_weights(layers, name="vgg", convention="caffe", source="x")
    digest = weights_digest(layers)

    def read(path: Path) -> str:
        try:
            found = load_stored(path)
        except DataError as error:
            return refused(error)
        return "harmless" if weights_digest(found.layers) == digest else "other weights"

    check(outcomes(stored.path, read, ROUNDS, seed=3), record_property)


@pytest.mark.slow
def test_feature_cache(tmp_path: Path, rng: np.random.Generator, record_property: Callable) -> None:
    """Damaged features are computed again, and that is reported."""
    values, key = rng.standard_normal((1, 100, SIZE // 100, 1)).astype(np.float32), "0" * 64

    def cache(warnings: list[str]) -> FeatureCache:
        return FeatureCache(tmp_path, "ab" * 32, "float32", 2**30, warn=warnings.append)

    cache([]).get(key, lambda: values)
    (path,) = tmp_path.rglob("*.npy")

    def read(path: Path) -> str:
        warnings: list[str] = []
        one = cache(warnings)
        one.writes = False
        computed: list[int] = []

        def compute() -> np.ndarray:
            computed.append(1)
            return values

        found = one.get(key, compute)
        if not np.array_equal(found, values):
            return "other features"
        if not computed:
            return "harmless"
        return "refused" if len(warnings) == 1 and str(path) in warnings[0] else f"not named: {warnings}"

    check(outcomes(path, read, ROUNDS, seed=4), record_property)
