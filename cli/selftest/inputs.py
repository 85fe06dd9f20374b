"""`lstm2d selftest inputs`: give bad inputs to the commands."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table
from lstm2d.errors import Lstm2dError

if TYPE_CHECKING:
    from lstm2d.reliability.inputs import Outcome, Ran


@click.command(
    epilog="""\b
Examples:
  lstm2d selftest inputs
  lstm2d selftest inputs PNG 'mask of'
  lstm2d selftest inputs --json --quiet

Exit code 1 if a command did not do what it must."""
)
@click.argument("cases", metavar="[CASE]...", nargs=-1)
@click.option("--list", "listed", is_flag=True, help="List the cases, and run none.")
@output_options
def inputs(console: Console, *, cases: tuple[str, ...], listed: bool) -> None:
    """Give bad images, masks, datasets, configurations and models to commands.

    Each case is a small dataset with one bad or unusual file, written to a
    temporary folder. data check, train, evaluate and predict run on it, and their
    exit codes, messages and results are compared with what is promised: one
    message that says what is wrong, no other input lost, inputs unchanged.

    CASE is the beginning of a name. By default all cases run.
    """
    from lstm2d.reliability.inputs import choose, run_cases

    chosen = choose(cases)
    if listed:
        console.answer(Table(["case", "commands"], [[one.name, " ".join(one.expected)] for one in chosen]))
        console.result({"cases": [one.name for one in chosen]})
        return
    outcomes = []
    for outcome in run_cases(chosen, run, run_without_plots):
        outcomes.append(outcome)
        console.progress(f"{len(outcomes)}/{len(chosen)} cases", len(outcomes), len(chosen))
    console.answer(*describe(outcomes))
    console.result(as_json(outcomes))
    failed = [one for one in outcomes if not one.passed]
    if failed:
        raise Lstm2dError(
            f"{len(failed)} of {len(outcomes)} bad inputs were not treated as promised",
            hint="report it with the output of lstm2d selftest inputs --json",
        )


def run(words: Sequence[str]) -> Ran:
    """Run a command line in this process.

    Parameters
    ----------
    words : sequence of str
        The command line, without the program's name.

    Returns
    -------
    Ran
        Its exit code and what it wrote.
    """
    from lstm2d.cli.program import program
    from lstm2d.reliability.inputs import Ran

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    out.reconfigure(errors="backslashreplace")
    err.reconfigure(errors="backslashreplace")
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            program.main(list(words), prog_name="lstm2d")
        except SystemExit as ended:
            code = ended.code
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Ran(code if isinstance(code, int) else 1, *texts)


def run_without_plots(words: Sequence[str]) -> Ran:
    """Run a command line; `train` draws no plots, which take longer than all the rest."""
    from lstm2d.report import plots

    with _replaced_plots(plots):
        return run(words)


@contextmanager
def _replaced_plots(plots: ModuleType) -> Iterator[None]:
    drawn = plots.draw_run
    vars(plots)["draw_run"] = lambda run, data: iter(())
    try:
        yield
    finally:
        vars(plots)["draw_run"] = drawn


def describe(outcomes: Sequence[Outcome]) -> Iterator[str | Table]:
    """Format outcomes.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of all cases.

    Yields
    ------
    str or Table
        The exit codes of each case, what was not as expected, and the totals.
    """
    from lstm2d.reliability.inputs import COMMANDS

    rows = [
        [
            one.name,
            *(str(one.codes.get(command, "-")) for command in COMMANDS),
            f"{one.mebibytes:.0f}",
            "ok" if one.passed else "wrong",
        ]
        for one in outcomes
        if not one.skipped
    ]
    yield Table(["case", *COMMANDS, "MiB", "result"], rows)
    wrong = ["\n  ".join((one.name, *one.problems)) for one in outcomes if one.problems]
    skipped = [f"{one.name}: left out, {one.skipped}" for one in outcomes if one.skipped]
    if wrong or skipped:
        yield "\n".join([*wrong, *skipped])
    figures = as_json(outcomes)
    yield (
        f"{figures['passed']} of {figures['cases']} cases as promised, {figures['commands']} commands run, "
        f"at most {figures['mebibytes']:.0f} MiB ({figures['seconds']:.1f} s)"
    )


def as_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return figures and outcomes as JSON types."""
    return {
        "cases": len(outcomes),
        "passed": sum(one.passed and not one.skipped for one in outcomes),
        "skipped": {one.name: one.skipped for one in outcomes if one.skipped},
        "commands": sum(len(one.codes) for one in outcomes),
        "mebibytes": max((one.mebibytes for one in outcomes), default=0.0),
        "seconds": sum(one.seconds for one in outcomes),
        "outcomes": [
            {"name": one.name, "codes": one.codes, "problems": list(one.problems), "mebibytes": one.mebibytes}
            for one in outcomes
        ],
    }
