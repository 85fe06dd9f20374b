"""A Dask cluster of processes on this machine, for as long as it is needed."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from lstm2d.errors import ConfigError
from lstm2d.predict.dask_packages import dask_package

HOST = "127.0.0.1"
DEATHS = 2  # of workers that a batch may survive
NOWHERE = f"{HOST}:0"  # distributed always has an HTTP server; here it has no pages
SETTINGS: dict[str, object] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,  # nobody sees it without a dashboard
}


@contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """Start worker processes of one thread each, and a scheduler in this process.

    Parameters
    ----------
    workers : int
        Number of processes.

    Yields
    ------
    distributed.SpecCluster
        The cluster. It can be reached from this machine alone, and only with the certificate that it has in
        memory: other users of the machine cannot run code in it.

    Raises
    ------
    ConfigError
        If distributed or cryptography is not installed, or the processes cannot be started.
    """
    distributed, dask = dask_package("distributed"), dask_package("dask")
    dask_package("cryptography")
    security = distributed.Security.temporary()
    with ExitStack() as stack:
        stack.enter_context(_same_environment())
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="lstm2d-dask-", ignore_cleanup_errors=True)
        )
        stack.enter_context(dask.config.set({**SETTINGS, "temporary-directory": folder}))
        common = {"host": HOST, "protocol": "tls://", "security": security}
        common |= {"dashboard": False, "dashboard_address": NOWHERE}
        worker = {
            **common,
            "nthreads": 1,
            "memory_limit": 0,  # images that are too large are refused, see `max_memory`
            "local_directory": folder,
            "silence_logs": logging.CRITICAL,
        }
        scheduler = {**common, "allowed_failures": DEATHS}
        try:
            with _without_interrupts():
                cluster = distributed.SpecCluster(
                    workers={k: {"cls": distributed.Nanny, "options": worker} for k in range(workers)},
                    scheduler={"cls": distributed.Scheduler, "options": scheduler},
                    security=security,
                    silence_logs=logging.CRITICAL,
                )
        except (OSError, RuntimeError) as error:
            what = f"the processes of a local cluster cannot be started ({error})"
            raise ConfigError(what, where=f"local:{workers}", hint="choose fewer") from error
        stack.callback(cluster.close)
        yield cluster


@contextmanager
def _same_environment() -> Iterator[None]:
    """Restore the environment variables, which distributed sets for its processes in this one."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Block Ctrl-C in the threads and processes that the block starts; this thread gets it at the end.

    A terminal sends it to all of them, and the workers would write tracebacks before they are stopped.
    """
    if sys.platform == "win32":  # cannot block signals
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # unblocks the signals in the thread that first needs it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
