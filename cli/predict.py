"""`lstm2d predict`: label every pixel of images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lstm2d.cli.dask_option import cluster_of, cpu_for_dask, way_of
from lstm2d.cli.options import (
    allowed_memory,
    apply_crf,
    compute_options,
    crf_options,
    instance_options,
    limit_options,
    photo_options,
    size_in_bytes,
    use_limits,
    use_photo_options,
)
from lstm2d.cli.output import Console, output_options
from lstm2d.errors import ConfigError, DataError, SomeFailedError

if TYPE_CHECKING:
    from lstm2d.predict import Predictor
    from lstm2d.predict.inputs import Task
    from lstm2d.predict.jobs import Way
    from lstm2d.predict.left_out import LeftOut
    from lstm2d.predict.outcome import Options, Outcome

FORMATS = ("palette", "gray", "tiff")  # a copy, as the original needs NumPy (a test compares them)
LISTED = 20  # failures shown at the end; predictions.csv lists all


def part_of(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Return I and N of "I/N"."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", value)
    index, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= index <= count:
        raise click.BadParameter(f"{value!r} is not I/N with I from 1 to N, for example 2/4", ctx, param)
    return index, count


@click.command(
    epilog="""\b
Examples:
  lstm2d predict outdoor photo.jpg -o out
  lstm2d predict outdoor holiday/ more/ -o out --overlay --skip-done
  lstm2d predict runs/first 'scans/**/*.tif' -o out --shard 2/4
  lstm2d predict outdoor photo.jpg -o out --crf outdoor --set crf.iterations=9
  lstm2d predict runs/rcnn2 photo.jpg -o out --instances 1,2,3 --overlay
  lstm2d predict runs/first city.tif -o out --size native --stream --memory 1G
  lstm2d predict outdoor photos/ -o out --dask local:4
  lstm2d predict outdoor /shared/photos -o out --dask tcp://10.0.0.5:8786"""
)
@click.argument("model")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("--out", "-o", required=True, metavar="OUT", help="Folder for the results.")
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="Label files: PNG in class colours, PNG or TIFF of plain class numbers."
    "  [default: palette; with --stream: tiff]",
)
@click.option("--overlay", is_flag=True, help="Also write the image with the labels as an overlay.")
@click.option("--legend", is_flag=True, help="The same, with a legend of the classes next to it.")
@click.option("--probabilities", is_flag=True, help="Also write class probabilities (npz).")
@click.option(
    "--skip-done", is_flag=True, help="Skip images already labelled with the same model and settings."
)
@click.option("--overwrite", is_flag=True, help="Also replace files in OUT that are not results.")
@click.option(
    "--shard", callback=part_of, metavar="I/N", help="Label only part I of N, for several machines."
)
@click.option(
    "--dask",
    callback=cluster_of,
    metavar="CLUSTER",
    help="Label on a Dask cluster: tcp://HOST:PORT of its scheduler, or local:N for N processes here."
    " --threads and --max-memory are those of each image and each worker.",
)
@click.option(
    "--on-error",
    type=click.Choice(["skip", "stop"]),
    default="skip",
    show_default=True,
    help="What to do when an image cannot be labelled.",
)
@click.option(
    "--stream",
    is_flag=True,
    help="Compute in strips of rows, for images larger than memory, at --size native. Maps between the layers"
    " are kept on the disk of OUT.",
)
@click.option(
    "--memory",
    callback=size_in_bytes,
    metavar="SIZE",
    help="With --stream: the memory to stay within, such as 1G.  [default: half of the memory]",
)
@limit_options
@photo_options
@instance_options
@crf_options
@output_options
@compute_options
def predict(
    console: Console,
    *,
    model: str,
    inputs: tuple[str, ...],
    out: str,
    format: str | None,
    overlay: bool,
    legend: bool,
    probabilities: bool,
    skip_done: bool,
    overwrite: bool,
    shard: tuple[int, int] | None,
    dask: str | None,
    on_error: str,
    stream: bool,
    memory: int | None,
    max_pixels: int,
    max_memory: int | None,
    size: str,
    bits: int | None,
    background: str | None,
    resolution: str | None,
    instances: str | None,
    crf: str | None,
    no_crf: bool,
    settings: tuple[str, ...],
    device: str,
) -> None:
    """Label every pixel of images.

    MODEL is a model file, the folder of a run, or the name of a bundled model.
    INPUT is an image, a folder (searched with its sub-folders, which are
    recreated in OUT) or a quoted pattern.

    For each image a palette PNG is written to OUT: class colours when viewed,
    class numbers when read as palette indices. For programs that read the
    colours instead, --format gray or tiff writes plain numbers; tiff keeps the
    georeference of a GeoTIFF. classes.json and legend.png describe the classes,
    and predictions.csv lists the images with the share of each class.
    Broken images are listed there and the others are still labelled (exit code
    4). Only results of earlier predictions, listed there, are replaced.

    With --instances 1,2,3 the labels after the last one are written as
    NAME.png, the others as NAME.i1.png and NAME.i2.png, and with --overlay
    NAME.instances.png shows them side by side.

    With --stream, images may be larger than memory: they are read, computed and
    written (as tiled BigTIFF) in strips. --max-pixels must allow their size.

    With --dask, workers must be able to read the images under the same paths;
    the results come back to this process, which writes them.
    """
    from lstm2d.predict import load
    from lstm2d.predict.left_out import LeftOut
    from lstm2d.predict.outcome import Options

    if memory is not None and not stream:
        raise ConfigError("--memory without --stream", hint="add --stream, or use --max-memory")
    if dask is not None:
        device = cpu_for_dask(stream)
    format = format or ("tiff" if stream else "palette")
    left_out = LeftOut()
    tasks, manifest = planned(inputs, out, left_out, format=format, overwrite=overwrite, shard=shard)
    predictor = load(model, device=device, resolution=resolution, instances=instances)
    options = Options(
        overlay=overlay or legend,
        legend=legend,
        format=format,
        probabilities=probabilities,
        skip_done=skip_done,
        overwrite=overwrite,
        stop_on_error=on_error == "stop",
        max_pixels=max_pixels,
        size=use_photo_options(predictor, size, bits, background),
        stream=allowed_memory(memory) if stream else None,
    )
    use_limits(predictor, max_pixels, max_memory)
    apply_crf(predictor, crf, no_crf, settings)
    way = None if dask is None else way_of(dask, max_memory, console.warn)
    label(console, predictor, tasks, Path(out), options, manifest, left_out, way)


