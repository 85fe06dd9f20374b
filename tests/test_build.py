"""The sources of each extension module, and the wheel that has none."""

import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def dependencies(checkout: Path) -> Callable[[Path], list[Path]]:
    found: Callable[[Path], list[Path]] = runpy.run_path(str(checkout / "setup.py"))["dependencies"]
    return found


SOURCES = {
    "a.pyx": '''
from libc.math cimport exp
from lstm2d.kernels._cython.b cimport product
from lstm2d.kernels import arena
cdef extern from "a.h" nogil:
    void f(float*)
cdef extern from "<math.h>":
    pass
cdef extern from *:
    """
    #include "verbatim.h"
    """
''',
    "a.h": '#include <string.h>\n#define REAL float\n#  include "a_template.h"\n/* see "other.h" */\n',
    "a_template.h": '#include "a.h"\n#include "simd.h"\n#include "of_the_system.h"\n',
    "b.pxd": '"""Products."""\ncdef extern from "b.h" nogil:\n    pass\n',
    "b.pyx": "from lstm2d.kernels._cython.b cimport product\n",
    "b.h": "",
    "other.h": '#include "simd.h"\n',
    "simd.h": "",
    "verbatim.h": "",
}


def test_dependencies_are_followed_through_headers_and_pxd_files(
    dependencies: Callable[[Path], list[Path]], tmp_path: Path
) -> None:
    for name, text in SOURCES.items():
        (tmp_path / name).write_text(text)
    names = [path.name for path in dependencies(tmp_path / "a.pyx")]
    assert names == ["a.h", "a_template.h", "b.h", "b.pxd", "simd.h", "verbatim.h"]
    assert [path.name for path in dependencies(tmp_path / "b.pyx")] == ["b.h", "b.pxd"]


def test_every_header_is_needed_by_a_kernel(
    dependencies: Callable[[Path], list[Path]], checkout: Path
) -> None:
    folder = checkout / "kernels" / "_cython"
    kernels = sorted(folder.glob("*.pyx"))
    used = {path: {needed.name for needed in dependencies(path)} for path in kernels}
    assert set.union(*used.values()) == {p.name for kind in ("*.h", "*.pxd") for p in folder.glob(kind)}
    assert "simd.h" not in used[folder / "windows.pyx"]  # a change there does not recompile it


@pytest.mark.parametrize("names", ["", "thread", "address,undefined"])
def test_sanitizers_are_compiled_and_linked(
    names: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM2D_SANITIZE", names)
    monkeypatch.chdir(checkout)
    extensions = runpy.run_path("setup.py")["extensions"]()
    assert len(extensions) > 10
    for extension in extensions:
        for flags in (extension.extra_compile_args, extension.extra_link_args):
            assert [flag for flag in flags if "-fsanitize=" in flag] == [f"-fsanitize={names}"] * bool(names)


BUILD = "from setuptools import build_meta; print(build_meta.{}, flush=True)"


def build(source: Path, hook: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Call a hook of the build, as pip does, where only those variables are set that the caller gives."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith("LSTM2D_") and name != "CC"
    }
    return subprocess.run(
        [sys.executable, "-c", BUILD.format(hook)],
        cwd=source,
        env=env | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def source(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what is built; the kernels have also been compiled in it."""
    root = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy2(checkout / name, root)
    unwanted = shutil.ignore_patterns("__pycache__", "*.so")
    for name in ("lstm2d", "kernels", "cli"):
        shutil.copytree(checkout / name, root / name, symlinks=True, ignore=unwanted)
    (root / "kernels/_cython/pool.cpython-311-x86_64-linux-gnu.so").write_bytes(b"compiled")
    return root


FACTS = """
import sys
from importlib.metadata import version
from lstm2d import kernels
from lstm2d.kernels import families, machine
import numpy as np
assert kernels.__file__.startswith(sys.argv[1]), kernels.__file__
pool = kernels.pick("pool", like=np.zeros(1))
print(sorted({kernels.chosen(name) for name in families.FAMILIES}), machine.backend(), version("lstm2d"))
"""


@pytest.mark.slow
def test_a_wheel_without_compiled_kernels(source: Path, checkout: Path, tmp_path: Path) -> None:
    """It says that it fits every system, holds no compiled file, and takes its kernels from Numba."""
    built = build(source, f"build_wheel({str(tmp_path)!r})", LSTM2D_PURE="1")
    assert built.returncode == 0, built.stderr
    name = built.stdout.split()[-1]
    assert name.endswith("-py3-none-any.whl")
    assert built.stderr.count("lstm2d: the kernels are not compiled now") == 1
    with zipfile.ZipFile(tmp_path / name) as wheel:
        names = set(wheel.namelist())
        wheel.extractall(tmp_path / "site")
    assert not [one for one in names if one.endswith((".so", ".pyd", ".c", ".pyx", ".pxd", ".h"))]
    assert {path.relative_to(checkout).as_posix() for path in (checkout / "lstm2d/io").glob("*.py")} <= names
    assert "lstm2d/kernels/_cython/__init__.py" in names
    ran = subprocess.run(
        [sys.executable, "-P", "-c", FACTS, tmp_path / "site"],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site"), "LSTM2D_BACKEND": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    backend = {"requested": None, "compiled": False, "reason": "LSTM2D_PURE=1"}
    assert ran.stdout == f"{['_numba']} {backend} {name.split('-')[1]}\n"


def test_compiled_kernels_can_be_required(source: Path, tmp_path: Path) -> None:
    hook = "get_requires_for_build_wheel()"
    for variables, reason in (
        ({"PATH": str(tmp_path)}, "no C compiler"),
        ({"LSTM2D_PURE": "1"}, "LSTM2D_PURE=1"),
    ):
        built = build(source, hook, LSTM2D_REQUIRE_CYTHON="1", **variables)
        assert built.returncode == 1
        last = built.stderr.splitlines()[-1]
        assert last.startswith(
            f"lstm2d: LSTM2D_REQUIRE_CYTHON=1, but the kernels cannot be compiled: {reason}. "
        )
        assert "Traceback" not in built.stderr


COMPILERS = {  # scripts in place of a compiler: what each of them cannot do
    "a C compiler that is neither GCC nor Clang": "grep -q GNUC",
    "no headers of Python": "grep -q Python.h",
    "no OpenMP in the C compiler": "grep -q omp.h",
}


@pytest.mark.skipif(os.name == "nt", reason="its compiler is no script")
@pytest.mark.parametrize("reason", COMPILERS)
def test_what_a_compiler_lacks(
    reason: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first thing that is missing is named."""
    compiler = tmp_path / "cc"
    fails = f'case $word in *.c) {COMPILERS[reason]} "$word" && exit 1;; esac'
    compiler.write_text(f"#!/bin/sh\nfor word; do {fails}; done\nexit 0\n")
    compiler.chmod(0o755)
    for name in ("CC", "LDSHARED"):
        monkeypatch.setenv(name, str(compiler))
    monkeypatch.chdir(source)
    setup: dict[str, Any] = runpy.run_path("setup.py")
    assert setup["missing"]() == reason
    assert setup["why_not"]() == reason
    assert setup["modules"]() == []
    compiler.write_text("#!/bin/sh\nexit 0\n")
    setup["missing"].cache_clear()
    assert setup["missing"]() == ""
