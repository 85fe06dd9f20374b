"""`lstm2d cache clear`: delete cached files."""

from __future__ import annotations

import re

import click

from lstm2d.cli.models import size_text
from lstm2d.cli.output import Console, output_options

UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0}


def age(ctx: click.Context, param: click.Parameter, value: str | None) -> float:
    """Return the seconds of an age such as "30d"; 0 if the option is not given."""
    if value is None:
        return 0.0
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{0,9})?)([dhm])", value.strip())
    if match is None or not float(match[1]):
        raise click.BadParameter(f"{value!r} is not an age such as 30d, 12h or 90m", ctx, param)
    return float(match[1]) * UNITS[match[2]]


@click.command(
    name="clear",
    epilog="""\b
Examples:
  lstm2d cache clear
  lstm2d cache clear --yes
  lstm2d cache clear --older-than 30d --yes""",
)
@click.option(
    "--older-than", callback=age, metavar="AGE", help="Only files not used for this time, such as 30d or 12h."
)
@click.option("--yes", is_flag=True, help="Delete them; without it they are only counted.")
@output_options
def clear_caches(console: Console, *, older_than: float, yes: bool) -> None:
    """Delete cached files.

    Only files that lstm2d wrote are deleted. A training that runs meanwhile
    computes again what it misses, and no result changes.
    """
    from lstm2d.errors import OutputError
    from lstm2d.training.caches import caches, clear

    found = caches()
    chosen = [(cache, cache.unused_for(older_than)) for cache in found]
    others = [str(file.path) for cache in found for file in cache.files if not file.is_ours]
    files = [file for _, files in chosen for file in files]
    deleted = [file for cache, files in chosen for file in clear(files, cache.folder)] if yes else []
    listed = deleted if yes else files
    what = f"{len(listed):,} files, {size_text(sum(file.size for file in listed))}"
    if not files:
        console.answer("nothing to delete")
    else:
        console.answer(f"{what}, deleted" if yes else f"{what}, can be deleted: add --yes")
    if others:
        console.say(f"{len(others)} files are not by lstm2d and stay, such as {others[0]}")
    left = [str(file.path) for file in files if yes and file.path.exists()]
    if left:
        raise OutputError(f"{len(left)} of {len(files)} files cannot be deleted", where=left[0])
    console.result(
        {
            "files": len(listed),
            "bytes": sum(file.size for file in listed),
            "deleted": yes,
            "others": others,
        }
    )
