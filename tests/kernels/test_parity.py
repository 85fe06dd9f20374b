"""Every backend of a family offers the same functions with the same arguments, and so do the type stubs."""

import ast
import inspect
from importlib import import_module
from importlib.resources import files

import pytest

from lstm2d import kernels

FAMILIES = sorted(
    path.name.removesuffix(".py")
    for path in files("lstm2d.kernels._reference").iterdir()
    if path.name.endswith(".py") and path.name != "__init__.py"
)
PAIRS = [(family, backend) for family in FAMILIES for backend in kernels.available(family)]


def functions(module: str) -> dict[str, list[str]]:
    """Return the arguments of the public functions that `module` defines, by name."""
    members = vars(import_module(module)).items()
    return {
        name: list(inspect.signature(f).parameters)
        for name, f in members
        if inspect.isroutine(f) and not name.startswith("_") and f.__module__ == module
    }


def test_families_are_found() -> None:
    assert {"elementwise", "linear", "lstm2d", "resize", "softmax", "windows"} <= set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fast_version_exists(family: str) -> None:
    assert kernels.available(family)[0] != "_reference"


@pytest.mark.parametrize(("family", "backend"), PAIRS)
def test_same_signatures(family: str, backend: str) -> None:
    reference = functions(f"lstm2d.kernels._reference.{family}")
    assert reference
    assert functions(f"lstm2d.kernels.{backend}.{family}") == reference


@pytest.mark.parametrize(("family", "backend"), [pair for pair in PAIRS if pair[1] == "_cython"])
def test_stub_says_the_same(family: str, backend: str) -> None:
    stub = ast.parse((files(f"lstm2d.kernels.{backend}") / f"{family}.pyi").read_text("utf-8"))
    declared = {f.name: [a.arg for a in f.args.args] for f in stub.body if isinstance(f, ast.FunctionDef)}
    assert declared == functions(f"lstm2d.kernels._reference.{family}")
