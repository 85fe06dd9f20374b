"""Report errors as text or JSON, with an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback as tracebacks

import click

from lstm2d.cli import streams
from lstm2d.cli.option_names import with_options
from lstm2d.cli.text import to_json
from lstm2d.errors import ConfigError, DataError, Lstm2dError, OutputError
from lstm2d.shown import printable

INTERRUPTED = 130
# what an untranslated OSError is about: with these numbers, or from these functions, a result could not be
# written, else something could not be read
OUTPUT_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EPIPE}
TOO_MANY = {errno.EMFILE, errno.ENFILE}
WRITERS = {
    "chmod", "copyfile", "makedirs", "mkdir", "mkdtemp", "mkstemp", "remove", "rename", "replace", "rmdir",
    "rmtree", "symlink_to", "touch", "unlink", "write_bytes", "write_text",
}  # fmt: skip


def show_failure(error: BaseException, *, as_json: bool, traceback: bool) -> int:
    """Print why a command failed.

    Parameters
    ----------
    error : BaseException
        The error.
    as_json : bool
        Write ``{"error": {...}}`` on stdout too.
    traceback : bool
        Also show the Python traceback.

    Returns
    -------
    int
        The exit code of the process.
    """
    if traceback and not isinstance(error, click.ClickException):
        click.echo(traceback_of(error), err=True, nl=False)
    if isinstance(error, click.ClickException):
        error.show()
        code, described = error.exit_code, {"what": error.format_message()}
    elif isinstance(error, KeyboardInterrupt | click.Abort):
        click.echo("Interrupted.", err=True)
        code, described = INTERRUPTED, {"what": "interrupted"}
    else:
        shown = _explained(error)
        click.echo(printable(with_options(f"Error: {shown}")), err=True)
        code = shown.exit_code
        parts = {k: getattr(shown, k) for k in ("what", "where", "expected", "hint")}
        described = {k: with_options(str(v)) for k, v in parts.items() if v is not None}
    if as_json:
        kind = type(error).__name__
        click.echo(to_json({"error": {"kind": kind, **described, "exit_code": code}}))
    return code


def traceback_of(error: BaseException) -> str:
    """Return the Python traceback of an error as printable text."""
    return printable("".join(tracebacks.format_exception(error)))


def final_code(code: int) -> int:
    """Return the exit code of the process; lost output is a failure too.

    Parameters
    ----------
    code : int
        The command's exit code; takes precedence if it is not 0.

    Returns
    -------
    int
        That of `OutputError` if writing to stdout failed.
    """
    lost = streams.unwritten(sys.stdout)
    if lost is None or code != 0:
        return code
    if lost.errno == errno.EPIPE:
        return OutputError.exit_code  # the reader, such as `head`, has closed the pipe and expects no message
    error = OutputError(
        f"cannot write to stdout ({lost.strerror})", hint="redirect it elsewhere; all files were written"
    )
    return show_failure(error, as_json=False, traceback=False)


def _explained(error: BaseException) -> Lstm2dError:
    """Convert an error to the one shown to users."""
    if isinstance(error, FileNotFoundError | DataError | OutputError) and not _has_working_folder():
        error = _without_working_folder(error)
    if isinstance(error, Lstm2dError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return _of_file(error)
    where = next(iter(getattr(error, "__notes__", ())), None)  # the image, if it was one of many
    if isinstance(error, MemoryError):
        from lstm2d.kernels.gpu import out_of_memory

        return out_of_memory(error, where=where, hint="use smaller images, or close other programs")
    text = f"unexpected {type(error).__name__}: {error}"
    hint = "run again with --traceback (or LSTM2D_TRACEBACK=1) to see where it occurred"
    return Lstm2dError(text, where=where, hint=hint)


def _of_file(error: OSError) -> Lstm2dError:
    """Convert the error of a file or folder that the library has not translated."""
    reason = error.strerror or str(error)
    frames = tracebacks.extract_tb(error.__traceback__)
    if error.errno in OUTPUT_ERRNOS or any(frame.name in WRITERS for frame in frames):
        return OutputError(f"cannot write ({reason})", where=error.filename)
    hint = "close other programs, or raise the limit: ulimit -n" if error.errno in TOO_MANY else None
    return DataError(f"cannot read ({reason})", where=error.filename, hint=hint)


def _has_working_folder() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _without_working_folder(error: FileNotFoundError | DataError | OutputError) -> Exception:
    """Explain a failure of a relative path; return errors of absolute paths unchanged."""
    gone = "the working folder was removed"
    where = error.filename if isinstance(error, FileNotFoundError) else error.where
    if where is not None and os.path.isabs(str(where)):
        return error
    if isinstance(error, FileNotFoundError):
        return ConfigError(gone, where=where, hint="change to a folder that exists")
    hint = f"change to a folder that exists: {gone}"
    return type(error)(error.what, where=where, expected=error.expected, hint=hint)
