"""The kernel families: functions and signatures that every backend of a family has.

`lstm2d.kernels.pick` returns one of these. The modules in ``_reference`` define what their functions compute.
All arrays of a call are on one device; floating-point arrays are all float32 or all float64, and results have
their data type unless a function says otherwise. `object` is a value that only the same backend can read.
"""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from lstm2d.kernels.arrays import FloatArray, IntArray, Pair, Sums
from lstm2d.kernels.lattice import Lattice
from lstm2d.kernels.taps import Taps

Activation = Literal["relu", "tanh"]
Unit = Literal["gru", "lstm", "tanh", "relu"]
Family = Literal[
    "conv",
    "crf",
    "elementwise",
    "linear",
    "lstm2d",
    "norm",
    "pool",
    "resize",
    "rnn",
    "softmax",
    "update",
    "windows",
]
FAMILIES: tuple[Family, ...] = get_args(Family)


class Conv(Protocol):
    """Convolution of images (N, H, W, C_in) with filters (kh, kw, C_in, C_out)."""

    def conv2d_forward(
        self,
        x: FloatArray,
        weight: FloatArray,
        bias: FloatArray | None,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        activation: Activation | None = None,
    ) -> FloatArray:
        """Return the convolution, plus bias, then the activation."""

    def conv2d_adjoint(
        self,
        grad_y: FloatArray,
        weight: FloatArray,
        bias: FloatArray | None,
        size: Pair,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        activation: Activation | None = None,
    ) -> FloatArray:
        """Return the gradient of an x of `size` pixels, plus bias, then the activation."""

    def conv2d_grad_weight(
        self, x: FloatArray, grad_y: FloatArray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
    ) -> FloatArray:
        """Return the gradient of weight, summed over positions and images."""


class Crf(Protocol):
    """Gaussian filtering of values (N, K) at scattered features (N, d)."""

    def build_lattice(self, features: FloatArray) -> Lattice:
        """Return the permutohedral lattice around the features."""

    def lattice_filter(
        self, lattice: Lattice, values: FloatArray, before: FloatArray, after: FloatArray
    ) -> FloatArray:
        """Return after_i * sum_j G(f_i - f_j) * before_j * values_j, approximated on the lattice."""

    def gaussian_sum(
        self, features: FloatArray, values: FloatArray, before: FloatArray, after: FloatArray
    ) -> FloatArray:
        """Return after_i * sum_j exp(-|f_i - f_j|^2 / 2) * before_j * values_j."""


class Elementwise(Protocol):
    """Functions of single elements, and the sum of the four scan directions."""

    def tanh_forward(self, x: FloatArray) -> FloatArray:
        """Return tanh(x)."""

    def tanh_backward(self, y: FloatArray, grad_y: FloatArray) -> FloatArray:
        """Return the gradient of x from the saved result y."""

    def sigmoid_forward(self, x: FloatArray) -> FloatArray:
        """Return 1 / (1 + exp(-x))."""

    def sigmoid_backward(self, y: FloatArray, grad_y: FloatArray) -> FloatArray:
        """Return the gradient of x from the saved result y."""

    def relu_forward(self, x: FloatArray) -> FloatArray:
        """Return max(x, 0)."""

    def relu_backward(self, y: FloatArray, grad_y: FloatArray) -> FloatArray:
        """Return the gradient of x from the saved result y."""

    def direction_sum_forward(self, x: FloatArray) -> FloatArray:
        """Return (..., U) from (..., 4 * U)."""

    def direction_sum_backward(self, grad_y: FloatArray) -> FloatArray:
        """Return (..., 4 * U) from (..., U)."""


class Linear(Protocol):
    """A matrix (C_in, C_out) applied to every position of images (N, P, C_in)."""

    def linear_forward(
        self,
        x: FloatArray,
        weight: FloatArray,
        bias: FloatArray | None,
        activation: Activation | None = None,
    ) -> FloatArray:
        """Return x @ weight + bias, then the activation."""

    def linear_grad_x(self, grad_y: FloatArray, weight: FloatArray) -> FloatArray:
        """Return the gradient of x."""

    def linear_grad_weight(self, x: FloatArray, grad_y: FloatArray) -> FloatArray:
        """Return the gradient of weight, summed over positions and images."""

    def linear_grad_bias(self, grad_y: FloatArray) -> FloatArray:
        """Return the gradient of bias, summed in float64 over positions and images."""


