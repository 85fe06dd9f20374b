"""Memory that labelling takes: measured, stated, limited and given back."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lstm2d.errors import DataError
from lstm2d.io import machine_memory
from lstm2d.io.machine_memory import available, in_words, resident
from lstm2d.io.photo import Reading
from lstm2d.kernels import arena
from lstm2d.predict import load
from lstm2d.predict.memory import GAPS, NEVER_MORE, PHOTO_BYTES, MemoryUse, check_memory, rehearse


def test_the_rehearsal_finds_what_is_allocated() -> None:
    """1 MB, and 40 bytes per pixel in the arena and in NumPy arrays."""

    def label(pixels: np.ndarray) -> None:
        rows, columns = pixels.shape[:2]
        once = np.empty(1_000_000, np.uint8)
        mine, others = arena.empty((rows, columns, 8), np.float32), np.empty((rows, columns), np.float64)
        assert once.size
        assert mine.size
        assert others.size

    found = rehearse(label)
    assert found.per_pixel == pytest.approx(40 * GAPS, abs=1)
    assert found.fixed == pytest.approx(1e6, rel=0.02)
    assert found.of(1000) == found.fixed + 1000 * found.per_pixel


def test_what_is_hidden_by_fixed_arrays_is_found() -> None:
    """As in patch networks: 30 MB before the image, then 50 bytes per pixel."""
    sides = []

    def label(pixels: np.ndarray) -> None:
        sides.append(pixels.shape[0])
        assert np.empty(30_000_000, np.uint8).size
        assert np.empty((pixels[..., 0].size, 50), np.uint8).size

    found = rehearse(label)
    assert sides == [192, 192, 320, 960]
    assert 15 * GAPS < found.per_pixel < 50 * GAPS
    assert found.of(960 * 960) > 50 * 960 * 960


def test_an_image_that_takes_too_much_is_refused() -> None:
    asked = []

    def use() -> MemoryUse:
        asked.append(1)
        return MemoryUse(10**6, 1000)

    base = resident() + 500_000_000
    check_memory((100, 100), (100, 100), base, use)
    assert asked == []  # small: nothing was measured
    check_memory((1000, 400), (1000, 400), base, use)
    assert asked
    with pytest.raises(DataError) as e:
        check_memory((1000, 1000), (1000, 1000), base, use)
    assert e.value.exit_code == 3
    text = str(e.value)
    assert f"{in_words(base)} are allowed: 1000x1000 pixels in the network, 1000 bytes per pixel" in text
    size = int(text.partition("smaller `size`, such as ")[2].partition(",")[0])
    assert 500 < size < 720  # 0.9 of the root of 475,000 pixels and less, as other memory varies
    check_memory((1000, 1000), (size, size), base, use)
    with pytest.raises(DataError, match="choose a smaller image, or a larger"):  # no size is small enough
        check_memory((1000, 1000), (1000, 1000), 1, use)


def test_a_predictor_refuses_before_computing(
    brightness_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = load(brightness_model)
    image = np.zeros((50, 40, 3), np.uint8)
    computed: list[object] = []
    monkeypatch.setattr(type(predictor._network), "probabilities_after", lambda *a: computed.append(a))
    predictor._memory_use = (predictor.crf, MemoryUse(0, 10))
    predictor.max_memory = 1000
    for call in (predictor.predict, predictor.predict_proba, predictor.features):
        with pytest.raises(DataError, match=r"takes about .* 1 kB are allowed: 40x50 pixels"):
            call(image)
    assert computed == []


@pytest.mark.slow
def test_the_memory_of_a_predictor_is_that_of_its_settings(brightness_model: Path) -> None:
    plain = load(brightness_model).memory_use
    assert 50 < plain.per_pixel < NEVER_MORE
    refined = load(brightness_model, crf="krahenbuehl")
    assert refined.memory_use.per_pixel > plain.per_pixel + 100
    refined.crf = None
    assert refined.memory_use.per_pixel < plain.per_pixel * 1.1


def test_decoding_is_limited_too(tmp_path: Path) -> None:
    from PIL import Image

    from lstm2d.io.images import read_photo

    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png", Reading(max_memory=120_000)).size == (100, 100)
    with pytest.raises(DataError, match="decoding 100x100 pixels takes about 120 kB") as e:
        read_photo(tmp_path / "a.png", Reading(max_memory=119_999))
    assert "expected: at most 120 kB" in str(e.value)


@pytest.mark.parametrize(
    ("files", "group", "limit"),
    [
        ({"a/memory.max": "max", "memory.max": "5000"}, "0::/a\n", 5000),
        ({"a/b/memory.max": "7000", "a/memory.max": "6000"}, "0::/a/b\n", 6000),
        ({"memory.max": "3000"}, "0::/outside/of/the/container\n", 3000),
        ({"memory/x/memory.limit_in_bytes": "4000"}, "9:cpu:/x\n5:memory:/x\n", 4000),
        ({"memory/memory.limit_in_bytes": str(2**63 - 4096)}, "5:memory:/\n", None),
        ({}, "garbage\n", None),
    ],
)
def test_limits_of_control_groups(
    tmp_path: Path, files: dict[str, str], group: str, limit: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "group").write_text(group)
    expected = available(tmp_path / "nowhere", tmp_path / "none") if limit is None else limit
    assert available(tmp_path, tmp_path / "group") == expected


def test_a_limit_of_address_space(tmp_path: Path) -> None:
    program = "from lstm2d.io.machine_memory import available; print(available())"
    command = ["bash", "-c", f"ulimit -v 3000000; exec {sys.executable} -c '{program}'"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(found.stdout) <= 3_000_000 * 1024


def test_what_the_process_takes(tmp_path: Path) -> None:
    assert 10e6 < resident() < 20e9
    assert resident(tmp_path / "missing") == 0
    assert [in_words(n) for n in (12_345, 999_999, 1.5e6, 123e6, 2.34e9, 25e9)] == [
        "12 kB", "1000 kB", "1.5 MB", "123 MB", "2.3 GB", "25 GB",
    ]  # fmt: skip
    assert machine_memory.available() > 1e6


_PROGRAM = """
import re, sys
from pathlib import Path
import numpy as np
import lstm2d
from lstm2d.kernels import arena

arena.KEPT = int(sys.argv[3])

def status(key):
    return int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

model = lstm2d.load(sys.argv[1])
rng = np.random.default_rng(0)
small, large = (rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for side in (100, int(sys.argv[2])))
use = model.memory_use
model.predict(small)
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
model.predict(large, size="native")
peak = status("VmHWM") - before
model.predict(small)
print(peak, use.of(large[:, :, 0].size), status("VmRSS") - before)
"""


@pytest.mark.slow
def test_a_large_image_takes_what_was_estimated_and_leaves_little(brightness_model: Path) -> None:
    side, kept = 1200, 16 << 20
    command = [sys.executable, "-c", _PROGRAM, str(brightness_model), str(side), str(kept)]
    peak, estimate, left = map(int, subprocess.check_output(command, text=True).split())
    assert peak > 80e6  # otherwise nothing was tested
    assert 0.8 * peak < estimate + PHOTO_BYTES * side * side < 2 * peak
    assert left < kept + (20 << 20)
