"""Gaussian filtering on a GPU, or the stand-in: lattice and values of the reference."""

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d import kernels
from lstm2d.kernels.lattice import Lattice
from tests.kernels.crf_cases import WRONG_FEATURES
from tests.kernels.cuda.compare import on_device, reference

DTYPES = ["float32", "float64"]


def host_lattice(features: np.ndarray) -> Lattice:
    """Return the reference's lattice; weights are of the features' type."""
    with kernels.use("_reference"):
        lattice: Lattice = kernels.pick("crf", like=features).build_lattice(features)
    return lattice


def assert_same_lattice(cp: ModuleType, features: np.ndarray) -> None:
    found = kernels.pick("crf", like=cp.zeros(1)).build_lattice(cp.asarray(features))
    for name, expected in host_lattice(features)._asdict().items():
        values = getattr(found, name).get()
        assert values.dtype == expected.dtype, name
        np.testing.assert_array_equal(values, expected, err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", [0.3, 30.0])
@pytest.mark.parametrize(("n", "d"), [(0, 2), (1, 1), (1, 5), (90, 1), (300, 2), (200, 5), (20, 16)])
def test_lattice(cp: ModuleType, rng: np.random.Generator, n: int, d: int, spread: float, dtype: str) -> None:
    if spread > 1 and d == 16:
        spread = 1.0  # more would not fit into the codes
    assert_same_lattice(cp, (spread * rng.standard_normal((n, d))).astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_features_on_borders_of_simplices(cp: ModuleType, dtype: str, shift: float) -> None:
    rows, columns = np.indices((9, 12)).reshape(2, -1)
    assert_same_lattice(cp, (np.stack([rows, columns], axis=1) + shift).astype(dtype))
    assert_same_lattice(cp, np.stack([rows, columns, rows, rows, columns], axis=1).astype(dtype) / 4)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc here")
def test_no_product_melts_into_a_sum(tmp_path: Path) -> None:
    """Otherwise those features would get other lattice points than in the reference, on a GPU only."""
    folder = files("lstm2d.kernels._cuda")
    text = "".join((folder / f"{name}.cu").read_text("utf-8") for name in ("common", "crf"))
    source, target = tmp_path / "kernel.cu", tmp_path / "kernel.ptx"
    source.write_text(text, "utf-8")
    command = ["nvcc", "-std=c++17", "-DREAL=float", "-arch=compute_80", "-ptx", str(source)]
    subprocess.run([*command, "-o", str(target)], check=True, capture_output=True)
    found = re.split(r"\.entry (\w+)\(", target.read_text())
    simplices = found[found.index("simplices") + 1]
    assert "add.f64" in simplices
    assert "fma.rn.f64" not in simplices


@pytest.mark.parametrize("dtype", DTYPES)
def test_many_features_of_one_point(cp: ModuleType, dtype: str) -> None:
    assert_same_lattice(cp, np.full((700, 2), 0.25, dtype))


def filtered(cp: ModuleType, *arrays: np.ndarray) -> Any:
    features, *others = map(cp.asarray, arrays)
    crf = kernels.pick("crf", like=features)
    return crf.lattice_filter(crf.build_lattice(features), *others).get()


def test_a_point_with_more_features_than_a_block_has_threads(
    cp: ModuleType, rng: np.random.Generator
) -> None:
    features = np.concatenate([np.full((700, 2), 0.25), rng.standard_normal((30, 2))])
    values, (before, after) = rng.standard_normal((730, 2)), rng.random((2, 730))
    found = filtered(cp, features, values, before, after)
    expected = reference("crf", "gaussian_sum", features, values, before, after)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95
    with kernels.use("_reference"):
        crf = kernels.pick("crf", like=features)
        expected = crf.lattice_filter(crf.build_lattice(features), values, before, after)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_the_order_of_threads_changes_no_bit(
    cp: ModuleType, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, values = rng.standard_normal((400, 3), np.float32), rng.random((400, 5), np.float32)
    before, after = rng.random((2, 400), np.float32)
    first = filtered(cp, features, values, before, after).tobytes()
    if hasattr(cp, "_pool"):
        monkeypatch.setattr("cupy._kernel.orders", [0, 7, 1])
    assert filtered(cp, features, values, before, after).tobytes() == first


FAR_APART = (np.array([[0.0] * 5, [1e7] * 5]), "larger standard deviations")


@pytest.mark.parametrize(("features", "part"), [*WRONG_FEATURES, FAR_APART])
def test_wrong_features(cp: ModuleType, features: np.ndarray, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        on_device(cp, "crf", "build_lattice", features)


def test_wrong_data_types(cp: ModuleType) -> None:
    with pytest.raises(TypeError, match="float32 or float64"):
        on_device(cp, "crf", "build_lattice", np.zeros((2, 2), np.int32))
    features, narrow = cp.zeros((2, 2)), cp.zeros((2, 2), "float32")
    crf = kernels.pick("crf", like=features)
    with pytest.raises(TypeError, match="float64"):
        crf.lattice_filter(crf.build_lattice(features), narrow, features[:, 0], features[:, 0])
    with pytest.raises(TypeError, match="float64"):
        crf.gaussian_sum(features, narrow, features[:, 0], features[:, 0])
