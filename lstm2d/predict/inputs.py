"""Find the images of a prediction and name their results."""

from __future__ import annotations

import errno
import glob
import itertools
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from lstm2d.errors import ConfigError, DataError
from lstm2d.io.class_files import is_reserved
from lstm2d.io.images import IMAGE_SUFFIXES
from lstm2d.io.label_images import label_suffix
from lstm2d.predict.earlier import Earlier
from lstm2d.predict.left_out import IN_OUTPUT, LeftOut, reason_to_leave_out
from lstm2d.predict.overwriting import refuse_output_among_inputs
from lstm2d.predict.result_names import OVERLAY, PROBABILITIES, result_names

MAX_READINGS = 64  # maximum number of interpretations of a pattern with brackets
_BROKEN = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # of a link that leads nowhere
_BRACKET = "[[]"  # matches a literal "["


@dataclass(frozen=True, slots=True)
class Task:
    """One image to label.

    Parameters
    ----------
    source : Path
        The image file.
    labels : PurePath
        The label image, relative to the output folder; ends in ".png" or ".tif".
    """

    source: Path
    labels: PurePath

    @property
    def overlay(self) -> PurePath:
        """Name of the photograph with its labels laid over it."""
        return self.results[OVERLAY]

    @property
    def probabilities(self) -> PurePath:
        """Name of the file of class probabilities."""
        return self.results[PROBABILITIES]

    @property
    def results(self) -> dict[str, PurePath]:
        """Names of all results there may be, by kind."""
        return result_names(self.labels)


def plan(
    inputs: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    format: str = "palette",
    left_out: LeftOut | None = None,
) -> list[Task]:
    """Find the images and name their results.

    Parameters
    ----------
    inputs : sequence of str or path
        Files; folders, searched with their sub-folders; patterns with ``*``, ``?``, ``[..]`` and ``**``.
        Brackets are literal if nothing matches otherwise.
    out : str or path
        The output folder; it is not searched if it is inside an input folder.
    format : str
        Format of the label images, as for `lstm2d.io.label_images.write_labels`.
    left_out : LeftOut, optional
        Gets files in folders and patterns that look like images but are not labelled, also those in an output
        folder inside an input folder; and what cannot be listed.

    Returns
    -------
    list of Task
        In a fixed order, each file once. Results have the same relative paths in `out` as the images in the
        input folder, or below the part of a pattern before its first wildcard. With several input folders,
        each has its own sub-folder.

    Raises
    ------
    DataError
        If an input does not exist, or there is no image at all; then also if a folder cannot be listed.
    ConfigError
        If results would be written to a folder of input images or replace an input image, or there is no such
        format.

    Notes
    -----
    Images whose results would have the same name (``a.jpg`` and ``a.png``, also names that differ only in
    case or Unicode normal form) keep their ending: ``a.jpg.png``, ``a.png.png``, with a number if that is not
    enough. So do images whose results would have a name that the program itself uses (``legend.jpg``). The
    names depend only on the inputs and the format, so they are equal in all shards and runs.
    """
    left_out, suffix = LeftOut() if left_out is None else left_out, label_suffix(format)
    found = list(_find([os.fspath(i) for i in inputs], Path(out), left_out))
    if not found:
        for error in left_out.unread.values():
            raise error
        raise DataError(
            "no image found",
            where=", ".join(os.fspath(i) for i in inputs),
            expected=f"files that end in {' '.join(IMAGE_SUFFIXES)}",
            hint="; ".join(left_out.lines()) or None,
        )
    tasks = _name(found, suffix)
    results = [path for task in tasks for path in task.results.values()]
    refuse_output_among_inputs([task.source for task in tasks], results, Path(out))
    return tasks


def shard(tasks: Sequence[Task], index: int, count: int) -> list[Task]:
    """Return part `index` of `count` disjoint parts of the tasks.

    Parameters
    ----------
    tasks : sequence of Task
        All tasks.
    index : int
        From 1 to `count`.
    count : int
        Number of parts.

    Returns
    -------
    list of Task
        Every `count`-th task, so that large and small images are spread evenly.

    Raises
    ------
    ConfigError
        If there is no such part.
    """
    if not 1 <= index <= count:
        raise ConfigError(f"no part {index} of {count}", expected=f"1 to {count}")
    return list(tasks[index - 1 :: count])


def _find(inputs: Sequence[str], out: Path, left_out: LeftOut) -> Iterator[tuple[Path, PurePath]]:
    """Yield each image once, with its path relative to its input."""
    folders = sum(os.path.isdir(text) for text in inputs)
    seen: set[str] = set()
    for text in inputs:
        for path, relative in _expand(text, out, left_out, keep_name=folders > 1):
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                yield path, relative


def _expand(text: str, out: Path, left_out: LeftOut, *, keep_name: bool) -> Iterator[tuple[Path, PurePath]]:
    path = Path(text)
    if os.path.isdir(text):
        name = Path(os.path.abspath(text)).name if keep_name else ""
        yield from ((p, PurePath(name) / p.relative_to(path)) for p in _images_in(path, out, left_out))
    elif os.path.lexists(text):
        yield path, PurePath(path.name)
    elif glob.has_magic(text):
        yield from _expand_pattern(text, out, left_out)
    else:
        raise DataError(
            "no such file or folder", where=text, expected="an image, a folder of images or a pattern"
        )


