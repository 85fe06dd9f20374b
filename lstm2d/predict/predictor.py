"""A trained model that labels images."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.data.contrast import CONTRASTS, with_contrast
from lstm2d.data.transforms import normalise, pad_to_multiple
from lstm2d.errors import ConfigError, DataError, ShapeError
from lstm2d.io.classes import ClassInfo
from lstm2d.io.images import DEFAULT_MAX_PIXELS, read_image
from lstm2d.io.model_file import ModelFile, load_model
from lstm2d.kernels import gpu
from lstm2d.kernels.device import Array
from lstm2d.models import ModelConfig, Network, build, model_config, restore_imported
from lstm2d.predict.zoo import find_model
from lstm2d.tensor import Tensor

if TYPE_CHECKING:
    from lstm2d.config.schema import CRFSection

FloatArray = NDArray[np.float32]
LabelArray = NDArray[np.uint8]
ImageLike = NDArray[Any] | str | os.PathLike[str]
CHANNELS = 3


class Predictor:
    """Labels images with a trained model.

    Parameters
    ----------
    model : ModelFile
        What a model file holds.
    source : str or path, optional
        Where it comes from, for messages.
    crf : bool, str or CRFSection, default True
        The fully connected CRF behind the network: True for what the model's configuration says, if it says
        anything, False for none, the name of a set (`lstm2d.config.crf.CRF_SETS`), or the settings.
    device : str, default "cpu"
        Where the network and the CRF compute: "auto", "cpu", "cuda" or "cuda:N".

    Attributes
    ----------
    model : ModelFile
        As given.
    device : str
        "cpu" or "cuda:N".
    crf : CRFSection or None
        The CRF's settings, None for none. May be replaced.
    classes : tuple of ClassInfo
        Names and colours of the K classes; labels are numbers 0 to K - 1 in this order.

    Raises
    ------
    DataError
        If the model's configuration and its parameters do not fit each other, or the imported weights that it
        needs are not in the user's store.
    ConfigError
        If there is no such set, or the device cannot be used.

    Notes
    -----
    The labels of an image depend on that image, the model and the device alone: not on other images, nor on
    the number of threads.
    """

    def __init__(
        self,
        model: ModelFile,
        *,
        source: object = None,
        crf: bool | str | CRFSection = True,
        device: str = "cpu",
    ) -> None:
        self.model, self.device = model, gpu.resolve_device(device)
        self.classes: tuple[ClassInfo, ...] = model.classes
        self._network = _network(model, source).to(self.device)
        self._contrast = _contrast(model, source)
        self.crf = _crf(model, source, crf)
        if self.crf is not None:  # now: a fork must not meet this import in another thread
            import lstm2d.predict.crf  # noqa: F401

    @property
    def parameters(self) -> int:
        """Number of trained values: without those of imported layers."""
        return sum(values.size for values in self.model.state.values())

    def predict(self, image: ImageLike) -> LabelArray:
        """Return the most likely class of every pixel.

        Parameters
        ----------
        image : array of shape (H, W, 3) or (H, W), or path
            Values are uint8; uint16; booleans, true is white; other integers up to 255 or, if one is above,
            up to 65535; floats in 0..1 or, if one is above, in 0..255.

        Returns
        -------
        array of shape (H, W), uint8
            Class numbers.

        Raises
        ------
        ShapeError
            If the array has another shape.
        DataError
            If the file cannot be read, or the values are no image's.
        """
        return self.labels_of(_read(image))

    def predict_proba(self, image: ImageLike) -> FloatArray:
        """Return the probability of every class at every pixel.

        Parameters
        ----------
        image : array of shape (H, W, 3) or (H, W), or path
            As for `predict`.

        Returns
        -------
        array of shape (H, W, K), float32
            In 0..1, with the sum 1 at every pixel.

        Raises
        ------
        ShapeError
            If the array has another shape.
        DataError
            If the file cannot be read, or the values are no image's.
        """
        return self.probabilities_of(_read(image))

    def labels_of(self, image: NDArray[Any]) -> LabelArray:
        """Return the most likely classes for what `lstm2d.io.images.read_image` gave.

        Parameters
        ----------
        image : array of shape (H, W, 3)
            Red, green, blue in 0..255.

        Returns
        -------
        array of shape (H, W), uint8
            Class numbers; of equally likely ones the first.

        Raises
        ------
        Lstm2dError
            If memory runs out.
        """
        return self._computed(image, self.most_likely)

    def probabilities_of(self, image: NDArray[Any]) -> FloatArray:
        """Return class probabilities for what `lstm2d.io.images.read_image` gave.

        Parameters
        ----------
        image : array of shape (H, W, 3)
            Red, green, blue in 0..255.

        Returns
        -------
        array of shape (H, W, K), float32
            In 0..1, with the sum 1 at every pixel.

        Raises
        ------
        Lstm2dError
            If memory runs out.
        """
        return self._computed(image, kernels.to_host)

    def _computed(self, image: NDArray[Any], finish: Callable[[Array], NDArray[Any]]) -> NDArray[Any]:
        """Return what `finish` makes of the probabilities, which lie on the device."""
        try:
            with gpu.current(self.device):
                result = self._of_network(image)
                return finish(result if self.crf is None else self._refined(result, image))
        except MemoryError as error:
            hint = "use smaller images, or close other programs"
            told = gpu.out_of_memory(error, where=f"{image.shape[0]}x{image.shape[1]} pixels", hint=hint)
        raise told  # only now: in the handler it would keep the arrays of the network alive

    def _of_network(self, image: NDArray[Any]) -> Array:
        """Return what the network says, without the CRF."""
        height, width = image.shape[:2]
        contrasted = with_contrast(image, self._contrast)
        padded = pad_to_multiple(normalise(contrasted, self.model.mean, self.model.std), self._network.stride)
        x = kernels.to_device(padded[np.newaxis], self.device)
        pixels = self._network.probabilities(Tensor(x))  # (1, padded H, padded W, K)
        return pixels[0, :height, :width].astype(np.float32)  # a copy: without the padding behind it

    def _refined(self, probabilities: Array, image: NDArray[Any]) -> Array:
        """Return what the CRF makes of the network's probabilities."""
        from lstm2d.predict.crf import refine  # only now: it loads Numba

        assert self.crf is not None
        return refine(probabilities, image, self.crf)

    def most_likely(self, probabilities: FloatArray) -> LabelArray:
        """Return the class with the highest probability; of equal ones the first.

        Parameters
        ----------
        probabilities : array of shape (H, W, K)
            From `predict_proba`, or on a GPU.

        Returns
        -------
        array of shape (H, W), uint8
            Class numbers, on the host.
        """
        return kernels.to_host(probabilities.argmax(axis=2).astype(np.uint8))


