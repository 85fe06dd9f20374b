"""A fully connected CRF after a network, to align labels with the edges of the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.config.schema import CRFSection
from lstm2d.errors import ConfigError, DataError, ShapeError
from lstm2d.kernels.arrays import FloatArray

Filter = Callable[[FloatArray], FloatArray]

MIN_PROBABILITY = 1e-6  # lower ones are raised to this: with probability 0 a class could never recover
MAX_EXACT = 1 << 14  # pixels, for which the exact sum takes a second per iteration


def described(settings: CRFSection | None) -> str:
    """Return settings as one line of KEY=VALUE pairs, "" for None."""
    if settings is None:
        return ""
    items = settings.model_dump().items()
    values = ((key, str(v).lower() if isinstance(v, bool) else v) for key, v in items)
    return " ".join(f"{key}={v:g}" if isinstance(v, float) else f"{key}={v}" for key, v in values)


def refine(probabilities: FloatArray, image: NDArray[Any], settings: CRFSection) -> FloatArray:
    r"""Refine class probabilities with a fully connected CRF [1]_.

    Parameters
    ----------
    probabilities : array of shape (H, W, K)
        Output of the network, in 0..1; float32 or float64. On the host or on a GPU, which is then used.
    image : array of shape (H, W, 3)
        Red, green, blue in 0..255.
    settings : CRFSection
        Section ``[crf]``, for example from `lstm2d.config.crf.crf_settings`.

    Returns
    -------
    array of shape (H, W, K)
        Mean-field marginals Q, in 0..1, which sum to 1 at every pixel; same dtype and device.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    DataError
        If ``crf.exact`` is set and the image has more than 16384 pixels.
    ConfigError
        If the deviations are too small for an image of this size.

    Notes
    -----
    The unary energies are -ln P; the energy of a pair of pixels with different labels is the weighted sum of
    a bilateral and a spatial Gaussian. With :math:`K^m` the matrix of a Gaussian (including its diagonal, as
    in the authors' code), :math:`D^m` the diagonal matrix of its row sums and :math:`w_m` its weight, an
    iteration is

    .. math:: Q \leftarrow \text{softmax}\Bigl(\ln P + \sum_m w_m N^m K^m N^m Q\Bigr),
              \quad N^m = (D^m)^{-1/2}

    starting from Q = P; ``normalisation = "after"`` uses :math:`(D^m)^{-1} K^m Q` instead. The products are
    computed by filtering on a permutohedral lattice [2]_, or with ``exact`` by summing over all pairs. The
    result does not depend on the number of threads.

    References
    ----------
    .. [1] P. Kraehenbuehl and V. Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
       Potentials", NIPS 2011.
    .. [2] A. Adams, J. Baek and M. A. Davis, "Fast High-Dimensional Filtering Using the Permutohedral
       Lattice", Eurographics 2010.
    """
    if probabilities.ndim != 3 or image.shape != (*probabilities.shape[:2], 3):
        raise ShapeError(
            "image and probabilities do not fit",
            where=f"{image.shape} and {probabilities.shape}",
            expected="(H, W, 3) and (H, W, K)",
        )
    height, width, classes = probabilities.shape
    if settings.exact and height * width > MAX_EXACT:
        raise DataError(
            f"{height}x{width} pixels are too many for crf.exact",
            expected=f"at most {MAX_EXACT}",
            hint="disable crf.exact, or crop the image",
        )
    p = kernels.ascontiguousarray(probabilities).reshape(-1, classes)
    softmax = kernels.pick("softmax", like=p).softmax_forward
    filters = _filters(image, settings, p.dtype, kernels.device_of(p))
    unary = np.log(np.maximum(p, p.dtype.type(MIN_PROBABILITY)))
    q = p
    for _ in range(settings.iterations):
        scores = unary.copy()
        for message in filters:
            scores += message(q)
        q = softmax(scores[np.newaxis])[0]
    refined: FloatArray = q.reshape(probabilities.shape)
    return refined


def _filters(image: NDArray[Any], settings: CRFSection, dtype: np.dtype[Any], device: str) -> list[Filter]:
    """Return, for each Gaussian with a nonzero weight, the function from Q to its weighted message."""
    rows, columns = np.indices(image.shape[:2], dtype).reshape(2, -1)
    # offset by 0.5: features at 0 would lie exactly on the borders of the lattice's simplices
    position = kernels.to_device(np.stack([rows, columns], axis=1), device) + dtype.type(0.5)
    colour = kernels.to_device(image.reshape(-1, 3), device).astype(dtype) + dtype.type(0.5)
    filters = []
    if settings.bilateral_weight:
        features = np.hstack([position / settings.theta_alpha, colour / settings.theta_beta]).astype(dtype)
        filters.append(_filter(features, settings.bilateral_weight, settings))
    if settings.spatial_weight:
        features = (position / settings.theta_gamma).astype(dtype)
        filters.append(_filter(features, settings.spatial_weight, settings))
    return filters


def _filter(features: FloatArray, weight: float, settings: CRFSection) -> Filter:
    """Return a normalised Gaussian filter."""
    crf = kernels.pick("crf", like=features)
    ones = np.ones_like(features[:, 0])
    if settings.exact:

        def product(values: FloatArray, before: FloatArray, after: FloatArray) -> FloatArray:
            return crf.gaussian_sum(features, values, before, after)
    else:
        try:
            lattice = crf.build_lattice(features)
        except ValueError as e:
            raise ConfigError(
                f"the CRF's lattice cannot be built ({e})", hint="use larger crf.theta_*"
            ) from e

        def product(values: FloatArray, before: FloatArray, after: FloatArray) -> FloatArray:
            return crf.lattice_filter(lattice, values, before, after)

    sums = product(ones[:, np.newaxis], ones, ones)[:, 0]
    before = 1 / np.sqrt(sums) if settings.normalisation == "symmetric" else ones
    after = (features.dtype.type(weight) / sums) / before
    return lambda q: product(q, before, after)