class Lstm2d(Protocol):
    """The 2D-LSTM layer: four scans of images (N, H, W, C) with U units each."""

    def lstm2d_forward(
        self,
        x: FloatArray,
        weight: FloatArray,
        recurrent: FloatArray,
        bias: FloatArray,
        peepholes: FloatArray | None,
        cell_scale: float,
        leaky: bool,
        keep: bool,
    ) -> tuple[FloatArray, object]:
        """Return the hidden states (N, H, W, 4 * U) and, with `keep`, what the backward pass needs."""

    def lstm2d_backward(
        self,
        grad_y: FloatArray,
        x: FloatArray,
        kept: object,
        weight: FloatArray,
        recurrent: FloatArray,
        bias: FloatArray,
        peepholes: FloatArray | None,
        cell_scale: float,
        leaky: bool,
        gate_clip: float,
        need_x: bool,
    ) -> tuple[FloatArray | None, FloatArray, FloatArray, FloatArray, FloatArray | None]:
        """Return the gradients of x (None unless `need_x`), weight, recurrent, bias, peepholes.

        Those of the gates and the candidate, before the activation, are clipped to [-gate_clip, gate_clip]; 0
        for no limit.
        """


class Norm(Protocol):
    """Sums over positions and over neighbouring channels of images (N, P, C)."""

    def channel_moments(self, x: FloatArray) -> tuple[Sums, Sums]:
        """Return mean and variance of each channel."""

    def channel_products(self, x: FloatArray, y: FloatArray, mean: FloatArray) -> tuple[Sums, Sums]:
        """Return the sum of y and the sum of y * (x - mean) for each channel."""

    def channel_affine(
        self, x: FloatArray, mean: FloatArray, factor: FloatArray, shift: FloatArray
    ) -> FloatArray:
        """Return factor * (x - mean) + shift, each of the three one value per channel."""

    def channel_combine(
        self,
        x: FloatArray,
        y: FloatArray,
        mean: FloatArray,
        by_x: FloatArray,
        by_y: FloatArray,
        shift: FloatArray,
    ) -> FloatArray:
        """Return by_x * (x - mean) + by_y * y + shift, each factor one value per channel."""

    def image_products(self, x: FloatArray, y: FloatArray) -> Sums:
        """Return the sum of x * y over each image."""

    def response_norm_forward(
        self, x: FloatArray, size: int, alpha: float, beta: float, k: float
    ) -> FloatArray:
        """Return x / (k + alpha / size * s) ** beta, s the sum of squares of the channels around each."""

    def response_norm_backward(
        self, x: FloatArray, grad_y: FloatArray, size: int, alpha: float, beta: float, k: float
    ) -> FloatArray:
        """Return the gradient of x."""


class Pool(Protocol):
    """Maximum and average over windows of the pixels of images (N, H, W, C)."""

    def max_pool2d_forward(
        self, x: FloatArray, size: Pair, stride: Pair, padding: Pair, dilation: Pair, keep: bool
    ) -> tuple[FloatArray, IntArray | None]:
        """Return the maximum of each window and, with `keep`, its place in the window."""

    def max_pool2d_backward(
        self,
        grad_y: FloatArray,
        winner: IntArray,
        shape: tuple[int, ...],
        size: Pair,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
    ) -> FloatArray:
        """Return the gradient of x, from the places of the maxima."""

    def avg_pool2d_forward(self, x: FloatArray, size: Pair, stride: Pair, padding: Pair) -> FloatArray:
        """Return the mean of each window."""

    def avg_pool2d_backward(
        self, grad_y: FloatArray, shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair
    ) -> FloatArray:
        """Return the gradient of x."""


