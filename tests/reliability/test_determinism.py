"""Equal bits by any way of computing; `lstm2d selftest determinism` finds others."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm2d.cli.program import program
from lstm2d.config import load_preset, preset_names
from lstm2d.errors import ConfigError
from lstm2d.kernels.threads import get_num_threads
from lstm2d.predict import Predictor
from lstm2d.reliability import determinism
from lstm2d.reliability.determinism import CRF, compare, names
from tests.runner import runner

# the environment variable holds names of models, or "all"
ASKED = os.environ.get("LSTM2D_TEST_MODELS", "lstm2d-5x5,outdoor").split(",")
STEPS, IMAGES = (50, 20) if "LSTM2D_TEST_MODELS" in os.environ else (3, 4)
TRAIN_WAYS = ("again", "2 threads", "3 threads", "another process")


def test_all_networks_are_compared() -> None:
    assert set(preset_names()) <= set(names())
    assert {"outdoor", "outdoor-renet", "outdoor-rcnn", CRF} <= set(names())
    assert {load_preset(name).model["kind"] for name in preset_names()} >= {"lstm2d", "rcnn", "fcn", "reseg"}


@pytest.mark.slow
def test_bits_are_equal(tmp_path: Path) -> None:
    before = os.environ.get("LSTM2D_DATA"), get_num_threads()
    models = names() if ASKED == ["all"] else ASKED
    found = list(compare(tmp_path, steps=STEPS, images=IMAGES, models=models))
    assert {c.model for c in found} == set(models)
    assert [c for c in found if c.different] == []
    for c in found:
        if c.task == "train":
            assert c.ways == TRAIN_WAYS
        else:
            assert {"again", "2 threads", "3 threads", "3 Python threads", "2 processes"} <= set(c.ways)
    assert before == (os.environ.get("LSTM2D_DATA"), get_num_threads())


class Here:
    """Stands for the pool of processes: computes in this process."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Need nothing."""

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *args: object) -> None:
        """Keep nothing."""

    def submit(self, call: Any, *args: Any, **options: Any) -> Any:
        result = call(*args, **options)
        return type("Done", (), {"result": lambda self: result})()


def test_other_bits_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(determinism, "ProcessPoolExecutor", Here)
    right = Predictor.predict_proba

    def other(self: Predictor, image: Any, **options: Any) -> Any:
        found = right(self, image, **options)
        if get_num_threads() == 3 or len(image) == determinism.BATCH:
            found[0][0, 0, 0] = np.nextafter(found[0][0, 0, 0], np.float32(2))
        return found

    monkeypatch.setattr(Predictor, "predict_proba", other)
    compared = list(compare(tmp_path, steps=1, images=4, models=["outdoor"]))
    assert [found.backend for found in compared] == ["cython", "numba"]
    for found in compared:
        assert (found.model, found.task) == ("outdoor", "predict")
        assert found.different == ("3 threads", "batches of 3")
        assert "batches of 4" in found.ways


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(determinism, "ProcessPoolExecutor", Here)
    words = ["selftest", "determinism", "--steps", "1", "--images", "2", "--model", "lstm2d-5x5", "--json"]
    ran = runner().invoke(program, words)
    assert ran.exit_code == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    compared = [(c["backend"], c["task"], c["different"]) for c in found["computations"]]
    assert compared == [
        (backend, task, []) for backend in ("cython", "numba") for task in ("train", "predict")
    ]
    assert found["different"] == 0
    monkeypatch.setattr(determinism, "trained", lambda *args, threads, **more: str(threads))
    monkeypatch.setattr(determinism, "_predictions", lambda *args: None)
    ran = runner().invoke(program, words[:-1])
    assert ran.exit_code == 1
    assert "2 threads, 3 threads" in ran.stdout
    assert list(tmp_path.iterdir()) == []


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lstm2d-4x4"):
        list(compare(tmp_path, steps=1, images=1, models=["lstm2d-4x4"]))
