"""The modules of the benchmarks, which are scripts and not installed."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def benchmark_module(checkout: Path) -> Callable[[str], ModuleType]:
    """Return a function that imports a module of ``benchmarks/`` by its name."""

    def imported(name: str) -> ModuleType:
        folder = str(checkout / "benchmarks")
        sys.path.insert(0, folder)
        try:
            return import_module(name)
        finally:
            sys.path.remove(folder)

    return imported
