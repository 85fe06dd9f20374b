"""`lstm2d selftest gradients`: check the gradients of all operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table
from lstm2d.errors import Lstm2dError

if TYPE_CHECKING:
    from lstm2d.reliability.gradients import Check


@click.command(
    epilog="""\b
Examples:
  lstm2d selftest gradients
  lstm2d selftest gradients --json
  lstm2d selftest gradients --quiet || echo wrong

Exit code 1 if a gradient or a result is wrong."""
)
@output_options
def gradients(console: Console) -> None:
    """Compare the gradients of all operations with finite differences.

    Gradients are checked in float64 along random directions, on the backend in
    use (LSTM2D_BACKEND) and on the plain one, with which it is then compared in
    float32 and float64.
    Inputs must not change. A line per operation; it takes a minute or two.
    """
    import time

    from lstm2d.reliability.gradients import check_gradients

    begun = time.perf_counter()
    checks = check_gradients(
        progress=lambda done, total: console.progress(f"{done}/{total} cases", done, total)
    )
    seconds = time.perf_counter() - begun
    failed = [check for check in checks if check.problem]
    console.answer(
        table(checks),
        "\n".join(
            [
                *(f"{c.case}, {c.kind}, {c.backend}: {c.problem}" for c in failed),
                f"{len({c.case for c in checks})} cases, {len(checks)} checks, {len(failed)} failed, "
                f"{seconds:.1f} s",
            ]
        ),
    )
    console.result(
        {
            "cases": len({c.case for c in checks}),
            "checks": len(checks),
            "failed": [
                {"case": c.case, "kind": c.kind, "backend": c.backend, "problem": c.problem} for c in failed
            ],
            "ops": {op: figures(checks, op) for op in dict.fromkeys(c.op for c in checks)},
            "seconds": seconds,
        }
    )
    if failed:
        raise Lstm2dError(
            f"{len(failed)} of {len(checks)} checks of gradients failed",
            hint="install the package again; if that does not help, report it with the output of "
            "lstm2d selftest gradients --json",
        )


def figures(checks: list[Check], op: str) -> dict[str, float | None]:
    """Return the figures of one operation.

    Parameters
    ----------
    checks : list of Check
        All checks.
    op : str
        The operation.

    Returns
    -------
    dict
        Numbers of cases, of gradient checks, of comparisons with the reference and of failures, and the
        largest difference from the reference in float64, relative; None if there is none.
    """
    mine = [c for c in checks if c.op == op]
    errors = [c.error for c in mine if c.error is not None]
    return {
        "cases": len({c.case for c in mine}),
        "gradients": sum(c.kind == "gradient" for c in mine),
        "comparisons": sum(c.kind == "agreement" for c in mine),
        "failed": sum(bool(c.problem) for c in mine),
        "error": max(errors, default=None),
    }


def table(checks: list[Check]) -> Table:
    """Return the outcome: one row per operation."""
    rows = []
    for op in dict.fromkeys(c.op for c in checks):
        *counts, error = figures(checks, op).values()
        rows.append([op, *map(str, counts), "-" if error is None else f"{error:.0e}"])
    return Table(["operation", "cases", "gradients", "comparisons", "failed", "error"], rows)
