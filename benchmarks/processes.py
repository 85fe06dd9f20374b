"""Measure whole processes: their time, and the most memory that they held."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from timing import Task


def command() -> str:
    """Return the `lstm2d` script of this interpreter."""
    found = shutil.which("lstm2d", path=str(Path(sys.executable).parent))
    if found is None:
        sys.exit("no lstm2d command beside this Python: install the package first")
    return found


@dataclass
class Process:
    """A command that is run again and again; it ends the program if it fails.

    Parameters
    ----------
    words : sequence of str
        The command line.
    """

    words: Sequence[str]
    peaks: list[float] = field(default_factory=list)  # MB (1e6 bytes), one per run

    def run(self) -> None:
        """Run it once."""
        with tempfile.TemporaryFile() as told:
            child = subprocess.Popen(self.words, stdout=subprocess.DEVNULL, stderr=told)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode:
                told.seek(0)
                text = told.read().decode(errors="replace")
                sys.exit(f"{' '.join(self.words)}: exit code {child.returncode}\n{text}")
        self.peaks.append(usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e6 / 1024))

    def task(self) -> Task:
        """Return it as `timing.interleaved` takes it."""
        return Task(self.run)
