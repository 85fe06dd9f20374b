"""The option ``--dask`` of `lstm2d predict`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from lstm2d.errors import ConfigError

if TYPE_CHECKING:
    from lstm2d.predict.on_dask import OnDask


def cluster_of(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Return the address of a cluster if it is one; None if the option is not given."""
    if value is not None:
        from lstm2d.predict.on_dask import FORMS, OnDask

        try:
            OnDask(value)
        except ConfigError as error:
            raise click.BadParameter(f"{value!r} is not {FORMS}", ctx, param) from error
    return value


def cpu_for_dask(stream: bool) -> str:
    """Return "cpu", where workers compute.

    Parameters
    ----------
    stream : bool
        Whether ``--stream`` is given.

    Returns
    -------
    str
        "cpu".

    Raises
    ------
    ConfigError
        If an option is given that has no effect there.
    """
    given = click.get_current_context().params
    if stream:
        hint = "leave one out; to stream several images at a time, start a process for each --shard"
        raise ConfigError("--dask together with --stream", hint=hint)
    if given["device"] not in ("auto", "cpu") or given["gpu_memory"] is not None:
        raise ConfigError("--dask labels on CPUs", hint="leave out --device and --gpu-memory, or --dask")
    return "cpu"


def way_of(address: str, max_memory: int | None, remark: Callable[[str], None]) -> OnDask:
    """Return the way to compute images on a cluster.

    Parameters
    ----------
    address : str
        From `cluster_of`.
    max_memory : int or None
        Largest memory of a worker process in bytes.
    remark : callable
        Gets a line of text about differing workers.

    Returns
    -------
    OnDask
        With as many threads for an image as ``--threads`` says, by default one.
    """
    from lstm2d.predict.on_dask import OnDask

    threads = click.get_current_context().params["threads"]
    return OnDask(address, threads or 1, max_memory, remark)
