"""`lstm2d cache`: what is cached on disk, and how to clear it."""

from __future__ import annotations

import click

from lstm2d.cli.groups import LazyGroup

COMMANDS = {
    "list": ("lstm2d.cli.cache.list_caches:list_caches", "List the caches: size, last use, runs."),
    "clear": ("lstm2d.cli.cache.clear:clear_caches", "Delete cached files."),
}


class ListByDefault(LazyGroup):
    """A group that runs `list` if no command is given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert the default command."""
        first = args[0] if args else ""
        if not args or (first.startswith("-") and first not in self.get_help_option_names(ctx)):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=ListByDefault,
    lazy=COMMANDS,
    epilog="""\b
Examples:
  lstm2d cache
  lstm2d cache list --json
  lstm2d cache clear --older-than 30d --yes""",
)
def cache() -> None:
    """List and clear what is cached on disk.

    Cached are the features of images, which networks with imported layers
    compute once, and loops that Numba has compiled. Both are made again when
    they are needed. Without a command, the caches are listed.
    """
