"""A bad input: how it is made, and what each command must do with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COMMANDS = ("check", "train", "evaluate", "predict")
ODD = "odd"  # stem of the image that a case replaces


class CannotMakeError(Exception):
    """An input cannot be made on this system, for example a file that root may not read."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a command must do.

    Parameters
    ----------
    code : int
        Its exit code.
    text : str, optional
        A part of what it writes; any white space in it stands for any other.
    """

    code: int
    text: str = ""


@dataclass
class Place:
    """The folder of a case: inputs, results and command lines.

    Parameters
    ----------
    root : Path
        The folder. Inputs are in ``given``, results in ``out``.
    truth : dict of str to array
        The label image that `predict` must write for each image, by its name in the output folder.

    Attributes
    ----------
    preset, model : str
        Arguments of the commands.
    inputs : list of str
        Images and folders for `predict`.
    outputs : dict of str to str
        Output file or folder of each command; none for a command that is not in it.
    options : dict of str to list of str
        Further words of each command.
    accuracy : float or None
        Pixel accuracy that `evaluate` must measure if it succeeds; None if any will do.
    hooks : list of callable
        Called with the name of a command right before it, in the process that runs it.
    dataset : Path or None
        Dataset of the command lines, if it is not `data`.
    changing : set of str
        Names in ``given`` that change during the case, because the case itself changes them.
    """

    root: Path
    truth: dict[str, NDArray[np.uint8]]
    preset: str = "lstm2d-1x1"
    model: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    options: dict[str, list[str]] = field(default_factory=dict)
    accuracy: float | None = 1.0
    hooks: list[Callable[[str], None]] = field(default_factory=list)
    dataset: Path | None = None
    changing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.model = self.model or str(self.given / "model.safetensors")
        self.inputs = self.inputs or [str(self.data / "images")]
        self.outputs = {
            "train": str(self.out / "run"),
            "evaluate": str(self.out / "figures.csv"),
            "predict": str(self.labels),
        } | self.outputs

    @property
    def given(self) -> Path:
        """The folder of all inputs."""
        return self.root / "given"

    @property
    def data(self) -> Path:
        """The dataset."""
        return self.given / "data"

    @property
    def out(self) -> Path:
        """The folder of all results."""
        return self.root / "out"

    @property
    def labels(self) -> Path:
        """The folder of label images."""
        return self.out / "labels"

    def put(self, name: str, content: bytes | str) -> Path:
        """Write a file of the dataset; the original, to which the file may be a hard link, stays."""
        path = self.clear(name)
        path.write_bytes(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)
        return path

    def clear(self, *names: str) -> Path:
        """Delete files, links and folders of the dataset; return the path of the first."""
        for name in names:
            path = self.data / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        return self.data / names[0]

    def image(self, ending: str = ".png", stem: str = ODD) -> Path:
        """Delete the odd image; return the path of another one in its place."""
        return self._replaced("images", ending, stem)

    def mask(self, ending: str = ".png", stem: str = ODD) -> Path:
        """Delete the odd mask; return the path of another one in its place."""
        return self._replaced("masks", ending, stem)

    def _replaced(self, folder: str, ending: str, stem: str) -> Path:
        self.clear(f"{folder}/{ODD}.png")
        return self.data / folder / f"{stem}{ending}"

    def split(self, name: str, lines: Iterable[str]) -> None:
        """Write a split."""
        self.put(f"splits/{name}.txt", "".join(f"{line}\n" for line in lines))

    def option(self, command: str, *words: str) -> None:
        """Add words to a command."""
        self.options.setdefault(command, []).extend(words)

    def words(self, command: str) -> list[str]:
        """Return the command line of a command."""
        data, out = str(self.dataset or self.data), self.outputs.get(command)
        written = [] if out is None else ["-o", out]
        options = [*self.options.get(command, []), "--json", "--threads", "1"]
        if command == "check":
            return ["data", "check", data, *written, *options]
        if command == "train":
            small = [word for item in SMALL for word in ("--set", item)]
            return ["train", self.preset, "--data", data, *written, *small, *options, "--device", "cpu"]
        if command == "evaluate":
            return ["evaluate", self.model, data, "--split", "train", *written, *options, "--device", "cpu"]
        return ["predict", *written, *options, "--device", "cpu", self.model, *self.inputs]


SMALL = (
    "model.units=[1]",
    "model.features=[]",
    "model.feedforward=shared",
    "model.peepholes=false",
    "train.epochs=1",
    "train.flip=false",
    "train.scale_jitter=0.0",
    "train.brightness_jitter=0.0",
)


@dataclass(frozen=True)
class Case:
    """A bad or unusual input.

    Parameters
    ----------
    name : str
        Unique, in words.
    write : callable
        Changes a good dataset, model or command line.
    expected : mapping of str to Expected
        What each command must do; commands that the input does not concern are left out.
    pictures : bool, default False
        Whether `train` draws its plots too, which takes longer than all the rest.
    mebibytes : int
        Memory that all commands together may take, besides that of the program itself.
    """

    name: str
    write: Callable[[Place], object]
    expected: Mapping[str, Expected]
    pictures: bool = False
    mebibytes: int = 400


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


def link(source: str | os.PathLike[str], path: Path) -> None:
    """Make a symbolic link in place of a file."""
    path.unlink(missing_ok=True)
    path.symlink_to(source)


def names_of(cases: Sequence[Case]) -> list[str]:
    """Return the names of cases; raise ValueError if two are equal."""
    names = [one.name for one in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two cases of one name: {twice}")
    return names
