"""Long runs: memory stays flat, and nothing is lost.

With LSTM2D_TEST_LOAD=full, 10,000 images are labelled and 100,000 steps are trained.
"""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

FULL = os.environ.get("LSTM2D_TEST_LOAD") == "full"
IMAGES, WARM_IMAGES = (10_000, 500) if FULL else (240, 80)
STEPS, WARM_STEPS, EXAMPLES = (100_000, 5_000, 1_000) if FULL else (1_500, 500, 100)
GROWTH = 1.05  # of resident memory, after the first images or steps
SIZE = (12, 16)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc"),
]


def draw(path: Path, number: int) -> np.ndarray:
    """Write a small image of two bands of random brightness; return it."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    pixels[SIZE[0] // 2 :] //= 2
    Image.fromarray(pixels).save(path, compress_level=1)
    return pixels


def lstm2d(*words: object) -> list[str]:
    return [sys.executable, "-m", "lstm2d", *map(str, words)]


def resident(process: subprocess.Popen[str]) -> int:
    """Return the resident memory of a process in kB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def watched(
    words: list[str], log: Path, done: Callable[[], int], warm: int, until: int | None = None
) -> tuple[int, list[tuple[int, int]]]:
    """Run a command to its end, or kill it; return its code, and its progress and memory after `warm`."""
    with log.open("w") as output:  # a pipe that nobody reads would stop it
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, text=True)
    seen: list[tuple[int, int]] = []
    try:
        while process.poll() is None:
            number, memory = done(), resident(process)
            if number >= warm and memory:
                seen.append((number, memory))
            if until is not None and number >= until:
                process.kill()
            time.sleep(0.5 if FULL else 0.02)
    finally:
        process.kill()
    return process.wait(), seen


def result(log: Path) -> dict[str, Any]:
    """Return the JSON object that a command wrote last."""
    found: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
    return found


def assert_flat(seen: list[tuple[int, int]], total: int) -> None:
    """Compare the largest memory with that after the first images or steps."""
    seen = [(number, memory) for number, memory in seen if number < total]  # then plots are drawn
    first, largest = seen[0][1], max(memory for _, memory in seen)
    print(f"{len(seen)} readings from {seen[0][0]} to {seen[-1][0]}: {first} kB, at most {largest} kB")
    assert seen[0][0] < total / 2
    assert seen[-1][0] > 0.9 * total
    assert largest <= GROWTH * first


def test_many_images_in_one_run(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(IMAGES):
        draw(photos / f"p{number:05}.png", number)

    def labelled(folder: Path) -> int:
        try:
            return sum(entry.name[0] == "p" and entry.name.endswith(".png") for entry in os.scandir(folder))
        except OSError:
            return 0

    words = lstm2d("predict", "outdoor", photos, "-o", out, "--size", "native", "--json", "--quiet")
    log = tmp_path / "log"
    code, seen = watched(words, log, lambda: labelled(out), WARM_IMAGES)
    assert code == 0, log.read_text()
    assert result(log)["images"] == IMAGES
    assert_flat(seen, IMAGES)

    cut = tmp_path / "cut"
    words[words.index(str(out))] = str(cut)
    code, _ = watched(words, log, lambda: labelled(cut), IMAGES, until=IMAGES // 2)
    assert code == -9
    before = labelled(cut)
    assert IMAGES // 2 <= before < IMAGES
    code, _ = watched([*words, "--skip-done"], log, lambda: 0, IMAGES)
    assert code == 0, log.read_text()
    assert 0 < result(log)["images"] <= IMAGES - before + 2
    names = sorted(path.name for path in out.glob("p*.png"))
    assert len(names) == IMAGES
    assert sorted(path.name for path in cut.glob("p*.png")) == names
    assert all((cut / name).read_bytes() == (out / name).read_bytes() for name in names)
    for folder in (out, cut):
        with (folder / "predictions.csv").open(newline="") as file:
            rows = [row["image"] for row in csv.DictReader(file)]
        assert len(rows) == len(set(rows)) == IMAGES


TRAIN = ("model.units=[1, 2]", "model.features=[2]", "train.scale_jitter=0", "train.brightness_jitter=0")


def test_many_steps_in_one_run(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    for name in ("images", "masks"):
        (data / name).mkdir(parents=True)
    for number in range(EXAMPLES):
        pixels = draw(data / "images" / f"p{number:03}.png", number)
        Image.fromarray(pixels[:, :, 0] // 128).save(data / "masks" / f"p{number:03}.png")
    sets = [*TRAIN, f"train.steps={STEPS}", "train.epochs=100000", "train.checkpoint_minutes=0"]
    sets += ["train.validate_every=20"]
    words = lstm2d("train", "lstm2d-5x5", "--data", data, "-o", run, "--json", "--quiet")
    words += [word for item in sets for word in ("--set", item)]

    def steps() -> int:
        try:
            newest = max(entry.name for entry in os.scandir(run / "checkpoints") if entry.name[:1] != ".")
        except (OSError, ValueError):
            return 0
        return int(newest.partition("-")[2].partition(".")[0])

    code, seen = watched(words, tmp_path / "log", steps, WARM_STEPS)
    assert code == 0, (tmp_path / "log").read_text()[-2000:]
    assert result(tmp_path / "log")["steps"] == STEPS
    assert_flat(seen, STEPS)
