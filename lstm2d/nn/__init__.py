"""Layers: parameters and a call to the operation that uses them."""

from lstm2d.nn.linear import Linear
from lstm2d.nn.lstm2d import LSTM2D
from lstm2d.nn.module import Module

__all__ = ["LSTM2D", "Linear", "Module"]
