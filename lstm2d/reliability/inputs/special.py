"""Cases of FIFOs, devices, sockets, links and files that may not be read, in place of inputs."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from lstm2d.reliability.inputs.case import CannotMakeError, Case, Expected, Place, link
from lstm2d.reliability.inputs.drawn import labels_of
from lstm2d.reliability.inputs.rights import without_rights
from lstm2d.reliability.inputs.rows import OK, bad, case, some, usage

Maker = Callable[[Path], object]


def fifo(path: Path) -> None:
    """Make a FIFO; reading it would wait for ever."""
    if not hasattr(os, "mkfifo"):
        raise CannotMakeError("this system has no FIFOs")
    os.mkfifo(path)


def device(path: Path) -> None:
    """Make a link to a device that is read without end."""
    if not os.path.exists("/dev/zero"):
        raise CannotMakeError("there is no /dev/zero")
    path.symlink_to("/dev/zero")


def unix_socket(path: Path) -> None:
    """Make a socket."""
    try:
        os.mknod(path, stat.S_IFSOCK | 0o600)
    except (OSError, AttributeError) as error:
        raise CannotMakeError(f"no socket can be made ({error})") from error


def loop(path: Path) -> None:
    """Make a link to itself."""
    path.symlink_to(path.name)


def broken(path: Path) -> None:
    """Make a link that leads nowhere."""
    path.symlink_to("nowhere.png")


def folder(path: Path) -> None:
    """Make a folder."""
    path.mkdir()


def unreadable(path: Path) -> None:
    """Make a file that may not be read."""
    path.write_bytes(b"secret\n")
    path.chmod(0)


KINDS: dict[str, tuple[Maker, str]] = {
    "FIFO": (fifo, "this is a FIFO"),
    "device": (device, "this is a device"),
    "socket": (unix_socket, "this is a socket"),
    "folder": (folder, "this is a folder"),
    "link to itself": (loop, "link"),
    "broken link": (broken, ""),
    "unreadable file": (unreadable, "file may not be read"),
}


def in_place_of(name: str, make: Maker) -> Callable[[Place], None]:
    """Return a function that replaces a file of the dataset."""

    def write(place: Place) -> None:
        make(place.clear(name))
        if make is unreadable:
            place.hooks.append(without_rights)
        if name.startswith("images/"):
            place.truth.pop("odd.png")

    return write


def outside(make: Maker, use: Callable[[Place, str], None]) -> Callable[[Place], None]:
    """Return a function that makes something outside of the dataset, and names it in the command lines."""

    def write(place: Place) -> None:
        path = place.given / "odd.toml"
        make(path)
        if make is unreadable:
            place.hooks.append(without_rights)
        use(place, str(path))

    return write


def as_preset(place: Place, path: str) -> None:
    """Name a path as configuration."""
    place.preset = path


def as_model(place: Place, path: str) -> None:
    """Name a path as model."""
    place.model = path
    place.option("train", "--init-from", path)


def replacements() -> Iterator[Case]:
    """Yield the cases of something else in place of a file that is read."""
    for kind, (make, text) in KINDS.items():
        if make is not folder:  # a folder in place of an image is searched: a case of its own
            lost = bad("this link is broken") if make in (loop, broken) else bad(text)
            found = bad("Broken links") if make in (loop, broken) else bad(text)
            yield case(
                f"{kind} for an image",
                in_place_of("images/odd.png", make),
                check=found,
                train=lost,
                evaluate=lost,
                predict=some(text),
            )
            yield case(
                f"{kind} for a mask",
                in_place_of("masks/odd.png", make),
                check=found,
                train=lost,
                evaluate=lost,
                predict=OK,
            )
        for what in ("splits/train.txt", "dataset.toml"):
            yield case(
                f"{kind} for {what}",
                in_place_of(what, make),
                check=bad(""),
                train=bad(text),
                evaluate=bad(text),
            )
        missing = make in (loop, broken)
        wrong = bad("no such model" if missing else "no model.safetensors" if make is folder else text)
        yield case(f"{kind} for a model", outside(make, as_model), train=wrong, evaluate=wrong, predict=wrong)
        yield case(f"{kind} for a configuration", outside(make, as_preset), train=usage(text))


def vanishing(place: Place) -> None:
    """Delete the odd image once another one is opened, after the folder was listed."""
    path, other = place.data / "images" / "odd.png", str(place.data / "images" / "a.png")
    content, armed = path.read_bytes(), [False]
    place.changing.add("data/images/odd.png")
    place.changing.add("data/images")
    del place.truth["odd.png"]

    def remove(event: str, arguments: tuple[object, ...]) -> None:
        if armed[0] and event == "open" and str(arguments[0]) == other:
            armed[0] = False
            os.unlink(path)

    def hook(command: str) -> None:
        if not armed[0] and not path.exists():
            path.write_bytes(content)
        armed[0] = True
        if command == "check":
            sys.addaudithook(remove)

    place.hooks.append(hook)


def unreadable_folder(name: str) -> Callable[[Place], None]:
    """Return a function that takes away the right to list a folder of the dataset."""

    def write(place: Place) -> None:
        (place.data / name).chmod(0)
        place.hooks.append(without_rights)

    return write


def unreadable_sub_folder(place: Place) -> None:
    """Add a folder that may not be listed below the images."""
    path = place.data / "images" / "private"
    path.mkdir()
    path.chmod(0)
    place.hooks.append(without_rights)


def link_to_unreadable(place: Place) -> None:
    """Add a link into a folder that may not be searched."""
    private = place.given / "private"
    private.mkdir()
    (private / "x.png").write_bytes(b"")
    (place.data / "images" / "odd.png").unlink()
    (place.data / "images" / "odd.png").symlink_to(private / "x.png")
    private.chmod(0)
    place.hooks.append(without_rights)
    del place.truth["odd.png"]


def linked(place: Place) -> None:
    """Replace the odd image by a link to the same image elsewhere."""
    (place.data / "images" / "odd.png").rename(place.given / "elsewhere.png")
    link("../../elsewhere.png", place.data / "images" / "odd.png")


def links_in_a_circle(place: Place) -> None:
    """Add links to folders that contain them."""
    (place.data / "images" / "up").symlink_to("..")
    sub = place.data / "images" / "sub"
    sub.mkdir()
    (sub / "again").symlink_to("../sub")
    os.link(place.data / "images" / "odd.png", sub / "d.png")
    place.truth["sub/d.png"] = labels_of("odd")


def special_among_images(make: Maker, name: str) -> Callable[[Place], object]:
    """Return a function that adds a special file without an image's ending."""
    return lambda place: make(place.data / "images" / name)


