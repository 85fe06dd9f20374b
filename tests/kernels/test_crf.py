"""Gaussian filtering on the permutohedral lattice and by the exact sum."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d import kernels
from lstm2d.kernels.threads import get_num_threads, set_num_threads
from lstm2d.selftest import evaluate
from lstm2d.selftest.cases.filters import filtering
from tests.kernels.crf_cases import WRONG_FEATURES
from tests.selftest.comparison import Arguments, assert_close

BACKENDS = kernels.available("crf")


def family(backend: str) -> ModuleType:
    with kernels.use(backend):
        return kernels.pick("crf", like=None)


FAST, SLOW = (family(backend) for backend in (BACKENDS[0], BACKENDS[-1]))


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)


def test_there_are_two() -> None:
    assert FAST is not SLOW


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_feature_by_hand(backend: str, dtype: type) -> None:
    # at 0 the feature is on the lattice point (0, 0); the other corner of its simplex is (1, -1), a neighbour
    # along both axes. Blurring along the first leaves 1/2 and 1/4, then 1/2 * 1/2 + 1/4 * 1/4 = 5/16
    crf = family(backend)
    lattice = crf.build_lattice(np.zeros((1, 1), dtype))
    assert lattice.points.tolist() == [[0, 1]]
    assert lattice.weights.tolist() == [[1, 0]]
    assert lattice.neighbours[:, 0].tolist() == [[2, 1], [1, 2]]
    assert (lattice.starts.tolist(), lattice.entries.tolist()) == ([0, 1, 2], [0, 1])
    values, before, after = (np.array(v, dtype) for v in ([[3, 5]], [2], [4]))
    got = crf.lattice_filter(lattice, values, before, after)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, np.array([[3, 5]]) * 2 * 4 * (5 / 16) / (1 + 1 / 2), rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exact_sum_by_hand(backend: str, dtype: type) -> None:
    features = np.array([[0, 0], [1, 2], [0, 0]], dtype)
    values = np.array([[1, 0], [0, 1], [10, 20]], dtype)
    before, after = np.array([1, 2, 3], dtype), np.array([1, 10, 100], dtype)
    g = np.exp(-2.5)
    expected = [[31, 60 + 2 * g], [10 * 31 * g, 10 * (2 + 60 * g)], [3100, 100 * (60 + 2 * g)]]
    got = family(backend).gaussian_sum(features, values, before, after)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@settings(max_examples=25)
@given(
    n=st.integers(0, 60),
    d=st.integers(1, 7),
    classes=st.integers(1, 19),
    spread=st.sampled_from([0.01, 1.0, 30.0]),
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backends_agree(dtype: type, n: int, d: int, classes: int, spread: float) -> None:
    case = filtering(n, d, classes, spread)
    arguments = Arguments(dtype)
    with kernels.use(BACKENDS[0]):
        found = evaluate(case, arguments)
    arguments.assert_unchanged()
    assert_close(found, case, dtype, BACKENDS[0])


@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_features_far_from_zero(shift: float, rng: np.random.Generator) -> None:
    features = rng.standard_normal((30, 5)) + shift
    for wanted, got in zip(SLOW.build_lattice(features), FAST.build_lattice(features), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_weights_are_barycentric(rng: np.random.Generator) -> None:
    lattice = FAST.build_lattice(10 * rng.standard_normal((500, 5)))
    assert lattice.weights.min() >= 0
    np.testing.assert_allclose(lattice.weights.sum(axis=1), 1, rtol=1e-12)


def test_blur_is_undone_by_no_axis(rng: np.random.Generator) -> None:
    """Neighbours are mutual: if a is above b, b is below a."""
    neighbours = FAST.build_lattice(rng.standard_normal((300, 3))).neighbours
    axes, m, _ = neighbours.shape
    for j in range(axes):
        for k in range(m):
            above = neighbours[j, k, 0]
            assert above == m or neighbours[j, above, 1] == k


@pytest.mark.parametrize("d", [1, 2])
def test_a_dense_lattice_is_nearly_the_gaussian(d: int) -> None:
    """If every lattice point exists, a filtered impulse is the Gaussian up to a constant factor."""
    axis = np.arange(-6, 6, 0.1 if d == 1 else 0.2)
    features = np.stack(np.meshgrid(*[axis] * d, indexing="ij"), axis=-1).reshape(-1, d) + 0.01
    ones = np.ones(len(features))
    near = np.abs(features).max(axis=1) < 2
    centre = np.flatnonzero(near)[:: 1 + near.sum() // 40]
    values = np.zeros((len(features), len(centre) + 1))
    values[centre, np.arange(len(centre))] = 1
    values[:, -1] = np.sin(features.sum(axis=1) / 3)
    exact = FAST.gaussian_sum(features, values, ones, ones)[near]
    lattice = FAST.lattice_filter(FAST.build_lattice(features), values, ones, ones)[near]
    factor = exact[:, :-1].sum() / lattice[:, :-1].sum()
    # a single impulse depends on where it lies in its simplex, their mean and a smooth function hardly
    assert np.abs(factor * lattice[:, :-1] - exact[:, :-1]).max() < 0.2
    means = [filtered[:, :-1].mean(axis=1) for filtered in (factor * lattice, exact)]
    np.testing.assert_allclose(*means, rtol=0.12)
    np.testing.assert_allclose(factor * lattice[:, -1], exact[:, -1], atol=0.06 * np.abs(exact[:, -1]).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_change_no_bit(dtype: type, rng: np.random.Generator) -> None:
    features = rng.standard_normal((20_000, 5)).astype(dtype)
    values = rng.random((20_000, 9)).astype(dtype)
    before, after = rng.random((2, 20_000)).astype(dtype)
    results = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        lattice = FAST.build_lattice(features)
        filtered = FAST.lattice_filter(lattice, values, before, after)
        some = slice(0, 700)
        exact = FAST.gaussian_sum(features[some], values[some], before[some], after[some])
        results.append([a.tobytes() for a in (*lattice, filtered, exact)])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("features", "part"), WRONG_FEATURES)
def test_wrong_features(backend: str, features: np.ndarray, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        family(backend).build_lattice(features)


@pytest.mark.parametrize("backend", BACKENDS)
def test_wrong_data_types(backend: str) -> None:
    crf = family(backend)
    with pytest.raises(TypeError, match="float32 or float64"):
        crf.build_lattice(np.zeros((2, 2), np.int32))
    features = np.zeros((2, 2))
    lattice, values, factor = crf.build_lattice(features), np.zeros((2, 2), np.float32), np.zeros(2)
    with pytest.raises(TypeError, match="float64"):
        crf.lattice_filter(lattice, values, factor, factor)
    with pytest.raises(TypeError, match="float64"):
        crf.gaussian_sum(features, values, factor, factor)


def test_features_too_far_apart() -> None:
    with pytest.raises(ValueError, match="larger standard deviations"):
        FAST.build_lattice(np.array([[0.0] * 5, [1e7] * 5]))


SCRIPT = """
import numpy as np
from lstm2d import kernels
crf = kernels.pick("crf", like=None)
x = np.arange(6.0).reshape(3, 2)
print(crf.gaussian_sum(x, x, np.ones(3), np.ones(3)).sum())
"""


def run_with_cache(folder: Path) -> str:
    env = os.environ | {"LSTM2D_CACHE": str(folder)}
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout


def compiled(folder: Path) -> dict[str, int]:
    """Return the files of compiled loops and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.nb[ci]")}


