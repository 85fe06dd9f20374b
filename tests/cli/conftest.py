"""Run commands inside the test's process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.cli.program import program
from lstm2d.io.model_file import load_model, save_model
from tests.callers import kernel_threads
from tests.runner import runner


@dataclass(frozen=True)
class Ran:
    """The output of a command, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line of stdout, which must be one JSON object."""
        value = json.loads(self.out.splitlines()[-1])
        assert isinstance(value, dict)
        return value


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Undo ``--threads``, which sets the number for the process."""
    with kernel_threads():
        yield


@pytest.fixture
def lstm2d() -> Run:
    """Return a function that runs `lstm2d` with some arguments."""

    def run(*args: object) -> Ran:
        result = runner().invoke(program, [str(a) for a in args])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def photos(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a folder of three images, one of them in a sub-folder."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "b.png", "sub/c.png"):
        Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)).save(folder / name)
    return folder


CLASSES = "".join(
    f'[[classes]]\nname = "{name}"\ncolor = [{k}, {k}, {k}]\n'
    for k, name in enumerate(["dark", "bright", "never"])
)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Return a dataset of two images; the brightness model is right on 5 of 7 labelled pixels."""
    root = tmp_path / "dataset"
    for name in ("images", "masks", "splits"):
        (root / name).mkdir(parents=True)
    (root / "dataset.toml").write_text(f'name = "two"\nignore = 255\n{CLASSES}')
    write_sample(root, "a", [0, 0, 255, 255], [0, 1, 1, 255])
    write_sample(root, "b", [255, 255, 0, 255], [1, 0, 0, 1])
    (root / "splits/test.txt").write_text("a\nb\n")
    return root


def write_sample(root: Path, stem: str, reds: list[int], mask: list[int]) -> None:
    """Write an image of one row and its mask."""
    image = np.repeat(np.array([reds], np.uint8)[:, :, None], 3, axis=2)
    Image.fromarray(image).save(root / f"images/{stem}.png")
    Image.fromarray(np.array([mask], np.uint8)).save(root / f"masks/{stem}.png")


SINGLE = [
    "best.png",
    "confusion.png",
    "images.csv",
    "labelings.png",
    "metrics.json",
    "report.html",
    "worst.png",
]


def names_in(folder: Path) -> list[str]:
    """Return the visible files in a folder and its sub-folders."""
    return sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.startswith(".")
    )


@pytest.fixture
def two_class_model(tmp_path: Path, brightness_model: Path) -> Path:
    """Return the brightness model without the class that never wins."""
    model = load_model(brightness_model)
    state = dict(model.state)
    for name in ("feedforward.0.weight", "feedforward.0.bias"):
        state[name] = state[name][..., :2]
    save_model(tmp_path / "two.safetensors", replace(model, state=state, classes=model.classes[:2]))
    return tmp_path / "two.safetensors"
