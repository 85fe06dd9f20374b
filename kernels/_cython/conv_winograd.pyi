from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
Pair = tuple[int, int]

def largest(channels: int, outputs: int) -> int: ...
def products(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    y: FloatArray,
    padding: Pair,
    dilation: Pair,
    activation: int,
    turned: bool,
) -> None: ...
def grad_weight(x: FloatArray, grad_y: FloatArray, padding: Pair, dilation: Pair) -> FloatArray: ...
