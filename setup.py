"""Map kernels/ and cli/ into the package, and compile the Cython kernels.

``LSTM2D_DEBUG=1`` builds the kernels with bounds checks and without optimisation.
"""

import multiprocessing
import os
import shutil
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

DEBUG = os.environ.get("LSTM2D_DEBUG") == "1"
OPENMP = ["-fopenmp"]
FLAGS = ["-O0", "-DLSTM2D_DEBUG"] if DEBUG else ["-O3", "-fno-math-errno", "-fno-trapping-math"]
EXACT = {"update": ["-ffp-contract=off"]}  # it gives NumPy's bits, which fuses no multiplication and addition
# a process that is started afresh would run this file again
PROCESSES = os.cpu_count() if multiprocessing.get_start_method() == "fork" else 0
# import name -> folder
FOLDERS = {"lstm2d": "lstm2d", "lstm2d.kernels": "kernels", "lstm2d.cli": "cli"}


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


def extensions() -> list[Extension]:
    """Return one extension module for each .pyx file of kernels/_cython."""
    return [
        Extension(
            f"lstm2d.kernels._cython.{path.stem}",
            [path.as_posix()],
            include_dirs=["kernels/_cython"],
            depends=sorted(header.as_posix() for header in path.parent.glob("*.h")),
            extra_compile_args=[*FLAGS, *EXACT.get(path.stem, []), *OPENMP],
            extra_link_args=OPENMP,
        )
        for path in sorted(Path("kernels/_cython").glob("*.pyx"))
    ]


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
        "lstm2d.kernels._cython": ["*.pyx", "*.pxd", "*.pyi", "*.h"],
        "lstm2d.kernels._cuda": ["*.cu"],
    },
    options={"build_ext": {"parallel": os.cpu_count()}},
    ext_modules=cythonize(
        extensions(),
        include_path=[cimport_path()],
        build_dir="build/cython",
        force=DEBUG,
        nthreads=PROCESSES,
        compiler_directives={
            "language_level": "3",
            "boundscheck": DEBUG,
            "wraparound": False,
            "initializedcheck": DEBUG,
            "cdivision": not DEBUG,
            "embedsignature": True,
        },
    ),
)
