"""What every network can do: scores, loss and probabilities, with a part in front that is not trained."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lstm2d.nn import Module
from lstm2d.ops import cross_entropy, softmax
from lstm2d.tape import no_grad
from lstm2d.tensor import FloatArray, Tensor

if TYPE_CHECKING:
    from lstm2d.models.backbones.vgg16 import VGG16


class Network(Module):
    """A network that gives each pixel of an image scores of K classes.

    Attributes
    ----------
    n_classes : int
        Number of classes K.
    stride : int
        Image sides must be multiples of it, in pixels.
    reduction : {"sum", "mean"}
        Whether the loss of an image is the sum over its labelled pixels, or their mean.
    joint : bool
        Whether the images of a minibatch must run as one batch, since the network normalises over it.
    backbone : VGG16 or None
        Layers whose weights are imported.
    imported : tuple of str
        Names of those parameters that are imported and never trained: a model file leaves them out.
    frozen_part : bool
        Whether `frozen` computes anything: layers in front that no gradient reaches.
    """

    n_classes: int
    stride: int
    reduction: Literal["sum", "mean"] = "sum"
    joint: bool = False
    backbone: VGG16 | None = None
    imported: tuple[str, ...] = ()
    frozen_part: bool = False

    def frozen(self, x: Tensor) -> Tensor:
        """Return what the layers that are never trained make of images; the images where there are none.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Normalised images; H and W are multiples of `stride`.

        Returns
        -------
        Tensor of shape (N, H', W', C)
            What `scores` and `loss` take. It is the same in every epoch, so it can be kept.
        """
        return x

    @abstractmethod
    def scores(self, z: Tensor) -> Tensor:
        """Return class scores.

        Parameters
        ----------
        z : Tensor of shape (N, H', W', C)
            What `frozen` returned.

        Returns
        -------
        Tensor of shape (N, rows, columns, K)
            Input of the softmax.
        """

    def training_scores(self, z: Tensor) -> Tensor:
        """Return the class scores that `loss` compares: `scores`, unless the network trains on others.

        Parameters
        ----------
        z : Tensor of shape (N, H', W', C)
            What `frozen` returned.

        Returns
        -------
        Tensor of shape (N, rows, columns, K)
            Input of the softmax.
        """
        return self.scores(z)

    def loss(
        self,
        z: Tensor,
        labels: NDArray[np.integer[Any]],
        class_weights: NDArray[np.floating[Any]] | None = None,
        *,
        ignore_index: int = 255,
    ) -> Tensor:
        """Return the cross-entropy of all pixels.

        Parameters
        ----------
        z : Tensor of shape (N, H', W', C)
            What `frozen` returned.
        labels : ndarray of int, shape (N, H, W)
            Classes of the pixels, or `ignore_index`.
        class_weights : ndarray of shape (K,), optional
            Factor of each class.
        ignore_index : int, default 255
            Marks pixels that do not count.

        Returns
        -------
        Tensor of shape ()
            Reduced as `reduction` says.

        Raises
        ------
        ShapeError
            If the sizes do not fit.
        ValueError
            If a label is neither a class nor `ignore_index`.
        """
        return cross_entropy(
            self.training_scores(z),
            labels,
            class_weights=class_weights,
            ignore_index=ignore_index,
            reduction=self.reduction,
        )

    def terms(self, labels: NDArray[np.integer[Any]], *, ignore_index: int = 255) -> float:
        """Return how many terms the loss adds up, to show it per term.

        Parameters
        ----------
        labels : ndarray of int, shape (N, H, W)
            Classes of the pixels, or `ignore_index`.
        ignore_index : int, default 255
            Marks pixels that do not count.

        Returns
        -------
        float
            Labelled pixels, or 1 where the loss is a mean.
        """
        return 1.0 if self.reduction == "mean" else float((labels != ignore_index).sum())

    def probabilities(self, x: Tensor) -> FloatArray:
        """Return class probabilities for every pixel.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Normalised images; H and W are multiples of `stride`.

        Returns
        -------
        ndarray of shape (N, H, W, K)
            In [0, 1], with a sum of 1 at every pixel.

        Raises
        ------
        ShapeError
            If the size of the images does not fit.
        """
        return self.probabilities_from(self.frozen(x))

    def probabilities_from(self, z: Tensor) -> FloatArray:
        """Return class probabilities for every pixel from what the frozen part has computed.

        Parameters
        ----------
        z : Tensor of shape (N, H', W', C)
            What `frozen` returned.

        Returns
        -------
        ndarray of shape (N, H, W, K)
            As `probabilities` gives it.

        Raises
        ------
        ShapeError
            If the size does not fit.
        """
        with no_grad():
            return softmax(self.scores(z)).data

    @abstractmethod
    def feature_maps(self, x: Tensor) -> dict[str, FloatArray]:
        """Return what every layer answers to images.

        Parameters
        ----------
        x : Tensor of shape (N, H, W, channels)
            Normalised images; H and W are multiples of `stride`.

        Returns
        -------
        dict from str to ndarray of shape (N, rows, columns, channels of the layer)
            Named by layer, first to last; the last is ``"scores"``.

        Raises
        ------
        ShapeError
            If the size of the images does not fit.
        """
