"""Map kernels/ and cli/ into the package, and compile the Cython kernels.

``LSTM2D_DEBUG=1`` builds the kernels with bounds checks and without optimisation. Without a C compiler, and
with ``LSTM2D_PURE=1``, nothing is compiled, and Numba compiles kernels when they are used; the package then
holds the reason, which ``lstm2d doctor`` shows. ``LSTM2D_REQUIRE_CYTHON=1`` makes that an error.
``LSTM2D_SANITIZE=address,undefined`` builds them with these sanitizers: the first fault ends the process.
"""

import multiprocessing
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_py import build_py

DEBUG = os.environ.get("LSTM2D_DEBUG") == "1"
PURE = os.environ.get("LSTM2D_PURE") == "1"
REQUIRED = os.environ.get("LSTM2D_REQUIRE_CYTHON") == "1"
OPENMP = ["-fopenmp"]
# what is missing if a probe cannot be compiled, the compiler's options, and the probe. MSVC has omp.h too and
# only warns of options that it does not know, but it lacks the vectors of GCC and Clang.
PROBES: tuple[tuple[str, list[str], str], ...] = (
    ("no C compiler", [], "int one(void) { return 1; }\n"),
    (
        "a C compiler that is neither GCC nor Clang",
        [],
        "#ifndef __GNUC__\n#error not GCC\n#endif\ntypedef float v __attribute__((vector_size(16)));\n",
    ),
    ("no headers of Python", [], "#include <Python.h>\n"),
    (
        "no OpenMP in the C compiler",
        OPENMP,
        "#include <omp.h>\nint threads(void) { return omp_get_max_threads(); }\n",
    ),
)
NOT_COMPILED = "not_compiled.txt"  # in the package of the kernels: why they are not compiled
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


@cache
def missing() -> str:
    """Return what is missing to compile the kernels; "" if nothing is.

    Returns
    -------
    str
        The first reason of `PROBES` that applies.
    """
    from distutils.ccompiler import new_compiler  # that of setuptools
    from distutils.errors import CCompilerError, DistutilsError
    from distutils.sysconfig import customize_compiler

    compiler = new_compiler()
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "probe.c")
        for reason, options, text in PROBES:
            probe.write_text(text, encoding="utf-8")
            include = [sysconfig.get_path("include")]
            try:
                customize_compiler(compiler)
                objects = compiler.compile([str(probe)], folder, include_dirs=include, extra_postargs=options)
                if compiler.compiler_type == "unix":  # elsewhere a library must say what it exports
                    compiler.link_shared_object(objects, str(Path(folder, "probe")), extra_postargs=options)
            except (CCompilerError, DistutilsError, OSError):
                return reason
    return ""


def why_not() -> str:
    """Return why the kernels are not to be compiled; "" if they are.

    Raises
    ------
    SystemExit
        If they are required and cannot be compiled.
    """
    reason = "LSTM2D_PURE=1" if PURE else missing()
    if reason and REQUIRED:
        raise SystemExit(
            f"lstm2d: LSTM2D_REQUIRE_CYTHON=1, but the kernels cannot be compiled: {reason}. They need GCC "
            "or Clang with OpenMP, and the headers of Python (Debian and Ubuntu: gcc python3-dev). Without "
            "the variable, Numba compiles them when they are first used."
        )
    return reason


class build_python(build_py):
    """Copy the sources, and the reason if the kernels are not compiled."""

    def run(self) -> None:
        """Copy, and tell."""
        super().run()
        reason = why_not()
        if not reason:
            return
        print(
            f"lstm2d: the kernels are not compiled now ({reason}): Numba compiles them when they are first "
            "used. To have them compiled here, install GCC and the headers of Python (Debian and Ubuntu: gcc "
            "python3-dev), and then lstm2d again.",
            file=sys.stderr,
        )
        if not self.editable_mode:  # it would lie among the sources
            folder = Path(self.build_lib, "lstm2d", "kernels")
            folder.joinpath(NOT_COMPILED).write_text(f"{reason}\n", encoding="utf-8")


def modules() -> list[Extension]:
    """Return the extension modules as C; none if nothing is to be compiled."""
    if why_not():
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
    compiled = modules()
    # nothing reads the sources of what is compiled; beside it they are what a debugger shows
    sources = {"lstm2d.kernels._cython": ["*.pyx", "*.pxd", "*.h"]} if compiled else {}
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
            **sources,
            "lstm2d.kernels._cuda": ["*.cu"],
        },
        options={"build_ext": {"parallel": os.cpu_count()}},
        ext_modules=compiled,
        cmdclass={"build_py": build_python},
    )


if __name__ == "__main__":  # also where pip builds
    main()
