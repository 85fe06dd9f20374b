"""`lstm2d selftest crash`: kill trainings and resume them."""

from __future__ import annotations

import click

from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table
from lstm2d.errors import Lstm2dError


@click.command(
    epilog="""\b
Examples:
  lstm2d selftest crash
  lstm2d selftest crash --kills 200 --seed 1
  lstm2d selftest crash --json

Exit code 1 if a training ends with another model, or cannot be resumed."""
)
@click.option(
    "--kills",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="Number of kills; each takes a few seconds.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the moments.")
@output_options
def crash(console: Console, *, kills: int, seed: int) -> None:
    """Kill trainings with SIGKILL, resume them, and compare the final models.

    Trains two small networks, one of them in two stages, in a temporary folder. They
    are killed while they start, step, save checkpoints, validate, change the stage
    and end, and resumed with --resume each time. The model file must have the
    SHA-256 of that of a training that was never killed.
    """
    import tempfile
    from pathlib import Path

    from lstm2d.reliability.crash import crash as run

    with tempfile.TemporaryDirectory(prefix="lstm2d-crash-") as name:
        outcome = run(
            Path(name),
            kills=kills,
            seed=seed,
            progress=lambda done: console.progress(f"{done}/{kills} kills", done, kills),
        )
    moments = dict(sorted(outcome.moments.items()))
    console.answer(
        Table(
            ["killed at", "kills"], [*([n, str(k)] for n, k in moments.items()), ["all", str(outcome.kills)]]
        ),
        "\n".join(
            [
                f"during a write: {outcome.torn}; before anything was saved: {outcome.begun_again}",
                f"trainings compared: {outcome.runs}; different: {len(outcome.problems)}",
                *outcome.problems,
                f"{outcome.seconds:.1f} s",
            ]
        ),
    )
    console.result(
        {
            "kills": outcome.kills,
            "moments": moments,
            "during_a_write": outcome.torn,
            "begun_again": outcome.begun_again,
            "runs": outcome.runs,
            "differences": outcome.problems,
            "seed": seed,
            "seconds": outcome.seconds,
        }
    )
    if outcome.problems:
        raise Lstm2dError(
            f"{len(outcome.problems)} of {outcome.runs} killed trainings ended otherwise than one not killed",
            hint="report it with the output of lstm2d selftest crash --json",
        )
