import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels.arrays import FloatArray, IntArray

def window_gather_forward(x: FloatArray, window: int) -> FloatArray: ...
def window_gather_backward(grad_y: FloatArray, window: int) -> FloatArray: ...
def window_targets(
    labels: IntArray,
    window: int,
    n_classes: int,
    ignore_index: int,
    class_weights: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
