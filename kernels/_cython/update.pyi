from lstm2d.kernels.arrays import FloatArray

def gradient_norm(gradient: FloatArray) -> float: ...
def is_finite(values: FloatArray) -> bool: ...
def sgd_step(
    weights: FloatArray,
    gradient: FloatArray,
    velocity: FloatArray,
    mean: FloatArray | None,
    rates: FloatArray | None,
    learning_rate: float,
    clip: float,
    weight_decay: float,
    momentum: float,
    decay: float,
) -> None: ...
def adadelta_step(
    weights: FloatArray,
    gradient: FloatArray,
    square: FloatArray,
    change: FloatArray,
    mean: FloatArray | None,
    rates: FloatArray | None,
    learning_rate: float,
    clip: float,
    weight_decay: float,
    rho: float,
    eps: float,
    decay: float,
) -> None: ...
