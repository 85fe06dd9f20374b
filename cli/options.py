"""Options that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable

import click

from lstm2d.errors import ConfigError


def compute_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--threads`` and ``--device``, and apply them before the command runs.

    Parameters
    ----------
    command : callable
        Takes the command's own parameters.

    Returns
    -------
    callable
        To be decorated by `output_options`, which gives the error about a wrong device its form.
    """

    @click.option(
        "--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads; changes no result."
    )
    @click.option("--device", default="auto", show_default=True, metavar="DEVICE", help="auto or cpu.")
    @functools.wraps(command)
    def run(*args: object, threads: int | None, device: str, **kwargs: object) -> None:
        check_device(device)
        if threads is not None:
            from lstm2d.kernels.threads import set_num_threads

            set_num_threads(threads)
        command(*args, **kwargs)

    return run


def check_device(device: str) -> None:
    """Accept what this build can compute on.

    Parameters
    ----------
    device : str
        What the user asked for.

    Raises
    ------
    ConfigError
        If it is not the CPU.
    """
    kind, _, number = device.partition(":")
    if kind == "cuda" and (not number or number.isdigit()):
        raise ConfigError(
            "this build has no GPU kernels",
            where=f"--device {device}",
            expected="auto or cpu",
            hint="leave it out",
        )
    if device not in ("auto", "cpu"):
        raise ConfigError("unknown device", where=f"--device {device}", expected="auto or cpu")
