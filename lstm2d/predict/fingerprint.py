"""Recognise a file by its content, after a cheap comparison of size and times."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from lstm2d.errors import DataError
from lstm2d.io.safe_open import open_regular

_BLOCK = 1 << 20
_TEXT = re.compile(r"sha256:([0-9a-f]{64}) (\d{1,20}) (-?\d{1,20}) (-?\d{1,20})")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Content and times of a file.

    Parameters
    ----------
    sha256 : str
        Digest of the content, 64 hexadecimal digits.
    size : int
        Bytes.
    mtime_ns : int
        Time of the last change of the content, in nanoseconds.
    ctime_ns : int
        Time of the last status change. Programs cannot set it, so it changes even if a copy preserves
        `mtime_ns`.
    """

    sha256: str
    size: int
    mtime_ns: int
    ctime_ns: int

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"sha256:{self.sha256} {self.size} {self.mtime_ns} {self.ctime_ns}"

    @classmethod
    def parse(cls, text: str) -> Fingerprint | None:
        """Parse the text of a fingerprint; return None for any other text."""
        found = _TEXT.fullmatch(text)
        return None if found is None else cls(found[1], int(found[2]), int(found[3]), int(found[4]))

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Fingerprint:
        """Return the fingerprint of a file.

        Parameters
        ----------
        path : str or path
            The file; links are followed.

        Returns
        -------
        Fingerprint
            Its current fingerprint.

        Raises
        ------
        DataError
            If it is missing, no regular file, or cannot be read.
        """
        digest = hashlib.sha256()
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            try:
                while block := file.read(_BLOCK):
                    digest.update(block)
            except OSError as e:
                raise DataError(f"cannot read the file ({e.strerror})", where=path) from e
        return cls(digest.hexdigest(), status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def refreshed(self, path: str | os.PathLike[str]) -> Fingerprint | None:
        """Compare a file with its earlier state.

        Parameters
        ----------
        path : str or path
            The file.

        Returns
        -------
        Fingerprint or None
            None if the content has changed or cannot be read. The file is read only if its size or times
            have changed.
        """
        try:
            status = os.stat(path)
            if (status.st_size, status.st_mtime_ns, status.st_ctime_ns) == (
                self.size,
                self.mtime_ns,
                self.ctime_ns,
            ):
                return self
            now = Fingerprint.of(path) if status.st_size == self.size else None
        except (OSError, ValueError, DataError):
            return None
        return now if now is not None and now.sha256 == self.sha256 else None
