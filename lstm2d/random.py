"""Counter-based random numbers, determined by seed, epoch, sample and purpose."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from lstm2d.errors import ConfigError

MAX_SEED = 2**63 - 1  # largest TOML integer


class Purpose(IntEnum):
    """Purpose of a random stream; the values affect the results of every run and must not change."""

    INIT = 0
    ORDER = 1
    FLIP = 2
    JITTER = 3
    HOLD_OUT = 4
    SYNTH = 5
    DROPOUT = 6
    CROP = 7
    INSTANCES = 8
    PATCH = 9
    SHIFT = 10
    WHITEN = 11
    HIERARCHY = 12
    ROTATION = 13
    SUPERPIXEL = 14
    KILL = 15


def generator(seed: int, epoch: int, sample: int, purpose: Purpose, part: int = 0) -> np.random.Generator:
    """Return the random generator of one sample in one epoch.

    Parameters
    ----------
    seed : int
        Seed of the run, 0 to 2**63 - 1.
    epoch : int
        Epoch, 0 or more.
    sample : int
        Number of the sample (image, scene, parameter), 0 or more.
    purpose : Purpose
        Purpose of the random numbers.
    part : int, default 0
        Number of an independent part, such as a layer, 0 or more.

    Returns
    -------
    numpy.random.Generator
        Philox with seed and purpose as key, and part, sample and epoch in the upper words of the counter, so
        that streams do not overlap within 2**66 draws. The number of workers, the order of work and restarts
        do not affect the result.

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