class Resize(Protocol):
    """Separable resampling of images."""

    def resample(self, x: FloatArray, rows: Taps, columns: Taps) -> FloatArray:
        """Return images (N, H, W, C) resampled by the taps of both axes."""

    def bilinear_argmax(self, x: FloatArray, height: int, width: int) -> NDArray[np.uint8]:
        """Return the channel with the highest value at each pixel of (H, W, C), resized bilinearly."""


class Rnn(Protocol):
    """Recurrent sweeps over an axis of images (N, H, W, C) in both directions, with U units each."""

    def rnn_forward(
        self,
        x: FloatArray,
        weight: FloatArray,
        recurrent: FloatArray,
        bias: FloatArray,
        unit: Unit,
        axis: int,
        keep: bool,
    ) -> tuple[FloatArray, object]:
        """Return the hidden states (N, H, W, 2 * U) and, with `keep`, what the backward pass needs."""

    def rnn_backward(
        self,
        grad_y: FloatArray,
        x: FloatArray,
        y: FloatArray,
        kept: object,
        weight: FloatArray,
        recurrent: FloatArray,
        unit: Unit,
        axis: int,
        need_x: bool,
    ) -> tuple[FloatArray | None, FloatArray, FloatArray, FloatArray]:
        """Return the gradients of x (None unless `need_x`), weight, recurrent, bias."""


class Softmax(Protocol):
    """Class probabilities and losses of scores (N, P, K)."""

    def softmax_forward(self, x: FloatArray) -> FloatArray:
        """Return exp(x) / sum(exp(x)) over the last axis."""

    def softmax_backward(self, y: FloatArray, grad_y: FloatArray) -> FloatArray:
        """Return the gradient of x from the saved result y."""

    def soft_cross_entropy_forward(
        self, scores: FloatArray, targets: FloatArray, weight: FloatArray
    ) -> tuple[float, FloatArray]:
        """Return the sum of the weighted cross-entropies with soft targets, and the probabilities."""

    def soft_cross_entropy_backward(
        self, probability: FloatArray, targets: FloatArray, weight: FloatArray, factor: float
    ) -> FloatArray:
        """Return the gradient of scores, times `factor`."""

    def cross_entropy_forward(
        self,
        scores: FloatArray,
        labels: NDArray[np.intp],
        class_weights: FloatArray,
        ignore_index: int,
        keep: bool,
    ) -> tuple[float, float, FloatArray | None]:
        """Return the sum of the weighted cross-entropies, that of the weights, and the probabilities."""

    def cross_entropy_backward(
        self,
        probability: FloatArray,
        labels: NDArray[np.intp],
        class_weights: FloatArray,
        ignore_index: int,
        factor: float,
    ) -> FloatArray:
        """Return the gradient of scores, times `factor`."""

    def clip_normalise(self, x: FloatArray) -> FloatArray:
        """Return x with negative values set to 0, each row divided by its sum."""


class Update(Protocol):
    """Steps of the optimizers on flat arrays with one value per weight, in place."""

    def gradient_norm(self, gradient: FloatArray) -> float:
        """Return the Euclidean norm."""

    def is_finite(self, values: FloatArray) -> bool:
        """Return whether no value is NaN or infinite."""

    def sgd_step(
        self,
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
    ) -> None:
        """Update weights and velocity, and the running mean if there is one."""

    def adadelta_step(
        self,
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
    ) -> None:
        """Update weights and both running squares, and the running mean if there is one."""


class Windows(Protocol):
    """Non-overlapping windows of pixels and their labels."""

    def window_gather_forward(self, x: FloatArray, window: int) -> FloatArray:
        """Return (N, H / w, W / w, w * w * C) from (N, H, W, C)."""

    def window_gather_backward(self, grad_y: FloatArray, window: int) -> FloatArray:
        """Return the gradient of x."""

    def window_targets(
        self,
        labels: IntArray,
        window: int,
        n_classes: int,
        ignore_index: int,
        class_weights: NDArray[np.float32] | None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the soft targets of the windows and their weights."""
