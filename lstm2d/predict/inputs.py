"""Which images a prediction reads, and what its results are called."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from lstm2d.errors import ConfigError, DataError
from lstm2d.io.class_files import is_reserved
from lstm2d.io.images import IMAGE_SUFFIXES
from lstm2d.io.label_images import label_suffix


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
        return self.labels.with_name(self.labels.name[:-4] + "_overlay.png")

    @property
    def probabilities(self) -> PurePath:
        """Name of the file of class probabilities."""
        return self.labels.with_name(self.labels.name[:-4] + ".npz")


def plan(
    inputs: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str], *, format: str = "palette"
) -> list[Task]:
    """Find the images and name their results.

    Parameters
    ----------
    inputs : sequence of str or path
        Files; folders, searched with their sub-folders; patterns with ``*``, ``?``, ``[..]`` and ``**``.
    out : str or path
        The output folder; it is not searched where it lies in an input folder.
    format : str
        Format of the label images, as for `lstm2d.io.label_images.write_labels`.

    Returns
    -------
    list of Task
        In a fixed order, each file once. Below `out` the results lie as the images lie below the input
        folder, or below the part of a pattern before its first wildcard; of several input folders each has
        its own sub-folder.

    Raises
    ------
    DataError
        If an input does not exist, or there is no image at all.
    ConfigError
        If results would lie in a folder that images are read from, or there is no such format.

    Notes
    -----
    Two images whose results would have one name (``a.jpg`` and ``a.png``, also ``A.jpg`` where a file system
    ignores case) get names with their ending: ``a.jpg.png``, ``a.png.png``, and a number where that is not
    enough. So do images whose results would have the name of a file that the program itself writes
    (``legend.jpg``). The names depend on the inputs and the format alone, so they are the same in each shard
    and each time.
    """
    suffix = label_suffix(format)
    found = list(_find([os.fspath(i) for i in inputs], os.fspath(out)))
    if not found:
        raise DataError(
            "no image found",
            where=", ".join(os.fspath(i) for i in inputs),
            expected=f"files that end in {' '.join(IMAGE_SUFFIXES)}",
        )
    tasks = _name(found, suffix)
    _refuse_output_among_inputs(tasks, Path(out))
    return tasks


def shard(tasks: Sequence[Task], index: int, count: int) -> list[Task]:
    """Return part `index` of `count` parts: together they hold every task exactly once.

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
        Every `count`-th task, so that large and small images spread evenly.

    Raises
    ------
    ConfigError
        If there is no such part.
    """
    if not 1 <= index <= count:
        raise ConfigError(f"no part {index} of {count}", expected="I/N with I from 1 to N")
    return list(tasks[index - 1 :: count])


def _find(inputs: Sequence[str], out: str) -> Iterator[tuple[Path, PurePath]]:
    """Yield each image once, with its path relative to where its input begins."""
    folders = sum(os.path.isdir(text) for text in inputs)
    seen: set[str] = set()
    for text in inputs:
        for path, relative in _expand(text, out, keep_name=folders > 1):
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                yield path, relative


def _expand(text: str, out: str, *, keep_name: bool) -> Iterator[tuple[Path, PurePath]]:
    path = Path(text)
    if os.path.isdir(text):
        name = Path(os.path.abspath(text)).name if keep_name else ""
        yield from ((p, PurePath(name) / p.relative_to(path)) for p in _walk(path, out))
    elif os.path.lexists(text):
        yield path, PurePath(path.name)
    elif glob.has_magic(text):
        yield from _expand_pattern(text, out)
    else:
        raise DataError(
            "no such file or folder", where=text, expected="an image, a folder of images or a pattern"
        )


def _expand_pattern(pattern: str, out: str) -> Iterator[tuple[Path, PurePath]]:
    parts = Path(pattern).parts
    fixed = next(k for k, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[:fixed])
    matches = sorted(glob.glob(pattern, recursive=True))
    if not matches:
        raise DataError("no file matches the pattern", where=pattern)
    for match in matches:
        path = Path(match)
        for p in _walk(path, out) if path.is_dir() else [path] if _is_image(path.name) else []:
            yield p, p.relative_to(base)


def _walk(root: Path, out: str) -> Iterator[Path]:
    """Yield what looks like an image below `root`, sorted, without hidden files and never in circles."""
    real_root = Path(os.path.realpath(root))
    skip = Path(os.path.realpath(out))
    linked: set[Path] = set()  # folders outside the root that a link has led to
    stack = [root]
    while stack:
        folder = stack.pop()
        deeper = []
        for entry in _listed(folder):
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if not path.is_dir():
                if _is_image(entry.name):
                    yield path
                continue
            real = Path(os.path.realpath(path))
            if real == skip:
                continue
            if path.is_symlink():
                # inside the root a folder is found by its own name; above it the way leads round for ever
                if real.is_relative_to(real_root) or real_root.is_relative_to(real) or real in linked:
                    continue
                linked.add(real)
            deeper.append(path)
        stack.extend(reversed(deeper))


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as e:
        raise DataError(f"cannot list the folder ({e.strerror})", where=folder) from e


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES)


def _name(found: Iterable[tuple[Path, PurePath]], suffix: str = ".png") -> list[Task]:
    """Give each image a name for its results that no other has, also where case makes no difference."""
    pairs = list(found)
    plain = Counter(str(relative.with_suffix("")).casefold() for _, relative in pairs)
    taken: set[str] = set()
    tasks = []
    for source, relative in pairs:
        for stem in _stems(relative, alone=plain[str(relative.with_suffix("")).casefold()] == 1):
            task = Task(source, relative.with_name(f"{stem}{suffix}"))
            names = {str(p).casefold() for p in (task.labels, task.overlay, task.probabilities)}
            if not names & taken and not any(map(is_reserved, names)):
                break
        taken |= names
        tasks.append(task)
    return tasks


def _stems(relative: PurePath, *, alone: bool) -> Iterator[str]:
    if alone:
        yield relative.stem
    yield relative.name
    number = 1
    while True:
        number += 1
        yield f"{relative.name}-{number}"


def _refuse_output_among_inputs(tasks: Iterable[Task], out: Path) -> None:
    """Results between photographs could replace one, and would be taken for photographs the next time."""
    read = {task.source.parent for task in tasks}
    written = {(out / task.labels).parent for task in tasks}
    both = {os.path.realpath(p) for p in read} & {os.path.realpath(p) for p in written}
    if both:
        raise ConfigError(
            "the results would lie among the images", where=min(both), hint="give another folder: -o out"
        )
