"""Run folders and model files of earlier versions can be loaded, used and resumed."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import lstm2d
from lstm2d.cli.program import program
from lstm2d.io.model_file import load_model
from tests.old_files import drawn
from tests.runner import runner

FOLDER = Path(drawn.__file__).parent
VERSIONS = sorted(path.name for path in FOLDER.iterdir() if path.name.startswith("checkpoint-"))
RUNS = [(version, network) for version in VERSIONS for network in drawn.NETWORKS]


def command(*words: str) -> str:
    done = runner().invoke(program, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "store"))
    command("weights", "import", str(drawn.imported(tmp_path / "conv1_1.npz")))
    return drawn.dataset(tmp_path / "data")


@pytest.mark.parametrize(("version", "network"), RUNS)
def test_a_run_goes_on_to_where_a_straight_run_ends(
    version: str, network: str, data: Path, tmp_path: Path
) -> None:
    old, straight = tmp_path / "old", tmp_path / "straight"
    shutil.copytree(FOLDER / version / network, old)
    late = ["--data", str(data), "--set", f"train.steps={drawn.LATE}", "-q"]
    printed = command("train", *drawn.options(network), *late, "-o", str(old), "--resume")
    command("train", *drawn.options(network), *late, "-o", str(straight))
    found, expected = (load_model(run / "model.safetensors") for run in (old, straight))
    assert found.metrics["step"] == expected.metrics["step"], printed
    assert list(found.state) == list(expected.state)
    begun = load_model(FOLDER / version / network / "model.safetensors").state
    for name, values in expected.state.items():  # the first steps ran on another machine
        np.testing.assert_allclose(found.state[name], values, rtol=1e-3, atol=1e-5, err_msg=name)
    assert any(np.abs(begun[name] - values).max() > 1e-3 for name, values in expected.state.items())


@pytest.mark.parametrize(("version", "network"), RUNS)
def test_a_model_file_predicts(version: str, network: str, data: Path) -> None:
    model = lstm2d.load(FOLDER / version / network / "model.safetensors")
    image = np.asarray(drawn.Image.open(data / "images" / "0.png"))
    probabilities = model.predict_proba(image)
    assert probabilities.shape == (*drawn.SHAPE, drawn.CLASSES)
    np.testing.assert_allclose(probabilities.sum(axis=2), 1, rtol=1e-5)
    np.testing.assert_array_equal(model.predict(image), probabilities.argmax(axis=2))
