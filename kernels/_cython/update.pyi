from typing import Any

import numpy as np
from numpy.typing import NDArray

Flat = NDArray[np.floating[Any]]

def gradient_norm(gradient: Flat) -> float: ...
def is_finite(values: Flat) -> bool: ...
def sgd_step(
    weights: Flat,
    gradient: Flat,
    velocity: Flat,
    mean: Flat | None,
    rates: Flat | None,
    learning_rate: float,
    clip: float,
    weight_decay: float,
    momentum: float,
    decay: float,
) -> None: ...
def adadelta_step(
    weights: Flat,
    gradient: Flat,
    square: Flat,
    change: Flat,
    mean: Flat | None,
    rates: Flat | None,
    learning_rate: float,
    clip: float,
    weight_decay: float,
    rho: float,
    eps: float,
    decay: float,
) -> None: ...
