from typing import Any

def lstm2d_forward(
    x: Any,
    weight: Any,
    recurrent: Any,
    bias: Any,
    peepholes: Any,
    cell_scale: float,
    leaky: bool,
    keep: bool,
) -> tuple[Any, Any]: ...
def lstm2d_backward(
    grad_y: Any,
    x: Any,
    kept: Any,
    weight: Any,
    recurrent: Any,
    bias: Any,
    peepholes: Any,
    cell_scale: float,
    leaky: bool,
    need_x: bool,
) -> tuple[Any, Any, Any, Any, Any]: ...
