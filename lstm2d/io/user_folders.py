"""Folders for a user's data and cached files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lstm2d.errors import ConfigError

_PROGRAM = "lstm2d"


def data_folder() -> Path:
    r"""Return the folder for user data, such as imported weights.

    Returns
    -------
    Path
        ``$LSTM2D_DATA``, else ``$XDG_DATA_HOME/lstm2d`` or ``~/.local/share/lstm2d`` (macOS:
        ``~/Library/Application Support/lstm2d``, Windows: ``%LOCALAPPDATA%\lstm2d``). It may not exist.

    Raises
    ------
    ConfigError
        If the user has no home folder.
    """
    return _folder("LSTM2D_DATA", "XDG_DATA_HOME", ".local/share", "Library/Application Support", "")


def cache_folder() -> Path:
    r"""Return the folder for cached files, which can be computed again.

    Returns
    -------
    Path
        ``$LSTM2D_CACHE``, else ``$XDG_CACHE_HOME/lstm2d`` or ``~/.cache/lstm2d`` (macOS:
        ``~/Library/Caches/lstm2d``, Windows: ``%LOCALAPPDATA%\lstm2d\cache``). It may not exist.

    Raises
    ------
    ConfigError
        If the user has no home folder.
    """
    return _folder("LSTM2D_CACHE", "XDG_CACHE_HOME", ".cache", "Library/Caches", "cache")


def compiled_folder() -> Path:
    """Return the folder that holds the folders of compiled loops, as `lstm2d.kernels` finds it.

    Returns
    -------
    Path
        ``$LSTM2D_CACHE``, else ``$XDG_CACHE_HOME/lstm2d`` or ``~/.cache/lstm2d`` on every system. It may not
        exist.

    Raises
    ------
    ConfigError
        If the user has no home folder.
    """
    return _folder("LSTM2D_CACHE", "XDG_CACHE_HOME", ".cache", ".cache", None)


def _folder(own: str, xdg: str, linux: str, mac: str, windows: str | None) -> Path:
    chosen = os.environ.get(own)
    if chosen:
        return Path(chosen).absolute()
    if windows is not None and sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"], _PROGRAM, windows)
    base = os.environ.get(xdg, "")
    if os.path.isabs(base):  # the XDG specification ignores relative paths
        return Path(base, _PROGRAM)
    try:
        return Path.home() / (mac if sys.platform == "darwin" else linux) / _PROGRAM
    except RuntimeError as e:
        raise ConfigError("there is no home folder", hint=f"set {own} to a folder of yours") from e
