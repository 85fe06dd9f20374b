"""Errors that the library raises, each with the exit code of a command that it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from lstm2d.shown import printable, shown, shown_lines


class Lstm2dError(Exception):
    """An error that says what happened, where, what was expected and what to do.

    Parameters
    ----------
    what : str
        What happened.
    where : object, optional
        The file, key or input it happened to.
    expected : str, optional
        What would have been valid.
    hint : str, optional
        What to do now.

    Notes
    -----
    No name in a text forges a line: a line break is kept only before an indented line, and in hints, whose
    names are escaped by `lstm2d.shown.shown`.

    Texts name parameters of functions in backticks, alone or with a value: "a smaller `size`",
    "`device='cpu'`". The command line replaces them by its options, see `lstm2d.cli.option_names`.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        what = shown_lines(what)
        expected = None if expected is None else shown_lines(expected)
        hint = None if hint is None else printable(hint)
        self.what, self.where, self.expected, self.hint = what, where, expected, hint
        lines = [what if where is None else f"{what}: {shown(where)}"]
        if expected is not None:
            lines.append(f"  expected: {expected}")
        if hint is not None:
            lines.append(f"  do: {hint}")
        super().__init__("\n".join(lines))


class ShapeError(Lstm2dError, ValueError):
    """An array has the wrong number of axes or the wrong size."""


class ModuleError(Lstm2dError, TypeError):
    """A network holds parameters where they are not found."""


class GraphError(Lstm2dError, RuntimeError):
    """A recorded computation was used after its backward pass, which frees it."""


class ConfigError(Lstm2dError):
    """A configuration or an argument cannot be used."""

    exit_code = 2


class ThreadsError(ConfigError, ValueError):
    """A number of threads cannot be used."""


class DataError(Lstm2dError):
    """An input file or folder is missing, broken or inconsistent.

    Attributes
    ----------
    place : tuple of int or None
        Row and column of the pixel that is wrong, if it is one.
    """

    exit_code = 3
    place: tuple[int, int] | None = None

    def at(self, row: int, column: int) -> Self:
        """Set the place of the wrong pixel; return the error."""
        self.place = (row, column)
        return self


class SomeFailedError(Lstm2dError):
    """Some inputs failed; the others were processed."""

    exit_code = 4


class OutputError(Lstm2dError):
    """A result could not be written."""

    exit_code = 5


class DivergedError(Lstm2dError):
    """Training met a loss or a gradient that is not finite."""

    exit_code = 6


class InterruptedRun(Lstm2dError):
    """The user stopped a run; a checkpoint was saved."""

    exit_code = 130


class ImageWarning(UserWarning):
    """Something about an image was guessed, converted or left out."""


class TrainingWarning(UserWarning):
    """A run is in danger of failing."""


@contextmanager
def needed_package(name: str, extra: str) -> Iterator[None]:
    """Turn a failed import of an optional package inside of the block into an error that names the extra.

    Parameters
    ----------
    name : str
        The package.
    extra : str
        The extra of lstm2d that installs it.

    Yields
    ------
    None

    Raises
    ------
    ConfigError
        If the package is not installed or cannot be loaded.
    """
    try:
        yield
    except ImportError as error:
        what = f"the package {name} cannot be imported ({error})"
        raise ConfigError(what, hint=f"pip install 'lstm2d[{extra}]'") from error
