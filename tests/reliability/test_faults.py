"""Whichever call of the system fails while something is written: it is reported, nothing is half written."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from lstm2d.cli.program import program
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import OutputError
from lstm2d.io.locks import is_temporary
from lstm2d.io.model_file import load_model
from lstm2d.predict.manifest import read_manifest
from lstm2d.training.checkpoint import Checkpoint, load_newest, newest_file, save_checkpoint
from lstm2d.training.feature_cache import FeatureCache
from lstm2d.weights.store import find_weights, stored_weights
from lstm2d.weights.vgg16 import LAYERS
from tests.callers import kernel_threads
from tests.reliability.faults import calls, contents, faults
from tests.runner import runner

SMALL = ("--set", "model.units=[2,3,2]", "--set", "model.features=[2,2]", "--epochs", "1", "--threads", "1")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    with kernel_threads():
        yield


def command(*words: object) -> Result:
    return runner().invoke(program, [str(word) for word in words])


@dataclass
class Attempt:
    """A command whose files are written to one folder, tried again with each call failing.

    Parameters
    ----------
    out : Path
        The folder, which is restored before each attempt.
    words : sequence
        The command.
    accept : callable
        Checks the folder after a command that succeeded.
    again : sequence
        Words to add for the attempt without failures that follows, such as "--overwrite".
    ends : callable, optional
        Checks the folder after a command that failed.
    """

    out: Path
    words: Sequence[object]
    accept: Callable[[], None]
    again: Sequence[object] = ()
    ends: Callable[[], None] = lambda: None

    def restore(self, before: Path) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        if before.exists():
            shutil.copytree(before, self.out)

    def run(self, at_most: int) -> dict[int, int]:
        """Run all attempts; return how often each exit code occurred."""
        before = self.out.with_name(f"{self.out.name}-before")
        if self.out.exists():
            shutil.copytree(self.out, before)
        old = contents(before) if before.exists() else {}
        with faults(0, 0, self.out) as counted:
            assert command(*self.words).exit_code == 0
        self.accept()
        new = contents(self.out)
        codes: dict[int, int] = {}
        for k, error in calls(counted.count, at_most):
            self.restore(before)
            with faults(k, error, self.out) as shim:
                ran = command(*self.words)
            about = f"call {k} of {counted.count}, {shim.log[-4:]}: {ran.stderr}"
            codes[ran.exit_code] = codes.get(ran.exit_code, 0) + 1
            assert ran.exit_code in (0, 3, 5), about
            assert "nexpected" not in ran.stderr, about
            if ran.exit_code == 0:
                self.accept()
                continue
            assert "Error" in ran.stderr or "error" in ran.stderr, about
            # what the command does not replace is as it was, and each file is whole: the old or a new one
            left = contents(self.out) if self.out.exists() else {}
            names = [name for name in left if name in new and not changes_each_time(name)]
            for name in names:
                assert left[name] in (old.get(name), new[name]), f"{name}, {about}"
            assert not [name for name in left if is_temporary(Path(name).name)], about
            self.ends()
            ran = command(*self.words, *(self.again if self.out.exists() else ()))
            assert ran.exit_code == 0, about + ran.stderr
            self.accept()
        print(f"{self.words[0]}: {counted.count} calls, exit codes {dict(sorted(codes.items()))}")
        return codes


def changes_each_time(name: str) -> bool:
    """Return whether a file holds times, or names that are drawn."""
    path = Path(name)
    timed = path.suffix in (".json", ".csv", ".html", ".jsonl") or path.parent.name == "checkpoints"
    return timed or path.name.startswith(".")


def output_error(action: Callable[[], object]) -> OutputError | None:
    try:
        action()
    except OutputError as error:
        return error
    return None


def photos(folder: Path, names: str = "abc") -> Path:
    rng = np.random.default_rng(5)
    folder.mkdir()
    for name in names:
        Image.fromarray(rng.integers(0, 256, (6, 9, 3), np.uint8)).save(folder / f"{name}.png")
    return folder


def labelled(root: Path, count: int = 3) -> Path:
    """Write a dataset of small images with the classes of the brightness model."""
    rng = np.random.default_rng(6)
    for name in ("images", "masks", "splits"):
        (root / name).mkdir(parents=True)
    for split in ("train", "test"):
        (root / "splits" / f"{split}.txt").write_text("".join(f"i{k}\n" for k in range(count)))
    for number in range(count):
        labels = (np.arange(8)[:, None] + rng.integers(0, 4, (1, 7)) > 5).astype(np.uint8)
        image = np.clip(labels[..., None] * 90 + rng.normal(80, 20, (8, 7, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"i{number}.png")
        Image.fromarray(labels).save(root / "masks" / f"i{number}.png")
    names = enumerate(("dark", "bright", "never"))
    classes = [f'[[classes]]\nname = "{name}"\ncolor = [{k}, {k}, {k}]\n' for k, name in names]
    (root / "dataset.toml").write_text('name = "two"\nignore = 255\n' + "".join(classes))
    return root


def test_checkpoint(tmp_path: Path, rng: np.random.Generator) -> None:
    tensors = {f"weight.{k}": rng.normal(size=(3, 4)).astype(np.float32) for k in range(3)}
    save_checkpoint(tmp_path, 1, Checkpoint(tensors, {"step": 1}))
    save_checkpoint(tmp_path, 2, Checkpoint(tensors, {"step": 2}))
    old = contents(tmp_path)
    with faults(0, 0, tmp_path) as counted:
        save_checkpoint(tmp_path, 3, Checkpoint(tensors, {"step": 3}))
    failed = 0
    for k, error in calls(counted.count, 40):
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        for name, data in old.items():
            (tmp_path / name).write_bytes(data)
        with faults(k, error, tmp_path) as shim:
            raised = output_error(lambda: save_checkpoint(tmp_path, 3, Checkpoint(tensors, {"step": 3})))
        if raised is not None:
            failed += 1
            assert raised.exit_code == 5
            assert str(newest_file(tmp_path)) in str(raised), shim.log
        found = contents(tmp_path)
        assert all(found.get(name, data) == data for name, data in old.items())
        loaded = load_newest(tmp_path, pytest.fail)
        assert loaded is not None
        assert loaded.state["step"] in (2, 3)
        assert not list(tmp_path.glob(".lstm2d-*")), shim.log
    print(f"checkpoint: {counted.count} calls, {failed} failed saves")
    assert failed > 0


def test_feature_cache(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.standard_normal((1, 5, 7, 3)).astype(np.float32)
    keys = [f"{k:064x}" for k in range(2)]

    def cache(warnings: list[str]) -> FeatureCache:
        return FeatureCache(tmp_path, "ab" * 32, "float32", 2**30, warn=warnings.append)

    cache([]).get(keys[0], lambda: values)
    with faults(0, 0, tmp_path) as counted:
        cache([]).get(keys[1], lambda: 2 * values)
    for k, error in calls(counted.count, 40):
        for path in tmp_path.rglob(f"{keys[1]}.npy"):
            path.unlink()
        warnings: list[str] = []
        with faults(k, error, tmp_path) as shim:
            found = cache(warnings).get(keys[1], lambda: 2 * values)
        np.testing.assert_array_equal(found, 2 * values, strict=True)
        assert warnings or list(tmp_path.rglob(f"{keys[1]}.npy")), shim.log  # kept, or reported
        again = cache(warnings := [])
        np.testing.assert_array_equal(again.get(keys[0], lambda: -values), values, strict=True)
        np.testing.assert_array_equal(again.get(keys[1], lambda: 2 * values), 2 * values, strict=True)
        assert warnings == [], shim.log  # no damaged file was accepted, or found
    print(f"cached features: {counted.count} calls")


def test_import_of_weights(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "data"
    monkeypatch.setenv("LSTM2D_DATA", str(store))

    def given(name: str) -> Path:
        rows, columns, channels, width = LAYERS["conv1_1"]
        filters = rng.standard_normal((width, channels, rows, columns)).astype(np.float32)
        path = tmp_path / name
        np.savez(path, conv1_1_W=filters.transpose(2, 3, 1, 0), conv1_1_b=rng.standard_normal(width))
        return path

    first = ("weights", "import", given("first.npz"), "--name", "first", "--convention", "caffe")
    assert command(*first).exit_code == 0, command(*first).stderr
    digest = find_weights("first").digest

    def accept() -> None:
        found, problems = stored_weights()
        assert (len(found), problems) == (2, [])

    def ends() -> None:
        assert find_weights("first").digest == digest
        assert stored_weights()[1] == []

    words = ("weights", "import", given("second.npz"), "--name", "second", "--convention", "caffe")
    codes = Attempt(store, words, accept, ends=ends).run(20)
    assert codes[5] > 0


@pytest.mark.slow
def test_prediction(tmp_path: Path, brightness_model: Path, dark_model: Path) -> None:
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    assert command("predict", dark_model, source, "-o", out, "--threads", 1).exit_code == 0
    words = ("predict", brightness_model, source, "-o", out, "--overlay", "--probabilities", "--threads", 1)

    def accept() -> None:
        rows = read_manifest(out / "predictions.csv")
        assert sorted(row["labels"] for row in rows) == ["a.png", "b.png", "c.png"]
        assert [row["error"] for row in rows] == ["", "", ""]
        for name in "abc":
            with Image.open(out / f"{name}.png") as image:
                assert image.size == (9, 6)
            assert np.load(out / f"{name}.npz")["probabilities"].shape == (6, 9, 3)
        assert json.loads((out / "classes.json").read_text())

    assert Attempt(out, (*words, "--skip-done"), accept).run(12)[5] > 0


@pytest.mark.slow
def test_evaluation(tmp_path: Path, brightness_model: Path) -> None:
    data, out = labelled(tmp_path / "data"), tmp_path / "out"
    words = ("evaluate", brightness_model, data, "-o", out, "--threads", 1)

    def accept() -> None:
        assert json.loads((out / "metrics.json").read_text())["images"] == 3
        assert (out / "report.html").read_text().rstrip().endswith("</html>")
        for name in ("confusion.png", "best.png", "worst.png", "labelings.png"):
            with Image.open(out / name) as image:
                image.load()

    assert Attempt(out, words, accept).run(5)[5] > 0


@pytest.mark.slow
def test_end_of_a_training(tmp_path: Path) -> None:
    data, out = labelled(tmp_path / "data"), tmp_path / "run"
    words = ("train", "lstm2d-3x3", "--data", data, "-o", out, *SMALL)

    def accept() -> None:
        assert load_model(out / "model.safetensors").preset == "lstm2d-3x3"
        assert load_newest(out / "checkpoints", pytest.fail) is not None

    def ends() -> None:
        if (out / "config.toml").exists():
            assert load_newest(out / "checkpoints", pytest.fail) is not None

    class Resumed(Attempt):
        """The next attempt goes on with a run that has begun."""

        @property
        def again(self) -> Sequence[object]:
            return ("--resume",) if (out / "config.toml").exists() else ()

        @again.setter
        def again(self, words: Sequence[object]) -> None:
            pass

    assert Resumed(out, words, accept, ends=ends).run(6)[5] > 0


@pytest.mark.slow
def test_import_of_data(tmp_path: Path) -> None:
    source, out = labelled(tmp_path / "src"), tmp_path / "out"
    (source / "dataset.toml").unlink()
    (source / "splits" / "test.txt").unlink()
    words = ("data", "import", "pairs", source, "-o", out)

    def accept() -> None:
        dataset = DatasetFolder(out)
        assert len(dataset.samples) == 3
        for sample in dataset.samples:
            assert dataset.load_labels(sample).shape == (8, 7)

    def ends() -> None:
        assert not out.exists() or os.listdir(out) == []

    assert Attempt(out, words, accept, ends=ends).run(12)[5] > 0
