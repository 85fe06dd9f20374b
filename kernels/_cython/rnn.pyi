from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

def rnn_forward(
    x: Array, weight: Array, recurrent: Array, bias: Array, unit: str, axis: int, keep: bool
) -> tuple[Array, Any]: ...
def rnn_backward(
    grad_y: Array,
    x: Array,
    y: Array,
    kept: Any,
    weight: Array,
    recurrent: Array,
    unit: str,
    axis: int,
    need_x: bool,
) -> tuple[Array | None, Array, Array, Array]: ...