@pytest.mark.slow
def test_what_is_compiled_is_kept(tmp_path: Path) -> None:
    first = run_with_cache(tmp_path)
    before = compiled(tmp_path)
    assert len(before) == 2  # an index and the code
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert run_with_cache(tmp_path) == first
    assert compiled(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("rest", [b"", b"\x80\x04nonsense"])
def test_a_damaged_cache_is_replaced(tmp_path: Path, ending: str, rest: bytes) -> None:
    wanted = run_with_cache(tmp_path)
    for path in tmp_path.rglob(f"*.{ending}"):
        path.write_bytes(rest)
    damaged = compiled(tmp_path)
    assert run_with_cache(tmp_path) == wanted
    written = compiled(tmp_path)
    assert written.keys() == damaged.keys()
    assert all(written[name] != damaged[name] for name in damaged if name.endswith(ending))
    assert run_with_cache(tmp_path) == wanted
    assert compiled(tmp_path) == written  # it was whole: nothing is compiled again


@pytest.mark.slow
def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    wanted = run_with_cache(tmp_path)
    (folder,) = tmp_path.iterdir()
    for path in tmp_path.rglob("*.nb[ci]"):
        path.unlink()
    folder.chmod(0o770)
    assert run_with_cache(tmp_path) == wanted
    assert not compiled(tmp_path)


@pytest.mark.slow
def test_no_place_for_a_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run_with_cache(tmp_path / "file") == run_with_cache(tmp_path / "ok")
