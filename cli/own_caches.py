"""Keep the caches of libraries in the cache folder of the program."""

from __future__ import annotations

import os
from contextlib import suppress

from lstm2d.errors import ConfigError
from lstm2d.io.user_folders import cache_folder

MATPLOTLIB = "MPLCONFIGDIR"  # else it writes to ~/.config/matplotlib and ~/.cache/matplotlib


def keep_caches_together() -> None:
    """Let matplotlib keep its list of fonts in the cache folder, unless the user has chosen a folder."""
    if MATPLOTLIB not in os.environ:
        with suppress(ConfigError):  # there is no home folder
            os.environ[MATPLOTLIB] = str(cache_folder() / "matplotlib")
