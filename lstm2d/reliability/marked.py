"""Run the program, with a line on stdout at moments of a training.

    python -m lstm2d.reliability.marked train ...

The lines are "mark NAME", for the names in `MARKS`. `lstm2d selftest crash` kills such a process.
"""

from __future__ import annotations

import functools
import os
import runpy
import sys
from collections.abc import Callable
from typing import Any

from lstm2d.training.listeners import checkpoints
from lstm2d.training.listeners.validation import Validation
from lstm2d.training.loop import Trainer

# name: what is about to begin
MARKS: dict[str, tuple[object, str]] = {
    "step": (Trainer, "step"),
    "checkpoint": (checkpoints, "save_checkpoint"),
    "validation": (Validation, "measure"),
    "stage": (Trainer, "next_stage"),
    "end": (Trainer, "result"),
}


def mark(owner: object, attribute: str, name: str) -> None:
    """Let a function of a module or class write its mark before it runs.

    Parameters
    ----------
    owner : module or class
        Holds the function.
    attribute : str
        Name of the function there.
    name : str
        Name of the mark.
    """
    function: Callable[..., Any] = getattr(owner, attribute)

    @functools.wraps(function)
    def marked(*args: Any, **options: Any) -> Any:
        os.write(sys.__stdout__.fileno(), f"mark {name}\n".encode())  # type: ignore[union-attr]
        return function(*args, **options)

    setattr(owner, attribute, marked)


def main() -> None:
    """Set the marks and run the program with the words of the command line."""
    for name, (owner, attribute) in MARKS.items():
        mark(owner, attribute, name)
    runpy.run_module("lstm2d", run_name="__main__")


if __name__ == "__main__":
    main()
