"""`lstm2d doctor`: show the backends of an installation, and test their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.models import size_text
from lstm2d.cli.options import threads_option
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table, fields
from lstm2d.errors import Lstm2dError

if TYPE_CHECKING:
    from pathlib import Path

    from lstm2d.selftest import Check

TO_COMPILE = "For faster kernels, install GCC and the headers of Python, then lstm2d again."
OF_THE_CPU = "those of the CPU (LSTM2D_ISA is for kernels of Cython)"
PACKAGES = ("lstm2d", "numpy", "scipy", "numba", "scikit-image", "pillow", "pydantic")


@click.command(
    epilog="""\b
Examples:
  lstm2d doctor
  lstm2d doctor --threads 2
  lstm2d doctor --json --quiet

Exit code 1 if the self-test finds something wrong."""
)
@threads_option
@output_options
def doctor(console: Console, *, threads: int | None) -> None:
    """Show what this installation computes with, and test it.

    Shows versions, CPU and the kernels chosen for it, BLAS and threads, GPU,
    folders and their contents. Then runs every operation on the CPU and on each
    GPU, and compares the results with those in plain NumPy. This takes a few
    seconds; longer the first time, when Numba compiles kernels.
    """
    from lstm2d import selftest
    from lstm2d.kernels import gpu
    from lstm2d.kernels.threads import set_num_threads

    if threads is not None:
        set_num_threads(threads)
    values = facts()
    console.answer(describe(values))
    checks, seconds = selftest.timed(
        gpu.usable(), lambda done: console.progress(f"self-test: {done} computations compared")
    )
    failed = [check for check in checks if check.problem]
    console.answer("")
    console.answer(test_table(checks))
    console.answer("\n".join([*(f"{c.name}, {c.backend}: {c.problem}" for c in failed), f"{seconds:.1f} s"]))
    values["selftest"] = {
        "passed": not failed,
        "seconds": seconds,
        "checks": [
            {"name": c.name, "backend": c.backend, "error": c.error, "problem": c.problem or None}
            for c in checks
        ],
    }
    console.result(values)
    if failed:
        raise Lstm2dError(
            f"{len(failed)} of {len(checks)} computations of the self-test are wrong",
            hint="install the package again; if that does not help, report it with the output of "
            "lstm2d doctor --json",
        )


def facts() -> dict[str, Any]:
    """Collect versions, hardware, kernels and folders of the installation.

    Returns
    -------
    dict
        What ``lstm2d doctor --json`` writes, without the self-test.
    """
    import platform
    from importlib.metadata import version

    from lstm2d.io.user_folders import cache_folder, data_folder
    from lstm2d.kernels import gpu, machine
    from lstm2d.kernels.threads import get_num_threads
    from lstm2d.predict import bundled_models
    from lstm2d.weights.store import stored_weights

    weights, damaged = stored_weights()
    return {
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": machine.cpu(),
        "threads": get_num_threads(),
        "blas": machine.blas(),
        "kernels": machine.kernel_sets(),
        "backend": machine.backend(),
        "gpus": [gpu.describe(device) for device in gpu.usable()],
        "no_gpu": gpu.why_no_gpu(),
        "models": {name: path.stat().st_size for name, path in bundled_models().items()},
        "weights": [{"name": s.name, "path": str(s.path), "bytes": s.size} for s in weights],
        "damaged": [str(problem.where) for problem in damaged],
        "folders": {
            name: {"path": str(path), "bytes": folder_size(path)}
            for name, path in (("data", data_folder()), ("cache", cache_folder()))
        },
    }


def folder_size(folder: Path) -> int:
    """Return the total size of all files in a folder in bytes; 0 if it does not exist."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size if path.is_file() else 0
        except OSError:  # deleted in the meantime
            continue
    return total


def describe(values: dict[str, Any]) -> str:
    """Format the facts as text.

    Parameters
    ----------
    values : dict
        From `facts`.

    Returns
    -------
    str
        At most 80 columns wide, unless a path is longer.
    """
    cpu, by_backend = values["cpu"], dict[str, list[str]]()
    for family, backend in values["kernels"].items():
        by_backend.setdefault(backend, []).append(family)
    blas = [f"{b['library']} {b['version']} ({b['architecture'] or 'any CPU'})" for b in values["blas"]]
    return fields(
        [
            ("versions", ", ".join(f"{name} {number}" for name, number in values["versions"].items())),
            ("system", values["system"]),
            ("CPU", f"{cpu['name']}, {cpu['cores']} cores"),
            ("instructions", instructions_text(cpu) if "cython" in by_backend else OF_THE_CPU),
            ("threads", str(values["threads"])),
            ("BLAS", ", ".join(dict.fromkeys(blas))),
            ("backend", backend_text(values["backend"])),
            *((f"{backend} kernels", ", ".join(names)) for backend, names in by_backend.items()),
            *((g["device"], gpu_text(g)) for g in values["gpus"]),
            *([("GPU", f"none used: {values['no_gpu']}")] if values["no_gpu"] else ()),
            ("models", ", ".join(f"{name} ({size_text(size)})" for name, size in values["models"].items())),
            ("weights", ", ".join(f"{w['name']} ({size_text(w['bytes'])})" for w in values["weights"])),
            *([("damaged", ", ".join(values["damaged"]))] if values["damaged"] else ()),
            *((name, f"{f['path']} ({size_text(f['bytes'])})") for name, f in values["folders"].items()),
        ]
    )


def instructions_text(cpu: dict[str, Any]) -> str:
    """Return the instruction-set level of the kernels, and the reason if it is not the highest."""
    level, supported, requested = (cpu[key] for key in ("instruction_set", "supported", "requested"))
    if requested is None:
        return str(level)
    if requested == level:
        return f"{level} (LSTM2D_ISA={requested}; supported: {supported})"
    return f"{level} (LSTM2D_ISA={requested} is not supported)"


def backend_text(backend: dict[str, Any]) -> str:
    """Return the backend of the kernels, the reason for it, and how to have a faster one."""
    requested, compiled = backend["requested"], "compiled" if backend["compiled"] else "not compiled"
    if backend["reason"]:
        compiled += f", {backend['reason']} at installation"
    if requested:
        return f"{requested} (LSTM2D_BACKEND={requested}; Cython: {compiled})"
    return "cython" if backend["compiled"] else f"numba (Cython: {compiled}). {TO_COMPILE}"


def gpu_text(gpu: dict[str, Any]) -> str:
    """Return the description of a GPU."""
    free, total = gpu["free_bytes"] / 2**30, gpu["memory_bytes"] / 2**30
    return (
        f"{gpu['name']}, compute capability {gpu['compute_capability']}, {free:.1f} of {total:.1f} GiB free, "
        f"CuPy {gpu['cupy']}, CUDA {gpu['cuda']} (driver: {gpu['driver_cuda']})"
    )


def test_table(checks: list[Check]) -> Table:
    """Return the outcome of the self-test: one row per backend."""
    backends = list(dict.fromkeys(c.backend for c in checks))
    rows = []
    for backend in backends:
        mine = [c for c in checks if c.backend == backend]
        worst = max((c.error for c in mine if c.error is not None), default=float("nan"))
        wrong = sum(bool(c.problem) for c in mine)
        rows.append([backend, str(len(mine)), str(wrong), f"{worst:.0e}"])
    return Table(["self-test", "computed", "wrong", "largest error"], rows)
