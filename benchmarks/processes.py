"""Measure time and peak memory of whole processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from timing import Task


def command() -> str:
    """Return the `lstm2d` script of this interpreter."""
    found = shutil.which("lstm2d", path=str(Path(sys.executable).parent))
    if found is None:
        sys.exit("no lstm2d command beside this Python: install the package first")
    return found


# a child inherits the peak of its parent, so a small process starts it
LAUNCHER = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Process:
    """A command that can be run repeatedly; if it fails, the program exits.

    Parameters
    ----------
    words : sequence of str
        The command line.
    """

    words: Sequence[str]

    def run(self) -> str:
        """Run it once and return its stdout."""
        done = subprocess.run(self.words, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(self.words)}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def task(self) -> Task:
        """Return it as a task for `timing.interleaved`."""
        return Task(self.run)

    def peak_mb(self) -> float:
        """Run it once and return its peak memory in MB (1e6 bytes)."""
        launched = Process([sys.executable, "-S", "-c", LAUNCHER, *self.words]).run()
        return int(launched) / (1e6 if sys.platform == "darwin" else 1e6 / 1024)
