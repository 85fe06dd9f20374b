from lstm2d.kernels.arrays import FloatArray
from lstm2d.kernels.conv_parts import Part

def products(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    y: FloatArray,
    row_parts: list[Part],
    column_parts: list[Part],
    activation: int,
) -> None: ...
def grad_weight(
    x: FloatArray,
    grad_y: FloatArray,
    grad: FloatArray,
    row_parts: list[Part],
    column_parts: list[Part],
) -> None: ...
