"""Rows of the tables of cases: what the commands must do with kinds of inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lstm2d.reliability.inputs.case import COMMANDS, ODD, Case, Expected, Place


def case(
    name: str,
    write: Callable[[Place], object],
    *,
    check: Expected | None = None,
    train: Expected | None = None,
    evaluate: Expected | None = None,
    predict: Expected | None = None,
    **more: Any,
) -> Case:
    """Return a case; None for a command that the input does not concern."""
    given = dict(zip(COMMANDS, (check, train, evaluate, predict), strict=True))
    return Case(name, write, {command: one for command, one in given.items() if one is not None}, **more)


OK = Expected(0)


def ok(text: str = "") -> Expected:
    """Expect success, and a text."""
    return Expected(0, text)


def usage(text: str) -> Expected:
    """Expect exit code 2: wrong usage or configuration."""
    return Expected(2, text)


def bad(text: str) -> Expected:
    """Expect exit code 3: bad data."""
    return Expected(3, text)


def some(text: str) -> Expected:
    """Expect exit code 4: some inputs failed, the others were processed."""
    return Expected(4, text)


def unwritten(text: str) -> Expected:
    """Expect exit code 5: a result could not be written."""
    return Expected(5, text)


def bad_image(
    name: str, write: Callable[[Place], object], text: str, *, found: str = "", **more: Any
) -> Case:
    """Return the case of an image that cannot be read.

    Parameters
    ----------
    name : str
        Name of the case.
    write : callable
        Replaces the image.
    text : str
        What every command says about it.
    found : str, optional
        What `data check` says, if it is something else.
    **more : object
        Further fields of the case.

    Returns
    -------
    Case
        `predict` labels the other images.
    """

    def replaced(place: Place) -> None:
        del place.truth[f"{ODD}.png"]
        write(place)

    expected = bad(text)
    return case(
        name,
        replaced,
        check=bad(found or text),
        train=expected,
        evaluate=expected,
        predict=some(text),
        **more,
    )


def good_image(
    name: str, write: Callable[[Place], object], note: str = "", *, found: str = "", **more: Any
) -> Case:
    """Return the case of an unusual image that every command reads.

    Parameters
    ----------
    name : str
        Name of the case.
    write : callable
        Replaces the image by one of the same labels.
    note : str, optional
        What every command but `data check` remarks about it.
    found : str, optional
        What `data check` says about it.
    **more : object
        Further fields of the case.

    Returns
    -------
    Case
        Labels and accuracy are compared with those of the original image.
    """
    return case(name, write, check=ok(found), train=ok(note), evaluate=ok(note), predict=ok(note), **more)


def good(
    name: str, write: Callable[[Place], object], *, check: str = "", predict: str = "", **more: Any
) -> Case:
    """Return the case of an input that is unusual, but right for every command.

    Parameters
    ----------
    name : str
        Name of the case.
    write : callable
        Changes the inputs.
    check, predict : str, optional
        What these commands say about it.
    **more : object
        Further fields of the case.

    Returns
    -------
    Case
        The case.
    """
    return case(name, write, check=ok(check), train=OK, evaluate=OK, predict=ok(predict), **more)


def bad_mask(name: str, write: Callable[[Place], object], text: str, *, found: str = "", **more: Any) -> Case:
    """Return the case of a mask that cannot be used; `predict`, which reads no masks, succeeds.

    Parameters
    ----------
    name : str
        Name of the case.
    write : callable
        Replaces the mask.
    text : str
        What every command says about it.
    found : str, optional
        What `data check` says, if it is something else.
    **more : object
        Further fields of the case.

    Returns
    -------
    Case
        The case.
    """
    dataset = bad_dataset(name, write, text, found=found, **more)
    return replace(dataset, expected={**dataset.expected, "predict": OK})


def bad_dataset(
    name: str, write: Callable[[Place], object], text: str, *, found: str = "", **more: Any
) -> Case:
    """Return the case of a dataset that no command can use; `predict`, which needs images alone, is not run.

    Parameters
    ----------
    name : str
        Name of the case.
    write : callable
        Changes the dataset.
    text : str
        What every command says about it.
    found : str, optional
        What `data check` says, if it is something else.
    **more : object
        Further fields of the case.

    Returns
    -------
    Case
        The case.
    """
    return case(name, write, check=bad(found or text), train=bad(text), evaluate=bad(text), **more)


def bad_setting(name: str, write: Callable[[Place], object], text: str, code: int = 2, **more: Any) -> Case:
    """Return the case of a configuration that `train` refuses."""
    return case(name, write, train=Expected(code, text), **more)


def bad_model(name: str, write: Callable[[Place], object], text: str, code: int = 3, **more: Any) -> Case:
    """Return the case of a model that `evaluate`, `predict` and `train --init-from` refuse."""

    def started(place: Place) -> None:
        write(place)
        place.option("train", "--init-from", place.model)

    expected = Expected(code, text)
    return case(name, started, train=expected, evaluate=expected, predict=expected, **more)
