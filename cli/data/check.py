"""`lstm2d data check`: everything that is wrong or unusual in a dataset."""

from __future__ import annotations

import os
import shlex
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lstm2d.cli.options import threads_option
from lstm2d.cli.output import Console, output_options
from lstm2d.cli.tables import WIDTH
from lstm2d.errors import DataError

if TYPE_CHECKING:
    from lstm2d.data.check import Finding, Report

SHOWN = 5  # findings of a kind on the terminal
SAID = ("missing-image", "unlabelled-image")  # a run says so itself, or does not use the files


@click.command(
    epilog="""\b
Examples:
  lstm2d data check my_photos
  lstm2d data check my_photos -o out/check
  lstm2d data check my_photos --split train --split val --json --quiet"""
)
@click.argument("folder", metavar="DIR")
@click.option("--out", "-o", metavar="FOLDER", help="Folder for a report with pictures.")
@click.option("--split", "splits", multiple=True, metavar="SPLIT", help="Only these images; can be repeated.")
@click.option("--quick", is_flag=True, help="Read names, headers, splits and the first masks only.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Use a folder with other files for -o, and replace files of the same names; never an input file.",
)
@threads_option
@output_options
def check(
    console: Console,
    *,
    folder: str,
    out: str | None,
    splits: tuple[str, ...],
    quick: bool,
    overwrite: bool,
    threads: int | None,
) -> None:
    """Find everything that is wrong or unusual in a dataset.

    Every image and mask of DIR is read, and nothing is changed: damaged files,
    sizes, values and colours of masks, missing pairs, splits, equal images in
    different splits, classes that never occur. All findings are in one report;
    with --json and in the files of -o none is left out.

    Faults stop a run, or make it learn or measure something else than was meant:
    exit code 3. Notes are unusual, and may be right.
    """
    from lstm2d.data.check import check as run
    from lstm2d.kernels.threads import get_num_threads, set_num_threads

    if threads is not None:
        set_num_threads(threads)
    get_num_threads()  # check OMP_NUM_THREADS before any work
    start = time.perf_counter()

    def progress(done: int, total: int) -> None:
        console.progress(f"{done}/{total} images", done, total)

    report = run(folder, splits=splits, quick=quick, progress=progress)
    if out is not None:
        from lstm2d.report.check_folder import write_check

        write_check(report, out, overwrite=overwrite)
    seconds = time.perf_counter() - start
    console.answer(*describe(report, seconds))
    if out is not None:
        console.say(f"report: {Path(out) / 'report.html'}")
    console.result(report.as_json() | {"out": out, "seconds": seconds})
    if report.faults:
        what = f"the dataset has {counted(report.faults, 'fault')}"
        hint = None if out is not None else "all findings with pictures: add `out`, a folder"
        raise DataError(what, where=folder, hint=hint)


def describe(report: Report, seconds: float) -> list[str]:
    """Format a report.

    Parameters
    ----------
    report : Report
        The findings.
    seconds : float
        Time taken.

    Returns
    -------
    list of str
        A paragraph per kind of finding with the first files, and the totals; at most 80 columns wide.
    """
    from lstm2d.data.check import KINDS

    parts = []
    for kind, count in report.kinds.items():
        about = KINDS[kind]
        lines = [f"{about.title}: {count} {'fault' if about.fault else 'note'}{'s' * (count > 1)}"]
        lines += textwrap.wrap(about.advice, WIDTH, initial_indent="  ", subsequent_indent="  ")
        found = report.of_kind(kind)
        for one in found[:SHOWN]:
            lines += entry(one)
        if len(found) > SHOWN:
            lines.append(f"    and {len(found) - SHOWN} more")
        parts.append("\n".join(lines))
    notes = len(report.findings) - report.faults
    totals = f"{counted(report.faults, 'fault')} and {counted(notes, 'note')}"
    read = "headers and first masks of " if report.quick else ""
    parts.append(f"{totals} in {read}{counted(report.images, 'image')} of {report.name} ({seconds:.1f} s)")
    return parts


def warn_of_findings(console: Console, data: str | os.PathLike[str]) -> None:
    """Show what the quick form of the check finds, one line per kind, before a run.

    Parameters
    ----------
    console : Console
        Where to show it: faults as warnings, notes unless ``--quiet``. What stops the run is left to the run.
    data : str or path
        The dataset folder.
    """
    from lstm2d.data.check import KINDS
    from lstm2d.data.check import check as run

    try:
        report = run(data, quick=True)
    except DataError:  # no such folder: an error of the run
        return
    for kind, count in report.kinds.items():
        about = KINDS[kind]
        if about.stops or kind in SAID:
            continue
        first = report.of_kind(kind)[0]
        more = f" and {count - 1} more" if count > 1 else ""
        show = console.warn if about.fault else console.say
        command = shlex.join(["lstm2d", "data", "check", os.fspath(data)])
        show(f"{about.title}: {first.file} ({first.message}){more}; see {command}")


def entry(finding: Finding) -> list[str]:
    """Return a finding as lines: file, place and message."""
    text = f"{finding.file}{place(finding)}: {finding.message}"
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent="    ",
        subsequent_indent="        ",
        break_on_hyphens=False,
        break_long_words=False,  # keep paths intact
    )


def place(finding: Finding) -> str:
    """Return the line of a finding in a text file, such as ", line 3"; places of pixels are in messages."""
    line = (finding.place or {}).get("line")
    return "" if line is None else f", line {line}"


def counted(number: int, noun: str) -> str:
    """Return a number and its noun: "1 fault", "2 faults"."""
    return f"{number} {noun}{'s' * (number != 1)}"
