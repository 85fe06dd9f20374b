"""What a prediction has written: it must be there when that is reported."""

from __future__ import annotations

from pathlib import Path

from lstm2d.errors import OutputError


class Written:
    """The results written so far."""

    def __init__(self) -> None:
        self._sizes: dict[Path, int] = {}

    def add(self, path: Path, size: int) -> None:
        """Remember a result and its bytes."""
        self._sizes[path] = size

    def refuse_missing(self, cause: OutputError | None = None) -> None:
        """Make sure that all results are there, by their sizes.

        Parameters
        ----------
        cause : OutputError, optional
            The error that made the work stop, if any.

        Raises
        ------
        OutputError
            If results are missing or cut short.
        """
        missing = [path for path, size in self._sizes.items() if not _has_size(path, size)]
        if missing:
            raise OutputError(
                f"{len(missing)} of {len(self._sizes)} results that were written are gone: "
                "the output folder was deleted or replaced during the work",
                where=missing[0],
                hint="run the command again, with --skip-done to keep what is left",
            ) from cause


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
