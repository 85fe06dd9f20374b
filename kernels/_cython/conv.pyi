from lstm2d.kernels.arrays import FloatArray, Pair

def conv2d_forward(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    activation: str | None = None,
) -> FloatArray: ...
def conv2d_adjoint(
    grad_y: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    activation: str | None = None,
) -> FloatArray: ...
def conv2d_grad_weight(
    x: FloatArray, grad_y: FloatArray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> FloatArray: ...
