"""The program itself: help, start-up, mistyped names."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from lstm2d.cli.program import COMMANDS, program


def command_lines() -> Iterator[list[str]]:
    """Yield the words of every command and sub-command."""
    context = click.Context(program)
    for name in program.list_commands(context):
        yield [name]
        command = program.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ([name, sub] for sub in command.list_commands(context))


def test_help_lists_every_command(lstm2d: Callable) -> None:
    ran = lstm2d("--help")
    assert ran.code == 0
    for name, (_, text) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(text)}$", ran.out, flags=re.MULTILINE)


def test_every_help_fits_80_columns_and_has_three_examples(lstm2d: Callable) -> None:
    for words in [[], *command_lines()]:
        ran = lstm2d(*words, "--help")
        assert ran.code == 0
        assert max(len(line) for line in ran.out.splitlines()) <= 80, words
        examples = ran.out.partition("Examples:\n")[2]
        begin = " ".join(["lstm2d", *words])
        assert len([line for line in examples.splitlines() if line.strip().startswith("lstm2d ")]) >= 3, words
        assert begin in examples, words
        assert lstm2d(*words, "-h").out == ran.out


def test_version(lstm2d: Callable) -> None:
    from importlib.metadata import version

    assert lstm2d("--version").out.split()[-1] == version("lstm2d")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["predcit"], "predict"),
        (["eval"], "evaluate"),
        (["model"], "models"),
        (["data", "stat"], "stats"),
    ],
)
def test_a_mistyped_command(lstm2d: Callable, words: list[str], meant: str) -> None:
    ran = lstm2d(*words)
    assert ran.code == 2
    assert f"Did you mean '{meant}'?" in ran.err
    assert ran.out == ""


def test_a_command_unlike_any_other(lstm2d: Callable) -> None:
    ran = lstm2d("xyzzy")
    assert ran.code == 2
    assert "No such command 'xyzzy'." in ran.err
    assert "Did you mean" not in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["predict"],
        ["predict", "outdoor"],
        ["predict", "outdoor", "a.jpg"],
        ["predict", "outdoor", "a.jpg", "-o", "out", "--on-error", "panic"],
        ["predict", "outdoor", "a.jpg", "-o", "out", "--threads", "0"],
        ["predict", "outdoor", "a.jpg", "-o", "out", "--max-pixels", "x"],
        ["predict", "outdoor", "a.jpg", "-o", "out", "--overlays"],
        ["evaluate", "outdoor"],
        ["features", "outdoor", "a.jpg", "b.jpg", "-o", "out"],
        ["features", "outdoor", "a.jpg", "-o", "out", "--channels", "0"],
        ["features", "outdoor", "a.jpg", "-o", "out", "--layers", "a,,b"],
        ["inspect"],
        ["models", "extra"],
        ["data", "stats"],
        ["--nothing"],
    ],
)
def test_wrong_usage(lstm2d: Callable, words: list[str]) -> None:
    ran = lstm2d(*words)
    assert ran.code == 2
    assert "Usage: lstm2d" in ran.err
    assert "Error: " in ran.err
    assert ran.out == ""
    with_json = lstm2d(*words, "--json")
    assert with_json.code == 2
    assert with_json.json["error"]["exit_code"] == 2


HEAVY = {
    *("numpy", "scipy", "PIL", "pydantic", "rich", "numba", "matplotlib", "skimage", "cupy", "tifffile"),
    *("dask", "distributed", "tornado", "asyncio"),
}


def lean(*args: str) -> str:
    """Run the program in a new process; return the heavy modules that it has loaded at the end."""
    code = (
        "import sys\n"
        "from lstm2d.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as e:\n    assert not e.code, e.code\n"
        f"heavy = {HEAVY!r}\n"
        "print('LOADED', *sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *args], check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()[-1].removeprefix("LOADED").strip()


def test_help_loads_nothing_heavy() -> None:
    assert lean("--help") == ""
    for name in ("predict", "train", "evaluate", "features", "doctor", "models", "inspect", "export"):
        assert lean(name, "--help") == "", name


def test_only_a_terminal_needs_rich(brightness_model: Path, dataset: Path) -> None:
    for words in (["data", "stats", str(dataset)], ["evaluate", str(brightness_model), str(dataset)]):
        assert "rich" not in lean(*words).split()


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_predict_loads_only_what_it_needs(
    brightness_model: Path, photos: Path, tmp_path: Path, device: str
) -> None:
    if device == "auto" and PathFinder.find_spec("cupy") is not None:
        pytest.skip("CuPy is installed, so a GPU is looked for")
    out = str(tmp_path / "out")
    loaded = lean("predict", str(brightness_model), str(photos), "-o", out, "--quiet", "--device", device)
    assert set(loaded.split()) <= {"numpy", "scipy", "PIL"}


def cpu_seconds(*args: str) -> float:
    """Return the CPU time of the program, best of three, so that other programs have little effect."""
    best = float("inf")
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "lstm2d.cli", *args], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def test_help_starts_fast() -> None:
    assert cpu_seconds("--help") < 0.3


@pytest.mark.slow
def test_predict_starts_fast(brightness_model: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    Image.fromarray(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)).save(tmp_path / "photo.jpg")
    out = str(tmp_path / "out")
    photo = str(tmp_path / "photo.jpg")
    assert cpu_seconds("predict", str(brightness_model), photo, "-o", out, "--device", "cpu") < 1.5


def test_python_dash_m() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lstm2d.cli", "models", "--json"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith('{"models"')
    assert os.linesep + "Usage" not in done.stderr
