"""Layers: parameters and a call to the operation that uses them."""

from lstm2d.nn.conv import Conv2d, ConvTranspose2d, Upsample
from lstm2d.nn.linear import Linear
from lstm2d.nn.lstm2d import LSTM2D
from lstm2d.nn.module import Module
from lstm2d.nn.norm import BatchNorm
from lstm2d.nn.renet import ReNet, Sweep, Unit

__all__ = [
    "LSTM2D",
    "BatchNorm",
    "Conv2d",
    "ConvTranspose2d",
    "Linear",
    "Module",
    "ReNet",
    "Sweep",
    "Unit",
    "Upsample",
]
