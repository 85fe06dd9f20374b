from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
Winner = NDArray[np.integer[Any]]
Pair = tuple[int, int]

def max_pool2d_forward(
    x: FloatArray, size: Pair, stride: Pair, padding: Pair, keep: bool
) -> tuple[FloatArray, Winner | None]: ...
def max_pool2d_backward(
    grad_y: FloatArray, winner: Winner, shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair
) -> FloatArray: ...
def avg_pool2d_forward(x: FloatArray, size: Pair, stride: Pair, padding: Pair) -> FloatArray: ...
def avg_pool2d_backward(
    grad_y: FloatArray, shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair
) -> FloatArray: ...
