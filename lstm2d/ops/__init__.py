"""Every differentiable operation."""

from lstm2d.ops.conv import conv2d, conv_transpose2d
from lstm2d.ops.dropout import dropout
from lstm2d.ops.elementwise import add, direction_sum, relu, scale, sigmoid, tanh
from lstm2d.ops.linear import linear
from lstm2d.ops.loss import clip_normalise, cross_entropy, soft_cross_entropy, softmax
from lstm2d.ops.lstm2d import lstm2d_layer
from lstm2d.ops.norm import batch_norm, l2_normalise, local_response_norm
from lstm2d.ops.pool import avg_pool2d, max_pool2d
from lstm2d.ops.resize import bilinear_resize, cubic_resize, repeat_cells
from lstm2d.ops.rnn import gru_sweep, lstm_sweep, rnn_sweep
from lstm2d.ops.shape import concatenate, crop, pad2d, reshape, transpose
from lstm2d.ops.windows import window_gather

__all__ = [
    "add",
    "avg_pool2d",
    "batch_norm",
    "bilinear_resize",
    "clip_normalise",
    "concatenate",
    "conv2d",
    "conv_transpose2d",
    "crop",
    "cross_entropy",
    "cubic_resize",
    "direction_sum",
    "dropout",
    "gru_sweep",
    "l2_normalise",
    "linear",
    "local_response_norm",
    "lstm2d_layer",
    "lstm_sweep",
    "max_pool2d",
    "pad2d",
    "relu",
    "repeat_cells",
    "reshape",
    "rnn_sweep",
    "scale",
    "sigmoid",
    "soft_cross_entropy",
    "softmax",
    "tanh",
    "transpose",
    "window_gather",
]
