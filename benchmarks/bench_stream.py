"""Images larger than memory: time per pixel and peak memory of ``lstm2d predict --stream``.

A large photograph is labelled in strips (reading, computing, writing), and one of 1000x1000 pixels as a whole
in the same process before and after it. The peak is that of all resident pages of the process meanwhile.
Linux only.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from memory import RESET, RESET_PEAK, STATUS, in_fresh_process, measurable
from numpy.typing import NDArray
from timing import heading, machine, set_threads, table

from lstm2d.predict import Predictor, load
from lstm2d.predict.inputs import plan
from lstm2d.predict.label_files import label_files
from lstm2d.predict.outcome import Options

MODELS = ("outdoor", "outdoor-renet")
SIDE, QUICK_SIDE, TILE = 1000, 100, 256
GRAIN = 8  # gray levels of noise
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def write_image(path: Path, rows: int, columns: int) -> None:
    """Write a photograph, repeated and with noise, as an uncompressed tiled BigTIFF."""
    import skimage

    source = Path(skimage.__file__).parent / "data" / "rocket.jpg"
    from PIL import Image

    pixels = np.asarray(Image.open(source).convert("RGB")).astype(np.int16)
    rng = np.random.default_rng(0)
    noise = rng.integers(-GRAIN, GRAIN + 1, (TILE, TILE, 3), dtype=np.int16)

    def tiles() -> Iterator[NDArray[np.uint8]]:
        for top in range(0, rows, TILE):
            for left in range(0, columns, TILE):
                place = (np.arange(k, k + TILE) % n for k, n in zip((top, left), pixels.shape, strict=False))
                yield np.clip(pixels[np.ix_(*place)] + noise, 0, 255).astype(np.uint8)

    options: dict[str, Any] = {"tile": (TILE, TILE), "photometric": "rgb", "bigtiff": True}
    tifffile.imwrite(path, tiles(), shape=(rows, columns, 3), dtype=np.uint8, **options)


def measured(
    name: str,
    size: tuple[int, int],
    side: int,
    memory: int,
    folder: str,
    clock: str,
    rounds: int,
    threads: int,
) -> dict[str, Any]:
    """Return the figures of one model, in this process."""
    set_threads(threads)
    predictor = load(name)
    with tempfile.TemporaryDirectory(prefix="lstm2d-bench-", dir=folder) as work:
        large, small = Path(work) / "large.tif", Path(work) / "small.tif"
        write_image(large, *size)
        write_image(small, side, side)
        whole = [_seconds(predictor, small, Path(work), None, clock) for _ in range(rounds + 1)][1:]
        RESET.write_text(RESET_PEAK)
        strips = _seconds(predictor, large, Path(work), memory, clock)
        peak = _peak()
        whole += [_seconds(predictor, small, Path(work), None, clock) for _ in range(rounds)]
    per_pixel = statistics.median(whole) / side**2, strips / (size[0] * size[1])
    return {
        "model": name,
        "size": f"{size[1]}x{size[0]}",
        "seconds": round(strips, 1),
        "strips_ns": round(1e9 * per_pixel[1], 1),
        "whole_ns": round(1e9 * per_pixel[0], 1),
        "ratio": round(per_pixel[1] / per_pixel[0], 3),
        "peak_mb": round(peak / 1e6, 1),
    }


def _seconds(predictor: Predictor, image: Path, work: Path, memory: int | None, clock: str) -> float:
    """Return the time to label an image file; with `memory`, in strips."""
    out = work / "out"
    options = Options(format="tiff", size="native", max_pixels=10**10, stream=memory, overwrite=True)
    tasks = plan([image], out, format="tiff")
    begin = CLOCKS[clock]()
    outcome = label_files(predictor, tasks, out, options=options)
    seconds = CLOCKS[clock]() - begin
    if outcome.failed:
        raise outcome.failed[0].error
    return seconds


def _peak() -> int:
    found = re.search(r"^VmHWM:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=[*MODELS], help="(outdoor, outdoor-renet)")
    parser.add_argument(
        "--size", default="20000x10000", help="columns x rows of the large image (20000x10000)"
    )
    parser.add_argument("--memory", type=float, default=1.0, help="what --memory gets, in GiB (1)")
    parser.add_argument("--folder", default=None, help="folder for images and scratch files (the system's)")
    parser.add_argument("--clock", choices=[*CLOCKS], default="wall", help="(wall)")
    parser.add_argument("--rounds", type=int, default=3, help="whole images before and after (3)")
    parser.add_argument("--threads", type=int, default=1, help="kernel threads (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test: one model, a small image, once")
    options = parser.parse_args()
    if not measurable():
        sys.exit("this system cannot reset the peak of a process's memory")
    columns, rows = map(int, ("600x400" if options.quick else options.size).split("x"))
    side, rounds = (QUICK_SIDE, 1) if options.quick else (SIDE, options.rounds)
    memory, found = int(options.memory * 2**30), []
    for name in options.models[:1] if options.quick else options.models:
        arguments = (rows, columns), side, memory, options.folder, options.clock, rounds, options.threads
        found.append(in_fresh_process(measured, name, *arguments))
        if not options.json:
            print(name, file=sys.stderr)
    described = machine([options.threads])
    if options.json:
        print(json.dumps({"machine": described, "rows": found}))
        return
    print(heading(described))
    titles = ["model", "image", "seconds", "strips ns/pixel", "whole ns/pixel", "ratio", "peak MB"]
    print(table(titles, [[str(value) for value in row.values()] for row in found]))


if __name__ == "__main__":
    main()
