"""Held-out images: the list in run.json, and what has changed since."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import DataError
from lstm2d.predict.held_out import held_out_samples, listed, read_record, record_text
from lstm2d.predict.several import is_k_fold, plan


@pytest.fixture
def root(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a dataset of four images without splits."""
    root = tmp_path / "data"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for stem in "abcd":
        Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)).save(root / f"images/{stem}.png")
        Image.fromarray(np.array([[0, 1, 2]] * 4, np.uint8).repeat(2, 1)).save(root / f"masks/{stem}.png")
    (root / "dataset.toml").write_text("".join(f'[[classes]]\nname = "{n}"\n' for n in "xyz"))
    return root


def write_run(folder: Path, model: Path, root: Path, stems: str) -> Path:
    """Write a run folder that held out these images; return its model file."""
    folder.mkdir()
    files = {stem: (root / "images" / f"{stem}.png").read_bytes() for stem in stems}
    digests = {stem: hashlib.sha256(data).hexdigest()[:32] for stem, data in files.items()}
    (folder / "run.json").write_text(record_text("a name", digests))
    return Path(shutil.copy(model, folder / "model.safetensors"))


def test_the_record(tmp_path: Path) -> None:
    names = {"a": "00", "caf\udce9": "11", "train/b c": "22"}
    path = tmp_path / "run.json"
    path.write_text(record_text("name", names))
    assert read_record(path)["run"] == "name"
    assert listed(path) == names
    path.write_text(json.dumps({"run": "name"}))
    assert listed(path) is None
    for text in ("", "{", "[]", '{"held_out": ["a"]}', '{"held_out": {"a": 3}}'):
        path.write_text(text)
        assert listed(path) is None


def test_the_images_of_a_run(root: Path, tmp_path: Path, brightness_model: Path) -> None:
    model = write_run(tmp_path / "run", brightness_model, root, "ca")
    dataset = DatasetFolder(root)
    assert [s.stem for s in held_out_samples(model, dataset)] == ["c", "a"]
    (task,) = plan([tmp_path / "run"], dataset, split="held-out")
    assert (task.split, [s.stem for s in task.samples]) == ("held-out", ["c", "a"])


def test_several_runs(root: Path, tmp_path: Path, brightness_model: Path) -> None:
    """Runs that held out the same images are compared on them; others are folds."""
    for name, stems in (("one", "ab"), ("two", "ab"), ("three", "cd")):
        write_run(tmp_path / name, brightness_model, root, stems)
    dataset = DatasetFolder(root)
    same = plan([tmp_path / "one", tmp_path / "two"], dataset, split="held-out")
    assert not is_k_fold(same)
    folds = plan([tmp_path / "one", tmp_path / "three"], dataset, split="held-out")
    assert is_k_fold(folds)
    assert [[s.stem for s in task.samples] for task in folds] == [["a", "b"], ["c", "d"]]


def test_a_split_of_that_name(root: Path, tmp_path: Path, brightness_model: Path) -> None:
    write_run(tmp_path / "run", brightness_model, root, "ab")
    (root / "splits").mkdir()
    (root / "splits" / "held-out.txt").write_text("d\n")
    (task,) = plan([tmp_path / "run"], DatasetFolder(root), split="held-out")
    assert [s.stem for s in task.samples] == ["d"]


def test_runs_without_held_out_images(root: Path, tmp_path: Path, brightness_model: Path) -> None:
    dataset = DatasetFolder(root)
    with pytest.raises(DataError, match=r"no run that lists its held-out images: .*run\.json") as e:
        held_out_samples(brightness_model, dataset)
    assert "`split`" in str(e.value)
    model = write_run(tmp_path / "run", brightness_model, root, "")
    with pytest.raises(DataError, match=r"the run held out no images: .*run"):
        held_out_samples(model, dataset)
    (tmp_path / "run" / "run.json").write_text('{"run": "a name"}')
    with pytest.raises(DataError, match="the run does not list its held-out images"):
        held_out_samples(model, dataset)


def test_a_dataset_that_changed(root: Path, tmp_path: Path, brightness_model: Path) -> None:
    model = write_run(tmp_path / "run", brightness_model, root, "abc")
    shutil.copy(root / "images/d.png", root / "images/b.png")
    with pytest.raises(
        DataError, match=r"has changed since the run held images out \(other contents of b\.png\)"
    ):
        held_out_samples(model, DatasetFolder(root))
    for folder in ("images", "masks"):
        (root / folder / "a.png").unlink()
    with pytest.raises(DataError, match=r"has changed .*1 of 3 images are missing \(a\)"):
        held_out_samples(model, DatasetFolder(root))
