"""`lstm2d weights list`: list the imported weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.models import size_text
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import Table, shortened, span

if TYPE_CHECKING:
    from lstm2d.weights.store import StoredWeights


@click.command(
    name="list",
    epilog="""\b
Examples:
  lstm2d weights list
  lstm2d weights list --json
  lstm2d weights list --json --quiet""",
)
@output_options
def list_weights(console: Console) -> None:
    """List the imported weights."""
    from lstm2d.weights.store import store_folder, stored_weights

    found, problems = stored_weights()
    for problem in problems:
        console.warn(str(problem))
    rows = [
        [s.name, s.digest[:16], span(tuple(s.layers)), size_text(s.size), shortened(s.source, 30)]
        for s in found
    ]
    table = Table(["name", "digest", "layers", "size", "imported from"], rows, left=5)
    console.answer(table if rows else f"no weights imported yet ({store_folder()})")
    console.result(
        {
            "folder": str(store_folder()),
            "weights": [as_table(s) for s in found],
            "damaged": [str(problem.where) for problem in problems],
        }
    )


def as_table(stored: StoredWeights) -> dict[str, Any]:
    """Return the description of stored weights for ``--json``.

    Parameters
    ----------
    stored : StoredWeights
        The file.

    Returns
    -------
    dict
        Name, digest, layers, convention, source, path and bytes.
    """
    return {
        "name": stored.name,
        "digest": stored.digest,
        "layers": list(stored.layers),
        "convention": stored.convention,
        "source": stored.source,
        "path": str(stored.path),
        "bytes": stored.size,
    }