def load(
    path_or_name: str | os.PathLike[str], *, crf: bool | str | CRFSection = True, device: str = "cpu"
) -> Predictor:
    """Load a trained model.

    Parameters
    ----------
    path_or_name : str or path
        A model file, the folder of a run, or the name of a bundled model such as "outdoor".
    crf : bool, str or CRFSection, default True
        The fully connected CRF behind the network, as for `Predictor`: True for the model's own, False for
        none, the name of a set such as "deeplab-voc", or settings.
    device : str, default "cpu"
        Where to compute: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:N".

    Returns
    -------
    Predictor
        Ready to label images.

    Raises
    ------
    DataError
        If there is no such model, or its file is damaged.
    ConfigError
        If there is no such set of CRF settings, or the device cannot be used.
    """
    path = find_model(path_or_name)
    return Predictor(load_model(path), source=path, crf=crf, device=device)


def _network(model: ModelFile, source: object) -> Network:
    """Build the network of a model file; what the file says is not believed."""
    try:
        config = model_config(model.config["model"])
        _refuse_other_size(config, model)
        network = build(config, len(model.classes), np.random.default_rng(0), channels=CHANNELS)
        differing = network.load_state_dict(model.state, strict=False)
        names = [name for name in differing.missing if name not in network.imported]
        if names or differing.unexpected:
            raise DataError(f"it has other parameters: {', '.join([*names, *differing.unexpected][:4])}")
    except DataError as e:
        raise DataError(f"the model file is damaged ({e.what})", where=source) from e
    except (ConfigError, KeyError, TypeError, ValueError, OverflowError) as e:
        what = e.what if isinstance(e, ConfigError) else f"{type(e).__name__}: {e}"
        raise DataError(
            f"the model file has a configuration that cannot be built ({what})", where=source
        ) from e
    if len(model.mean) != CHANNELS:
        raise DataError(f"the model is for images of {len(model.mean)} channels", where=source, expected="3")
    restore_imported(network, model.imported, source=source)
    return network


