import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels.arrays import FloatArray

def softmax_forward(x: FloatArray) -> FloatArray: ...
def softmax_backward(y: FloatArray, grad_y: FloatArray) -> FloatArray: ...
def soft_cross_entropy_forward(
    scores: FloatArray, targets: FloatArray, weight: FloatArray
) -> tuple[float, FloatArray]: ...
def soft_cross_entropy_backward(
    probability: FloatArray, targets: FloatArray, weight: FloatArray, factor: float
) -> FloatArray: ...
def cross_entropy_forward(
    scores: FloatArray, labels: NDArray[np.intp], class_weights: FloatArray, ignore_index: int, keep: bool
) -> tuple[float, float, FloatArray | None]: ...
def cross_entropy_backward(
    probability: FloatArray,
    labels: NDArray[np.intp],
    class_weights: FloatArray,
    ignore_index: int,
    factor: float,
) -> FloatArray: ...
def clip_normalise(x: FloatArray) -> FloatArray: ...
