"""The optional packages that distribute work."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lstm2d.errors import needed_package

_MODULES = {
    "distributed": lambda: import_module("distributed"),
    "dask": lambda: import_module("dask"),
    "cryptography": lambda: import_module("cryptography"),
}


def dask_package(name: str) -> Any:
    """Import a package of the extra ``[dask]``.

    Parameters
    ----------
    name : str
        "distributed", "dask" or "cryptography".

    Returns
    -------
    module
        The module.

    Raises
    ------
    ConfigError
        If it is not installed or cannot be loaded.
    """
    with needed_package(name, "dask"):
        return _MODULES[name]()
