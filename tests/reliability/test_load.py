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

import numpy as np
import pytest
from PIL import Image

FULL = os.environ.get("LSTM2D_TEST_LOAD") == "full"
IMAGES, WARM_IMAGES = (10_000, 500) if FULL else (240, 80)
STEPS, WARM_STEPS = (100_000, 5_000) if FULL else (1_500, 500)
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
    words: list[str], done: Callable[[], int], warm: int, until: int | None = None
) -> tuple[subprocess.Popen[str], list[tuple[int, int]]]:
    """Run a command to its end, or kill it; return it, and its progress and memory after `warm`."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
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
    return process, seen


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
    process, seen = watched(words, lambda: labelled(out), WARM_IMAGES)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert json.loads(stdout.splitlines()[-1])["images"] == IMAGES
    assert_flat(seen, IMAGES)

    cut = tmp_path / "cut"
    words[words.index(str(out))] = str(cut)
    process, _ = watched(words, lambda: labelled(cut), IMAGES, until=IMAGES // 2)
    process.communicate()
    assert process.returncode == -9
    before = labelled(cut)
    assert IMAGES // 2 <= before < IMAGES
    rest = subprocess.run([*words, "--skip-done"], capture_output=True, text=True)
    assert rest.returncode == 0, rest.stderr
    assert 0 < json.loads(rest.stdout.splitlines()[-1])["images"] <= IMAGES - before + 2
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
    for number in range(100):
        pixels = draw(data / "images" / f"p{number:02}.png", number)
        Image.fromarray(pixels[:, :, 0] // 128).save(data / "masks" / f"p{number:02}.png")
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

    process, seen = watched(words, steps, WARM_STEPS)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert json.loads(stdout.splitlines()[-1])["steps"] == STEPS
    assert_flat(seen, STEPS)
