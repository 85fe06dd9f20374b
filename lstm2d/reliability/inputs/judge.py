"""Compare what a command did with what it must do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lstm2d.reliability.inputs.case import Expected, Place

if TYPE_CHECKING:
    from lstm2d.reliability.inputs.drive import Ran

UNWANTED = ("Traceback (most recent call last)", "unexpected ", "please report it", "Exception ignored")


def problems_of(command: str, ran: Ran, expected: Expected, place: Place) -> Iterator[str]:
    """Yield one line about what is not as expected, if anything is not.

    Parameters
    ----------
    command : str
        One of `COMMANDS`.
    ran : Ran
        What it did.
    expected : Expected
        What it must do.
    place : Place
        Inputs and results.

    Yields
    ------
    str
        The command and what is wrong, with the beginning of its messages.
    """
    problems = list(_problems(command, ran, expected, place))
    if problems:
        yield f"{command}: {'; '.join(problems)}; it wrote: {shortened(ran.err)}"


def _problems(command: str, ran: Ran, expected: Expected, place: Place) -> Iterator[str]:
    if ran.code != expected.code:
        yield f"exit code {ran.code}, expected {expected.code}"
    if folded(expected.text) not in folded(ran.err) + folded(ran.out):
        yield f"{expected.text!r} is missing"
    for text in UNWANTED:
        if text in ran.err:
            yield f"{text!r} in its messages"
    blocks = len(re.findall(r"^Error: ", ran.err, re.MULTILINE))
    if blocks != (ran.code != 0):
        yield f"{blocks} messages of an error"
    found, wrong = result_of(ran)
    yield from wrong
    if found is not None and ran.code == expected.code:
        check = {"train": _training, "evaluate": _evaluation, "predict": _prediction}.get(command)
        if check is not None:
            yield from check(found, ran.code, place)


def folded(text: str) -> str:
    """Return a text with single spaces: tables and paragraphs are wrapped."""
    return " ".join(text.split())


def shortened(text: str, limit: int = 300) -> str:
    """Return the error message in a text, or its end, in one line."""
    line = folded(text)
    begin = line.find("Error: ")
    if begin < 0:
        return line[-limit:]
    return line[begin : begin + limit]


def result_of(ran: Ran) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the JSON object in the last line of stdout, and what is wrong with stdout.

    Parameters
    ----------
    ran : Ran
        A command that was run with ``--json``.

    Returns
    -------
    result : dict or None
        None if the last line is not one.
    problems : list of str
        Lines that are not JSON objects, results besides the last, or an error with another exit code.
    """
    objects: list[dict[str, Any]] = []
    for line in ran.out.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            return None, [f"a line of stdout is not a JSON object: {line[:80]!r}"]
        objects.append(value)
    if not objects:
        # click reports wrong usage before there is a command
        return None, [] if ran.code == 2 and "Usage:" in ran.err else ["no JSON object on stdout"]
    results = [one for one in objects if "event" not in one]
    problems = [] if results == objects[-1:] else [f"{len(results)} results on stdout"]
    error = objects[-1].get("error")
    if isinstance(error, dict) and error.get("exit_code") != ran.code:
        problems.append(f"exit code {ran.code}, but {error.get('exit_code')} in the JSON object")
    return objects[-1], problems


def _training(found: dict[str, Any], code: int, place: Place) -> Iterator[str]:
    if code == 0 and not Path(str(found.get("model"))).is_file():
        yield "no model was saved"


def _evaluation(found: dict[str, Any], code: int, place: Place) -> Iterator[str]:
    accuracy = found.get("pixel_accuracy")
    if code == 0 and place.accuracy is not None and accuracy != place.accuracy:
        yield f"pixel accuracy {accuracy}, expected {place.accuracy}"


def _prediction(found: dict[str, Any], code: int, place: Place) -> Iterator[str]:
    """Yield wrong and missing label images; those of bad images must not be there."""
    if code not in (0, 4):
        return
    folder = Path(place.outputs["predict"])
    files = (path for path in folder.rglob("*.png") if path.is_file())
    written = {path.relative_to(folder).as_posix() for path in files} - {"legend.png"}
    if written != place.truth.keys():
        yield f"label images {sorted(written)}, expected {sorted(place.truth)}"
        return
    if found.get("images") != len(place.truth):
        yield f"{found.get('images')} images counted, {len(place.truth)} labelled"
    for name, labels in place.truth.items():
        try:
            with Image.open(folder / name) as image:
                right = np.array_equal(np.array(image), labels)
        except Exception as error:  # a decoder may raise anything for a damaged file
            yield f"{name} cannot be read: {error}"
            continue
        if not right:
            yield f"wrong labels in {name}"
