"""`predict --stream`: options, messages, memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.cli.conftest import Run

CHILD = """
import re, sys
from pathlib import Path
from lstm2d.cli import main
sys.argv[0] = "lstm2d"
try:
    main()
finally:
    print("peak", int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 2**10)
"""


def write_image(path: Path, rows: int, columns: int) -> None:
    row, column = np.indices((rows, columns), np.int32)
    pixels = np.stack([row * 7 + column * 3, row * column // 50, row - column], axis=2)
    tifffile.imwrite(path, (pixels % 256).astype(np.uint8), photometric="rgb", tile=(128, 128))


def test_in_strips(lstm2d: Run, tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", 61, 47)
    words = ("predict", "outdoor", tmp_path / "a.tif", "--size", "native")
    ran = lstm2d(*words, "-o", tmp_path / "strips", "--stream", "--memory", "2G", "--json")
    assert ran.code == 0
    assert (ran.json["images"], ran.json["stream"]) == (1, {"memory": 2 << 30})
    assert lstm2d(*words, "-o", tmp_path / "whole", "--format", "tiff").code == 0
    found, expected = (tifffile.imread(tmp_path / name / "a.tif") for name in ("strips", "whole"))
    assert (found == expected).mean() > 0.999
    again = lstm2d(*words, "-o", tmp_path / "strips", "--stream", "--skip-done", "--json")
    assert (again.json["images"], again.json["skipped"]) == (0, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--memory", "1G"), "--memory without --stream"),
        (("--stream",), "do: add --size native"),
        (("--stream", "--size", "native", "--overlay"), "--stream draws no overlays"),
        (("--stream", "--size", "native", "--format", "palette"), "expected: --format tiff"),
        (("--stream", "--size", "native", "--crf"), "do: turn the CRF off"),
    ],
)
def test_wrong_usage(lstm2d: Run, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    write_image(tmp_path / "a.tif", 9, 9)
    ran = lstm2d("predict", "outdoor", tmp_path / "a.tif", "-o", tmp_path / "out", *words)
    assert ran.code == 2
    assert message in ran.err


def test_too_little_memory(lstm2d: Run, tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", 61, 47)
    words = ("predict", "outdoor", tmp_path / "a.tif", "-o", tmp_path / "out", "--size", "native", "--stream")
    ran = lstm2d(*words, "--memory", "20M")
    assert ran.code == 2
    assert "do: raise --memory to" in ran.err


def test_a_large_image_names_the_option(lstm2d: Run, tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", 400, 400)
    words = ("predict", "outdoor", tmp_path / "a.tif", "-o", tmp_path / "out", "--size", "native")
    ran = lstm2d(*words, "--max-memory", "20M")
    assert ran.code == 3
    assert "predict with --stream labels images of any size" in ran.err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize("model", ["outdoor", "outdoor-renet"])
def test_memory_stays_below_the_limit(model: str, tmp_path: Path) -> None:
    """As a whole the image takes 450 MB."""
    write_image(tmp_path / "a.tif", 1000, 3000)
    words = ["predict", model, "a.tif", "-o", "out", "--size", "native", "--stream", "--memory", "250M"]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "1 image labelled" in done.stderr, done.stderr
    assert int(done.stdout.rpartition("peak ")[2]) < 250 << 20
    assert tifffile.imread(tmp_path / "out" / "a.tif").shape == (1000, 3000)
