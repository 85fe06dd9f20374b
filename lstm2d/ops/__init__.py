"""Every differentiable operation."""

from lstm2d.ops.conv import conv2d, conv_transpose2d
from lstm2d.ops.elementwise import add, direction_sum, tanh
from lstm2d.ops.linear import linear
from lstm2d.ops.loss import soft_cross_entropy, softmax
from lstm2d.ops.lstm2d import lstm2d_layer
from lstm2d.ops.pool import avg_pool2d, max_pool2d
from lstm2d.ops.resize import bilinear_resize, cubic_resize
from lstm2d.ops.rnn import gru_sweep, lstm_sweep, rnn_sweep
from lstm2d.ops.windows import window_gather

__all__ = [
    "add",
    "avg_pool2d",
    "bilinear_resize",
    "conv2d",
    "conv_transpose2d",
    "cubic_resize",
    "direction_sum",
    "gru_sweep",
    "linear",
    "lstm2d_layer",
    "lstm_sweep",
    "max_pool2d",
    "rnn_sweep",
    "soft_cross_entropy",
    "softmax",
    "tanh",
    "window_gather",
]
