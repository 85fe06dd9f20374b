from typing import Any

from lstm2d.kernels.arrays import FloatArray

def rnn_forward(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    unit: str,
    axis: int,
    keep: bool,
) -> tuple[FloatArray, Any]: ...
def rnn_backward(
    grad_y: FloatArray,
    x: FloatArray,
    y: FloatArray,
    kept: Any,
    weight: FloatArray,
    recurrent: FloatArray,
    unit: str,
    axis: int,
    need_x: bool,
) -> tuple[FloatArray | None, FloatArray, FloatArray, FloatArray]: ...
