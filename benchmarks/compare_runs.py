"""Compare runs that differ in a few values: print the training commands, and a table of results.

    python benchmarks/compare_runs.py halve DATA HALF                # the same images at half their size
    python benchmarks/compare_runs.py commands HALF -o RUNS          # prints the trainings, one per line
    python benchmarks/compare_runs.py table RUNS/* -o benchmarks/results/renet.md

`commands` measures whether ReNet layers help: VGG-16's conv3_3 with none, one and two of them, and two of
each recurrent unit, all for the same time on the same data; class scores are enlarged, so that nothing else
is trained. The first line fills the feature cache, so that its time does not count for the first run. The
trainings are not run: pipe the lines into a shell, or run them one by one.

`table` reads any run folders. Its first columns are the configuration values in which they differ; test
results are read from RUN/test.json, which the printed lines write.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lstm2d.io.atomic import write_text
from lstm2d.report.html import minutes
from lstm2d.report.runs import RunSummary, read_run

NETWORKS = {  # run: hidden units of the ReNet layers, recurrent unit
    "none": ((), "gru"),
    "one-gru": ((100,), "gru"),
    "two-gru": ((100, 100), "gru"),
    "two-lstm": ((100, 100), "lstm"),
    "two-tanh": ((100, 100), "tanh"),
    "two-irnn": ((100, 100), "irnn"),
}
FIGURES = {"pixel_accuracy": "pixel", "class_accuracy": "class", "mean_iou": "mean IoU"}
TEST = "test.json"  # in the run folder: what evaluate --json printed


def main() -> None:
    """Run the command given as first argument."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(required=True, metavar="halve | commands | table")
    part = parts.add_parser("halve", help="write a dataset folder with images of half the size")
    part.add_argument("data", type=Path, help="dataset folder; its masks are index or palette PNG")
    part.add_argument("out", type=Path, help="folder to make")
    part.set_defaults(run=lambda a: halve(a.data, a.out))
    part = parts.add_parser("commands", help="print the trainings of the table 'ReNet layers help'")
    part.add_argument("data", type=Path, help="dataset folder")
    part.add_argument("-o", "--out", type=Path, required=True, help="folder of the runs")
    part.add_argument("--preset", default="reseg", help="a preset of kind reseg (reseg)")
    part.add_argument("--time", default="8m", help="training time per run (8m)")
    part.add_argument("--threads", type=int, default=1, help="threads per run (1)")
    part.set_defaults(run=lambda a: print("\n".join(commands(a.data, a.out, a.preset, a.time, a.threads))))
    part = parts.add_parser("table", help="write a table of runs")
    part.add_argument("runs", type=Path, nargs="+", help="run folders; other files and folders are skipped")
    part.add_argument("-o", "--out", type=Path, help="Markdown file to write; printed if left out")
    part.set_defaults(run=lambda a: write_table(a.runs, a.out, parser))
    args = parser.parse_args()
    args.run(args)


def halve(data: Path, out: Path) -> None:
    """Copy a dataset folder with images of half the size: means of 2x2 pixels, one label of four.

    Parameters
    ----------
    data : Path
        Folder with ``dataset.toml``, ``images``, ``masks`` and, optionally, ``splits``.
    out : Path
        Folder to make; must not exist.
    """
    for name in ("images", "masks"):
        (out / name).mkdir(parents=True)
        for path in sorted((data / name).iterdir()):
            with Image.open(path) as image:
                small = image.reduce(2) if name == "images" else nearest(image)
                small.save(out / name / f"{path.stem}.png")
    shutil.copy(data / "dataset.toml", out)
    if (data / "splits").is_dir():
        shutil.copytree(data / "splits", out / "splits")


