"""Images per second of trainings whose steps several processes share under mpiexec.

A round runs each training once, as whole processes, one after the other: one process, several ranks that
share the steps, and the same number of independent processes at the same time. Those need no messages: their
common rate is the most that the machine can reach. The rate is that of the steps alone, as `lstm2d train`
records it; start-up, validation and checkpoints do not count. A row shows medians over the rounds and the
ratios of each round to one process. Without a dataset, scenes are drawn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from timing import machine, publish

from lstm2d.data.synth import write_dataset

CASES = {"lstm2d-5x5": ["train.batch=4"], "n-renet": ["train.batch=4", "train.crop=[120, 160]"]}
TITLES = ("preset", "batch", "processes", "images/s", "+-", "ratio", "of the possible")


def mpiexec() -> str | None:
    """Return the launcher beside this Python, else that of the system; None if there is none."""
    return shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")


class Trainings:
    """Trainings of one preset, each in a folder of its own.

    Parameters
    ----------
    preset : str
        The preset.
    data, folder : Path
        The dataset, and where the runs are written.
    sets : sequence of str
        As for ``lstm2d train --set``.
    steps : int
        Steps of each training.
    threads : int
        Threads of each process.
    """

    def __init__(
        self, preset: str, data: Path, folder: Path, sets: Sequence[str], steps: int, threads: int
    ) -> None:
        self.folder, self.count = folder / preset, 0
        values = [*sets, f"train.steps={steps}", f"train.epochs={steps}", f"train.validate_every={steps}"]
        self.words = [
            sys.executable,
            "-m",
            "lstm2d",
            "train",
            preset,
            "--data",
            str(data),
            "--json",
            "--quiet",
        ]
        self.words += ["--threads", str(threads), *(word for item in values for word in ("--set", item))]

    def start(self, ranks: int) -> subprocess.Popen[str]:
        """Start a training."""
        self.count += 1
        words = [*self.words, "-o", str(self.folder / f"run-{self.count}")]
        if ranks > 1:
            words = [str(mpiexec()), "-n", str(ranks), *words]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def rate(self, ranks: int, processes: int) -> float:
        """Return images per second of independent trainings at the same time, all together.

        Parameters
        ----------
        ranks : int
            Processes that share the steps of each training.
        processes : int
            Independent trainings.

        Returns
        -------
        float
            Sum of their rates, without their first epochs: in these kernels are compiled and images read.
        """
        total = 0.0
        for process in [self.start(ranks) for _ in range(processes)]:
            out, err = process.communicate()
            if process.returncode:
                sys.exit(f"{' '.join(self.words)}: exit code {process.returncode}\n{err}")
            lines = [json.loads(line) for line in out.splitlines()]
            rates = [line["images_per_second"] for line in lines if line.get("event") == "epoch"]
            total += median(rates[1:] or rates)
        return total


def measure(preset: str, data: Path, folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure one preset; return its rows."""
    sets = [*CASES.get(preset, ["train.batch=4"]), *options.set]
    trainings = Trainings(preset, data, folder, sets, options.steps, options.threads)
    kinds = {"one": (1, 1), "ranks": (options.ranks, 1), "independent": (1, options.ranks)}
    rounds = [{kind: trainings.rate(*given) for kind, given in kinds.items()} for _ in range(options.rounds)]
    batch = next(item.partition("=")[2] for item in reversed(sets) if item.startswith("train.batch="))
    return [
        {
            "case": preset,
            "direction": "train",
            "batch": int(batch),
            "processes": kind,
            "count": ranks * processes,
            "threads": options.threads,
            "images_per_second": round(median(found[kind] for found in rounds), 3),
            "spread": round(
                (max(found[kind] for found in rounds) - min(found[kind] for found in rounds))
                / median(found[kind] for found in rounds),
                3,
            ),
            "ratio": round(median(found[kind] / found["one"] for found in rounds), 3),
            "of_possible": round(median(found[kind] / found["independent"] for found in rounds), 3),
        }
        for kind, (ranks, processes) in kinds.items()
    ]


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="*", default=list(CASES), help=f"presets ({' '.join(CASES)})")
    parser.add_argument("--data", type=Path, help="dataset folder (60 scenes of 160x120 pixels)")
    parser.add_argument("--ranks", type=int, default=2, help="processes that share the steps (2)")
    parser.add_argument("--steps", type=int, default=60, help="steps of each training (60)")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds (5)")
    parser.add_argument("--threads", type=int, default=1, help="kernel threads of each process (1)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for lstm2d train")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--quick", action="store_true", help="smoke test: tiny scenes, once")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    given = options()
    if mpiexec() is None or find_spec("mpi4py") is None:
        print("no mpiexec or no mpi4py: nothing is measured (pip install mpi4py mpich)")
        return
    if given.quick:
        given.presets, given.steps, given.rounds = ["lstm2d-5x5"], 2, 1
    os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT", "1")  # Open MPI in a container
    os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    described = machine([given.threads])
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.data is None:
            given.data = folder / "scenes"
            count, width, height = (10, 32, 24) if given.quick else (60, 160, 120)
            write_dataset(given.data, count=count, seed=0, height=height, width=width)
        for preset in given.presets:
            rows += measure(preset, given.data, folder, given)
    names = {"one": "1", "ranks": f"{given.ranks} ranks", "independent": f"{given.ranks} independent"}
    cells = [
        (
            row["case"],
            str(row["batch"]),
            names[row["processes"]],
            f"{row['images_per_second']:.2f}",
            f"{row['spread']:.0%}",
            f"{row['ratio']:.2f}",
            f"{row['of_possible']:.0%}",
        )
        for row in rows
    ]
    note = f"medians of {given.rounds} rounds of {given.steps} steps; +-: range"
    publish(given.json, {"machine": described, "rows": rows}, note, TITLES, cells)


if __name__ == "__main__":
    main()
