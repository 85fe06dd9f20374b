"""Cases of names."""

from __future__ import annotations

import os
from collections.abc import Callable

from PIL import Image

from lstm2d.reliability.inputs.case import OK, CannotMakeError, Case, Place, bad, case, ok
from lstm2d.reliability.inputs.drawn import labels_of, photo_of

LONGEST = 255  # bytes of a name on most file systems


def named(stem: str, label: str | None = None) -> Callable[[Place], None]:
    """Return a function that gives the odd image, its mask and its line of the split another stem.

    Parameters
    ----------
    stem : str
        The stem.
    label : str, optional
        Name of its label image, if it is not that of the image.

    Returns
    -------
    callable
        The function.
    """

    def write(place: Place) -> None:
        for folder in ("images", "masks"):
            old = place.data / folder / "odd.png"
            try:
                old.rename(old.with_name(f"{stem}.png"))
            except OSError as error:
                raise CannotMakeError(f"no file of this name can be made ({error.strerror})") from error
        place.split("train", ["a", "b", stem])
        place.truth[label or f"{stem}.png"] = place.truth.pop("odd.png")

    return write


def all_fine(name: str, write: Callable[[Place], None], text: str = "") -> Case:
    """Return the case of a name that every command can use."""
    return case(name, write, check=OK, train=OK, evaluate=OK, predict=ok(text))


def clash(*names: str) -> Callable[[Place], None]:
    """Return a function that adds photographs whose results would have equal names."""

    def write(place: Place) -> None:
        folder = place.given / "photos"
        folder.mkdir()
        place.inputs, place.truth = [str(folder)], {}
        for name in names:
            labels = labels_of("a")
            Image.fromarray(photo_of(labels)).save(folder / name)
            place.truth[f"{name}.png"] = labels
        if len(os.listdir(folder)) != len(names):
            raise CannotMakeError("the file system ignores the case of letters")

    return write


def argument(*inputs: str) -> Callable[[Place], None]:
    """Return a function that names other inputs for `predict`."""

    def write(place: Place) -> None:
        place.inputs = [str(place.given / text) for text in inputs]
        place.truth = {}

    return write


def with_option(name: str) -> Callable[[Place], None]:
    """Return a function that names one image by a relative path, in the working folder."""

    def write(place: Place) -> None:
        os.link(place.data / "images" / "odd.png", place.given / name)
        place.inputs, place.truth = ["--", name], {name: place.truth["odd.png"]}
        place.hooks.append(lambda command: os.chdir(place.given))

    return write


NAMES: tuple[Case, ...] = (
    all_fine("name that is not UTF-8", named("odd\udcff\udcfe")),
    all_fine("name of 255 bytes", named("x" * (LONGEST - 4))),
    all_fine("name of 255 bytes in Unicode", named("\u00e9" * ((LONGEST - 4) // 2) + "x")),
    all_fine("name with a newline", named("two\nlines")),
    all_fine("name with a carriage return", named("two\rlines")),
    all_fine("name that is a formula", named("=cmd()|'!A0")),
    all_fine("name that is a tag", named("<script>alert(1)<script>")),
    all_fine("name with quotes and commas", named("a,\"b\",'c'")),
    all_fine("name with escape sequences", named("\x1b[31mred\x07")),
    all_fine("name that begins with a dash", named("-o")),
    all_fine("name with spaces at both ends", named("a b")),
    all_fine("name of brackets", named("[a-z]*?")),
    all_fine("name from right to left", named("\u202egnp.odd")),
    all_fine("name that the program uses", named("legend", "legend.png.png"), "1 image shares its name"),
    case("case clash on output", clash("Odd.png", "odd.png"), predict=ok("share names")),
    case("one stem with two endings", clash("odd.png", "odd.tif"), predict=ok("share names")),
    case("results that would clash", clash("odd.png", "odd_overlay.png"), predict=OK),
    case("input of 300 bytes", argument("x" * 300), predict=bad("no such file")),
    case("input that does not exist", argument("nothing.png"), predict=bad("no such file")),
    case("input that is empty", argument(""), predict=bad("")),
    case("pattern without a match", argument("*.jpeg"), predict=bad("no file matches the pattern")),
    case("input with a dash", with_option("-x.png"), predict=OK),
    case("input with NUL", argument("a\0b.png"), predict=bad("")),
)
