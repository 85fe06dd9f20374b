"""Measure whole processes: their time, and the most memory that they held."""

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


# A child starts with the peak of the process that makes it: a small one between them makes it.
LAUNCHER = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Process:
    """A command that is run again and again; it ends the program if it fails.

    Parameters
    ----------
    words : sequence of str
        The command line.
    """

    words: Sequence[str]

    def run(self) -> str:
        """Run it once; return what it writes on stdout."""
        done = subprocess.run(self.words, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(self.words)}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def task(self) -> Task:
        """Return it as `timing.interleaved` takes it."""
        return Task(self.run)

    def peak_mb(self) -> float:
        """Run it once; return the most memory that it held, in MB (1e6 bytes)."""
        launched = Process([sys.executable, "-S", "-c", LAUNCHER, *self.words]).run()
        return int(launched) / (1e6 if sys.platform == "darwin" else 1e6 / 1024)