def _expand_pattern(pattern: str, out: Path, left_out: LeftOut) -> Iterator[tuple[Path, PurePath]]:
    for parts in _readings(pattern):
        matches = sorted(glob.glob(os.path.join(*parts), recursive=True))
        if matches:
            break
    else:
        raise DataError("no file matches the pattern", where=pattern)
    fixed = list(itertools.takewhile(lambda part: not glob.has_magic(part.replace(_BRACKET, "")), parts))
    base = Path(*(part.replace(_BRACKET, "[") for part in fixed[: len(parts) - 1]))
    for match in matches:
        path = Path(match)
        found = _images_in(path, out, left_out) if os.path.isdir(path) else filter(_chosen(left_out), [path])
        yield from ((p, p.relative_to(base)) for p in found)


def _readings(pattern: str) -> Iterator[tuple[str, ...]]:
    """Yield the parts of a pattern: first unchanged, then with brackets escaped in some."""
    choices = [
        (part, part.replace("[", _BRACKET)) if "[" in part else (part,) for part in Path(pattern).parts
    ]
    yield from itertools.islice(itertools.product(*choices), MAX_READINGS)


def _images_in(root: Path, out: Path, left_out: LeftOut) -> Iterator[Path]:
    """Yield the images below a folder, except in the output folder, which may hold only results."""
    skip = Path(os.path.realpath(out))
    chosen = _chosen(left_out)
    yield from (path for path in _walk(root, skip, left_out) if chosen(path))
    real_root = Path(os.path.realpath(root))
    if skip != real_root and skip.is_relative_to(real_root) and os.path.isdir(skip):
        earlier = Earlier(out)
        for path in _walk(out, None, left_out):
            if _is_image(path.name) and not earlier.owns(path.relative_to(out)):
                left_out.add(path, IN_OUTPUT)


def _chosen(left_out: LeftOut) -> Callable[[Path], bool]:
    """Return a function that returns whether to label a file, and notes why not."""

    def chosen(path: Path) -> bool:
        if _is_image(path.name):
            return True
        kind = reason_to_leave_out(path)
        if kind is not None:
            left_out.add(path, kind)
        return False

    return chosen


def _walk(root: Path, skip: Path | None, left_out: LeftOut) -> Iterator[Path]:
    """Yield the files below `root`, sorted, without hidden files and loops of links.

    What cannot be listed is added to `left_out`; the rest is yielded all the same.
    """
    real_root = Path(os.path.realpath(root))
    linked: set[Path] = set()  # folders outside the root that a link has led to
    stack = [root]
    while stack:
        folder = stack.pop()
        deeper = []
        for name in _listed(folder, left_out):
            path = folder / name
            if name.startswith("."):
                continue
            if not os.path.isdir(path):
                if _is_image(name) or not _is_barred(path, left_out):
                    yield path
                continue
            real = Path(os.path.realpath(path))
            if real == skip:
                continue
            if path.is_symlink():
                # folders inside the root are found anyway; a folder above it would be an endless loop
                if real.is_relative_to(real_root) or real_root.is_relative_to(real) or real in linked:
                    continue
                linked.add(real)
            deeper.append(path)
        stack.extend(reversed(deeper))


def _listed(folder: Path, left_out: LeftOut) -> list[str]:
    """Return the names in a folder, sorted: those that were listed before an error, if there is one."""
    names = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.append(entry.name)
    except OSError as e:
        left_out.unread[folder] = DataError(f"cannot list the folder ({e.strerror})", where=folder)
    return sorted(names)


def _is_barred(path: Path, left_out: LeftOut) -> bool:
    """Return whether a link leads to what cannot be looked at, where images may be; not if it is broken."""
    if not os.path.islink(path):
        return False
    try:
        os.stat(path)
    except OSError as e:
        if e.errno not in _BROKEN:
            left_out.unread[path] = DataError(f"cannot follow the link ({e.strerror})", where=path)
            return True
    return False


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES)


def _name(found: Iterable[tuple[Path, PurePath]], suffix: str = ".png") -> list[Task]:
    """Give each image a unique name for its results, also on file systems that ignore case."""
    pairs = list(found)
    plain = Counter(_folded(relative.with_suffix("")) for _, relative in pairs)
    taken: set[str] = set()
    tasks = []
    for source, relative in pairs:
        for stem in _stems(relative, alone=plain[_folded(relative.with_suffix(""))] == 1):
            task = Task(source, relative.with_name(f"{stem}{suffix}"))
            names = set(map(_folded, task.results.values()))
            if not names & taken and not any(map(is_reserved, names)):
                break
        taken |= names
        tasks.append(task)
    return tasks


def _folded(path: PurePath) -> str:
    """Return a path for comparison without case and Unicode normal form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", str(path)).casefold())


def _stems(relative: PurePath, *, alone: bool) -> Iterator[str]:
    if alone:
        yield relative.stem
    yield relative.name
    number = 1
    while True:
        number += 1
        yield f"{relative.name}-{number}"
