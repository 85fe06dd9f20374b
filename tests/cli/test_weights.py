"""`lstm2d weights` on the command line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from lstm2d.weights.vgg16 import LAYERS

NAMES = ["conv1_1", "conv1_2", "conv2_1"]


@pytest.fixture
def file(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file with three layers."""
    monkeypatch.setenv("LSTM2D_DATA", str(tmp_path / "data"))
    arrays = {}
    for name in NAMES:
        rows, columns, channels, width = LAYERS[name]
        arrays[f"{name}.weight"] = rng.standard_normal((width, channels, rows, columns)).astype(np.float32)
        arrays[f"{name}.bias"] = rng.standard_normal(width).astype(np.float32)
    path = tmp_path / "given.safetensors"
    path.write_bytes(safetensors.numpy.save(arrays))
    return path


def test_import_and_list(lstm2d: Callable, file: Path, tmp_path: Path) -> None:
    ran = lstm2d("weights", "list", "--json")
    assert (ran.code, ran.json["weights"]) == (0, [])
    out = tmp_path / "vgg16.safetensors"
    ran = lstm2d("weights", "import", file, "-o", out, "--json")
    assert ran.code == 0
    assert ran.json["layers"] == NAMES
    assert ran.json["missing"] == [n for n in LAYERS if n not in NAMES]
    assert ran.json["convention"] == "caffe"
    stored = Path(ran.json["path"])
    assert stored.parent == tmp_path / "data/weights"
    assert out.read_bytes() == stored.read_bytes()
    digest = ran.json["digest"]
    # what was written can be imported again, and is the same
    assert lstm2d("weights", "import", out, "--json").json["digest"] == digest
    (listed,) = lstm2d("weights", "list", "--json").json["weights"]
    assert (listed["digest"], listed["name"], listed["layers"]) == (digest, "vgg16", NAMES)


def test_for_people(lstm2d: Callable, file: Path) -> None:
    assert "no weights imported yet" in lstm2d("weights", "list").out
    ran = lstm2d("weights", "import", file)
    assert "conv1_1, conv1_2, conv2_1" in ran.out
    assert "BGR" in ran.out
    assert max(map(len, ran.out.splitlines()[:6])) <= 80
    out = file.with_name("other.safetensors")
    ran = lstm2d("weights", "import", file, "--convention", "rgb", "--name", "other", "-o", out)
    assert "RGB, 0..255" in ran.out
    assert str(out) in ran.out.replace("\n", "").replace(" ", "")
    lines = lstm2d("weights", "list").out.splitlines()
    assert len(lines) == 3
    assert all("conv1_1 ... conv2_1" in line for line in lines[1:])


def test_failures(lstm2d: Callable, file: Path, tmp_path: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])
    ran = lstm2d("weights", "import", file)
    assert ran.code == 3
    assert str(file) in ran.err
    assert lstm2d("weights", "list", "--json").json["weights"] == []
    assert lstm2d("weights", "import", tmp_path / "none").code == 3


def test_name_and_place(lstm2d: Callable, file: Path, tmp_path: Path) -> None:
    assert lstm2d("weights", "import", file, "--name", "../up").code == 2
    assert lstm2d("weights", "import", file, "-o", tmp_path / "no" / "folder").code == 5


def test_the_file_that_was_given_stays_as_it_is(lstm2d: Callable, file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    (tmp_path / "link.safetensors").symlink_to(file)
    for given, out in ((file, file), (tmp_path / "link.safetensors", file)):
        ran = lstm2d("weights", "import", given, "-o", out)
        assert ran.code == 2
        assert str(out) in ran.err
    assert file.read_bytes() == before
    assert lstm2d("weights", "list", "--json").json["weights"] == []


def test_a_name_of_other_weights_is_reported(lstm2d: Callable, file: Path) -> None:
    digest = lstm2d("weights", "import", file, "--json").json["digest"]
    ran = lstm2d("weights", "import", file)  # the same once more
    assert (ran.code, ran.err) == (0, "")
    ran = lstm2d("weights", "import", file, "--convention", "rgb")
    assert ran.code == 0
    assert f"different weights are called vgg16 now, {digest[:16]}" in ran.err


def test_a_damaged_file_in_the_store_is_reported(lstm2d: Callable, file: Path, tmp_path: Path) -> None:
    lstm2d("weights", "import", file)
    bad = tmp_path / "data/weights/bad.safetensors"
    bad.write_bytes(b"nothing")
    ran = lstm2d("weights", "list", "--json")
    assert ran.code == 0
    assert ran.json["damaged"] == [str(bad)]
    assert len(ran.json["weights"]) == 1
    assert "Warning" in ran.err


def test_a_file_of_somebody_else_is_not_replaced(lstm2d: Callable, file: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(safetensors.numpy.save({"w": np.zeros(3, np.float32)}))
    before = mine.read_bytes()
    ran = lstm2d("weights", "import", file, "-o", mine)
    assert ran.code == 2
    assert "--overwrite" in ran.err
    assert mine.read_bytes() == before
    assert lstm2d("weights", "list", "--json").json["weights"] == []
    for options in (["--overwrite"], []):  # the second time it is a file of ours
        assert lstm2d("weights", "import", file, "-o", mine, *options).code == 0
    assert lstm2d("weights", "import", file, "-o", file, "--overwrite").code == 2
