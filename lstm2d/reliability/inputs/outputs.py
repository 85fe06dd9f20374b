"""Cases of output files and folders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from lstm2d.reliability.inputs import special
from lstm2d.reliability.inputs.case import Case, Place
from lstm2d.reliability.inputs.rights import without_rights
from lstm2d.reliability.inputs.rows import OK, case, ok, unwritten, usage

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
    special.fifo(place.out / "pipe")


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


def record(make: Callable[[Path], object]) -> Callable[[Place], None]:
    """Return a function that makes something else in place of the record of earlier predictions."""

    def write(place: Place) -> None:
        place.labels.mkdir()
        make(place.labels / "predictions.csv")
        place.option("predict", "--skip-done")

    return write


def nowhere(name: str, write: Callable[[Place], object], taken_by: str = "") -> Case:
    """Return the case of an output that cannot be written.

    Parameters
    ----------
    name : str
        Name of the case.
    write : callable
        Names the output.
    taken_by : str, optional
        What stands in its place, in the words of the commands that take this for wrong usage.

    Returns
    -------
    Case
        The case.
    """
    folder = usage(taken_by) if taken_by else NOT_MADE
    return case(name, write, check=folder, train=folder, evaluate=folder, predict=NOT_MADE)


DAMAGED = "predictions.csv"
RECORDS = {
    "of bytes": bytes(range(256)) * 9,
    "of another table": b"month,income\n1,2\n",
    "with an open quote": b'image,labels,seconds,error\n"a.png,a.png,1,\n',
    "of one long line": b"x" * 1_000_000,
}
NOT_MADE = unwritten("cannot write")
OUTPUTS: tuple[Case, ...] = (
    case(
        "output folder = input folder",
        same_folder,
        check=usage("is not empty"),
        train=usage("is not empty"),
        evaluate=usage("would lie among the images"),
        predict=usage("would lie among the images"),
    ),
    case(
        "output file = input file",
        model_for_output,
        train=usage("is a file"),
        evaluate=usage("a name that ends in .csv"),
        predict=NOT_MADE,
    ),
    case("table of another program for output", table_for_output, evaluate=usage("mine.csv")),
    nowhere("output below a file", output("out/taken/x", taken)),
    nowhere("output that is a file", output("out/taken", taken), "file"),
    nowhere("output that is a FIFO", output("out/pipe", fifo), "file"),
    nowhere("output of a long name", output(f"out/{'x' * 300}")),
    nowhere("output in a read-only folder", output("out/locked/x", read_only)),
    nowhere("output on a full disk", full_disk(64)),
    *(
        case(
            f"record of predictions {name}",
            record(partial(Path.write_bytes, data=content)),
            predict=ok(DAMAGED),
        )
        for name, content in RECORDS.items()
    ),
    case("record of predictions of zero bytes", record(Path.touch), predict=OK),
    case("record of predictions that is a folder", record(Path.mkdir), predict=unwritten("no regular file")),
    case("record of predictions that is a FIFO", record(special.fifo), predict=unwritten("no regular file")),
    case("output on a disk with little space", full_disk(2000), train=NOT_MADE, predict=NOT_MADE),
)
