"""Read members of untrusted zip files; nothing is extracted, and only what is needed is read."""

from __future__ import annotations

import zipfile
import zlib
from typing import BinaryIO

from lstm2d.errors import DataError
from lstm2d.weights.lazy_array import damaged, short

_MAX_MEMBERS = 10_000  # torch writes one per tensor and a few more
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_FAILURES = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


class ZipMembers:
    """The members of an open zip file.

    Parameters
    ----------
    file : BinaryIO
        The file; it must stay open.
    path : object
        Its name, for messages.

    Raises
    ------
    DataError
        If it is not a zip file, or two members have the same name.
    """

    def __init__(self, file: BinaryIO, path: object) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(file)
        except _FAILURES as e:
            raise damaged(f"it is truncated or not a zip file: {e}", path) from e
        members = self._zip.infolist()
        self._members = {member.filename: member for member in members}
        if len(members) > _MAX_MEMBERS:
            raise damaged(f"it has {len(members)} members", path)
        if len(self._members) != len(members):
            raise damaged("two of its members have the same name", path)

    @property
    def names(self) -> list[str]:
        """Names of all members."""
        return list(self._members)

    def size(self, name: str) -> int:
        """Return the stated size of a member in bytes."""
        return self._member(name).file_size

    def read(self, name: str, *, limit: int, beginning: bool = False) -> bytes:
        """Read one member.

        Parameters
        ----------
        name : str
            Its name.
        limit : int
            Maximum size in bytes.
        beginning : bool, default False
            Read only its first `limit` bytes, where there are more.

        Returns
        -------
        bytes
            Its contents.

        Raises
        ------
        DataError
            If it is missing, larger, or damaged.
        """
        member = self._member(name)
        if member.compress_type not in _COMPRESSIONS:
            raise damaged(f"{short(name)} is compressed in an unusual way", self._path)
        if member.file_size > limit and not beginning:
            raise self._too_large(name, limit)
        try:
            with self._zip.open(member) as file:
                data = file.read(limit if beginning else limit + 1)  # at most the stated size
        except _FAILURES as e:
            raise damaged(f"{short(name)}: {e}", self._path) from e
        if len(data) > limit:
            raise self._too_large(name, limit)
        if not beginning and len(data) != member.file_size:
            raise damaged(f"{short(name)} is truncated", self._path)
        return data

    def _member(self, name: str) -> zipfile.ZipInfo:
        if name not in self._members:
            raise damaged(f"it lacks {short(name)}", self._path)
        return self._members[name]

    def _too_large(self, name: str, limit: int) -> DataError:
        return damaged(f"{short(name)} is larger than {limit} bytes", self._path)
