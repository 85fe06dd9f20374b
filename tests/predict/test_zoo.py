"""Finding models by path, run folder and name."""

import shutil
from pathlib import Path

import pytest

from lstm2d.errors import DataError
from lstm2d.io.model_file import load_model
from lstm2d.predict import bundled_models, find_model, load, zoo


@pytest.fixture
def small_zoo(tmp_path: Path, brightness_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the bundled models by one called "mini"."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    shutil.copy(brightness_model, folder / "mini.safetensors")
    monkeypatch.setattr(zoo, "ZOO", folder)
    return folder / "mini.safetensors"


def test_a_bundled_name(small_zoo: Path) -> None:
    assert bundled_models() == {"mini": small_zoo}
    assert find_model("mini") == small_zoo
    assert find_model(Path("mini")) == small_zoo


def test_a_bundled_name_comes_before_a_folder(
    small_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mini").mkdir()
    assert find_model("mini") == small_zoo
    for path in ("./mini", Path("mini")):
        with pytest.raises(DataError, match=r"no model\.safetensors"):
            find_model(path)


def test_a_file_and_a_run_folder(tmp_path: Path, brightness_model: Path) -> None:
    shutil.copy(brightness_model, tmp_path / "model.safetensors")
    assert find_model(brightness_model) == brightness_model
    assert find_model(tmp_path) == tmp_path / "model.safetensors"
    assert find_model(str(tmp_path)) == tmp_path / "model.safetensors"


@pytest.mark.usefixtures("small_zoo")
def test_a_mistyped_name() -> None:
    with pytest.raises(DataError, match="did you mean 'mini'") as caught:
        find_model("minni")
    assert "mini" in str(caught.value.expected)
    with pytest.raises(DataError, match="lstm2d models"):
        find_model("runs/nowhere")


def test_every_bundled_model_says_where_it_comes_from_and_can_be_loaded() -> None:
    assert {"outdoor", "outdoor-renet", "outdoor-rcnn", "street"} <= set(bundled_models())
    for name, path in bundled_models().items():
        model = load_model(path)
        assert model.trained_on, name
        assert model.terms, name
        if model.imported is None:
            assert load(name).model.classes == model.classes
        else:  # nothing was imported in the tests
            with pytest.raises(DataError, match="not imported") as caught:
                load(name)
            assert caught.value.hint == "lstm2d weights import FILE"
