"""An output folder: only files that the same kind of command wrote are replaced or removed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path, PurePath
from types import TracebackType
from typing import Self

from lstm2d.errors import ConfigError, DataError, OutputError
from lstm2d.io.atomic import make_folder, write_bytes, write_text
from lstm2d.io.locks import locked_folder
from lstm2d.io.parse import parse_json
from lstm2d.io.replacing import refuse_to_replace
from lstm2d.io.safe_open import read_text
from lstm2d.predict.overwriting import refuse_output_among_inputs

EVALUATION, HIERARCHY, CHECK = "evaluation", "hierarchy", "check"  # kinds
RECORD = ".lstm2d-{kind}.json"  # the files that results of a kind have in the folder
FORMAT = "lstm2d {kind} 1"


class ResultFolder:
    """Writes the files of a result, such as an evaluation, as a context manager.

    At its beginning it creates the folder and its sub-folders, so that a folder that cannot be written is an
    error before the work. At its end the files of earlier results that were not written again are removed.
    After an exception these stay, and folders are removed that were created and are empty.

    Parameters
    ----------
    root : str or path
        The folder.
    names : iterable of PurePath
        All files that may be written, relative to it.
    data : sequence of Path
        Files of the dataset: nothing is written to their folders.
    models : sequence of Path
        Model files, which are never replaced.
    overwrite : bool
        Use a folder with other files, and replace files of these names.
    kind : str, default "evaluation"
        Kind of the results. The folder has a record for each kind.

    Raises
    ------
    ConfigError
        If there is a file of this name, the folder holds files and has no earlier result of this kind, or a
        file would be replaced that no such result wrote.
    OutputError
        If a folder has the name of a file to write.

    Notes
    -----
    Only one process at a time writes to the folder: `__enter__` raises ConfigError in a second one.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        names: Iterable[PurePath],
        *,
        data: Sequence[Path],
        models: Sequence[Path],
        overwrite: bool,
        kind: str = EVALUATION,
    ) -> None:
        self.root = Path(root)
        self.kind = kind
        self.names = [*names]
        if os.path.lexists(self.root) and not os.path.isdir(self.root):
            raise ConfigError(
                "the output folder has the name of a file",
                where=root,
                expected="a folder, or a name that ends in .csv for a table of the images",
                hint="give another name: `out`",
            )
        refuse_output_among_inputs(data, self.names, self.root)
        earlier = self._read_record()
        self._earlier = earlier or set()
        self._had_record = earlier is not None
        self._written: set[str] = set()
        self._made: list[Path] = []
        self._lock = ExitStack()
        self._refuse_others(models, overwrite)

    def _refuse_others(self, models: Sequence[Path], overwrite: bool) -> None:
        if not overwrite and not self._had_record and os.path.isdir(self.root) and any(self.root.iterdir()):
            what = f"the folder is not empty, and not from an earlier {self.kind}"
            hint = "choose another folder: `out`; `overwrite=True` adds the results to this one"
            raise ConfigError(what, where=self.root, hint=hint)
        for name in self.names:
            path = self.root / name
            if os.path.isdir(path):
                raise OutputError("a folder has the name of a file to write", where=path, hint="rename it")
            refuse_to_replace(
                path,
                is_ours=lambda path: self._owns(path.relative_to(self.root)),
                inputs=models,
                overwrite=overwrite,
            )

    def __enter__(self) -> Self:
        """Create the folders and record the files to come: a killed command owns them too."""
        self._made = [folder for folder in self._folders() if not os.path.exists(folder)]
        for folder in self._folders():
            make_folder(folder)
        self._lock.enter_context(locked_folder(self.root, "another process writes results into this folder"))
        try:
            self._record({*self._earlier, *(name.as_posix() for name in self.names)})
        except BaseException:
            self._lock.close()
            raise
        return self

    def write(self, name: PurePath, data: bytes) -> None:
        """Write a file; raise OutputError if it cannot be written."""
        self._written.add(name.as_posix())  # first: it may be there even if the last step fails
        write_bytes(self.root / name, data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what is left of earlier results, or after an exception what was only begun."""
        with self._lock:
            self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        if error is None:
            for name in sorted(self._earlier - self._written):
                self._remove(PurePath(name))
            self._record(self._written)
            return
        with suppress(OutputError, OSError):  # the exception matters more
            owned = self._earlier | self._written
            if self._had_record or self._written:
                self._record(owned)
            else:
                self._record_file.unlink()
            for folder in reversed(self._made):
                folder.rmdir()  # fails if there is anything in it

    def _folders(self) -> list[Path]:
        return list(dict.fromkeys([self.root, *((self.root / name).parent for name in self.names)]))

    def _record(self, names: Iterable[str]) -> None:
        content = {"format": FORMAT.format(kind=self.kind), "files": sorted(names)}
        write_text(self._record_file, json.dumps(content) + "\n")

    @property
    def _record_file(self) -> Path:
        return self.root / RECORD.format(kind=self.kind)

    def _read_record(self) -> set[str] | None:
        """Return the files that earlier results wrote; None if there is no record."""
        try:
            content = parse_json(read_text(self._record_file))
            if content["format"] != FORMAT.format(kind=self.kind):
                return None
            return {name for name in content["files"] if isinstance(name, str) and _is_inside(name)}
        except (DataError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def _owns(self, name: PurePath) -> bool:
        """Return whether an earlier result wrote a file; not through a link to another folder."""
        inside = Path(os.path.realpath((self.root / name).parent))
        return name.as_posix() in self._earlier and inside == Path(os.path.realpath(self.root), name.parent)

    def _remove(self, name: PurePath) -> None:
        path = self.root / name
        if not self._owns(name) or not os.path.lexists(path) or os.path.isdir(path):
            return
        try:
            path.unlink()
        except OSError as error:
            raise OutputError(f"cannot remove an earlier file ({error.strerror})", where=path) from error
        if path.parent != self.root:
            with suppress(OSError):  # not empty
                path.parent.rmdir()


def _is_inside(name: str) -> bool:
    path = PurePath(name)
    return not path.is_absolute() and ".." not in path.parts and path.parts != ()
