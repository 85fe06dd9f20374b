"""Map parameters of the library to command-line options."""

from __future__ import annotations

import re

# parameter -> option: messages of the library name parameters, users of the command line know options
OPTIONS = {
    "colors": "--colors",
    "convention": "--convention",
    "dask": "--dask",
    "device": "--device",
    "epochs": "--epochs",
    "fill_with": "--fill-with",
    "format": "--format",
    "init_from": "--init-from",
    "instances": "--instances",
    "jpeg_masks": "--jpeg-masks",
    "k_factor": "--k-factor",
    "layers": "--layers",
    "max_memory": "--max-memory",
    "max_pixels": "--max-pixels",
    "max_time": "--max-time",
    "memory": "--memory",
    "method": "--method",
    "nstar_factor": "--nstar-factor",
    "out": "-o",
    "overrides": "--set",
    "overwrite": "--overwrite",
    "resize_masks": "--resize-masks",
    "resolution": "--resolution",
    "resume": "--resume",
    "rho": "--rho",
    "seed": "--seed",
    "shard": "--shard",
    "size": "--size",
    "skip_done": "--skip-done",
    "split": "--split",
    "stream": "--stream",
    "splits": "--splits",
    "threshold": "--threshold",
    "train_split": "--train-split",
    "uncovered": "--uncovered",
    "val": "--val",
    "val_split": "--val-split",
    "window": "--window",
}
_PARAMETER = re.compile(rf"`({'|'.join(OPTIONS)})(?:=([^`]*))?`")


def with_options(text: str) -> str:
    """Replace parameters in backticks by the options of the command line.

    Parameters
    ----------
    text : str
        A message of the library, such as "use `device='cpu'`".

    Returns
    -------
    str
        "use --device cpu". A value True is left out: "`resume=True`" becomes "--resume". Other words in
        backticks stay.
    """
    return _PARAMETER.sub(_option, text)


def _option(found: re.Match[str]) -> str:
    option, value = OPTIONS[found[1]], (found[2] or "").strip("'\"")
    return option if value in ("", "True") else f"{option} {value}"
