"""Decide from their contents how masks are to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lstm2d.data.colors import Color
from lstm2d.data.guess import like_gray_levels, smoothed
from lstm2d.data.importers.formats.color_file import ColorFile, find_color_file, read_color_file
from lstm2d.data.importers.formats.mask_contents import Contents
from lstm2d.data.importers.formats.mask_readers import ReadMask, color_reader, number_reader, threshold_reader
from lstm2d.data.importers.source import Options
from lstm2d.data.layout import some
from lstm2d.data.mapping import IGNORE
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.classes import ClassInfo, default_color

HALF = 128  # the threshold that is proposed for black and white masks
_NO_LABEL = "all masks hold only 255, which means unlabelled"
_SHOWN_COLORS = 30
_MANY_COLORS = 64  # more are no colours of classes


@dataclass(frozen=True)
class Decision:
    """How the masks of a source are read.

    Parameters
    ----------
    classes : tuple of ClassInfo
        The classes.
    read : callable
        Reads a mask as class numbers.
    found : tuple of str
        Why they are read so, for the user.
    """

    classes: tuple[ClassInfo, ...]
    read: ReadMask
    found: tuple[str, ...]


@dataclass
class _Needs:
    """What is wrong with the masks, and the options that accept it."""

    problems: list[str]
    options: list[str]
    advice: list[str]


def decide(src: Path, contents: Contents, options: Options) -> Decision:
    """Decide how the masks of folders of images and masks are read.

    Parameters
    ----------
    src : Path
        The source; a file of colours with a usual name in it is used.
    contents : Contents
        What the masks hold.
    options : Options
        Options of the import.

    Returns
    -------
    Decision
        By `threshold` if it is given; else by the file of colours if there is one: by colour if masks have
        colours, or palettes whose colours are all in the file, else by number; without either, by number.

    Raises
    ------
    ConfigError
        If both `threshold` and `colors` are given.
    DataError
        If the masks cannot be read without further options; the message names all of them.
    """
    if options.threshold is not None and options.colors is not None:
        raise ConfigError("`threshold` together with `colors`", hint="leave one out")
    needs = _needs(contents, options)
    notes: list[str] = []
    decision: Decision | None
    if options.threshold is not None:
        decision = _by_threshold(options.threshold, options, ("background", "foreground"))
    else:
        table, notes = _color_file(src, options)
        decision = _by_file(contents, table, options, needs) if table else _guessed(contents, needs)
    _refuse(src, needs)
    assert decision is not None  # otherwise there are needs
    return replace(decision, found=(*notes, *decision.found))


def decide_two(
    src: Path, contents: Contents, options: Options, names: tuple[str, str], threshold: int = HALF
) -> Decision:
    """Decide how masks of background and one kind of object are read.

    Parameters
    ----------
    src : Path
        The source.
    contents : Contents
        What the masks hold.
    options : Options
        Options of the import.
    names : tuple of str
        Names of the two classes.
    threshold : int
        Used for gray masks if the options have none.

    Returns
    -------
    Decision
        By number if the masks hold only 0 and 1, else by threshold.

    Raises
    ------
    DataError
        If the masks cannot be read without further options; the message names all of them.
    """
    _refuse(src, _needs(contents, options))
    exact = not contents.lossy and not contents.colors
    if exact and options.threshold is None and set(contents.values) <= {0, 1}:
        return Decision(_two(names), number_reader([0, 1, *[-1] * 254]), ("masks of 0 and 1",))
    return _by_threshold(options.threshold or threshold, options, names)


def _needs(contents: Contents, options: Options) -> _Needs:
    needs = _Needs([], [], [])
    total = len(contents.masks)
    if contents.lossy and not options.jpeg_masks:
        example = contents.lossy[0].name
        needs.problems.append(
            f"{len(contents.lossy)} of {total} masks are JPEG files or others that do not keep class numbers "
            f"(for example {example})"
        )
        needs.options.append("`jpeg_masks=True`")
        if options.threshold is None and options.colors is None and _is_gray(contents):
            needs.options.append(f"`threshold={HALF}`")
    if contents.other_size and not options.resize_masks:
        needs.problems.append(
            f"{len(contents.other_size)} of {total} masks have another size than their images "
            f"(for example {contents.other_size[0]})"
        )
        needs.options.append("`resize_masks=True`")
    return needs


def _refuse(src: Path, needs: _Needs) -> None:
    if needs.problems:
        hint = f"add {' '.join(dict.fromkeys(needs.options))}" if needs.options else ""
        hint = "".join([hint, *needs.advice])
        raise DataError("; ".join(needs.problems), where=src, hint=hint or None)


def _two(names: tuple[str, str]) -> tuple[ClassInfo, ...]:
    return tuple(ClassInfo(name, default_color(k)) for k, name in enumerate(names))


def _is_gray(contents: Contents) -> bool:
    return not contents.colors or contents.nearly_gray


def _by_threshold(threshold: int, options: Options, names: tuple[str, str]) -> Decision:
    line = f"masks: values from {threshold} up are {names[1]}, those below {names[0]}"
    return Decision(_two(names), threshold_reader(threshold, lossy=options.jpeg_masks), (line,))


def _color_file(src: Path, options: Options) -> tuple[ColorFile | None, list[str]]:
    """Return the file of colours that is given or found, and notes."""
    if options.colors is not None:
        return read_color_file(options.colors), []
    path = find_color_file(src)
    if path is None:
        return None, []
    try:
        return read_color_file(path), [f"classes: from {path.name}"]
    except DataError as error:
        return None, [f"{path.name} is not used: {error.what}"]


def _by_file(contents: Contents, table: ColorFile, options: Options, needs: _Needs) -> Decision | None:
    colors = {color for color, _ in table.colors}
    by_color = bool(contents.colors or contents.lossy)
    if not by_color and contents.palette is not None:
        by_color = set(contents.palette.values()) <= colors
    elif not by_color and any(table.values[v] < 0 for v in contents.values):
        by_color = all((v, v, v) in colors for v in contents.values)
    if by_color and not colors:
        needs.problems.append(f"the masks hold colours, and {table.path.name} has only names")
        needs.options.append("`colors=FILE`")
        return None
    if by_color:
        how = "the nearest colour" if options.jpeg_masks else "colour"
        read = color_reader(table.colors, table.classes, nearest=options.jpeg_masks)
    else:
        how = "number"
        hint = f"correct the mask, or add the class to {table.path.name}"
        read = number_reader(table.values, hint=hint)
    return Decision(table.classes, read, (f"masks: read by {how}, {len(table.classes)} classes",))


def _guessed(contents: Contents, needs: _Needs) -> Decision | None:
    """Return classes 0 to the highest number, or add what is needed."""
    values = contents.values
    if contents.colors:
        _need_colors(contents, needs)
        return None
    if contents.lossy:
        needs.options.append(f"`threshold={HALF}`")
        needs.problems += [] if needs.problems else ["masks of gray levels in a format that changes them"]
        return None
    labels = [v for v in values if v != IGNORE]
    shown = some([str(v) for v in values], 8)
    if values == [0, IGNORE]:
        needs.problems.append("the masks hold only 0 and 255: 255 may be a class or mean unlabelled")
        needs.options.append(f"`threshold={HALF}`")
        needs.advice.append(" if 255 is the object")
    elif smoothed(contents.counts):
        needs.problems.append("the masks hold 0, 255 and many values between, as if they had been smoothed")
        needs.options.append(f"`threshold={HALF}`")
    elif len(labels) < 2:
        needs.problems.append(
            f"all labelled pixels hold the same value, {labels[0]}" if labels else _NO_LABEL
        )
    elif len(labels) == 2 and labels[0] == 0 and like_gray_levels(labels):
        needs.problems.append(f"the mask values ({shown}) do not look like class numbers")
        needs.options.append(f"`threshold={(labels[1] + 1) // 2}`")
    elif like_gray_levels(labels):
        needs.problems.append(f"the mask values ({shown}) do not look like class numbers")
        _need_table([(v, v, v) for v in labels], needs)
    else:
        return _numbered(contents, labels[-1] + 1)
    return None


def _numbered(contents: Contents, n_classes: int) -> Decision:
    palette = contents.palette or {}
    colors = [palette.get(k, default_color(k)) for k in range(n_classes)]
    if len(set(colors)) < n_classes:
        colors = [default_color(k) for k in range(n_classes)]
    classes = tuple(ClassInfo(f"class_{k}", color) for k, color in enumerate(colors))
    values = [k if k < n_classes else -1 for k in range(256)]
    values[IGNORE] = IGNORE
    ignored = ", 255 is unlabelled" if contents.counts[IGNORE] else ""
    line = f"masks: class numbers 0 to {n_classes - 1}{ignored}; `colors=FILE` names the classes"
    return Decision(classes, number_reader(values), (line,))


def _need_colors(contents: Contents, needs: _Needs) -> None:
    if contents.nearly_gray and (contents.lossy or len(contents.colors) > _MANY_COLORS):
        needs.problems += [] if needs.problems else ["masks of gray levels, stored as colours"]
        needs.options.append(f"`threshold={HALF}`")
        return
    needs.problems.append(f"masks of {len(contents.colors)} colours, whose classes are not known")
    colors = sorted(contents.colors, key=lambda c: (-contents.colors[c], c))
    _need_table(colors, needs)


def _need_table(colors: Sequence[Color], needs: _Needs) -> None:
    needs.options.append("`colors=FILE`")
    lines = "".join(f"\n    NAME_{k} {r} {g} {b}" for k, (r, g, b) in enumerate(colors[:_SHOWN_COLORS]))
    more = "\n    ..." if len(colors) > _SHOWN_COLORS else ""
    needs.advice.append(f" with the names of the classes in FILE, one per line:{lines}{more}")
