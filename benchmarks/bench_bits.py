"""How far predictions differ between instruction-set levels and BLAS kernels, on one machine.

Bits are equal for any threads, batches and restarts on one machine with one level; they are not between
levels, OpenBLAS core types and CPUs. Every bundled model without imported layers labels drawn scenes, in one
process per setting. A row compares a setting with the machine's own: largest difference of a probability, and
the share of pixels whose label changes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timing import machine, publish

from lstm2d.data.synth import draw_scene
from lstm2d.io.model_file import load_model
from lstm2d.kernels import isa
from lstm2d.predict import Predictor, bundled_models

SIZES = ((240, 320), (213, 320), (320, 240), (97, 131))  # rows, columns
QUICK = ((48, 64),)
CORE = "OPENBLAS_CORETYPE"
CORES = {  # core type of OpenBLAS: a flag of /proc/cpuinfo that it needs
    "Prescott": "pni",
    "Nehalem": "sse4_2",
    "Sandybridge": "avx",
    "Haswell": "avx2",
    "Zen": "avx2",
    "SkylakeX": "avx512f",
    "Cooperlake": "avx512_bf16",
    "SapphireRapids": "amx_bf16",
}

Results = dict[str, list[NDArray[np.float32]]]


def models() -> dict[str, Path]:
    """Return the bundled models that need no imported weights."""
    return {name: path for name, path in bundled_models().items() if load_model(path).imported is None}


def compute(out: Path, sizes: tuple[tuple[int, int], ...]) -> None:
    """Write the class probabilities of all models and scenes, with the settings of this process."""
    arrays = {}
    for name, path in models().items():
        predictor = Predictor(load_model(path), source=name, crf=False)
        for k, size in enumerate(sizes):
            scene = draw_scene(0, k, *size)[0]
            arrays[f"{name}/{k}"] = predictor.predict_proba(scene, size="native")
    np.savez(out, **arrays)


def computed(setting: dict[str, str], folder: Path, quick: bool) -> Results:
    """Return what a new process computes with these environment variables."""
    out = folder / f"{len(list(folder.iterdir()))}.npz"
    variables = {key: value for key, value in os.environ.items() if key not in (isa.VARIABLE, CORE)}
    words = [sys.executable, __file__, "--child", str(out), *(["--quick"] if quick else [])]
    subprocess.run(words, check=True, env=variables | setting)
    found: Results = {}
    with np.load(out) as stored:
        for key in stored.files:
            found.setdefault(key.partition("/")[0], []).append(stored[key])
    return found


def settings() -> list[dict[str, str]]:
    """Return the settings that this CPU supports; the last one is the usual one of an AVX2 machine."""
    levels = isa.LEVELS[: isa.LEVELS.index(isa.supported_level()) + 1]
    found = [{isa.VARIABLE: level} for level in levels]
    try:
        flags = set(Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split())
    except OSError:
        flags = set()
    found += [{CORE: core} for core, flag in CORES.items() if flag in flags]
    if "avx512" in levels:
        found.append({isa.VARIABLE: "avx2", CORE: "Haswell"})
    return found


def rows_of(setting: dict[str, str], found: Results, expected: Results) -> list[dict[str, Any]]:
    """Compare the results of a setting with those of the machine's own, for each model."""
    rows = []
    for name, arrays in expected.items():
        pairs = list(zip(found[name], arrays, strict=True))
        changed = sum(int((a.argmax(-1) != b.argmax(-1)).sum()) for a, b in pairs)
        rows.append(
            {
                "case": name,
                "setting": " ".join(f"{key}={value}" for key, value in setting.items()) or "again",
                "largest": max(float(np.abs(a - b).max()) for a, b in pairs),
                "changed": changed / sum(a.shape[0] * a.shape[1] for a, _ in pairs),
                "pixels": changed,
            }
        )
    return rows


def main() -> None:
    """Compute with every setting, compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one tiny scene")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        compute(options.child, QUICK if options.quick else SIZES)
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bits-") as name:
        expected = computed({}, Path(name), options.quick)
        for setting in [{}, *settings()]:
            rows += rows_of(setting, computed(setting, Path(name), options.quick), expected)
    rows.sort(key=lambda row: list(expected).index(row["case"]))
    publish(
        options.json,
        {"machine": machine([1]), "rows": rows},
        "largest difference of a probability from the machine's own setting, and share of changed labels",
        ["model", "setting", "largest", "changed"],
        [
            [row["case"], row["setting"], f"{row['largest']:.1e}", f"{row['changed']:.1e} ({row['pixels']})"]
            for row in rows
        ],
    )


if __name__ == "__main__":
    main()