LOST = bad("file not found")
SPECIAL: tuple[Case, ...] = (
    *replacements(),
    case(
        "image that vanishes while listed",
        vanishing,
        check=LOST,
        train=bad("no image 'odd'"),  # it is listed after a quick check, which opens images too
        evaluate=LOST,
        predict=some("file not found"),
    ),
    *(
        case(
            f"unreadable folder of {name}",
            unreadable_folder(name),
            check=bad("cannot list the folder"),
            train=bad("cannot list the folder"),
            evaluate=bad("cannot list the folder"),
            predict=predicted,
        )
        for name, predicted in (("images", bad("cannot list the folder")), ("masks", OK), ("splits", OK))
    ),
    case(
        "unreadable folder among the images",
        unreadable_sub_folder,
        check=OK,
        train=OK,
        evaluate=OK,
        predict=some("private"),
    ),
    case(
        "link into an unreadable folder",
        link_to_unreadable,
        check=bad("odd.png"),
        train=bad("odd.png"),
        evaluate=bad("odd.png"),
        predict=some("odd.png"),
    ),
    case("link to an image", linked, check=OK, train=OK, evaluate=OK, predict=OK),
    case("links to folders in a circle", links_in_a_circle, check=OK, train=OK, evaluate=OK, predict=OK),
    case(
        "FIFO among the images",
        special_among_images(fifo, "pipe"),
        check=OK,
        train=OK,
        evaluate=OK,
        predict=Expected(0, "special file"),
    ),
    case(
        "socket among the images",
        special_among_images(unix_socket, "socket"),
        check=OK,
        train=OK,
        evaluate=OK,
        predict=Expected(0, "special file"),
    ),
)
