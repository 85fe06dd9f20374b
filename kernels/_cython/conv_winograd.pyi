from lstm2d.kernels.arrays import FloatArray, Pair

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
