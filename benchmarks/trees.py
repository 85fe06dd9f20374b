"""Several versions of the library: a commit or the working tree, each built in its own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build(target: Path, commit: str | None) -> None:
    """Copy a commit, or the working tree, and compile its kernels."""
    target.mkdir()
    if commit is None:
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, check=True,
        ).stdout  # fmt: skip
        present = b"\0".join(n for n in names.split(b"\0") if n and (ROOT / os.fsdecode(n)).exists())
        archive = ["tar", "-c", "--null", "-T", "-"]
        packed = subprocess.run(archive, cwd=ROOT, input=present, capture_output=True, check=True).stdout
    else:
        archive = ["git", "archive", commit]
        packed = subprocess.run(archive, cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", target], input=packed, check=True)
    compiled = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=target,
        capture_output=True,
        text=True,
    )
    if compiled.returncode:
        sys.exit(f"{commit or 'working tree'} cannot be built:\n{compiled.stderr[-2000:]}")


def run(tree: Path, *words: str) -> None:
    """Run a command of one version."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "LSTM2D_CACHE": str(tree / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "lstm2d.cli", *words],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"lstm2d {' '.join(words)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
