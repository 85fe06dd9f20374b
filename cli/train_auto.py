"""The choice of `lstm2d train auto`, and the command that trains in the same way."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lstm2d.cli.output import Console
from lstm2d.errors import ConfigError

if TYPE_CHECKING:
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.training.choose import Choice, Facts

AUTO = "auto"
DEFAULT_RUN = "runs/auto"


def decide(
    console: Console,
    data: Path,
    out: Path,
    overrides: Sequence[tuple[str, str]],
    typed: Sequence[str],
    init_from: Path | None,
) -> tuple[DatasetFolder, Choice]:
    """Choose how to train on a dataset, and write the choice.

    Parameters
    ----------
    console : Console
        Where to write.
    data, out : Path
        Folders of the dataset and of the run.
    overrides : sequence of (str, str)
        The user's values, as for `lstm2d.config.resolve`; time and split count.
    typed : sequence of str
        The user's options as words.
    init_from : Path or None
        Must be None.

    Returns
    -------
    dataset : DatasetFolder
        The dataset.
    choice : Choice
        The choice.

    Raises
    ------
    ConfigError
        If a value is not valid, or the user names a model to start from.
    DataError
        If the data cannot be used.
    """
    from lstm2d.data.folder import DatasetFolder
    from lstm2d.training import choose

    if init_from is not None:
        hint = "leave it out, or name a preset instead of auto"
        raise ConfigError("`init_from` with auto, which chooses a model to start from", hint=hint)
    dataset = DatasetFolder(data)
    facts, choice = choose.decide(dataset, overrides)
    command = ["lstm2d", "train", choice.preset, "--data", str(data), "-o", str(out)]
    command += ["--init-from", str(choice.start)] if choice.start is not None else []
    command += [word for item in choice.settings for word in ("--set", item)]
    tell(console, facts, choice, [*command, *typed])
    return dataset, choice


def tell(console: Console, facts: Facts, choice: Choice, command: Sequence[str]) -> None:
    """Write a choice, its reasons, and the command that does the same by hand.

    Parameters
    ----------
    console : Console
        Where to write.
    facts : Facts
        What the choice is based on.
    choice : Choice
        The choice.
    command : sequence of str
        Words of the command.
    """
    time = "no limit of time"
    if math.isfinite(facts.seconds):
        time = f"{facts.seconds / 60:.4g} minutes" if facts.seconds > 90 else f"{facts.seconds:.4g} seconds"
    vgg16 = "VGG-16 imported" if facts.vgg16 else "VGG-16 not imported"
    seen = f"{facts.images} images, {facts.classes} classes, typical size {facts.size:.0f}, {vgg16}, {time}"
    console.say(f"auto: {seen}")
    console.say("\n  ".join([f"chosen: {choice}", *choice.reasons]))
    console.say(f"the same by hand:\n  {shlex.join(command)}")
    console.event(
        {
            "event": "choice",
            "preset": choice.preset,
            "init_from": choice.init_from,
            "settings": list(choice.settings),
            "reasons": list(choice.reasons),
            "command": list(command),
        }
    )
