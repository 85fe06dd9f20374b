"""The optional packages that write, check and run ONNX files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from lstm2d.errors import needed_package

TELEMETRY = "ORT_DISABLE_TELEMETRY"  # read by onnxruntime while it is loaded


def optional(name: str) -> Any:
    """Import a package of the extra ``[onnx]``.

    Parameters
    ----------
    name : str
        "onnx", "onnxruntime", or a module of these.

    Returns
    -------
    module
        The module.

    Raises
    ------
    ConfigError
        If it is not installed or cannot be loaded.

    Notes
    -----
    From version 1.29 on, onnxruntime reports each session to its makers, and keeps an identifier of the user
    in the home folder. It does neither if this function is the first to import it.
    """
    with needed_package(name.partition(".")[0], "onnx"), _without_telemetry():
        return import_module(name)


@contextmanager
def _without_telemetry() -> Iterator[None]:
    before = os.environ.get(TELEMETRY)
    os.environ[TELEMETRY] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[TELEMETRY]
        else:
            os.environ[TELEMETRY] = before
