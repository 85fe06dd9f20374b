"""Options that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from lstm2d.errors import ConfigError

if TYPE_CHECKING:
    from lstm2d.predict import Predictor

DEFAULT_CRF = (
    "krahenbuehl"  # a copy: the original needs pydantic, a help page must not (a test compares them)
)


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


def crf_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--crf``, ``--no-crf`` and ``--set``, which `apply_crf` understands."""
    options = [
        click.option(
            "--crf",
            is_flag=False,
            flag_value=DEFAULT_CRF,
            metavar="[NAME]",
            help="Let labels follow the image's edges: a fully connected CRF, with settings of this name."
            f"  [default: the model's own; without NAME: {DEFAULT_CRF}]",
        ),
        click.option("--no-crf", is_flag=True, help="No CRF, also where the model has one."),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="crf.KEY=VALUE",
            help="Change a setting of the CRF; can be repeated.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def apply_crf(predictor: Predictor, name: str | None, off: bool, settings: tuple[str, ...]) -> None:
    """Give a model the CRF that the command line asks for.

    Parameters
    ----------
    predictor : Predictor
        Its `crf`, the model's own, is replaced.
    name : str or None
        Named set; None for the model's own settings, and if it has none and `settings` are given, for
        the default set.
    off : bool
        No CRF.
    settings : tuple of str
        "crf.KEY=VALUE", on top of those.

    Raises
    ------
    ConfigError
        If a setting is wrong, or a CRF is asked for and refused at once.
    """
    if off:
        if name is not None or settings:
            raise ConfigError("--no-crf together with --crf or --set", hint="leave one out")
        predictor.crf = None
    elif name is not None or settings:
        from lstm2d.config.crf import crf_settings

        own = predictor.crf.model_dump() if predictor.crf is not None else DEFAULT_CRF
        predictor.crf = crf_settings(own if name is None else name, settings)
