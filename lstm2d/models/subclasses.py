"""Networks that score subclasses: new heads, and the same network with a head for the classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lstm2d import kernels
from lstm2d.models.network import Head, Network
from lstm2d.nn import Linear
from lstm2d.tensor import FloatArray, Tensor

PREFIX = "membership."  # of the names of its parameters


def score_subclasses(network: Network, parents: NDArray[np.integer], rng: np.random.Generator) -> None:
    """Give a network new heads that score subclasses.

    Parameters
    ----------
    network : Network
        The network. Its `membership` adds up the scores of the subclasses of each class.
    parents : ndarray of shape (n,)
        The class of each subclass; every class has one.
    rng : numpy.random.Generator
        Draws the values of the new layers.
    """
    n, n_classes = len(parents), int(parents.max()) + 1
    dtype = network.head.weight.dtype

    def belongs(rng: np.random.Generator, shape: tuple[int, ...], *, dtype: DTypeLike) -> FloatArray:
        ones: FloatArray = np.equal.outer(parents, np.arange(n_classes)).astype(dtype)
        return ones

    _replace_heads(network, n, rng)
    network.membership = Linear(n, n_classes, bias=False, weight=belongs, rng=rng, dtype=dtype)


def score_classes(network: Network, n_classes: int, rng: np.random.Generator) -> None:
    """Give a network new heads that score classes.

    Parameters
    ----------
    network : Network
        The network; it loses its `membership`.
    n_classes : int
        Number of classes.
    rng : numpy.random.Generator
        Draws the values of the new layers.
    """
    _replace_heads(network, n_classes, rng)
    network.membership = None


def _replace_heads(network: Network, outputs: int, rng: np.random.Generator) -> None:
    for name, layer in network.heads().items():
        network.set_submodule(name, layer.with_outputs(outputs, rng=rng))
    network.n_classes = outputs


def folded_arrays(network: Network) -> dict[str, FloatArray]:
    """Return the contents of a model file: heads and membership are one linear map, stored as heads.

    Parameters
    ----------
    network : Network
        A network that scores subclasses.

    Returns
    -------
    dict of str to ndarray
        The arrays of the same network with heads for the classes.
    """
    arrays = {name: a for name, a in network.stored_arrays().items() if not name.startswith(PREFIX)}
    for name, layer in _folded_heads(network).items():
        arrays |= {f"{name}.{attribute}": values for attribute, values in layer.arrays().items()}
    return arrays


@contextmanager
def scoring_classes(network: Network) -> Iterator[None]:
    """Fold heads and membership inside the block, so that the network scores classes.

    Parameters
    ----------
    network : Network
        A network that scores subclasses. It gets the weights that `folded_arrays` returns, and so predicts
        what the saved model will.

    Yields
    ------
    None
        The network is changed.
    """
    heads, membership, n = network.heads(), network.membership, network.n_classes
    assert membership is not None
    for name, layer in _folded_heads(network).items():
        network.set_submodule(name, layer)
    network.membership, network.n_classes = None, membership.weight.shape[1]
    try:
        yield
    finally:
        for name, layer in heads.items():
            network.set_submodule(name, layer)
        network.membership, network.n_classes = membership, n


def _folded_heads(network: Network) -> dict[str, Head]:
    """Return heads for the classes: weights and biases of the old ones times the membership."""
    assert network.membership is not None
    matrix = network.membership.weight.data
    folded = {}
    for name, layer in network.heads().items():
        folded[name] = new = copy(layer)
        new.weight = Tensor(_product(layer.weight.data, matrix))
        new.bias = None if layer.bias is None else Tensor(_product(layer.bias.data, matrix))
    return folded


def _product(values: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return a product of the last axis, summed in float64 and in order: not by BLAS."""
    host = [kernels.to_host(a).astype(np.float64) for a in (values, matrix)]
    result = np.einsum("...n,nk->...k", *host).astype(values.dtype)
    placed: FloatArray = kernels.to_device(result, kernels.device_of(values))
    return placed
