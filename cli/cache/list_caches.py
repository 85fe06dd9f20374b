"""`lstm2d cache list`: list the caches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.models import size_text
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import fields

if TYPE_CHECKING:
    from lstm2d.training.caches import Cache


@click.command(
    name="list",
    epilog="""\b
Examples:
  lstm2d cache list
  lstm2d cache list --json
  lstm2d cache list --json --quiet""",
)
@output_options
def list_caches(console: Console) -> None:
    """List the caches: what they hold, size, last use, and the runs that used them."""
    from lstm2d.io.user_folders import cache_folder
    from lstm2d.training.caches import caches

    found = caches()
    total = sum(cache.size for cache in found)
    texts = [describe(cache) for cache in found]
    texts.append(f"{size_text(total)} in all" if found else f"nothing is cached ({cache_folder()})")
    console.answer("\n\n".join(texts))
    console.result(
        {"folder": str(cache_folder()), "bytes": total, "caches": [as_table(cache) for cache in found]}
    )


def describe(cache: Cache) -> str:
    """Return the description of a cache, one line per fact.

    Parameters
    ----------
    cache : Cache
        The cache.

    Returns
    -------
    str
        At most 80 columns wide, unless a path is longer.
    """
    runs = [f"{run} (data: {data})" for run, data in cache.runs]
    facts = [
        ("  folder", str(cache.folder)),
        ("  size", f"{size_text(cache.size)}, {cache.count:,} files"),
        ("  last use", time.strftime("%Y-%m-%d %H:%M", time.localtime(cache.used)) if cache.count else "-"),
    ]
    if cache.kind == "features":
        facts += [("  used by", run) for run in runs] or [("  used by", "not recorded")]
    return f"{cache.kind}\n{fields(facts)}"


def as_table(cache: Cache) -> dict[str, Any]:
    """Return the description of a cache for ``--json``.

    Parameters
    ----------
    cache : Cache
        The cache.

    Returns
    -------
    dict
        Kind, path, bytes, files, last use (seconds since 1970) and runs.
    """
    return {
        "kind": cache.kind,
        "path": str(cache.folder),
        "bytes": cache.size,
        "files": cache.count,
        "last_use": cache.used if cache.count else None,
        "runs": [{"run": run, "data": data} for run, data in cache.runs],
    }
