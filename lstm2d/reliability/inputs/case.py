"""A bad input: how it is made, and what each command must do with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
