"""`lstm2d config schema`: list every key of a configuration with its range and default."""

from __future__ import annotations

import click

from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import fields


@click.command(
    epilog="""\b
Examples:
  lstm2d config schema
  lstm2d config schema --json
  lstm2d config schema --json --quiet > lstm2d.schema.json"""
)
@output_options
def schema(console: Console) -> None:
    """List every key of a configuration with its range and default.

    With --json, the result is a JSON schema.
    """
    from lstm2d.config.ranges import json_schema, keys

    lines = [
        f"{key}\n"
        + fields(
            [("  value", values), ("  default", "none, it must be given" if default is None else default)]
        )
        for key, values, default in keys()
    ]
    console.answer("\n".join(lines))
    console.result(json_schema())
