"""Groups of commands, imported on use, with suggestions for mistyped names."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click

from lstm2d.cli.failures import final_code, show_failure


class LazyGroup(click.Group):
    """A group whose commands are imported on use.

    Parameters
    ----------
    *args : object
        Arguments of `click.Group`.
    lazy : mapping of str to (str, str)
        Command name: location ("module:object") and help line.
    **kwargs : object
        Arguments of `click.Group`.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the help page."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.lazy:
            return None
        module, _, name = self.lazy[cmd_name][0].partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{name} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; suggest a similar one if it does not exist."""
        typed, known = args[0], self.list_commands(ctx)
        if typed in known or typed.startswith("-"):
            return super().resolve_command(ctx, args)
        close = get_close_matches(typed, known, n=1, cutoff=0.5)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        ctx.fail(f"No such command {typed!r}.{meant}")


class Program(LazyGroup):
    """The program: a group that always exits with a code."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run a command line and exit with its code.

        Parameters
        ----------
        args : sequence of str, optional
            The command line without the program's name; by default that of this process.
        *rest : object
            Arguments of `click.Group.main`.
        **extra : object
            Arguments of `click.Group.main`.
        """
        words = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        try:
            code = super().main(words, *rest, **extra)
        except SystemExit:
            raise
        except BaseException as error:
            code = show_failure(error, as_json="--json" in words, traceback="--traceback" in words)
        sys.exit(final_code(code if isinstance(code, int) else 0))
