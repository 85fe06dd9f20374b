"""The `lstm2d` command: finds the sub-command that was asked for and loads only that."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click

from lstm2d.cli.output import report_failure

# name -> (where the command lives, one line of help): the help page must not import what the commands need
COMMANDS = {
    "demo": ("lstm2d.cli.demo:demo", "Train, evaluate and label: everything once, no data needed."),
    "train": ("lstm2d.cli.train:train", "Train a network on a folder of images and masks."),
    "predict": ("lstm2d.cli.predict:predict", "Label every pixel of images."),
    "evaluate": ("lstm2d.cli.evaluate:evaluate", "Compare a model's labels with a folder of masks."),
    "models": ("lstm2d.cli.models:models", "List the models that come with the package."),
    "inspect": ("lstm2d.cli.inspect:inspect", "Show what a model file holds."),
    "data": ("lstm2d.cli.data:data", "Make and examine folders of images and masks."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used.

    Parameters
    ----------
    *args : object
        As click's group takes them.
    lazy : mapping of str to (str, str)
        Name of a command: where it lives ("module:object"), and its line on the help page.
    **kwargs : object
        As click's group takes them.
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
            raise TypeError(f"{module}:{name} is no click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed, or say which one was perhaps meant."""
        typed = args[0]
        if typed in self.lazy or typed.startswith("-"):
            return super().resolve_command(ctx, args)
        close = get_close_matches(typed, self.lazy, n=1, cutoff=0.5)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        ctx.fail(f"No such command {typed!r}.{meant}")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run a command line and exit with its code.

        Parameters
        ----------
        args : sequence of str, optional
            The command line without the program's name; by default that of this process.
        *rest : object
            As click's `main` takes them.
        **extra : object
            As click's `main` takes them.
        """
        words = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        try:
            code = super().main(words, *rest, **extra)
        except SystemExit:
            raise
        except BaseException as error:
            sys.exit(report_failure(error, as_json="--json" in words, traceback="--traceback" in words))
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  lstm2d demo
  lstm2d predict outdoor photo.jpg -o out
  lstm2d train lstm2d-5x5 --data my_photos -o my_run

Exit codes: 0 done, 1 unexpected error, 2 wrong usage or config, 3 bad data,
4 some inputs failed, 5 output could not be written, 6 training diverged,
130 interrupted.""",
)
@click.version_option(package_name="lstm2d")
def main() -> None:
    """Label every pixel of a photograph with recurrent networks, on a CPU.

    Nothing is ever downloaded: the models come with the package, and training
    needs only your own images.
    """
