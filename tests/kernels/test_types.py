"""A type checker accepts each backend for its protocol, and no other."""

import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import pytest

from lstm2d.kernels import strips
from lstm2d.kernels.families import FAMILIES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="no mypy here"),
]

HEAD = """import numpy as np

from lstm2d import kernels

x = np.zeros((1, 4, 4, 2), np.float32)
labels = np.zeros((1, 4, 4), np.int64)
"""
RIGHT = """
sums: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = kernels.pick("norm", like=x).image_products(x, x)
y = kernels.pick("conv", like=x).conv2d_forward(x, x, None, (1, 1), (0, 0), (1, 1), "relu")
shares, weight = kernels.pick("windows", like=x).window_targets(labels, 2, 3, 255, None)
maxima, places = kernels.pick("pool", like=x).max_pool2d_forward(x, (2, 2), (2, 2), (0, 0), (1, 1), keep=True)
loss: float = kernels.pick("softmax", like=x).soft_cross_entropy_forward(x, x, x[..., 0])[0]
"""
WRONG = {
    'kernels.pick("conv", like=x).conv2d_forward(x, x, None, 1, (0, 0), (1, 1))': "arg-type",
    'kernels.pick("conv", like=x).conv2d_forward(x, x, None, (1, 1), (0, 0))': "call-arg",
    'kernels.pick("conv", like=x).conv2d_forward(x, x, None, (1, 1), (0, 0), (1, 1), "gelu")': "arg-type",
    'kernels.pick("linear", like=x).linear_grad_x(labels, x)': "arg-type",
    'kernels.pick("norm", like=x).image_products(x)': "call-arg",
    'kernels.pick("rnn", like=x).rnn_forward(x, x, x, x, "gru", keep=True)': "call-arg",
    'kernels.pick("pool", like=x).avg_pool3d_forward(x)': "attr-defined",
    'kernels.pick("convolution", like=x)': "call-overload",
    'kernels.pick("elementwise", like=x).tanh_forward(x).nonsense': "attr-defined",
}


def backends() -> str:
    """Return a program that uses each module of each backend as its protocol."""
    lines = ["from lstm2d.kernels import families, strips"]
    for family in FAMILIES:
        for backend in ("_reference", "_numba", "_cuda"):  # the signatures of compiled modules have no types
            if (files("lstm2d.kernels") / backend / f"{family}.py").is_file():
                name = f"{backend}_{family}"
                lines.append(f"from lstm2d.kernels.{backend} import {family} as {name}")
                lines.append(f"{name}_: families.{family.capitalize()} = {name}")
                if backend != "_cuda" and hasattr(strips, f"{family.capitalize()}Strip"):
                    lines.append(f"{name}_strip: strips.{family.capitalize()}Strip = {name}")
    return "\n".join(lines)


def errors(checkout: Path, folder: Path, programs: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what mypy reports for each program: line number and kind of error."""
    paths = {name: folder / f"{name}.py" for name in programs}
    for name, text in programs.items():
        paths[name].write_text(text + "\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", f"--cache-dir={folder / 'cache'}", *map(str, paths.values())],
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    assert not done.stderr
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    found: dict[str, list[str]] = {name: [] for name in programs}
    for line in lines:
        path, number, rest = line.split(":", 2)
        found[Path(path).stem].append(f"{number} {rest.rpartition('[')[2].rstrip(']')}")
    return found


def swapped() -> str:
    """Return a program that uses a module as the protocol of another family."""
    head = "from lstm2d.kernels import families\nfrom lstm2d.kernels._reference import norm\n"
    return head + "taken: families.Pool = norm"


def test_signatures_are_checked(checkout: Path, tmp_path: Path) -> None:
    programs = {"right": HEAD + RIGHT, "wrong": HEAD + "\n".join(WRONG)}
    programs |= {"backends": backends(), "swapped": swapped()}
    first = HEAD.count("\n") + 1
    assert errors(checkout, tmp_path, programs) == {
        "right": [],
        "wrong": [f"{first + k} {kind}" for k, kind in enumerate(WRONG.values())],
        "backends": [],
        "swapped": ["3 assignment"],
    }
