"""Predictors give the same bits from any thread of the program."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lstm2d.config.crf import crf_settings
from lstm2d.io.model_file import load_model
from lstm2d.predict import Predictor, bundled_models
from lstm2d.weights.store import store_weights, weights_digest
from lstm2d.weights.vgg16 import LAYERS
from tests.callers import at_once, blas_threads, kernel_threads, restless

MODELS = ("outdoor", "outdoor-renet", "outdoor-rcnn", "street")
SIZES = [(24, 32), (33, 21), (40, 52), (28, 28)]
CRF = {"iterations": 2}
CALLS = int(os.environ.get("LSTM2D_TEST_CALLS", "140"))  # of many
Load = Callable[..., Predictor]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a function that loads a bundled model; the imported layers of "street" are random."""
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "user"))

    def make(name: str, crf: bool = False) -> Predictor:
        model = load_model(bundled_models()[name])
        if model.imported is not None:
            rng = np.random.default_rng(0)
            layers = {
                layer: (
                    rng.standard_normal(LAYERS[layer]).astype(np.float32) / np.sqrt(9 * LAYERS[layer][2]),
                    np.zeros(LAYERS[layer][3], np.float32),
                )
                for layer in model.imported.layers
            }
            store_weights(layers, name="vgg16", convention="caffe", source="test")
            model = replace(model, imported=replace(model.imported, digest=weights_digest(layers)))
        return Predictor(model, source=name, crf=crf_settings(CRF) if crf else False)

    return make


def images(sizes: list[tuple[int, int]]) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def wrong(predictors: list[Predictor], photos: list[np.ndarray], threads: int, calls: int) -> int:
    """Return how many of `calls` results differ from those of this thread; predictors are used in turn."""
    expected = [predictors[0].predict_proba(photo, size="native").tobytes() for photo in photos]

    def work(k: int) -> int:
        found = 0
        for turn in range(k, calls, threads):
            j = (turn // threads + k) % len(photos)
            bits = predictors[turn % len(predictors)].predict_proba(photos[j], size="native").tobytes()
            found += bits != expected[j]
        return found

    with restless():
        return sum(at_once(threads, work))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("per_call", [1, 2])
def test_four_threads(load: Load, name: str, per_call: int) -> None:
    with kernel_threads(per_call), blas_threads(4):
        assert wrong([load(name)], images(SIZES), 4, 24) == 0


@pytest.mark.parametrize("threads", [1, 4])
def test_products_large_enough_for_the_threads_of_blas(load: Load, threads: int) -> None:
    """Their bits depend on the number of BLAS threads."""
    with kernel_threads(1), blas_threads(4):
        assert wrong([load("outdoor")], images([(120, 160)]), threads, 2 * threads) == 0


def test_photographs_that_are_brought_to_another_size(load: Load) -> None:
    predictor, photos = load("outdoor"), images([(24, 32), (500, 640)])
    expected = [predictor.predict(photo).tobytes() for photo in photos]
    with kernel_threads(1), blas_threads(4), restless():
        assert at_once(4, lambda k: predictor.predict(photos[k % 2]).tobytes()) == 2 * expected


def test_labels_and_probabilities_with_a_crf(load: Load) -> None:
    predictors, photos = [load("outdoor", crf=True), load("outdoor", crf=True)], images(SIZES)
    with kernel_threads(2), blas_threads(4):
        assert wrong(predictors, photos, 4, 16) == 0
        expected = [predictors[0].predict(photo).tobytes() for photo in photos]
        assert at_once(4, lambda k: predictors[1].predict(photos[k]).tobytes()) == expected


@pytest.mark.slow
@pytest.mark.parametrize("crf", [False, True], ids=["", "crf"])
@pytest.mark.parametrize("threads", [4, 8])
@pytest.mark.parametrize("name", MODELS)
def test_many_calls(load: Load, name: str, threads: int, crf: bool) -> None:
    calls = CALLS // 7 if name == "outdoor-rcnn" else CALLS  # its calls take seven times as long
    with kernel_threads(1), blas_threads(4):
        predictors = [load(name, crf) for _ in range(1 if threads == 4 else 2)]
        assert wrong(predictors, images(SIZES), threads, calls) == 0


FIRST = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import lstm2d

lstm2d.set_num_threads(2)
photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
with ThreadPoolExecutor(6) as pool:
    tasks = [pool.submit(lambda: lstm2d.load("outdoor", crf="krahenbuehl").predict(photo)) for _ in range(6)]
    results = {task.result().tobytes() for task in tasks}
assert results == {lstm2d.load("outdoor", crf="krahenbuehl").predict(photo).tobytes()}
"""


@pytest.mark.slow
def test_the_first_calls_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several threads import, load and compile at the same time; a second process uses the cache."""
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path))
    for _ in range(2):
        run = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stderr
    assert list(tmp_path.rglob("*.nbi"))
