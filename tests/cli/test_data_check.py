"""`lstm2d data check` and `lstm2d data split`."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.check import KINDS
from tests.cli.conftest import names_in
from tests.data.check.planted import Planter, plant


@pytest.fixture
def good(tmp_path: Path, rng: np.random.Generator) -> Planter:
    """Return a dataset of ten good images; two of its classes never occur."""
    planter = Planter(tmp_path / "good", rng)
    for number in range(10):
        planter.add(f"i{number}", "train" if number < 7 else "test")
    planter.finish()
    return planter


def test_a_dataset_with_faults(lstm2d: Callable, tmp_path: Path, rng: np.random.Generator) -> None:
    expected = plant(tmp_path / "data", rng)
    ran = lstm2d("data", "check", tmp_path / "data")
    assert ran.code == 3
    assert max(map(len, ran.out.splitlines())) <= 80
    for kind, file in expected:
        assert KINDS[kind].title in ran.out
        assert file in ran.out
    faults = sum(KINDS[kind].fault for kind, _ in expected)
    assert f"{faults} faults and {len(expected) - faults} notes in " in ran.out.splitlines()[-1]
    assert f"Error: the dataset has {faults} faults" in ran.err
    assert "add -o, a folder" in ran.err


def test_json(lstm2d: Callable, tmp_path: Path, rng: np.random.Generator) -> None:
    expected = plant(tmp_path / "data", rng)
    ran = lstm2d("data", "check", tmp_path / "data", "--json", "--threads", 2)
    assert ran.code == 3
    assert len(ran.out.splitlines()) == 1
    assert sorted((one["kind"], one["file"]) for one in ran.json["findings"]) == expected
    assert set(ran.json) == {
        *("data", "images", "quick", "faults", "notes", "kinds", "findings", "out", "seconds"),
    }
    assert set(ran.json["findings"][0]) <= {"kind", "fault", "file", "message", "place", "others"}


def test_a_folder_with_the_report(lstm2d: Callable, tmp_path: Path, rng: np.random.Generator) -> None:
    plant(tmp_path / "data", rng)
    ran = lstm2d("data", "check", tmp_path / "data", "-o", tmp_path / "out", "--json")
    assert ran.code == 3
    assert names_in(tmp_path / "out") == ["findings.json", "report.html"]
    stored = json.loads((tmp_path / "out" / "findings.json").read_text())
    assert stored == {key: value for key, value in ran.json.items() if key not in ("out", "seconds")}
    assert f"report: {tmp_path / 'out' / 'report.html'}" in ran.err


def test_notes_alone(lstm2d: Callable, good: Planter) -> None:
    ran = lstm2d("data", "check", good.root)
    assert ran.code == 0
    assert "Classes that never occur: 2 notes" in ran.out
    assert "0 faults and 2 notes in 10 images of good" in ran.out
    quick = lstm2d("data", "check", good.root, "--quick", "--split", "test")
    assert quick.code == 0
    assert "0 faults and 0 notes in headers and first masks of 3 images of good" in quick.out
    assert lstm2d("data", "check", good.root, "--split", "val").code == 3
    assert lstm2d("data", "check", good.root / "nowhere").code == 3


def test_many_findings_are_cut_on_the_terminal(lstm2d: Callable, good: Planter) -> None:
    for path in (good.root / "masks").iterdir():
        path.unlink()
    ran = lstm2d("data", "check", good.root)
    assert "Images without mask: 10 faults" in ran.out
    assert "and 5 more" in ran.out
    assert len(lstm2d("data", "check", good.root, "--json").json["findings"]) == 10


@pytest.mark.slow
def test_train_checks_first(lstm2d: Callable, good: Planter, tmp_path: Path) -> None:
    train = ["train", "lstm2d-3x3", "--data", good.root, "--epochs", 1, "--set", "model.units=[2,3,2]"]
    train += ["--set", "model.features=[2,2]", "--json"]
    ran = lstm2d(*train, "-o", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert "data check" not in ran.err
    (good.root / "splits" / "test.txt").write_text("i1\ni2\ni8\n")
    ran = lstm2d(*train, "-o", tmp_path / "shared")
    assert ran.code == 0, ran.err
    (line,) = [line for line in ran.err.splitlines() if "data check" in line]
    assert line == (
        "Warning: Images in several splits: images/i1.png (in test and train) and 1 more; "
        f"see lstm2d data check {good.root}"
    )
    good.mask("i3").unlink()
    ran = lstm2d(*train, "-o", tmp_path / "failed")
    assert ran.code == 3
    assert "Error: 1 of 7 images have no mask (i3)" in ran.err


@pytest.mark.slow
def test_held_out_images(lstm2d: Callable, good: Planter, tmp_path: Path) -> None:
    train = ["train", "lstm2d-3x3", "--data", good.root, "--epochs", 1, "--set", "model.units=[2,3,2]"]
    train += ["--set", "model.features=[2,2]", "--val", 0.3]
    assert lstm2d(*train, "-o", tmp_path / "run").code == 0
    ran = lstm2d("evaluate", tmp_path / "run", good.root, "--split", "held-out", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["images"], ran.json["split"]) == (2, "held-out")
    good.image("i0").write_bytes(good.image("i1").read_bytes())
    for number in range(1, 7):
        good.image(f"i{number}").write_bytes(good.image("i9").read_bytes())
    ran = lstm2d("evaluate", tmp_path / "run", good.root, "--split", "held-out")
    assert ran.code == 3
    assert "the dataset has changed since the run held images out" in ran.err
    assert "--split" in ran.err


def test_split(lstm2d: Callable, good: Planter) -> None:
    for path in (good.root / "splits").iterdir():
        path.unlink()
    good.mask("i5").unlink()
    with Image.open(good.image("i1")) as stored:
        stored.save(good.image("i2"))
    ran = lstm2d("data", "split", good.root, "--val", 0.2, "--test", 0.3, "--seed", 1, "--json")
    assert ran.code == 0, ran.err
    assert ran.json == {
        "data": str(good.root),
        "out": str(good.root / "splits"),
        "splits": {"train": 4, "val": 2, "test": 3},
        "seed": 1,
        "equal_images": 1,
        "left_out": 1,
    }
    assert "images without mask: 1, left out, the first is i5" in ran.err
    assert "images with equal pixels: 1" in ran.err
    assert f"written: {good.root / 'splits' / 'test.txt'} (3 images)" in ran.err
    stats = lstm2d("data", "stats", good.root, "--json")
    assert stats.code == 3  # i5 has no mask
    assert lstm2d("data", "stats", good.root, "--split", "train", "--json").json["images"] == 4
    again = lstm2d("data", "split", good.root)
    assert again.code == 2
    assert "the file exists" in again.err
    other = lstm2d("data", "split", good.root, "-o", good.root.parent / "other", "--val", 0)
    assert other.code == 0
    assert names_in(good.root.parent / "other") == ["test.txt", "train.txt"]


@pytest.mark.parametrize("options", [("--val", 0.9, "--test", 0.2), ("--seed", -1), ("--val", "some")])
def test_split_refuses_numbers_out_of_range(lstm2d: Callable, good: Planter, options: tuple) -> None:
    ran = lstm2d("data", "split", good.root, "-o", good.root / "new", *options)
    assert ran.code == 2
    assert not (good.root / "new").exists()
