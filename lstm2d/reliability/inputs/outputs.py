"""Cases of output files and folders."""

from __future__ import annotations

from collections.abc import Callable

from lstm2d.reliability.inputs.case import OK, Case, Place, case, unwritten, usage
from lstm2d.reliability.inputs.rights import without_rights

COMMANDS = ("train", "evaluate", "predict")


def output(name: str, make: Callable[[Place], object] | None = None) -> Callable[[Place], None]:
    """Return a function that names another output, relative to the folder of the case."""

    def write(place: Place) -> None:
        if make is not None:
            make(place)
        for command in (*COMMANDS, "check"):
            place.outputs[command] = str(place.root / name)

    return write


def taken(place: Place) -> None:
    """Write a file of the name of the output."""
    (place.out / "taken").write_text("mine\n")


def full_disk(limit: int) -> Callable[[Place], None]:
    """Return a function that limits the size of all files that the commands write."""

    def limited(command: str) -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    def write(place: Place) -> None:
        place.outputs["check"] = str(place.out / "report")
        place.hooks.append(limited)

    return write


def read_only(place: Place) -> None:
    """Make a folder that may not be written."""
    path = place.out / "locked"
    path.mkdir()
    path.chmod(0o555)
    place.hooks.append(without_rights)


def fifo(place: Place) -> None:
    """Make a FIFO of the name of the output."""
    import os

    os.mkfifo(place.out / "pipe")


def same_folder(place: Place) -> None:
    """Name the folders of inputs as outputs."""
    place.outputs |= {
        "check": str(place.data),
        "train": str(place.data),
        "evaluate": str(place.data),
        "predict": str(place.data / "images"),
    }


def model_for_output(place: Place) -> None:
    """Name inputs as output files."""
    place.outputs |= {
        "train": place.model,
        "evaluate": str(place.data / "dataset.toml"),
        "predict": str(place.data / "images" / "odd.png"),
    }


def table_for_output(place: Place) -> None:
    """Name a table that is not one of results."""
    path = place.given / "mine.csv"
    path.write_text("month,income\n1,2\n")
    place.outputs["evaluate"] = str(path)


NOT_MADE = unwritten("cannot write")
OUTPUTS: tuple[Case, ...] = (
    case(
        "output folder = input folder",
        same_folder,
        check=usage(""),
        train=usage(""),
        evaluate=usage(""),
        predict=usage("among the images"),
    ),
    case(
        "output file = input file",
        model_for_output,
        train=unwritten(""),
        evaluate=unwritten(""),
        predict=unwritten(""),
    ),
    case("table of somebody else for output", table_for_output, evaluate=usage("mine.csv")),
    case(
        "output below a file",
        output("out/taken/x", taken),
        check=NOT_MADE,
        train=NOT_MADE,
        evaluate=NOT_MADE,
        predict=NOT_MADE,
    ),
    case(
        "output that is a file",
        output("out/taken", taken),
        check=NOT_MADE,
        train=NOT_MADE,
        evaluate=NOT_MADE,
        predict=NOT_MADE,
    ),
    case(
        "output that is a FIFO",
        output("out/pipe", fifo),
        check=NOT_MADE,
        train=NOT_MADE,
        evaluate=NOT_MADE,
        predict=NOT_MADE,
    ),
    case(
        "output of a long name",
        output(f"out/{'x' * 300}"),
        check=NOT_MADE,
        train=NOT_MADE,
        evaluate=NOT_MADE,
        predict=NOT_MADE,
    ),
    case(
        "output with NUL",
        output("out/a\0b"),
        check=NOT_MADE,
        train=NOT_MADE,
        evaluate=NOT_MADE,
        predict=NOT_MADE,
    ),
    case(
        "output in a read-only folder",
        output("out/locked/x", read_only),
        check=NOT_MADE,
        train=NOT_MADE,
        evaluate=NOT_MADE,
        predict=NOT_MADE,
    ),
    case(
        "output on a full disk",
        full_disk(64),
        check=NOT_MADE,
        train=NOT_MADE,
        evaluate=NOT_MADE,
        predict=NOT_MADE,
    ),
    case("output on a disk with little space", full_disk(2000), train=NOT_MADE, predict=OK),
)
