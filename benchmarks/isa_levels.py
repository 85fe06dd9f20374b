"""Differences between instruction-set levels of the kernels: the same operations in one process per level.

A row is an operation of ``lstm2d doctor``, in float32. A cell is the largest difference from the plain
level, of the result and of all gradients, in units in the last place of an array's largest value.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np
from memory import in_fresh_process
from numpy.typing import NDArray
from timing import machine, publish

from lstm2d.kernels import isa
from lstm2d.selftest import CASES, evaluate, typed
from lstm2d.selftest.case import DOCTOR

Arrays = list[NDArray[Any]]


def compute() -> dict[str, Arrays]:
    """Return result and gradients of every operation, at the level of this process."""
    cases = [case for case in CASES if DOCTOR in case.users]
    return {case.name: list(evaluate(case, typed(np.float32)).values()) for case in cases}


def at(level: str) -> dict[str, Arrays]:
    """Return the arrays of `compute`, computed at a level."""
    os.environ[isa.VARIABLE] = level  # read by the new process
    return in_fresh_process(compute)


def ulps(found: Arrays, expected: Arrays) -> float:
    """Return the largest difference of the arrays, in units in the last place of an array's largest value."""
    return max(
        float(np.abs(a - b).max() / np.spacing(np.abs(b).max())) for a, b in zip(found, expected, strict=True)
    )


def main() -> None:
    """Compute and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    options = parser.parse_args()
    plain, *levels = isa.LEVELS[: isa.LEVELS.index(isa.supported_level()) + 1]
    expected = at(plain)
    found = {level: at(level) for level in levels}
    rows = [
        {"case": name, **{level: round(ulps(found[level][name], arrays), 1) for level in levels}}
        for name, arrays in expected.items()
    ]
    publish(
        options.json,
        {"machine": machine([1]), "rows": rows},
        "units in the last place of an array's largest value, against the plain level",
        ["operation", *levels],
        [[str(cell) for cell in row.values()] for row in rows],
    )


if __name__ == "__main__":
    main()
