"""Read hostile images in a child process, and measure what they take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_PROGRAM = """
import json, re, sys, time
from pathlib import Path
from lstm2d.errors import DataError
from lstm2d.io.decoding import read_header
from lstm2d.io.images import read_photo
from lstm2d.io.masks import open_mask

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

def outcome(read, path):
    start = time.process_time()
    try:
        read(path)
        error = None
    except DataError as e:
        error = str(e)
    return {"error": error, "seconds": time.process_time() - start, "peak": peak()}

for path in sorted(Path(sys.argv[1]).iterdir()):
    found = {read.__name__: outcome(read, path) for read in (read_photo, open_mask, read_header)}
    print(json.dumps({"name": path.name} | found))
"""


def outcomes(folder: Path) -> dict[str, dict[str, Any]]:
    """Read all files of a folder as photographs and masks, and their headers, in a child process.

    Parameters
    ----------
    folder : Path
        The files.

    Returns
    -------
    dict of str to dict
        By name: for read_photo, open_mask and read_header `error` (None or its text), `seconds` of CPU time,
        and `peak`, the most memory of the process so far in MiB. An exception of another kind ends the child.
    """
    command = [sys.executable, "-c", _PROGRAM, str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return {line["name"]: line for line in map(json.loads, run.stdout.splitlines())}
