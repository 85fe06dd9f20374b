"""The instruction-set level: how it is chosen, that kernels follow it, and that levels agree."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lstm2d.errors import ConfigError
from lstm2d.kernels import isa

# computes at the level of LSTM2D_ISA; a second argument replaces what the CPU supports
PROGRAM = """
import sys
import numpy as np
from lstm2d.kernels import isa
if len(sys.argv) > 2:
    isa.supported_level = lambda: sys.argv[2]
from lstm2d.kernels._cython import elementwise, linear, lstm2d
rng = np.random.default_rng(3)
normal = lambda *shape: rng.standard_normal(shape, np.float32)
x, grad = normal(1, 30, 40, 6), normal(1, 30, 40, 80)
gates = [0.2 * normal(*shape) for shape in ((4, 6, 100), (4, 40, 100), (4, 100), (4, 5, 20))]
y, kept = lstm2d.lstm2d_forward(x, *gates, 0.5, False, True)
gradients = lstm2d.lstm2d_backward(grad, x, kept, *gates, 0.5, False, 0.1, True)
product = linear.linear_forward(normal(1, 600, 70), normal(70, 96), None)
tanh = elementwise.tanh_forward(normal(1, 5000))
np.savez(sys.argv[1], y=y, product=product, tanh=tanh, **{
    f"gradient {k}": g for k, g in enumerate(gradients)})
print(isa.level())
"""
SUPPORTED = isa.LEVELS[: isa.LEVELS.index(isa.supported_level()) + 1]


@pytest.fixture(autouse=True)
def _read_again() -> Iterator[None]:
    isa.level.cache_clear()
    yield
    isa.level.cache_clear()


def compute(folder: Path, level: str, *supported: str) -> tuple[dict[str, np.ndarray], str, str]:
    """Return the arrays of PROGRAM, the level it ran at, and its output on stderr."""
    file = folder / f"{level} {' '.join(supported)}.npz"
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), *supported],
        env=os.environ | {isa.VARIABLE: level},
        capture_output=True,
        text=True,
        check=True,
    )
    with np.load(file) as arrays:
        return dict(arrays), ran.stdout.strip(), ran.stderr


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of PROGRAM at each supported level."""
    folder = tmp_path_factory.mktemp("levels")
    found = {}
    for level in SUPPORTED:
        found[level], taken, note = compute(folder, level)
        assert (taken, note) == (level, "")
    return found


def ulps(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference, in units in the last place of the largest value."""
    return float(np.abs(a - b).max() / np.spacing(np.abs(b).max()))


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> set[str]:
    """Return the names of arrays that have the same bits."""
    return {name for name in a if a[name].tobytes() == b[name].tobytes()}


@pytest.mark.slow
def test_levels_agree(results: dict[str, dict[str, np.ndarray]]) -> None:
    plain = results["plain"]
    for found in results.values():
        assert {name: d for name, a in found.items() if (d := ulps(a, plain[name])) > 16} == {}


@pytest.mark.slow
@pytest.mark.skipif(len(SUPPORTED) < 2, reason="only the plain level is supported")
def test_each_level_is_taken(results: dict[str, dict[str, np.ndarray]]) -> None:
    # fused multiply-adds round once; sums are split over as many lanes as a vector has
    assert not {"tanh", "product", "y"} & same(results["plain"], results["avx2"])
    if "avx512" in results:
        equal = same(results["avx2"], results["avx512"])
        assert {"tanh", "product"} <= equal
        assert "gradient 3" not in equal  # of the bias: a sum over positions


@pytest.mark.slow
@pytest.mark.parametrize("highest", SUPPORTED[:-1])
def test_a_level_above_the_supported_one_is_lowered(
    results: dict[str, dict[str, np.ndarray]], tmp_path: Path, highest: str
) -> None:
    found, taken, note = compute(tmp_path, "avx512", highest)
    assert taken == highest
    assert same(found, results[highest]) == set(found)
    assert note == f"LSTM2D_ISA=avx512 is not supported here, {highest} is used\n"


def test_lowered_with_one_note(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(isa, "supported_level", lambda: "avx2")
    monkeypatch.setenv("LSTM2D_ISA", "avx512")
    assert [isa.level(), isa.level()] == ["avx2", "avx2"]
    assert caplog.record_tuples == [
        ("lstm2d.kernels.isa", logging.WARNING, "LSTM2D_ISA=avx512 is not supported here, avx2 is used")
    ]


@pytest.mark.parametrize(
    ("value", "level"), [("plain", "plain"), (" avx2 ", "avx2"), ("avx512", "avx512"), ("", "avx512")]
)
def test_the_variable(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str, level: str
) -> None:
    monkeypatch.setattr(isa, "supported_level", lambda: "avx512")
    monkeypatch.setenv("LSTM2D_ISA", value)
    assert isa.level() == level
    monkeypatch.setenv("LSTM2D_ISA", "plain" if level != "plain" else "avx2")
    assert isa.level() == level  # it was read once
    assert not caplog.records


def test_the_highest_level_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LSTM2D_ISA", raising=False)
    assert isa.level() == isa.supported_level()


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux")
def test_the_supported_level_is_that_of_the_cpu() -> None:
    text = Path("/proc/cpuinfo").read_text()
    flags = set(text.partition("\nflags")[2].partition("\n")[0].split())
    if isa.supported_level() == "plain":
        pytest.skip("a CPU without AVX2, or a build without levels")
    assert {"avx2", "bmi1", "bmi2", "fma"} <= flags
    longer = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= flags
    assert isa.supported_level() == ("avx512" if longer else "avx2")


def test_a_wrong_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM2D_ISA", "AVX-512")
    with pytest.raises(ConfigError) as caught:
        isa.level()
    assert str(caught.value).splitlines() == [
        "environment variable LSTM2D_ISA is not an instruction-set level: 'AVX-512'",
        "  expected: plain, avx2, avx512",
        "  do: set LSTM2D_ISA to one of these, or unset it",
    ]
