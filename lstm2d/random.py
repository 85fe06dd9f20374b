"""Random numbers that depend on what they are for, and on nothing that happened before."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from lstm2d.errors import ConfigError

MAX_SEED = 2**63 - 1  # what fits a TOML integer


class Purpose(IntEnum):
    """What a random number is for; the values are part of every run's result and never change."""

    INIT = 0
    ORDER = 1
    FLIP = 2
    JITTER = 3
    HOLD_OUT = 4
    SYNTH = 5
    DROPOUT = 6
    CROP = 7


def generator(seed: int, epoch: int, sample: int, purpose: Purpose, part: int = 0) -> np.random.Generator:
    """Return the generator of one sample's draws in one epoch.

    Parameters
    ----------
    seed : int
        The run's seed, 0 or more and below 2**63.
    epoch : int
        Epoch, 0 or more.
    sample : int
        Number of the sample (image, scene, parameter), 0 or more.
    purpose : Purpose
        What the draws are for.
    part : int, default 0
        Number of an independent part of them, such as a layer, 0 or more.

    Returns
    -------
    numpy.random.Generator
        Philox with the seed and the purpose as key, and the part, the sample and the epoch in the upper words
        of the counter: no two streams meet before 2**66 draws. Workers, order of work and restarts change
        nothing.

    Raises
    ------
    ConfigError
        If the seed is out of range.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ConfigError("seed out of range", where=seed, expected=f"0 to {MAX_SEED}")
    key = np.array([seed, purpose], dtype=np.uint64)
    counter = np.array([0, part, sample, epoch], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
