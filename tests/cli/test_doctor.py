"""`lstm2d doctor` on the command line: facts, the self-test, and reports about a broken installation."""

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from lstm2d import kernels
from lstm2d.cli.doctor import TO_COMPILE
from lstm2d.kernels import dispatch, gpu, isa
from lstm2d.selftest import CASES, doctor

NAMED = {case.name: case for case in CASES if "doctor" in case.users}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce the self-test to two operations, the optimizers, and a CRF that needs no compiler."""
    crf = replace(NAMED["CRF lattice"], call=lambda **arrays: 1.0)
    cases = [NAMED[name] for name in ("softmax", "maxima", "optimizer steps")]
    monkeypatch.setattr(doctor, "CASES", [*cases, crf])


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_a_right_installation(lstm2d: Callable) -> None:
    ran = lstm2d("doctor", "--json", "--threads", 1)
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 1
    values = ran.json
    assert values["versions"]["lstm2d"] == version("lstm2d")
    assert values["threads"] == 1
    assert {"conv", "crf", "lstm2d", "rnn", "softmax"} <= set(values["kernels"])
    assert values["kernels"]["lstm2d"] == "cython"
    assert "outdoor" in values["models"]
    assert bool(values["gpus"]) != bool(values["no_gpu"])
    checks = values["selftest"]["checks"]
    assert values["selftest"]["passed"]
    names = {c["name"] for c in checks if c["backend"] == "cython"}
    assert names == set(NAMED) - {"CRF lattice"}
    assert {case.family for case in NAMED.values()} == set(values["kernels"])  # nothing is left out
    assert [c["name"] for c in checks if c["backend"] == "numba"] == ["CRF lattice"]
    assert all(c["error"] <= 1e-4 and c["problem"] is None for c in checks)
    assert max(c["error"] for c in checks) > 0  # the result differs from the reference


@pytest.mark.usefixtures("compiled", "short")
def test_for_people(lstm2d: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    ran = lstm2d("doctor")
    assert ran.code == 0
    for text in ("python 3.", "x86", "BLAS", "cython kernels", "GPU", "CuPy is not installed", "outdoor ("):
        assert text in ran.out
    lines = [line for line in ran.out.splitlines() if "/" not in line]
    assert max(map(len, lines)) <= 80
    table = [line.split() for line in lines[lines.index(next(s for s in lines if "computed" in s)) + 1 :]]
    assert [row[:3] for row in table[:2]] == [["cython", "3", "0"], ["numba", "1", "0"]]


@pytest.mark.usefixtures("short")
def test_a_kernel_that_computes_wrong(lstm2d: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = kernels.pick("pool", like=np.zeros(1, np.float32))
    right = pool.max_pool2d_backward
    monkeypatch.setattr(pool, "max_pool2d_backward", lambda *args: right(*args) * np.float32(1.001))
    ran = lstm2d("doctor", "--json")
    assert ran.code == 1
    assert len(ran.out.splitlines()) == 1
    wrong = [c for c in ran.json["selftest"]["checks"] if c["problem"]]
    assert [(c["name"], c["backend"], c["problem"]) for c in wrong] == [
        ("maxima", kernels.chosen("pool").strip("_"), "differs from the reference")
    ]
    assert wrong[0]["error"] == pytest.approx(1e-3, rel=0.01)
    assert not ran.json["selftest"]["passed"]
    assert "1 of 4 computations of the self-test are wrong" in ran.err
    assert f"maxima, {kernels.chosen('pool').strip('_')}: differs" in ran.err


@pytest.mark.usefixtures("short")
def test_a_kernel_that_fails_and_one_that_gives_nan(
    lstm2d: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    like = np.zeros(1, np.float32)

    def fail(*args: object) -> None:
        raise OSError("libfast.so:\ncannot open")

    monkeypatch.setattr(kernels.pick("pool", like=like), "max_pool2d_forward", fail)
    softmax = kernels.pick("softmax", like=like)
    monkeypatch.setattr(softmax, "softmax_forward", lambda x: np.full_like(x, np.nan))
    ran = lstm2d("doctor", "--json", "--quiet")
    assert ran.code == 1
    problems = {c["name"]: c["problem"] for c in ran.json["selftest"]["checks"] if c["problem"]}
    assert problems == {
        "maxima": "OSError: libfast.so: cannot open",
        "softmax": "differs from the reference",
    }


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("requested", "compiled", "reason", "backend", "text"),
    [
        (None, True, None, "cython", "cython"),
        (None, False, None, "numba", f"numba (Cython: not compiled). {TO_COMPILE}"),
        (
            None,
            False,
            "no C compiler",
            "numba",
            f"numba (Cython: not compiled, no C compiler at installation). {TO_COMPILE}",
        ),
        (
            "numba",
            False,
            "LSTM2D_PURE=1",
            "numba",
            "numba (LSTM2D_BACKEND=numba; Cython: not compiled, LSTM2D_PURE=1 at installation)",
        ),
        ("numba", True, None, "numba", "numba (LSTM2D_BACKEND=numba; Cython: compiled)"),
        ("reference", True, None, "reference", "reference (LSTM2D_BACKEND=reference; Cython: compiled)"),
    ],
)
def test_the_backend(
    lstm2d: Callable,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    requested: str | None,
    compiled: bool,
    reason: str | None,
    backend: str,
    text: str,
) -> None:
    monkeypatch.setattr(dispatch, "_REASON", tmp_path / "not_compiled.txt")
    if reason is not None:
        (tmp_path / "not_compiled.txt").write_text(f"{reason}\n")
    monkeypatch.delenv("LSTM2D_BACKEND", raising=False)
    if requested is not None:
        monkeypatch.setenv("LSTM2D_BACKEND", requested)
    right = dispatch._load
    monkeypatch.setattr(
        dispatch, "_load", lambda b, f: None if b == "_cython" and not compiled else right(b, f)
    )
    monkeypatch.setattr(
        dispatch, "order", dispatch.order.__wrapped__
    )  # it reads the variable once per process
    ran = lstm2d("doctor", "--json")
    assert ran.code == 0
    assert ran.json["backend"] == {"requested": requested, "compiled": compiled, "reason": reason}
    assert ran.json["kernels"]["pool"] == backend
    checks = {c["name"]: c["backend"] for c in ran.json["selftest"]["checks"]}
    assert checks["maxima"] == backend
    assert checks["CRF lattice"] == ("numba" if backend == "cython" else backend)
    assert ("those of the CPU" in ran.err) == (backend != "cython")
    shown = ran.err[ran.err.index("\nbackend") :].split()
    assert shown[: len(text.split()) + 1] == ["backend", *text.split()]
    assert max(len(line) for line in ran.err.splitlines() if "/" not in line) <= 80


@pytest.mark.usefixtures("compiled")
@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("value", "level", "text"),
    [
        (None, "avx2", "avx2"),
        ("plain", "plain", "plain (LSTM2D_ISA=plain; supported: avx2)"),
        ("avx512", "avx2", "avx2 (LSTM2D_ISA=avx512 is not supported)"),
    ],
)
def test_the_instruction_set(
    lstm2d: Callable, monkeypatch: pytest.MonkeyPatch, value: str | None, level: str, text: str
) -> None:
    monkeypatch.setattr(isa, "supported_level", lambda: "avx2")
    monkeypatch.delenv("LSTM2D_ISA", raising=False)
    if value is not None:
        monkeypatch.setenv("LSTM2D_ISA", value)
    monkeypatch.setattr(isa, "level", isa.level.__wrapped__)  # it reads the variable once per process
    ran = lstm2d("doctor", "--json")
    assert ran.code == 0
    cpu = {"instruction_set": level, "supported": "avx2", "requested": value}
    assert ran.json["cpu"].items() >= cpu.items()
    assert ["instructions", *text.split()] in [line.split() for line in ran.err.splitlines()]


@pytest.mark.usefixtures("short")
def test_a_gpu_is_tested_too(lstm2d: Callable, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = lstm2d("doctor", "--json", "--quiet")
    assert ran.code == 0
    assert ran.json["no_gpu"] is None
    found = ran.json["gpus"][0]
    assert found["device"] == device
    assert 0 < found["free_bytes"] <= found["memory_bytes"]
    assert all(found[key] for key in ("name", "compute_capability", "cupy", "cuda", "driver_cuda"))
    checks = [c for c in ran.json["selftest"]["checks"] if c["backend"] == device]
    assert {c["name"] for c in checks} == {"softmax", "maxima", "optimizer steps", "CRF lattice"}
    assert all(c["problem"] is None and c["error"] <= 1e-4 for c in checks)

    like = kernels.to_device(np.zeros(1, np.float32), device)
    softmax = kernels.pick("softmax", like=like)
    right = softmax.softmax_forward
    monkeypatch.setattr(softmax, "softmax_forward", lambda x: right(x) * np.float32(1.01))
    ran = lstm2d("doctor")
    assert ran.code == 1
    assert f"softmax, {device}: differs from the reference" in ran.out
    assert found["name"] in ran.out
