"""The optional packages that distribute work."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lstm2d.errors import ConfigError

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
    try:
        return _MODULES[name]()
    except ImportError as error:
        what = f"the package {name} cannot be imported ({error})"
        raise ConfigError(what, hint="pip install 'lstm2d[dask]'") from error
