"""``lstm2d predict --dask local:N`` beside one process, and beside N processes that share nothing.

The same photographs are labelled by one process with one thread, by N processes with ``--shard k/N`` at the
same time (what the machine can reach with N), by a local cluster of N workers, and by one of which a worker
is killed when half of the images are done. Times are those of the whole commands, CPU times those of all
their processes. All label files are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from timing import heading, machine, table

HEIGHT, WIDTH = 240, 320  # as Stanford Background
GRAIN = 8  # gray levels of noise
POLL = 0.02  # seconds


def write_photos(folder: Path, count: int) -> None:
    """Write photographs: parts of one, with noise."""
    import skimage

    source = Path(skimage.__file__).parent / "data" / "rocket.jpg"
    pixels = np.asarray(Image.open(source).convert("RGB")).astype(np.int16)
    rng = np.random.default_rng(0)
    folder.mkdir()
    for k in range(count):
        top, left = (
            int(rng.integers(n - size + 1)) for n, size in zip(pixels.shape, (HEIGHT, WIDTH), strict=False)
        )
        part = pixels[top : top + HEIGHT, left : left + WIDTH]
        noise = rng.integers(-GRAIN, GRAIN + 1, part.shape, dtype=np.int16)
        Image.fromarray(np.clip(part + noise, 0, 255).astype(np.uint8)).save(
            folder / f"{k:05}.jpg", quality=90
        )


class Measurement:
    """Commands that label the same photographs."""

    def __init__(self, model: str, photos: Path, work: Path, workers: int) -> None:
        self._line = [sys.executable, "-m", "lstm2d", "predict", model, str(photos), "--quiet"]
        self._work, self._workers, self._photos = work, workers, photos
        self.ways: dict[str, Callable[[Path], None]] = {
            "one process, one thread": self._one,
            f"{workers} processes, --shard": self._shards,
            f"--dask local:{workers}": lambda out: self._cluster(out, kill=False),
            f"--dask local:{workers}, one worker killed": lambda out: self._cluster(out, kill=True),
        }

    def run(self, way: str, number: int) -> tuple[float, float, dict[str, str]]:
        """Run a way; return its time and CPU time, and the digests of its label files."""
        out = self._work / f"out-{number}"
        begin, cpu = time.perf_counter(), _cpu_of_children()
        self.ways[way](out)
        seconds, cpu = time.perf_counter() - begin, _cpu_of_children() - cpu
        files = sorted(path for path in out.glob("*.png") if path.name != "legend.png")
        return seconds, cpu, {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def _start(self, out: Path, *more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self._line, "-o", str(out), "--threads", "1", *more])

    def _one(self, out: Path) -> None:
        _end(self._start(out))

    def _shards(self, out: Path) -> None:
        parts = range(1, self._workers + 1)
        for process in [self._start(out, "--shard", f"{k}/{self._workers}") for k in parts]:
            _end(process)

    def _cluster(self, out: Path, *, kill: bool) -> None:
        process = self._start(out, "--dask", f"local:{self._workers}")
        half = len(list(self._photos.iterdir())) // 2
        while kill and process.poll() is None:
            if out.is_dir() and sum(name.endswith(".png") for name in os.listdir(out)) > half:
                _workers_of(process.pid)[0].kill()
                break
            time.sleep(POLL)
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
        sys.exit(f"exit code {process.returncode} of {process.args!r}")


def _cpu_of_children() -> float:
    found = os.times()
    return found.children_user + found.children_system


def _workers_of(pid: int) -> list[Any]:
    """Return the worker processes of a command."""
    import psutil  # comes with distributed

    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if "multiprocessing.spawn" in " ".join(child.cmdline())]


def measure(options: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """Return the figures, one row per way."""
    write_photos(work / "photos", options.images)
    measurement = Measurement(options.model, work / "photos", work, options.workers)
    if options.quick:  # the first and the last one
        measurement.ways = dict(list(measurement.ways.items())[:: len(measurement.ways) - 1])
    times: dict[str, list[float]] = {way: [] for way in measurement.ways}
    cpu_times: dict[str, list[float]] = {way: [] for way in measurement.ways}
    first: dict[str, str] = {}
    equal = dict.fromkeys(measurement.ways, True)
    for turn in range(options.rounds):
        for k, way in enumerate(measurement.ways):
            seconds, cpu, files = measurement.run(way, turn * len(measurement.ways) + k)
            first = first or files
            times[way].append(seconds)
            cpu_times[way].append(cpu)
            equal[way] &= files == first and len(files) == options.images
            if not options.json:
                print(f"{way}: {seconds:.1f} s, CPU {cpu:.1f} s", file=sys.stderr)
    one = statistics.median(next(iter(times.values())))
    return [
        {
            "case": way,
            "images": options.images,
            "seconds": round(statistics.median(found), 2),
            "cpu_seconds": round(statistics.median(cpu_times[way]), 2),
            "images_per_second": round(options.images / statistics.median(found), 1),
            "ratio": round(one / statistics.median(found), 2),
            "equal_files": equal[way],
        }
        for way, found in times.items()
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="outdoor", help="(outdoor)")
    parser.add_argument("--images", type=int, default=1000, help="(1000)")
    parser.add_argument("--workers", type=int, default=2, help="(2)")
    parser.add_argument("--rounds", type=int, default=3, help="each way in turn (3)")
    parser.add_argument("--folder", default=None, help="folder for photographs and results (the system's)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test: few images, two ways, once")
    options = parser.parse_args()
    if find_spec("distributed") is None:
        sys.exit("needs pip install 'lstm2d[dask]'")
    if options.quick:
        options.images, options.rounds = 24, 1
    with tempfile.TemporaryDirectory(prefix="lstm2d-bench-", dir=options.folder) as work:
        rows = measure(options, Path(work))
    described = machine([1])
    if options.json:
        print(json.dumps({"machine": described, "rows": rows}))
    else:
        print(heading(described))
        titles = ["way", "images", "seconds", "CPU s", "images/s", "ratio", "files equal"]
        print(table(titles, [[str(value) for value in row.values()] for row in rows]))
    if not all(row["equal_files"] for row in rows):
        sys.exit("files differ")


if __name__ == "__main__":
    main()