def label(
    console: Console,
    predictor: Predictor,
    tasks: Sequence[Task],
    out: Path,
    options: Options,
    manifest: str,
    left_out: LeftOut,
    way: Way | None = None,
) -> None:
    """Label what is planned, and report it."""
    from lstm2d.notes import Notes
    from lstm2d.pipeline.preprocess import UNKNOWN_SIZE
    from lstm2d.predict.jobs import one_by_one
    from lstm2d.predict.label_files import label_files

    if options.stop_on_error:
        for error in left_out.unread.values():
            raise error
    if options.size == "auto" and predictor.size_is_unknown:
        console.say(UNKNOWN_SIZE)
    for line in [*renamed(tasks), *left_out.lines()]:
        console.warn(line)
    notes = Notes(lambda line: console.say(f"Note: {line}"))
    outcome = label_files(
        predictor,
        tasks,
        out,
        options=options,
        manifest=manifest,
        progress=lambda outcome: show_progress(console, outcome),
        notes=notes,
        remark=console.warn,
        way=way or one_by_one,
    )
    outcome.add_unread(left_out)
    for line in notes.summary():
        console.say(f"Note: {line}")
    finish(console, outcome, out, manifest, left_out, settings_of(predictor, options, outcome))


def planned(
    inputs: Sequence[str],
    out: str,
    left_out: LeftOut,
    *,
    format: str,
    overwrite: bool,
    shard: tuple[int, int] | None,
) -> tuple[list[Task], str]:
    """Return what is to be labelled and the name of the record; files that are not go to `left_out`."""
    from lstm2d.predict.inputs import plan
    from lstm2d.predict.inputs import shard as part
    from lstm2d.predict.overwriting import refuse_images_in_output

    tasks = plan(inputs, out, format=format, left_out=left_out)
    if not overwrite:
        refuse_images_in_output(left_out)
    if shard is None:
        return tasks, "predictions.csv"
    # parts may run at the same time
    return part(tasks, *shard), f"predictions-{shard[0]}-of-{shard[1]}.csv"


