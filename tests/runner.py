"""A runner of commands that separates stderr from stdout in every version of click."""

import inspect

from click.testing import CliRunner

SEPARATE = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def runner() -> CliRunner:
    """Return click's runner; before click 8.2 it mixed stderr into stdout."""
    return CliRunner(**SEPARATE)
