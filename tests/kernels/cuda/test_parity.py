"""Every family on a GPU offers the functions of the reference, with the same arguments."""

import ast
from importlib.resources import files

import pytest


def functions(backend: str, family: str) -> dict[str, list[str]]:
    """Return the arguments of the public functions of a file, by name; the file is not imported."""
    text = (files(f"lstm2d.kernels.{backend}") / f"{family}.py").read_text("utf-8")
    found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return {f.name: [a.arg for a in f.args.args] for f in found if not f.name.startswith("_")}


def families() -> list[str]:
    names = (path.name for path in files("lstm2d.kernels._reference").iterdir())
    return sorted(name.removesuffix(".py") for name in names if name.endswith(".py") and name[0] != "_")


@pytest.mark.parametrize("family", families())
def test_same_signatures(family: str) -> None:
    expected = functions("_reference", family)
    assert expected
    found = functions("_cuda", family)
    assert {name: found.get(name) for name in expected} == expected
