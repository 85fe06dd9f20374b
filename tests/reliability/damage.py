"""Seeded damage to files: flipped bits, bytes that are set, and cuts; and the memory that reading takes."""

import os
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

ROUNDS = int(os.environ.get("LSTM2D_DAMAGE_ROUNDS", "60"))
SLACK = 2**18  # bytes; tables and messages, whatever the size of the file
# Lengths and offsets are in the first bytes of every format, so half of the damage is done there.
BEGINNING = 4096


def damaged(data: bytes, rounds: int, seed: int) -> Iterator[bytes]:
    """Yield damaged copies of a file."""
    rng = np.random.default_rng(seed)
    for number in range(rounds):
        length = len(data) if number % 2 else min(BEGINNING, len(data))
        if number % 5 == 4:
            yield data[: int(rng.integers(length))]
            continue
        copy = bytearray(data)
        for place in rng.integers(length, size=1 + number % 3):
            if number % 5 == 3:
                copy[place] = int(rng.choice([0, 34, 44, 48, 57, 255]))
            else:
                copy[place] ^= 1 << int(rng.integers(8))
        yield bytes(copy)


def outcomes(path: Path, read: Callable[[Path], str], rounds: int, seed: int) -> Counter[str]:
    """Read damaged copies of a file; return how often each outcome occurred.

    Parameters
    ----------
    path : Path
        The file; it is replaced by the damaged copies, and is intact again afterwards.
    read : callable
        Reads the file; returns "harmless" if it equals the intact one, "refused" with a reason, or what
        is wrong.
    rounds : int
        Number of damaged copies.
    seed : int
        Seed of the damage.

    Raises
    ------
    AssertionError
        If reading takes more memory than twice the file.
    """
    data = path.read_bytes()
    found: Counter[str] = Counter()
    assert read(path) == "harmless"
    try:
        for number, copy in enumerate(damaged(data, rounds, seed)):
            path.write_bytes(copy)
            tracemalloc.start()
            try:
                outcome = read(path)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert peak <= 2 * len(data) + SLACK, f"round {number}: {peak} bytes for a file of {len(data)}"
            found[outcome] += 1
    finally:
        path.write_bytes(data)
    return found
