from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]

def window_gather_forward(x: FloatArray, window: int) -> FloatArray: ...
def window_gather_backward(grad_y: FloatArray, window: int) -> FloatArray: ...
def window_targets(
    labels: NDArray[np.integer[Any]],
    window: int,
    n_classes: int,
    ignore_index: int,
    class_weights: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
