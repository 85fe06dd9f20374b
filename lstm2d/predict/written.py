"""Check that written results still exist before they are reported."""

from __future__ import annotations

from pathlib import Path

from lstm2d.errors import OutputError
from lstm2d.predict.packed import Packed


class Written:
    """The results written so far."""

    def __init__(self) -> None:
        self._sizes = Packed()

    def add(self, path: Path, size: int) -> None:
        """Add a result and its size in bytes."""
        self._sizes.append((str(path), size))

    def refuse_missing(self, cause: OutputError | None = None) -> None:
        """Check by their sizes that all results exist.

        Parameters
        ----------
        cause : OutputError, optional
            The error that stopped the prediction, if any.

        Raises
        ------
        OutputError
            If results are missing or truncated.
        """
        sizes: dict[str, int] = dict(self._sizes)
        missing = [path for path, size in sizes.items() if not _has_size(Path(path), size)]
        if missing:
            raise OutputError(
                f"{len(missing)} of {len(sizes)} written results are missing: "
                "the output folder was deleted or replaced in the meantime",
                where=missing[0],
                hint="predict again, with `skip_done=True` to keep the remaining ones",
            ) from cause


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