def _contrast(model: ModelFile, source: object) -> str:
    """Return what is done to an image before its channels are normalised."""
    data = model.config.get("data", {})
    contrast = data.get("contrast", "none") if isinstance(data, dict) else None
    if contrast not in CONTRASTS:
        raise DataError(
            f"the model file asks for an unknown data.contrast ({contrast!r})",
            where=source,
            expected=" or ".join(CONTRASTS),
            hint="install a newer lstm2d",
        )
    return str(contrast)


def _crf(model: ModelFile, source: object, crf: bool | str | CRFSection) -> CRFSection | None:
    """Return the settings of the CRF: those that are asked for, else the model's own."""
    if not crf or (crf is True and "crf" not in model.config):
        return None
    from lstm2d.config.crf import crf_settings  # only now: it loads pydantic

    if isinstance(crf, str):
        return crf_settings(crf)
    if crf is not True:
        return crf
    try:
        return crf_settings(dict(model.config["crf"]))
    except (ConfigError, TypeError, ValueError) as e:
        raise DataError(f"the model file has CRF settings that cannot be used ({e})", where=source) from e


def _refuse_other_size(config: ModelConfig, model: ModelFile) -> None:
    """Compare the number of parameters before building: a wrong size in the file must not take all memory."""
    stored = sum(values.size for values in model.state.values())
    expected = config.count(CHANNELS, len(model.classes))
    if expected != stored:
        raise ValueError(f"its sizes ask for {expected} parameters, the file has {stored}")


def _read(image: ImageLike) -> NDArray[Any]:
    """Return a caller's image as `read_image` would."""
    if isinstance(image, str | os.PathLike):
        return read_image(image, max_pixels=DEFAULT_MAX_PIXELS)
    return _to_bytes_range(np.asarray(image))


def _to_bytes_range(image: NDArray[Any]) -> NDArray[Any]:
    """Return an image of a caller as `read_image` would: (H, W, 3), uint8 or float32 in 0..255."""
    if image.ndim == 2:
        image = image[:, :, np.newaxis]
    if image.ndim != 3 or image.shape[2] not in (1, CHANNELS) or 0 in image.shape:
        raise ShapeError("image to label", where=image.shape, expected="(H, W, 3) or (H, W), not empty")
    image = np.broadcast_to(image, (*image.shape[:2], CHANNELS))
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind in "iu":
        if image.min() < 0:
            raise DataError(f"image with the value {image.min()}", expected="integers from 0")
        if image.max() > 65535:
            raise DataError(f"image with the value {image.max()}", expected="integers up to 255 or 65535")
        sixteen_bits = image.dtype == np.uint16 or image.max() > 255
        return (image * (1 / 257 if sixteen_bits else 1.0)).astype(np.float32)
    if image.dtype.kind != "f":
        raise DataError(f"image of type {image.dtype}", expected="integers, floats or booleans")
    low, high = float(image.min()), float(image.max())  # NaN if there is one
    if not (low >= 0 and high <= 255):
        raise DataError(f"image with values from {low:g} to {high:g}", expected="floats in 0..1 or 0..255")
    return image.astype(np.float32) * np.float32(1 if high > 1 else 255)
