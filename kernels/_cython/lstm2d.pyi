from typing import Any

from lstm2d.kernels.arrays import FloatArray

def lstm2d_forward(
    x: FloatArray,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    peepholes: FloatArray | None,
    cell_scale: float,
    leaky: bool,
    keep: bool,
) -> tuple[FloatArray, Any]: ...
def lstm2d_backward(
    grad_y: FloatArray,
    x: FloatArray,
    kept: Any,
    weight: FloatArray,
    recurrent: FloatArray,
    bias: FloatArray,
    peepholes: FloatArray | None,
    cell_scale: float,
    leaky: bool,
    need_x: bool,
) -> tuple[FloatArray | None, FloatArray, FloatArray, FloatArray, FloatArray | None]: ...
