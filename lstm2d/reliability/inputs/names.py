"""Cases of names."""

from __future__ import annotations

import os
from collections.abc import Callable

from PIL import Image

from lstm2d.reliability.inputs.case import CannotMakeError, Case, Place
from lstm2d.reliability.inputs.drawn import labels_of, odd_photo
from lstm2d.reliability.inputs.rows import OK, bad, bad_dataset, case, good, ok

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


def clash(results: dict[str, str]) -> Callable[[Place], None]:
    """Return a function that writes photographs whose results would have equal names.

    Parameters
    ----------
    results : dict of str to str
        The name of each photograph, and of its label image.

    Returns
    -------
    callable
        The function.
    """

    def write(place: Place) -> None:
        folder = place.given / "photos"
        folder.mkdir()
        place.inputs, place.truth = [str(folder)], {}
        for name, result in results.items():
            Image.fromarray(odd_photo()).save(folder / name)
            place.truth[result] = labels_of("odd")
        if len(os.listdir(folder)) != len(results):
            raise CannotMakeError("the file system ignores the case of letters")

    return write


def argument(*inputs: str) -> Callable[[Place], None]:
    """Return a function that names other inputs for `predict`."""

    def write(place: Place) -> None:
        place.inputs = [str(place.given / text) if text else "" for text in inputs]
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
    good("name that is not UTF-8", named("odd\udcff\udcfe")),
    good("name of 255 bytes", named("x" * (LONGEST - 4))),
    bad_dataset("name with a newline", named("two\nlines"), "there is no image 'two'"),
    good("name with a carriage return", named("two\rlines")),
    good("name that is a formula", named("=cmd()|'!A0")),
    good("name that is a tag", named("<script>alert(1)<script>")),
    good("name with quotes and commas", named("a,\"b\",'c'")),
    good("name with escape sequences", named("\x1b[31mred\x07")),
    good("name that begins with a dash", named("-o")),
    good("name of brackets", named("[a-z]*?")),
    good("name from right to left", named("\u202egnp.odd")),
    good("name that the program uses", named("legend", "legend.png.png"), predict="1 image shares its name"),
    case(
        "case clash on output",
        clash({"Odd.png": "Odd.png.png", "odd.png": "odd.png-2.png"}),
        predict=ok("share names"),
    ),
    case(
        "one stem with two endings",
        clash({"odd.png": "odd.png.png", "odd.tif": "odd.tif.png"}),
        predict=ok("share names"),
    ),
    case(
        "results that would clash",
        clash({"odd.png": "odd.png", "odd_overlay.png": "odd_overlay.png.png"}),
        predict=OK,
    ),
    case("input of 300 bytes", argument("x" * 300), predict=bad("no such file")),
    case("input that does not exist", argument("nothing.png"), predict=bad("no such file")),
    case("input that is empty", argument(""), predict=bad("")),
    case("pattern without a match", argument("*.jpeg"), predict=bad("no file matches the pattern")),
    case("input with a dash", with_option("-x.png"), predict=OK),
)
