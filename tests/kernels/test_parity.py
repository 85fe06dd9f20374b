"""Every backend of a family has the functions of its protocol, with the same arguments, and no others."""

import ast
import inspect
from importlib import import_module
from importlib.resources import files

import pytest

from lstm2d import kernels
from lstm2d.kernels import families, strips
from lstm2d.kernels.families import FAMILIES

PAIRS = [(family, backend) for family in FAMILIES for backend in kernels.available(family)]
Signatures = dict[str, list[tuple[str, object]]]  # name and default of each argument


def on_cpu(family: str) -> Signatures:
    """Return the functions that a family has on a CPU."""
    strip = getattr(strips, f"{family.capitalize()}Strip", None)
    return protocol(family) | ({} if strip is None else methods_of(strip))


def protocol(family: str) -> Signatures:
    """Return the functions that a family has on every device."""
    return methods_of(getattr(families, family.capitalize()))


def methods_of(protocol: type) -> Signatures:
    members = vars(protocol).items()
    methods = {name: f for name, f in members if inspect.isfunction(f) and not name.startswith("_")}
    return {name: signature(f)[1:] for name, f in methods.items()}  # without self


def signature(function: object) -> list[tuple[str, object]]:
    return [(a.name, a.default) for a in inspect.signature(function).parameters.values()]


def functions(module: str) -> Signatures:
    """Return the public functions that a module defines."""
    members = vars(import_module(module)).items()
    return {
        name: signature(f)
        for name, f in members
        if inspect.isroutine(f) and not name.startswith("_") and f.__module__ == module
    }


def written(path: str) -> Signatures:
    """Return the public functions of a file, which is not imported."""
    text = (files("lstm2d.kernels") / path).read_text("utf-8")
    found = {f.name: f.args for f in ast.parse(text).body if isinstance(f, ast.FunctionDef)}
    return {name: _arguments(args) for name, args in found.items() if not name.startswith("_")}


def _arguments(args: ast.arguments) -> list[tuple[str, object]]:
    first = len(args.args) - len(args.defaults)
    defaults = [inspect.Parameter.empty] * first + [ast.literal_eval(d) for d in args.defaults]
    return [(a.arg, default) for a, default in zip(args.args, defaults, strict=True)]


def test_families_are_those_of_the_reference() -> None:
    names = (path.name for path in (files("lstm2d.kernels") / "_reference").iterdir())
    assert sorted(name[:-3] for name in names if name.endswith(".py") and name[0] != "_") == list(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fast_version_exists(family: str) -> None:
    assert kernels.available(family)[0] != "_reference"


@pytest.mark.parametrize(("family", "backend"), PAIRS)
def test_same_signatures(family: str, backend: str) -> None:
    expected = on_cpu(family)
    assert expected
    assert functions(f"lstm2d.kernels.{backend}.{family}") == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gpu_agrees(family: str) -> None:
    assert written(f"_cuda/{family}.py") == protocol(family)