def renamed(tasks: Sequence[Task]) -> Iterator[str]:
    """Yield a line about images whose results have different names, if any."""
    others = [task for task in tasks if task.labels.stem != task.source.stem]
    if others:
        first = others[0]
        shared = f"{len(others)} images share names" if others[1:] else "1 image shares its name"
        yield f"{shared} with another result; {first.source} becomes {first.labels}, for example"


def show_progress(console: Console, outcome: Outcome) -> None:
    """Show progress, and the traceback of an unexpected error in the last of several images.

    The traceback is shown even without ``--traceback``: another run could take hours and might not fail.
    """
    last = outcome.failed[-1] if outcome.failed else None
    if last is not None and last.unexpected and outcome.total > 1:
        console.fault(last.error, last.image)
    over = outcome.done + len(outcome.failed)
    console.progress(progress_line(outcome), over + outcome.part, outcome.total - outcome.skipped)


def progress_line(outcome: Outcome) -> str:
    """Return progress, speed and remaining time as text."""
    over = outcome.done + len(outcome.failed)
    to_do = outcome.total - outcome.skipped
    if outcome.part:  # of a large image
        left = outcome.seconds * (to_do - over - outcome.part) / (over + outcome.part)
        return f"{over}/{to_do} images, {outcome.part:.0%} of the next one  {left:.0f} s left"
    rate = over / outcome.seconds if outcome.seconds else 0.0
    left = (to_do - over) / rate if rate else 0.0
    failed = f"  {len(outcome.failed)} failed" if outcome.failed else ""
    return f"{over}/{to_do} images  {rate:.1f} images/s  {left:.0f} s left{failed}"


def settings_of(predictor: Predictor, options: Options, outcome: Outcome) -> dict[str, Any]:
    """Return the settings of a prediction that are not the default, for ``--json``."""
    found = predictor.selection
    if predictor.crf is not None:
        found["crf"] = predictor.crf.model_dump()
    if outcome.resized or options.size != "auto":
        typical = predictor.preprocessing.typical_size
        found["size"] = {"asked": options.size, "model": typical, "resized": outcome.resized}
    if options.stream is not None:
        found["stream"] = {"memory": options.stream}
    return found


def finish(
    console: Console,
    outcome: Outcome,
    out: Path,
    manifest: str,
    left_out: LeftOut,
    settings: dict[str, Any],
) -> None:
    """Write a summary, and raise an error if images failed.

    Parameters
    ----------
    console : Console
        Where to write.
    outcome : Outcome
        The counts.
    out : Path
        The output folder.
    manifest : str
        Name of the record in it.
    left_out : LeftOut
        Files that were not labelled.
    settings : dict
        From `settings_of`.

    Raises
    ------
    SomeFailedError
        If some images failed.
    DataError
        If all images failed.
    """
    skipped = f", {outcome.skipped} were done already" if outcome.skipped else ""
    images = "1 image" if outcome.done == 1 else f"{outcome.done} images"
    resized = f" ({outcome.resized} at another size)" if outcome.resized else ""
    console.say(f"{images} labelled{resized} in {outcome.seconds:.1f} s{skipped}: {out}")
    failed = [{"image": f.image, "error": f.reason} for f in outcome.failed]
    console.result(
        {
            "images": outcome.done,
            "failed": failed,
            "skipped": outcome.skipped,
            "redone": outcome.redone,
            "not_labelled": left_out.as_json(),
            "seconds": outcome.seconds,
            "out": str(out),
        }
        | settings
    )
    if failed:
        raise error_of(outcome, out / manifest)


def error_of(outcome: Outcome, record: Path) -> Exception:
    """Return the error of a command in which images failed; `record` has the images that it does not list."""
    failed = outcome.failed
    if len(failed) == outcome.total == 1:
        return failed[0].error
    lines = [f"{f.image}: {f.reason}" for f in failed[:LISTED]]
    if len(failed) > LISTED:
        lines.append(f"and {len(failed) - LISTED} more, see {record}")
    what = f"{len(failed)} of {outcome.total} images could not be labelled\n  " + "\n  ".join(lines)
    return (DataError if len(failed) == outcome.total else SomeFailedError)(what)
