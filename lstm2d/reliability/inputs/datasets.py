"""Cases of splits, folders and dataset.toml."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterable
from typing import Any

from lstm2d.reliability.inputs.case import Case, Place
from lstm2d.reliability.inputs.drawn import TOML
from lstm2d.reliability.inputs.rows import OK, bad, bad_dataset, case, good

DEEP = "a." * 20_000 + "a = 1\n"
DIGITS = "9" * 5000


def toml(text: str | bytes) -> Callable[[Place], object]:
    """Return a function that writes dataset.toml."""
    return lambda place: place.put("dataset.toml", text)


def lines(*stems: str) -> Callable[[Place], object]:
    """Return a function that writes the training split."""
    return lambda place: place.split("train", stems)


def raw_split(content: bytes) -> Callable[[Place], object]:
    """Return a function that writes the bytes of the training split."""
    return lambda place: place.put("splits/train.txt", content)


def without(*names: str) -> Callable[[Place], object]:
    """Return a function that deletes files and folders of the dataset."""

    def write(place: Place) -> None:
        if "images" in names:
            place.inputs = [str(place.given / "photo.png")]
            os.link(place.data / "images" / "odd.png", place.inputs[0])
            place.truth = {"photo.png": place.truth["odd.png"]}
        place.clear(*names)

    return write


def empty_images(place: Place) -> None:
    """Leave no image."""
    place.clear(*(f"images/{stem}.png" for stem in ("a", "b", "c", "odd")))


def same_stem(folder: str) -> Callable[[Place], None]:
    """Return a function that adds a file of the same stem."""

    def write(place: Place) -> None:
        os.link(place.data / folder / "odd.png", place.data / folder / "odd.tif")
        if folder == "images":
            place.truth["odd.tif.png"] = place.truth["odd.png.png"] = place.truth.pop("odd.png")

    return write


def other_case(place: Place) -> None:
    """Write the stem of a mask in capital letters."""
    (place.data / "masks" / "odd.png").rename(place.data / "masks" / "ODD.png")


def no_splits(place: Place) -> None:
    """Leave no split; evaluate all images."""
    place.clear("splits")
    place.option("evaluate", "--split", "train")


def no_dataset(place: Place) -> None:
    """Name a folder that does not exist."""
    without("images")(place)
    place.clear("")


def long_dataset(place: Place) -> None:
    """Name a folder of 300 bytes, which no file system has."""
    place.dataset = place.given / ("x" * 300)


def file_for_dataset(place: Place) -> None:
    """Name a file instead of a folder."""
    no_dataset(place)
    place.data.write_text("not found\n")


def in_folders(content: str) -> str:
    """Return dataset.toml with lines before its classes."""
    return f"{content}\n{TOML}"


def class_named(name: str) -> str:
    """Return dataset.toml whose first class has another name."""
    return TOML.replace('"dark"', name)


def many_classes(count: int) -> str:
    """Return dataset.toml of many classes."""
    return "".join(f'[[classes]]\nname = "class {k}"\n' for k in range(count))


def keys(count: int) -> str:
    """Return many keys that are not known."""
    return "".join(f"key{k} = {k}\n" for k in range(count))


def bad_toml(name: str, text: str | bytes, message: str = "dataset.toml") -> Case:
    """Return the case of a dataset.toml that is refused."""
    return bad_dataset(name, toml(text), message)


def other_class(name: str, write: Callable[[Place], object], **more: Any) -> Case:
    """Return the case of a strange name of a class that the model does not have."""
    return case(name, write, check=OK, train=OK, evaluate=bad("different classes"), **more)


def bad_split(name: str, content: Iterable[str] | bytes, message: str, *, found: str = "") -> Case:
    """Return the case of a split that is refused."""
    write = raw_split(content) if isinstance(content, bytes) else lines(*content)
    return bad_dataset(name, write, message, found=found)


SPLITS: tuple[Case, ...] = (
    bad_dataset(
        "two images with one stem", same_stem("images"), "two images with the same stem", found="odd.tif"
    ),
    bad_dataset(
        "two masks with one stem", same_stem("masks"), "two masks with the same stem", found="odd.tif"
    ),
    bad_dataset("mask in capital letters", other_case, "have no mask", found="letters"),
    bad_split("split naming a missing stem", ["a", "zebra"], "'zebra'"),
    bad_split("split naming a stem twice", ["a", "b", "a"], "'a'"),
    bad_split("split naming a file", ["a", "b.png"], "without the extension", found="'b.png'"),
    bad_split("split naming a parent", ["a", "../images/b"], "is not a stem"),
    bad_split("split naming an absolute path", ["a", "/etc/passwd"], "is not a stem"),
    bad_split("split with NUL", ["a", "b\0"], "is not a stem"),
    bad_split("split of other bytes", b"a\n\xff\xfe\xfd\n", "train.txt"),
    bad_split("empty split", [], "an empty split", found="0 bytes"),
    bad_split("split of empty lines", ["", " ", ""], "an empty split", found="Empty splits"),
    bad_split("split of one long line", ["a" * 2_000_000], "train.txt"),
    good("split in UTF-16", raw_split(codecs.BOM_UTF16_LE + "a\r\nb\r\nodd".encode("utf-16-le"))),
    good("split with BOM and CR", raw_split(codecs.BOM_UTF8 + b"a\r\nb\r\nodd\r\n")),
    case(
        "image in two splits",
        lambda place: place.split("val", ["c", "odd"]),
        check=bad("Images in several splits"),
        train=bad("images are in both train and val"),
        evaluate=OK,
        predict=OK,
    ),
    case("no splits", without("splits"), check=OK, train=OK, evaluate=bad("no split 'train'")),
)

FOLDERS: tuple[Case, ...] = (
    bad_dataset("no folder of images", without("images"), "folder not found"),
    bad_dataset("no folder of masks", without("masks"), "folder not found"),
    case(
        "no image",
        empty_images,
        check=bad("a folder without images"),
        train=bad("a folder without images"),
        evaluate=bad("a folder without images"),
        predict=bad("no image found"),
    ),
    bad_dataset("no dataset", no_dataset, "folder not found"),
    bad_dataset("dataset of a long name", long_dataset, "folder not found"),
    bad_dataset("file for a dataset", file_for_dataset, "not a folder"),
)

DESCRIPTIONS: tuple[Case, ...] = (
    bad_toml("dataset.toml cut", TOML[: len(TOML) - 5]),
    bad_toml("dataset.toml of no TOML", "name: zoo\n"),
    bad_toml("dataset.toml of bytes", bytes(range(256))),
    bad_toml("dataset.toml with NUL", TOML + "\0"),
    bad_toml("dataset.toml with an unknown key", in_folders("colour = 1"), "colour"),
    bad_toml("dataset.toml with 20,000 unknown keys", in_folders(keys(20_000))),
    bad_toml("dataset.toml with a deep key", DEEP + TOML),
    bad_toml("dataset.toml with deep lists", f"a = {'[' * 20_000}{']' * 20_000}\n{TOML}"),
    bad_toml("dataset.toml with deep tables", f"a = {'{a=' * 20_000}1{'}' * 20_000}\n{TOML}"),
    bad_toml("dataset.toml with an integer of 5000 digits", in_folders(f"x = {DIGITS}")),
    bad_toml("dataset.toml with a large ignore value", TOML.replace("255", DIGITS)),
    bad_toml("dataset.toml with ignore = -1", TOML.replace("ignore = 255", "ignore = -1"), "ignore"),
    bad_toml("dataset.toml with a negative colour", TOML.replace("[10, 20, 30]", "[-1, 20, 30]"), "color"),
    bad_toml("dataset.toml with a colour of NaN", TOML.replace("[10, 20, 30]", "[nan, 20, 30]"), "color"),
    bad_toml("dataset.toml with two classes of one name", TOML.replace('"bright"', '"dark"'), "dark"),
    bad_toml("dataset.toml with a class of 10,000 characters", class_named(f'"{"x" * 10_000}"')),
    bad_toml("dataset.toml with a class of no name", class_named('""')),
    bad_toml("dataset.toml with a newline in a class", class_named('"dark\\nbright"')),
    bad_toml("dataset.toml with a class that is a list", class_named("[1, 2]"), "name"),
    bad_toml("dataset.toml with 300 classes", many_classes(300)),
    bad_toml("dataset.toml with a folder of NUL", in_folders('images = "a\\u0000b"'), ""),
    bad_toml("dataset.toml of zero bytes", "", "classes"),
    good("dataset.toml in UTF-16", toml(codecs.BOM_UTF16_LE + TOML.encode("utf-16-le"))),
    other_class("class that is a formula", toml(class_named("\"=cmd()|' /C calc'!A0\""))),
    other_class("class that is a tag", toml(class_named('"<script>alert(1)</script>"')), pictures=True),
)
DATASETS = (*SPLITS, *FOLDERS, *DESCRIPTIONS)