def nearest(mask: Image.Image) -> Image.Image:
    """Return a mask of half the size, rounded up as `Image.reduce` does, with its palette."""
    size = tuple((side + 1) // 2 for side in mask.size)
    return mask.resize((size[0], size[1]), Image.Resampling.NEAREST)


def commands(data: Path, out: Path, preset: str, time: str, threads: int) -> list[str]:
    """Return the shell lines that train and evaluate all networks of `NETWORKS`.

    Parameters
    ----------
    data, out : Path
        Dataset folder; folder of the runs.
    preset : str
        Preset of all other values.
    time : str
        Training time per run, such as "8m".
    threads : int
        Threads per run.

    Returns
    -------
    list of str
        In order.
    """

    def train(run: str, units: Sequence[int], unit: str, *limit: str) -> str:
        sets = {
            "model.units": json.dumps(list(units)),
            "model.patches": json.dumps([1] * len(units)),
            "model.unit": json.dumps(unit),
            "model.upsampling": '"bilinear"',
        }
        words = ["lstm2d", "train", preset, "--data", str(data), "-o", str(out / run), *limit]
        words += ["--threads", str(threads), "--quiet"]
        return shlex.join(
            words + [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
        )

    lines = [train("fill", (), "gru", "--epochs", "2")]
    for run, (units, unit) in NETWORKS.items():
        test = ["lstm2d", "evaluate", str(out / run), str(data), "--json", "--quiet"]
        lines.append(train(run, units, unit, "--max-time", time))
        lines.append(f"{shlex.join(test)} > {shlex.quote(str(out / run / TEST))}")
    return lines


def write_table(paths: Sequence[Path], out: Path | None, parser: argparse.ArgumentParser) -> None:
    """Write or print the table of some runs."""
    runs = [read_run(path) for path in paths if (path / "model.safetensors").is_file()]
    runs = [run for run in runs if run.name != "fill"]
    if not runs:
        parser.error(f"no run with a model among {len(paths)} paths; expected run folders")
    text = table(runs)
    if out is None:
        print(text, end="")
    else:
        write_text(out, text)


def table(runs: Sequence[RunSummary]) -> str:
    """Return the Markdown table of some runs, in their order.

    Parameters
    ----------
    runs : sequence of RunSummary
        One or more.

    Returns
    -------
    str
        Configuration values that differ, number of parameters, length, accuracies in percent; at the end
        those of constant labels on the test images.
    """
    configs = [flat(tomllib.loads(run.config)) for run in runs]
    keys = [key for key in configs[0] if len({json.dumps(config.get(key)) for config in configs}) > 1]
    tests = [test_figures(run.path) for run in runs]
    titles = ["run", *(f"`{key}`" for key in keys), "parameters", "steps", "training"]
    for split, there in (("validation", True), ("test", any(tests))):
        titles += [f"{split}, {title}" for title in FIGURES.values()] if there else []
    lines = [titles, ["---"] * len(titles)]
    for run, config, test in zip(runs, configs, tests, strict=True):
        steps = run.results[-1].get("step") if run.results else None
        line = [run.name, *(json.dumps(config.get(key)) for key in keys), f"{run.parameters:,}"]
        line += [
            "-" if steps is None else f"{steps:.0f}",
            "-" if run.seconds is None else minutes(run.seconds),
        ]
        line += figures(run.model.metrics.get("validation", {}))
        line += figures(test) if any(tests) else []
        lines.append(line)
    for constant in next(filter(None, tests), {}).get("baselines", []):
        blank = [""] * (len(titles) - 1 - len(FIGURES))
        lines.append([constant["name"], *blank, *figures(constant)])
    same = [config.get("train.seed") for config in configs]
    notes = [f"{len(runs)} runs", f"seed {same[0]}" if len(set(same)) == 1 else "seeds differ"]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{', '.join(notes)}; in percent.\n"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a configuration as one level of keys with dots."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def test_figures(run: Path) -> Mapping[str, Any]:
    """Return the output of ``evaluate --json`` for a run; empty if there is none."""
    path = run / TEST
    if not path.is_file():
        return {}
    found: Mapping[str, Any] = json.loads(path.read_text().strip().splitlines()[-1])
    return found


def figures(metrics: Mapping[str, Any]) -> list[str]:
    """Return the figures of one split in percent."""
    return [f"{100 * metrics[name]:.1f}" if metrics.get(name) is not None else "-" for name in FIGURES]


if __name__ == "__main__":
    main()
