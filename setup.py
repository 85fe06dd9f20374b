"""Map kernels/ and cli/ into the package, and compile the Cython kernels.

``LSTM2D_DEBUG=1`` builds the kernels with bounds checks and without optimisation. Without a C compiler, and
with ``LSTM2D_PURE=1``, nothing is compiled, and Numba compiles kernels when they are used;
``LSTM2D_REQUIRE_CYTHON=1`` makes a missing compiler an error. ``LSTM2D_SANITIZE=address,undefined`` builds
them with these sanitizers: the first fault ends the process.
"""

import multiprocessing
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from setuptools import Extension, find_packages, setup

DEBUG = os.environ.get("LSTM2D_DEBUG") == "1"
PURE = os.environ.get("LSTM2D_PURE") == "1"
REQUIRED = os.environ.get("LSTM2D_REQUIRE_CYTHON") == "1"
OPENMP = ["-fopenmp"]
PROBE = "#include <Python.h>\n#include <omp.h>\nint threads(void) { return omp_get_max_threads(); }\n"
# -g0: Python's own flags ask for debugging information, which takes a quarter of the time to compile
FLAGS = ["-O0", "-DLSTM2D_DEBUG"] if DEBUG else ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]
SANITIZE = os.environ.get("LSTM2D_SANITIZE", "")
SANITIZERS = [f"-fsanitize={SANITIZE}"] if SANITIZE else []
if SANITIZE:  # faults with their lines; vector instructions of every level stay in use
    FLAGS += ["-g1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", *SANITIZERS]
EXACT = {"update": ["-ffp-contract=off"]}  # it gives NumPy's bits, which fuses no multiplication and addition
# a process that is started afresh would run this file again
PROCESSES = os.cpu_count() if multiprocessing.get_start_method() == "fork" else 0
# import name -> folder
FOLDERS = {"lstm2d": "lstm2d", "lstm2d.kernels": "kernels", "lstm2d.cli": "cli"}
CYTHON = Path("kernels/_cython")
# what Cython writes for typed arrays, half of a module's code: compiled once, in a module of its own
SHARED = "lstm2d.kernels._cython.memoryviews"
# of .pyx, .pxd and .h files
USES = re.compile(
    r'^\s*#\s*include\s+"([^"]+)"'
    r'|^\s*cdef\s+extern\s+from\s+"([^"]+)"'
    r"|^\s*from\s+lstm2d\.kernels\._cython\.(\w+)\s+cimport\b",
    re.MULTILINE,
)


def packages() -> list[str]:
    """Return the import names of all packages, each once."""
    found = set(FOLDERS)
    for name, folder in FOLDERS.items():
        found.update(f"{name}.{sub}" for sub in find_packages(folder))
    return sorted(found)


def cimport_path() -> str:
    """Return a folder with the .pxd files under their import names: an sdist has no links to find them by."""
    root = Path("build/cimport")
    for path in Path("kernels").rglob("*.pxd"):
        target = root / "lstm2d" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)  # with its time: a newer one means compile again
    return root.as_posix()


def used_by(path: Path) -> Iterator[Path]:
    """Yield the files of the same folder that a .pyx, .pxd or .h file names."""
    for include, extern, cimported in USES.findall(path.read_text(encoding="utf-8")):
        used = path.with_name(include or extern or f"{cimported}.pxd")
        if used.is_file():  # one of the system is not ours to watch
            yield used


def dependencies(path: Path) -> list[Path]:
    """Return the files of the same folder that a .pyx file needs, directly or through others, sorted."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        new = set(used_by(waiting.pop())) - found
        found |= new
        waiting += new
    return sorted(found)


def extensions() -> list[Extension]:
    """Return one extension module for each .pyx file of kernels/_cython, and the one that they share."""
    sources = {f"lstm2d.kernels._cython.{path.stem}": path for path in sorted(CYTHON.glob("*.pyx"))}
    shared = CYTHON / f"{SHARED.rpartition('.')[2]}.c"  # Cython writes it, below build/
    return [
        Extension(
            name,
            [path.as_posix()],
            include_dirs=[CYTHON.as_posix()],
            depends=[used.as_posix() for used in dependencies(path)],
            extra_compile_args=[*FLAGS, *EXACT.get(path.stem, []), *OPENMP],
            extra_link_args=[*OPENMP, *SANITIZERS],
        )
        for name, path in sources.items()
    ] + [Extension(SHARED, [shared.as_posix()], extra_compile_args=FLAGS, extra_link_args=SANITIZERS)]


def can_compile() -> bool:
    """Return whether a small C file can be compiled: with a compiler, OpenMP and the headers of Python."""
    from distutils.ccompiler import new_compiler  # that of setuptools
    from distutils.errors import CCompilerError, DistutilsError
    from distutils.sysconfig import customize_compiler

    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "probe.c")
        probe.write_text(PROBE, encoding="utf-8")
        try:
            compiler = new_compiler()
            customize_compiler(compiler)
            include = [sysconfig.get_path("include")]
            compiler.compile([str(probe)], folder, include_dirs=include, extra_postargs=OPENMP)
        except (CCompilerError, DistutilsError, OSError):
            return False
    return True


def modules() -> list[Extension]:
    """Return the extension modules as C; none if nothing is to be compiled."""
    if PURE or not (REQUIRED or can_compile()):
        reason = "LSTM2D_PURE=1" if PURE else "there is no C compiler with OpenMP and the headers of Python"
        print(
            f"lstm2d: {reason}, so the kernels are not compiled now: Numba compiles them when they are first "
            "used. To have them compiled here, install a C compiler and then lstm2d again.",
            file=sys.stderr,
        )
        return []
    from Cython.Build import cythonize  # not needed to read this file

    found: list[Extension] = cythonize(
        extensions(),
        include_path=[cimport_path()],
        build_dir="build/cython",
        force=DEBUG,
        nthreads=PROCESSES,
        shared_utility_qualified_name=SHARED,
        compiler_directives={
            "language_level": "3",
            "boundscheck": DEBUG,
            "wraparound": False,
            "initializedcheck": DEBUG,
            "cdivision": not DEBUG,
            "embedsignature": True,
        },
    )
    return found


def main() -> None:
    """Build."""
    setup(
        packages=packages(),
        package_dir=FOLDERS,
        package_data={
            "lstm2d": [
                "py.typed",
                "presets/*.toml",
                "data/conventions/*.toml",
                "zoo/*.safetensors",
                "report/templates/*",
            ],
            "lstm2d.kernels._cython": ["*.pyx", "*.pxd", "*.h"],
            "lstm2d.kernels._cuda": ["*.cu"],
        },
        options={"build_ext": {"parallel": os.cpu_count()}},
        ext_modules=modules(),
    )


if __name__ == "__main__":  # also where pip builds
    main()
