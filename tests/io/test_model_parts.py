"""Imported layers left out of a model file, and half precision."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm2d.errors import Lstm2dError
from lstm2d.io.model_file import Imported, half_precision, load_model, read_header, save_model
from tests.io.models import assert_equal, example

LEFT_OUT = Imported("0123456789abcdef" * 4, ("conv1_1", "conv1_2"), ("a.conv1_1.weight", "a.conv1_1.bias"))


def test_left_out_layers_come_back(tmp_path: Path) -> None:
    save_model(tmp_path / "m", example(imported=LEFT_OUT))
    assert_equal(load_model(tmp_path / "m"), example(imported=LEFT_OUT))
    assert read_header(tmp_path / "m").model.imported == LEFT_OUT


def test_only_files_that_need_it_ask_for_a_newer_program(tmp_path: Path) -> None:
    save_model(tmp_path / "m", example())
    assert b'\\"format_version\\": 1' in (tmp_path / "m").read_bytes()
    save_model(tmp_path / "m", example(imported=LEFT_OUT))
    assert b'\\"format_version\\": 2' in (tmp_path / "m").read_bytes()
    state = {"w": np.ones(3, np.float32)}
    save_model(tmp_path / "m", example(state=state), half=True)
    assert b'\\"format_version\\": 2' in (tmp_path / "m").read_bytes()


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"digest": "0" * 63, "layers": ["a"], "parameters": ["b"]},
        {"digest": "0" * 64, "layers": [], "parameters": ["b"]},
        {"digest": "0" * 64, "layers": "a", "parameters": ["b"]},
        {"digest": "0" * 64, "layers": ["a"], "parameters": [1]},
        {"digest": "0" * 64, "layers": ["a"], "parameters": ["b"], "file": "/etc/passwd"},
    ],
)
def test_wrong_lists_of_what_is_left_out(value: Any) -> None:
    with pytest.raises(ValueError, match="imported layers"):
        Imported.from_json(value)


def test_half_precision(tmp_path: Path, rng: np.random.Generator) -> None:
    values = (rng.standard_normal(1000) * 10.0 ** rng.integers(-4, 4, 1000)).astype(np.float32)
    state = {"w": values, "large": np.array([1.0, 70000.0], np.float32), "n": np.arange(3)}
    model = example(state=state)
    rounded = half_precision(model)
    np.testing.assert_allclose(rounded.state["w"], values, rtol=2**-11, atol=2**-25)
    assert rounded.state["w"].dtype == np.float32
    np.testing.assert_array_equal(rounded.state["large"], state["large"])  # float16 ends at 65504
    save_model(tmp_path / "half", rounded, half=True)
    save_model(tmp_path / "full", rounded)
    assert_equal(load_model(tmp_path / "half"), rounded)
    dtypes = {name: t.dtype for name, t in read_header(tmp_path / "half").tensors.items()}
    assert dtypes == {"w": "<f2", "large": "<f4", "n": "<i8"}
    saved = (tmp_path / "full").stat().st_size - (tmp_path / "half").stat().st_size
    assert 1900 < saved < 2100
    # without rounding, nothing is changed silently
    save_model(tmp_path / "asked", model, half=True)
    assert_equal(load_model(tmp_path / "asked"), model)


@pytest.mark.parametrize(
    "changes", [{"typical_size": 277.125}, {"native": True}, {"typical_size": 1.0, "native": True}]
)
def test_the_size_of_the_training_images(tmp_path: Path, changes: dict[str, Any]) -> None:
    save_model(tmp_path / "m", example(**changes))
    assert_equal(load_model(tmp_path / "m"), example(**changes))
    header = read_header(tmp_path / "m").model
    assert (header.typical_size, header.native) == (changes.get("typical_size"), changes.get("native", False))


@pytest.mark.parametrize("size", [0.5, -3.0, 1e7, float("nan")])
def test_a_size_that_no_image_has_is_not_stored(tmp_path: Path, size: float) -> None:
    with pytest.raises(Lstm2dError):
        save_model(tmp_path / "m", example(typical_size=size))
    assert not (tmp_path / "m").exists()
