"""Options shared by several commands."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from lstm2d.errors import ConfigError

if TYPE_CHECKING:
    from lstm2d.io.photo import Reading
    from lstm2d.pipeline.preprocess import Size
    from lstm2d.predict import Predictor

# a copy, as the original needs pydantic and help pages must not (a test compares them)
DEFAULT_CRF = "krahenbuehl"
MAX_PIXELS = 100_000_000  # another copy


def comma_list(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Return the names in a list with commas; None if the option is not given."""
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(","))
    if not all(names):
        raise click.BadParameter(f"{value!r} is not {param.metavar}", ctx, param)
    return names


def compute_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--threads``, ``--device`` and ``--gpu-memory``, and apply them before the command runs.

    Parameters
    ----------
    command : callable
        Takes the command's own parameters, and `device`: "cpu" or "cuda:N".

    Returns
    -------
    callable
        To be decorated by `output_options`, which prints the error for a wrong device.
    """

    @device_options
    @functools.wraps(command)
    def run(
        *args: object, threads: int | None, device: str, gpu_memory: float | None, **kwargs: object
    ) -> None:
        command(*args, device=use_device(device, gpu_memory, threads), **kwargs)

    return run


threads_option = click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads; does not change results."
)


overwrite_option = click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the file of -o even if another program wrote it; never an input file.",
)


def device_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--threads``, ``--device`` and ``--gpu-memory``, which `use_device` applies."""
    options = [
        threads_option,
        click.option(
            "--device",
            default="auto",
            show_default=True,
            metavar="DEVICE",
            help="auto, cpu, cuda or cuda:N. auto: a GPU if there is one, else the CPU.",
        ),
        click.option(
            "--gpu-memory",
            type=click.FloatRange(min=0, min_open=True),
            metavar="GIB",
            help="Limit of GPU memory for arrays.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def use_device(device: str, gpu_memory: float | None, threads: int | None) -> str:
    """Apply the options that choose where to compute.

    Parameters
    ----------
    device : str
        As given: auto, cpu, cuda or cuda:N.
    gpu_memory : float or None
        Limit of GPU memory for arrays in GiB; None for no limit.
    threads : int or None
        CPU threads; None leaves them as they are.

    Returns
    -------
    str
        "cpu" or "cuda:N".

    Raises
    ------
    ConfigError
        If the device cannot be used, GPU memory is limited together with the CPU as device, `threads` or
        ``OMP_NUM_THREADS`` is not a number of threads, or ``LSTM2D_ISA`` is not an instruction-set level.
    """
    from lstm2d.kernels import isa
    from lstm2d.kernels.gpu import limit_memory, resolve_device
    from lstm2d.kernels.threads import get_num_threads, set_num_threads

    if gpu_memory is not None and device == "cpu":
        raise ConfigError("--gpu-memory together with --device cpu", hint="leave one out")
    chosen = resolve_device(device)
    if gpu_memory is not None and chosen != "cpu":  # auto may choose the CPU
        limit_memory(chosen, gpu_memory)
    if threads is not None:
        set_num_threads(threads)
    get_num_threads()  # check OMP_NUM_THREADS before any work,
    isa.level()  # and LSTM2D_ISA
    return chosen


def photo_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--size``, ``--bits`` and ``--background``, which `use_photo_options` applies."""
    options = [
        click.option(
            "--size",
            default="auto",
            show_default=True,
            metavar="SIZE",
            help="Size at which the network sees photographs: auto (the size of its training images, if a "
            "photograph is more than 1.5 times larger or smaller), native (their own), or the square root of "
            "a pixel count, such as 320.",
        ),
        click.option(
            "--bits",
            type=click.IntRange(1, 16),
            metavar="N",
            help="Significant bits per sample, such as 12 if 12 bits are stored in 16.  [default: from the "
            "file, else guessed]",
        ),
        click.option(
            "--background",
            metavar="COLOUR",
            help="Colour behind transparent pixels: a name, #rrggbb or R,G,B.  [default: the model's, white]",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def size_in_bytes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Return the bytes of "500M", "4G", "1.5GB" or a number; None if the option is not given."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kmgt]?)(?:i?b)?", value.strip().lower())
    size = int(float(found[1]) * 1024 ** " kmgt".index(found[2] or " ")) if found else 0
    if size < 1:
        raise click.BadParameter(f"{value!r} is no size, for example 500M or 4G", ctx, param)
    return size


memory_option = click.option(
    "--max-memory",
    callback=size_in_bytes,
    metavar="SIZE",
    help="Refuse what would take more memory, such as 500M or 4G, before computing."
    "  [default: half of the memory]",
)


def allowed_memory(given: int | None, processes: int = 1) -> int:
    """Return the memory of ``--max-memory`` in bytes; by default half of what there is, for all processes."""
    from lstm2d.io.machine_memory import available

    return available() // (2 * processes) if given is None else given


def limit_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--max-pixels`` and ``--max-memory``, which `use_limits` applies."""
    options = [
        click.option(
            "--max-pixels",
            type=click.IntRange(min=1),
            default=MAX_PIXELS,
            show_default=True,
            metavar="N",
            help="Refuse images of more pixels, before decoding.",
        ),
        memory_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def use_limits(predictor: Predictor, max_pixels: int, max_memory: int | None) -> Reading:
    """Apply the options that limit the size of images.

    Parameters
    ----------
    predictor : Predictor
        Its `reading` and `max_memory` are replaced.
    max_pixels : int
        Largest number of pixels.
    max_memory : int or None
        Largest memory in bytes; None for half of what there is.

    Returns
    -------
    Reading
        The new `reading`.
    """
    from dataclasses import replace

    predictor.max_memory = allowed_memory(max_memory)
    predictor.reading = replace(predictor.reading, max_pixels=max_pixels, max_memory=predictor.max_memory)
    return predictor.reading


def instance_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--resolution`` and ``--instances``, which `lstm2d.predict.load` takes."""
    options = [
        click.option(
            "--resolution",
            metavar="1/N",
            help="Recurrent CNNs and patch networks: compute one pixel in NxN; the others get the label of"
            " the nearest one.  [default: 1/8 for patch networks, else 1]",
        ),
        click.option(
            "--instances",
            metavar="P,P,...",
            help="Recurrent CNNs: label after P instances of the network; several are computed together."
            "  [default: as many as were trained]",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def use_photo_options(predictor: Predictor, size: str, bits: int | None, background: str | None) -> Size:
    """Apply the options that choose how photographs are read.

    Parameters
    ----------
    predictor : Predictor
        Its `reading` is replaced if bits or background are given.
    size : str
        "auto", "native" or a number.
    bits : int or None
        Significant bits per sample; None for those of the model.
    background : str or None
        A colour; None for that of the model.

    Returns
    -------
    "auto", "native" or float
        The size.

    Raises
    ------
    ConfigError
        If there is no such size or colour.
    """
    from dataclasses import replace

    from lstm2d.pipeline.preprocess import parse_size

    if bits is not None:
        predictor.reading = replace(predictor.reading, bits=bits)
    if background is not None:
        predictor.reading = replace(predictor.reading, background=colour(background))
    return parse_size(size)


def colour(text: str) -> tuple[int, int, int]:
    """Return red, green and blue of a colour's name, #rrggbb or R,G,B; raise ConfigError for others."""
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(f"rgb({text})" if "," in text and "(" not in text else text)[:3]
        if max(red, green, blue) > 255:
            raise ValueError(text)
    except ValueError as error:
        expected = 'a name such as "white", #rrggbb or R,G,B'
        raise ConfigError("--background: no such colour", where=text, expected=expected) from error
    return red, green, blue


def crf_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--crf``, ``--no-crf`` and ``--set``, which `apply_crf` applies."""
    options = [
        click.option(
            "--crf",
            is_flag=False,
            flag_value=DEFAULT_CRF,
            metavar="[NAME]",
            help="Align labels with image edges by a fully connected CRF with the settings NAME."
            f"  [default: the model's own; without NAME: {DEFAULT_CRF}]",
        ),
        click.option("--no-crf", is_flag=True, help="Use no CRF, even if the model has one."),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="crf.KEY=VALUE",
            help="Change a setting of the CRF; can be repeated.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def apply_crf(predictor: Predictor, name: str | None, off: bool, settings: tuple[str, ...]) -> None:
    """Apply the options that choose the CRF.

    Parameters
    ----------
    predictor : Predictor
        Its `crf`, the model's own, is replaced.
    name : str or None
        Named set; None for the model's own settings, and if it has none and `settings` are given, for
        the default set.
    off : bool
        No CRF.
    settings : tuple of str
        "crf.KEY=VALUE", applied to these settings.

    Raises
    ------
    ConfigError
        If a setting is wrong, or a CRF is both requested and turned off.
    """
    if off:
        if name is not None or settings:
            raise ConfigError("--no-crf together with --crf or --set", hint="leave one out")
        predictor.crf = None
    elif name is not None or settings:
        from lstm2d.config.crf import crf_settings

        own = predictor.crf.model_dump() if predictor.crf is not None else DEFAULT_CRF
        overrides = [(item, "--set") for item in settings]
        predictor.crf = crf_settings(own if name is None else name, overrides)
