"""The optional packages that write, check and run ONNX files."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lstm2d.errors import ConfigError


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
    """
    try:
        return import_module(name)
    except ImportError as e:
        package = name.partition(".")[0]
        raise ConfigError(
            f"the package {package} cannot be imported ({e})", hint="pip install 'lstm2d[onnx]'"
        ) from e
