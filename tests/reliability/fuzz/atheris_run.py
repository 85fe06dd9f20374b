"""Fuzz readers with atheris, led by coverage.

``python -m tests.reliability.fuzz.atheris_run GROUP --seconds 120`` needs atheris (``pip install atheris``),
which nothing else does. Each target runs in a process of its own, one after the other, for an equal share of
the time.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from tests.reliability.fuzz.mutate import LONGEST, Mutator
from tests.reliability.fuzz.run import kind_of, work_folder
from tests.reliability.fuzz.table import GROUPS, targets_of
from tests.reliability.fuzz.target import Reader

INSTRUMENTED = ["lstm2d", "tifffile", "tomllib", "pickletools", "zipfile", "csv"]
PATIENCE = 5.0  # instrumented code is slower
_STATISTICS = re.compile(r"cov: (\d+)|number_of_executed_units: (\d+)")


def fuzz_target(group: str, name: str, seconds: int, seed: int, out: Path, root: Path) -> None:
    """Fuzz one target in this process, which libFuzzer ends, in a folder; findings are saved and printed."""
    import atheris

    corpus, work = root / "corpus", root / "work"
    corpus.mkdir()
    work.mkdir()
    with atheris.instrument_imports(include=INSTRUMENTED):
        for module in INSTRUMENTED:
            import_module(module)
        (target,) = [t for t in targets_of(group) if t.name == name]
        reader = Reader(target, work, patience=PATIENCE)
        reader.warm_up()  # imports the rest
    mutator = Mutator(target)
    for number, data in enumerate(mutator.seeds):
        (corpus / str(number)).write_bytes(data)
    found: dict[str, str] = {}

    def one_input(data: bytes) -> None:
        problem = reader.problem(data)
        if problem is not None and kind_of(problem) not in found:
            found[kind_of(problem)] = problem
            out.mkdir(parents=True, exist_ok=True)
            path = out / f"{name.replace(' ', '-')}-{len(found)}"
            path.write_bytes(data)
            print(f"FOUND {problem[:300]!r} {path}", flush=True)

    def mutated(data: bytes, longest: int, number: int) -> bytes:
        rng = random.Random(number)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, longest))
        return mutator.once(data, rng)[:longest]

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-seed={seed}",
        "-print_final_stats=1",
    ]
    options += ["-rss_limit_mb=4096", "-timeout=120", f"-artifact_prefix={out}-", str(corpus)]
    atheris.Setup([sys.argv[0], *options], one_input, custom_mutator=mutated)
    atheris.Fuzz()


def main() -> int:
    """Fuzz a group, print executions and coverage per target; return 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("--seconds", type=int, default=120, help="for the whole group")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", help="only this one, in this process")
    parser.add_argument("--folder", type=Path, help="for a target: an empty folder to work in")
    parser.add_argument("-o", "--out", type=Path, default=Path("fuzz-findings"), help="folder for findings")
    options = parser.parse_args()
    if options.target:
        fuzz_target(options.group, options.target, options.seconds, options.seed, options.out, options.folder)
    failed = False
    names = [target.name for target in targets_of(options.group)]
    for name in names:
        share = max(1, options.seconds // len(names))
        command = [
            sys.executable,
            "-m",
            "tests.reliability.fuzz.atheris_run",
            options.group,
            "--target",
            name,
        ]
        command += ["--seconds", str(share), "--seed", str(options.seed), "-o", str(options.out)]
        with work_folder() as folder:
            done = subprocess.run([*command, "--folder", str(folder)], capture_output=True, check=False)
        text = (done.stdout + done.stderr).decode(errors="replace")
        found = _STATISTICS.findall(text)
        edges, executions = (max((int(pair[k]) for pair in found if pair[k]), default=0) for k in (0, 1))
        findings = [line for line in text.splitlines() if line.startswith("FOUND")]
        crashed = done.returncode != 0
        print(f"{options.group:12} {name:20} {share} s {executions:9} executions {edges:6} edges", flush=True)
        print("".join(f"  {line}\n" for line in findings), end="", flush=True)
        if crashed:
            print(text[-3000:])
        failed |= crashed or bool(findings)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
