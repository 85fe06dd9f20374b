from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
Pair = tuple[int, int]

def products(
    x: FloatArray, weight: FloatArray, bias: FloatArray | None, y: FloatArray, activation: int
) -> None: ...
def adjoint(
    grad_y: FloatArray, weight: FloatArray, bias: FloatArray | None, grad_x: FloatArray, activation: int
) -> None: ...
def grad_weight(x: FloatArray, grad_y: FloatArray, kernel: Pair) -> FloatArray: ...
