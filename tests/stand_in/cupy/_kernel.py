"""Kernels compiled for the CPU."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from cupy._array import check_guards, ndarray

HEADER = Path(__file__).with_name("simulator.h")
DECLARED = re.compile(
    r'extern "C" __global__ void(?:\s+__launch_bounds__\([^)]*\))?\s+(\w+)\(([^)]*)\)', re.DOTALL
)
# declared type -> NumPy's; REAL is added
TYPES = {
    "int": "int32",
    "unsigned": "uint32",
    "unsigned char": "uint8",
    "Long": "int64",
    "long long": "int64",
    "float": "float32",
    "double": "float64",
    "bool": "bool",
}
STATIC_LIMIT = 48 << 10
MOST_SHARED = 64 << 10  # that of the smallest GPU which the sources are compiled for
orders = [0]  # the orders in which the threads run, one for each launch in turn
_launches = 0


class RawModule:
    """A source, compiled by g++ when it is first used."""

    def __init__(self, code: str, options: tuple[str, ...] = ()) -> None:
        self.code, self.options = code, options
        self.real = next(o.removeprefix("-DREAL=") for o in options if o.startswith("-DREAL="))
        self.declared = dict(DECLARED.findall(re.sub(r"//[^\n]*", "", code)))
        self._library: ctypes.CDLL | None = None

    def get_function(self, name: str) -> RawKernel:
        """Return one of its kernels."""
        return RawKernel(self, name, [_parameter(p, self.real) for p in _split(self.declared[name])])

    def library(self) -> ctypes.CDLL:
        """Return the compiled source."""
        if self._library is None:
            wrappers = "\n".join(_wrapper(name, text) for name, text in self.declared.items())
            text = f"{self.code}\n{wrappers}\n"
            key = hashlib.sha256(f"{self.options}{HEADER.read_text()}{text}".encode()).hexdigest()[:24]
            folder = Path(tempfile.gettempdir()) / f"lstm2d-stand-in-{os.getuid()}"
            folder.mkdir(exist_ok=True, mode=0o700)
            if not (folder / f"{key}.so").exists():
                _compile(text, self.options, folder / f"{key}.so")
            self._library = ctypes.CDLL(str(folder / f"{key}.so"))
        return self._library


class RawKernel:
    """A kernel; its arguments are compared with its declaration at every launch."""

    def __init__(self, module: RawModule, name: str, parameters: list[tuple[bool, str]]) -> None:
        self.module, self.name, self.parameters = module, name, parameters
        self.max_dynamic_shared_size_bytes = STATIC_LIMIT

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *, shared_mem: int = 0
    ) -> None:
        """Run it."""
        global _launches
        assert 1 <= block[0] <= 1024, block
        assert shared_mem <= min(self.max_dynamic_shared_size_bytes, MOST_SHARED), shared_mem
        assert len(args) == len(self.parameters), f"{self.name}: {len(args)} arguments"
        values = [_value(self.name, p, a) for p, a in zip(self.parameters, args, strict=True)]
        run = self.module.library()[f"run_{self.name}"]
        run.restype = ctypes.c_char_p
        sizes = (ctypes.c_uint * 3)(*grid, *(1,) * (3 - len(grid)))
        order = orders[_launches % len(orders)]
        _launches += 1
        problem = run(
            sizes, ctypes.c_uint(block[0]), ctypes.c_size_t(shared_mem), ctypes.c_uint(order), *values
        )
        if problem:
            raise AssertionError(f"{self.name}: {problem.decode()}")
        for a in args:
            if isinstance(a, ndarray):
                check_guards(a._values)


def _split(text: str) -> list[str]:
    return [" ".join(p.split()) for p in text.split(",")]


def _parameter(text: str, real: str) -> tuple[bool, str]:
    """Return whether a parameter is a pointer, and its type or the type that it points to."""
    kind = text.replace("*", " ").replace("__restrict__", " ").replace("const ", " ").split()[:-1]
    name = " ".join(kind)
    return "*" in text, TYPES[real if name == "REAL" else name]


def _value(kernel: str, parameter: tuple[bool, str], value: Any) -> Any:
    pointer, dtype = parameter
    if pointer and isinstance(value, np.uint64) and value == 0:
        return ctypes.c_void_p(None)
    if pointer != isinstance(value, ndarray) or value.dtype != dtype:
        found = (
            f"{'an array of ' if isinstance(value, ndarray) else ''}{getattr(value, 'dtype', type(value))}"
        )
        raise TypeError(f"{kernel}: {found} for {'an array of ' if pointer else ''}{dtype}")
    if pointer:
        return ctypes.c_void_p(value.data.ptr)
    return np.ctypeslib.as_ctypes_type(value.dtype)(value.item())


def _wrapper(name: str, text: str) -> str:
    """Return a function in C++ that runs a kernel, with the same parameters after those of the launch."""
    given = ", ".join(p.replace("*", " ").split()[-1] for p in _split(text))
    launch = "const unsigned *grid_, unsigned threads_, size_t shared_, unsigned order_"
    return f"""
extern "C" const char *run_{name}({launch}, {text}) {{
    return simulator::run(grid_, threads_, shared_, order_, [&] {{ {name}({given}); }});
}}"""


def _compile(text: str, options: tuple[str, ...], target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        source, result = Path(folder) / "kernel.cpp", Path(folder) / "kernel.so"
        source.write_text(text)
        command = ["g++", "-O1", "-fPIC", "-shared", "-w", "-U_FORTIFY_SOURCE", *options]
        command += ["-include", str(HEADER), str(source), "-o", str(result)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"g++ failed:\n{done.stderr[:4000]}")
        result.rename(target)
