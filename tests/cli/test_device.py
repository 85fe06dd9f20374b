"""`--device` and `--gpu-memory` on the command line: messages, and the same results as on the CPU."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.config import resolve
from lstm2d.data.folder import DatasetFolder
from lstm2d.data.synth import write_dataset
from lstm2d.demo.network import seconds_per_step
from lstm2d.io.model_file import ClassInfo, ModelFile, load_model, save_model
from lstm2d.models import build
from tests.conftest import STAND_IN
from tests.training.runs import rows

TINY = ("model.units=[2, 3, 2]", "model.features=[3, 2]", "train.epochs=2", "train.scale_jitter=0")
SECTION: dict[str, Any] = {"kind": "n-renet", "units": [3], "patches": [3], "unit": "gru"}


@pytest.fixture
def renet_model(tmp_path: Path) -> Path:
    """Return the file of a small network with random weights."""
    network = build(SECTION, 2, np.random.default_rng(0))
    state = {name: 4 * values for name, values in network.state_dict().items()}
    model = ModelFile(
        state=state,
        preset="n-renet",
        config={"preset": "n-renet", "model": SECTION},
        classes=(ClassInfo("dark", (0, 0, 0)), ClassInfo("bright", (255, 255, 255))),
        mean=(127.5, 127.5, 127.5),
        std=(51.0, 51.0, 51.0),
        ignore=255,
        library_version="0.1.0",
        seed=0,
        metrics={},
        trained_on="nothing",
        terms="free for all",
    )
    path = tmp_path / "renet.safetensors"
    save_model(path, model)
    return path


@pytest.fixture
def cupy(cupy_module: ModuleType) -> Iterator[ModuleType]:
    """Return the module, and free all memory at the end."""
    yield cupy_module
    cupy_module.get_default_memory_pool().set_limit(size=0)


def labels(folder: Path) -> dict[str, np.ndarray]:
    paths = [path for path in sorted(folder.rglob("*.png")) if path.name != "legend.png"]
    return {path.name: np.array(Image.open(path)) for path in paths}


def test_no_gpu_is_one_clear_line(
    lstm2d: Callable, renet_model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lstm2d.kernels.gpu.find_spec", lambda name: None)
    out = tmp_path / "out"
    for words in (
        ("predict", renet_model, photos, "-o", out),
        ("evaluate", renet_model, photos),
        ("train", "lstm2d-3x3", "--data", photos, "-o", out),
        ("demo", "-o", out),
    ):
        ran = lstm2d(*words, "--device", "cuda:0")
        assert ran.code == 2
        assert ran.out == ""
        what, hint = ran.err.splitlines()
        assert what == "Error: CuPy is not installed: --device cuda:0"
        assert hint.startswith('  do: pip install "lstm2d[gpu]"')
        assert not out.exists()
    with_json = lstm2d("predict", renet_model, photos, "-o", out, "--device", "cuda", "--json")
    assert with_json.json["error"]["where"] == "--device cuda"
    assert lstm2d("predict", renet_model, photos, "-o", out, "--gpu-memory", "1").code == 0  # auto: the CPU


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "cpu", "--gpu-memory", "1"], "--gpu-memory together with --device cpu"),
        (["--gpu-memory", "0"], "--gpu-memory"),
        (["--gpu-memory", "-1"], "--gpu-memory"),
        (["--gpu-memory", "much"], "--gpu-memory"),
        (["--device", "gpu"], "unknown device: --device gpu"),
    ],
)
def test_wrong_options(
    lstm2d: Callable, renet_model: Path, photos: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    ran = lstm2d("predict", renet_model, photos, "-o", tmp_path / "out", *options)
    assert ran.code == 2
    assert message in ran.err


@pytest.mark.parametrize("crf", [[], ["--crf"]], ids=["network", "CRF"])
def test_labels_are_those_of_the_cpu(
    lstm2d: Callable, renet_model: Path, photos: Path, tmp_path: Path, device: str, crf: list[str]
) -> None:
    for place in ("cpu", "auto", "cuda", device):
        words = ("--device", place, "--probabilities", *crf)
        assert lstm2d("predict", renet_model, photos, "-o", tmp_path / place, *words).code == 0
    expected = labels(tmp_path / "cpu")
    assert {value for image in expected.values() for value in np.unique(image)} == {0, 1}
    for place in ("auto", "cuda", device):
        found = labels(tmp_path / place)
        assert list(found) == list(expected)
        for name, image in found.items():
            np.testing.assert_array_equal(image, expected[name])
    with np.load(tmp_path / "cuda" / "a.npz") as ours, np.load(tmp_path / "cpu" / "a.npz") as theirs:
        np.testing.assert_allclose(ours["probabilities"], theirs["probabilities"], atol=1e-4 if crf else 1e-5)


def test_an_image_too_large_for_the_gpu(
    lstm2d: Callable, renet_model: Path, photos: Path, tmp_path: Path, device: str, cupy: ModuleType
) -> None:
    Image.new("RGB", (3000, 3000)).save(photos / "large.png")  # 103 MiB of float32
    limit = ("--device", device, "--gpu-memory", 0.0625)
    ran = lstm2d("predict", renet_model, photos, "-o", tmp_path / "out", "--json", *limit)
    assert ran.code == 4
    assert ran.json["images"] == 3
    assert [Path(f["image"]).name for f in ran.json["failed"]] == ["large.png"]
    assert ran.json["failed"][0]["error"].startswith("out of GPU memory (Out of memory allocating 108,000,")
    assert sorted(labels(tmp_path / "out")) == ["a.png", "b.png", "c.png"]


@pytest.mark.slow
def test_the_demo_measures_a_step_where_it_will_train(tmp_path: Path, device: str) -> None:
    write_dataset(tmp_path / "scenes", count=3, seed=0, height=20, width=20)
    config = resolve("lstm2d-5x5", [(item, "test") for item in TINY])
    seconds = [seconds_per_step(config, DatasetFolder(tmp_path / "scenes"), p) for p in ("cpu", device)]
    assert all(0 < value < 60 for value in seconds)


def run(*words: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lstm2d.cli", *map(str, words)]
    return subprocess.run(command, env=os.environ | env, capture_output=True, text=True)


@pytest.mark.slow
def test_training_and_labelling_in_processes_of_their_own(tmp_path: Path) -> None:
    """Commands as users type them, with the stand-in as CuPy."""
    path = os.pathsep.join([str(STAND_IN), os.environ.get("PYTHONPATH", "")])
    env = {"PYTHONPATH": path, "LSTM2D_STAND_IN_DEVICES": "1"}
    data = tmp_path / "scenes"
    made = run("data", "synth", "-o", data, "--count", 10, "--width", 24, "--height", 18, env=env)
    assert made.returncode == 0, made.stderr
    sets = [word for item in TINY for word in ("--set", item)]
    for place in ("cpu", "cuda"):
        words = ("train", "lstm2d-3x3", "--data", data, "-o", tmp_path / place, "--device", place, *sets)
        done = run(*words, env=env)
        assert done.returncode == 0, done.stderr
        assert ("on cuda:0" in done.stderr) == (place == "cuda")
        words = (
            "predict",
            tmp_path / place,
            data / "images",
            "-o",
            tmp_path / f"{place}-out",
            "--device",
            place,
        )
        done = run(*words, env=env)
        assert done.returncode == 0, done.stderr
    ours, theirs = rows(tmp_path / "cuda"), rows(tmp_path / "cpu")
    losses = [[float(row["loss"]) for row in found] for found in (ours, theirs)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    states = [load_model(tmp_path / place / "model.safetensors").state for place in ("cuda", "cpu")]
    for name, values in states[0].items():
        np.testing.assert_allclose(values, states[1][name], rtol=1e-3, atol=1e-4, err_msg=name)
    images = [labels(tmp_path / f"{place}-out") for place in ("cuda", "cpu")]
    assert len(images[0]) == 10
    for name, image in images[0].items():
        np.testing.assert_array_equal(image, images[1][name])
