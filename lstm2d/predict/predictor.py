"""A trained model that labels images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.errors import ImageWarning
from lstm2d.io.classes import ClassInfo
from lstm2d.io.given import photo_of
from lstm2d.io.model_file import ModelFile
from lstm2d.kernels import gpu
from lstm2d.kernels.device import Array
from lstm2d.pipeline.finite import not_finite
from lstm2d.pipeline.preprocess import LARGE, UNKNOWN_SIZE, Preprocessing, Size, parse_size
from lstm2d.pipeline.resize import labels_at, probabilities_at
from lstm2d.predict.instances import Instances, parse_instances, parse_resolution
from lstm2d.predict.layer_maps import LayerMaps, layer_maps
from lstm2d.predict.model_network import network_of
from lstm2d.predict.model_settings import contrast_of, crf_of, reading_of
from lstm2d.predict.zoo import model_name
from lstm2d.tensor import Tensor

if TYPE_CHECKING:
    from lstm2d.config.schema import CRFSection

FloatArray = NDArray[np.float32]
LabelArray = NDArray[np.uint8]
T = TypeVar("T")


class Predictor:
    """Label images with a trained model.

    Parameters
    ----------
    model : ModelFile
        The model.
    source : str or path, optional
        Its file, for messages.
    crf : bool, str or CRFSection, default True
        The fully connected CRF after the network: True for that of the model's configuration, if it has
        one, False for none, the name of a set (`lstm2d.config.crf.CRF_SETS`), or the settings.
    device : str, default "cpu"
        Where the network and the CRF compute: "auto", "cpu", "cuda" or "cuda:N".
    resolution : str or int, optional
        For recurrent convolutional networks and patch networks: "1/4" or 4 computes one pixel in 4x4, and the
        others get the label of the nearest one. At most the network's stride, after the last of `instances`.
        The default is that of the network: 1/8 for patch networks, else 1.
    instances : int, sequence of int or str, optional
        For these networks: predict the labels after so many instances, at most those that were trained,
        which is the default. With several, such as (1, 2, 3), `predict` returns the last ones and
        `predict_instances` all.

    Attributes
    ----------
    model : ModelFile
        As given.
    device : str
        "cpu" or "cuda:N".
    crf : CRFSection or None
        The CRF's settings, None for none. May be replaced.
    name : str
        Name of a bundled model, of a run's folder or of a model file without its ending; without a source the
        name of the preset.
    classes : tuple of ClassInfo
        Names and colours of the K classes; labels are numbers 0 to K - 1 in this order.
    preprocessing : Preprocessing
        Preprocessing of photographs for the network.
    reading : Reading
        How photographs are read, as the model's configuration says. May be replaced.
    resolution : int
        Pixels from one computed pixel to the next.
    instances : tuple of int
        The instances whose labels are predicted, ascending; (1,) for a network without instances.
    trained : int
        Instances that were trained; 1 for a network without.

    Raises
    ------
    DataError
        If the parameters do not match the configuration of the model, or imported weights that it needs are
        not in the user's store.
    ConfigError
        If there is no such set, the device cannot be used, or resolution or instances do not fit the model.

    Notes
    -----
    The labels of an image depend only on the image, the model, the size and the device; not on other images
    or the number of threads.
    """

    def __init__(
        self,
        model: ModelFile,
        *,
        source: object = None,
        crf: bool | str | CRFSection = True,
        device: str = "cpu",
        resolution: str | int | None = None,
        instances: Instances = None,
    ) -> None:
        self.model, self.device = model, gpu.resolve_device(device)
        self.name = model.preset if source is None else model_name(str(source))
        self.classes: tuple[ClassInfo, ...] = model.classes
        self._source = source
        self._network = network_of(model, source).to(self.device)
        self.trained = self._network.trained
        self.resolution = (
            self._network.default_resolution if resolution is None else parse_resolution(resolution)
        )
        numbers = parse_instances(instances)
        self._network.predict_as(self.resolution, numbers, source=source)
        self.instances = numbers or (self.trained,)
        self.preprocessing = Preprocessing(
            model.mean,
            model.std,
            self._network.stride,
            contrast_of(model, source),
            model.typical_size,
            model.native,
            self._network.padding,
        )
        self.reading = reading_of(model, source)
        self.crf = crf_of(model, source, crf)
        if self.crf is not None:  # imported now, so that no fork happens during the import in another thread
            import lstm2d.pipeline.crf  # noqa: F401

    @property
    def parameters(self) -> int:
        """Number of trained parameters, without imported layers."""
        return sum(values.size for values in self.model.state.values())

    def predict(self, image: object, *, size: Size = "auto") -> LabelArray:
        """Return the most likely class of every pixel.

        Parameters
        ----------
        image : array, PIL image or path
            What `lstm2d.io.given.photo_of` reads: (H, W, 3), (H, W, 4) or (H, W); integers or floats.
        size : "auto", "native" or float, default "auto"
            The size at which the network sees the photograph, as the square root of its pixel count. "auto":
            the size of the model's training images if the photograph is more than 1.5 times larger or
            smaller, else its own. "native": its own.

        Returns
        -------
        array of shape (H, W), uint8
            Class numbers at the photograph's own size; ties go to the lowest number.

        Raises
        ------
        ShapeError
            If the array has another shape.
        DataError
            If the file cannot be read, the values are not those of an image, or the output is not finite.
        ConfigError
            If there is no such size.
        Lstm2dError
            If memory runs out.

        Warns
        -----
        ImageWarning
            If something about the image was guessed, converted or left out.
        """
        return self.labels_of(self._read(image, size), size)

    def predict_proba(self, image: object, *, size: Size = "auto") -> FloatArray:
        """Return the probability of every class at every pixel.

        Parameters
        ----------
        image : array, PIL image or path
            As for `predict`.
        size : "auto", "native" or float, default "auto"
            As for `predict`.

        Returns
        -------
        array of shape (H, W, K), float32
            In 0..1; they sum to 1 at every pixel.

        Raises
        ------
        ShapeError, DataError, ConfigError, Lstm2dError
            As `predict` raises them.

        Warns
        -----
        ImageWarning
            As for `predict`.
        """
        return self.labels_and_probabilities(self._read(image, size), size)[1]

    def predict_instances(self, image: object, *, size: Size = "auto") -> dict[int, LabelArray]:
        """Return the most likely class of every pixel after each of `instances`, from one forward pass.

        Parameters
        ----------
        image : array, PIL image or path
            As for `predict`.
        size : "auto", "native" or float, default "auto"
            As for `predict`.

        Returns
        -------
        dict of int to array of shape (H, W), uint8
            Class numbers by the number of instances, ascending: the last are those of `predict`.

        Raises
        ------
        ShapeError, DataError, ConfigError, Lstm2dError
            As `predict` raises them.

        Warns
        -----
        ImageWarning
            As for `predict`.
        """
        return self.labels_after(self._read(image, size), size)

    def labels_of(self, pixels: NDArray[Any], size: Size = "auto") -> LabelArray:
        """Return the most likely classes for the pixels of a `lstm2d.io.photo.Photo`.

        Parameters
        ----------
        pixels : array of shape (H, W, 3)
            Red, green, blue in 0..255.
        size : "auto", "native" or float, default "auto"
            As for `predict`.

        Returns
        -------
        array of shape (H, W), uint8
            Class numbers.

        Raises
        ------
        DataError, ConfigError, Lstm2dError
            As `predict` raises them.
        """
        (labels,) = self._computed(
            pixels, size, lambda p, last: labels_at(p, *pixels.shape[:2]), self.instances[-1:]
        ).values()
        return labels

    def labels_after(self, pixels: NDArray[Any], size: Size = "auto") -> dict[int, LabelArray]:
        """Return what `predict_instances` does, for the pixels of a `lstm2d.io.photo.Photo`."""
        if not self.instances[1:]:
            return {self.instances[0]: self.labels_of(pixels, size)}
        return self._computed(pixels, size, lambda p, last: labels_at(p, *pixels.shape[:2]), self.instances)

    def labels_and_probabilities(
        self, pixels: NDArray[Any], size: Size = "auto"
    ) -> tuple[LabelArray, FloatArray]:
        """Return labels and class probabilities for the pixels of a `lstm2d.io.photo.Photo`.

        Parameters
        ----------
        pixels : array of shape (H, W, 3)
            Red, green, blue in 0..255.
        size : "auto", "native" or float, default "auto"
            As for `predict`.

        Returns
        -------
        labels : array of shape (H, W), uint8
            Those of `labels_of`.
        probabilities : array of shape (H, W, K), float32
            In 0..1; they sum to 1 at every pixel.

        Raises
        ------
        DataError, ConfigError, Lstm2dError
            As `predict` raises them.
        """
        every, probabilities = self.results_of(pixels, size, self.instances[-1:])
        return every[self.instances[-1]], probabilities

    def results_of(
        self, pixels: NDArray[Any], size: Size, instances: Sequence[int]
    ) -> tuple[dict[int, LabelArray], FloatArray]:
        """Return the labels after each of these instances, and the probabilities after the last one."""
        shape, probabilities = pixels.shape[:2], []

        def finish(p: Array, last: bool) -> LabelArray:
            if last:
                probabilities.append(kernels.to_host(probabilities_at(p, *shape)))
            return labels_at(p, *shape)

        return self._computed(pixels, size, finish, instances), probabilities[0]

    def features(self, image: object, *, size: Size = "auto") -> dict[str, FloatArray]:
        """Return the activations of every layer.

        Parameters
        ----------
        image : array, PIL image or path
            As for `predict`.
        size : "auto", "native" or float, default "auto"
            As for `predict`.

        Returns
        -------
        dict of str to array of shape (rows, columns, channels), float32
            By the name of the layer, first to last; the last is "scores". Positions that lie in the padding
            of the image entirely are left out.

        Raises
        ------
        ShapeError, DataError, ConfigError, Lstm2dError
            As `predict` raises them; DataError also if activations of any layer are not finite.

        Warns
        -----
        ImageWarning
            As for `predict`.
        """
        return {layer.name: layer.values for layer in self.layers_of(self._read(image, size), size)}

    def layers_of(self, pixels: NDArray[Any], size: Size = "auto") -> list[LayerMaps]:
        """Return what `features` does, with the size of positions, for the pixels of a `Photo`."""

        def compute(small: NDArray[Any]) -> list[LayerMaps]:
            x = self.preprocessing.network_input(small)
            return layer_maps(self._network, x, *small.shape[:2], source=self._source)

        return self._on_device(pixels, size, compute)

    def _read(self, image: object, size: Size) -> NDArray[Any]:
        """Read a caller's image; warn about guesses."""
        photo = photo_of(image, self.reading)
        notes = list(photo.notes)
        if size == "auto" and photo.pixels[:, :, 0].size > LARGE and self.size_is_unknown:
            notes.append(UNKNOWN_SIZE)
        for note in notes:
            warnings.warn(note, ImageWarning, stacklevel=3)
        return photo.pixels

    @property
    def size_is_unknown(self) -> bool:
        """Whether the model file has no size at which photographs should be labelled."""
        return self.preprocessing.typical_size is None and not self.preprocessing.native

    def _computed(
        self, pixels: NDArray[Any], size: Size, finish: Callable[[Array, bool], T], instances: Sequence[int]
    ) -> dict[int, T]:
        """Apply `finish` to the probabilities after each instance, on the device; True for the last ones."""

        def compute(small: NDArray[Any]) -> dict[int, T]:
            found = {}
            for number, one in zip(instances, self._of_network(small, instances), strict=True):
                refined = one if self.crf is None else self._refined(one, small)
                found[number] = finish(refined, number == instances[-1])
            return found

        return self._on_device(pixels, size, compute)

    def _on_device(self, pixels: NDArray[Any], size: Size, compute: Callable[[NDArray[Any]], T]) -> T:
        """Apply `compute` to the photograph at the network's size, on the device."""
        small = self.preprocessing.resized(pixels, parse_size(size))
        try:
            with gpu.current(self.device):
                return compute(small)
        except MemoryError as error:
            hint = "use smaller images or a smaller `size`, or close other programs"
            failure = gpu.out_of_memory(error, where=f"{small.shape[0]}x{small.shape[1]} pixels", hint=hint)
        raise failure  # outside the handler, which would keep the arrays of the network alive

    def _of_network(self, pixels: NDArray[Any], instances: Sequence[int]) -> Iterator[Array]:
        """Yield the probabilities of the network after each instance, without the CRF."""
        height, width = pixels.shape[:2]
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            x = kernels.to_device(self.preprocessing.network_input(pixels), self.device)
            found = self._network.probabilities_after(Tensor(x), instances)
            for padded in found:  # (1, padded H, padded W, K)
                result = padded[0, :height, :width].astype(np.float32)  # a copy without the padding
                if not math.isfinite(float(result.sum())):
                    raise not_finite(self._network, x, self._source)
                yield result

    def _refined(self, probabilities: Array, pixels: NDArray[Any]) -> Array:
        """Run the CRF on the network's probabilities."""
        from lstm2d.pipeline.crf import refine  # loads Numba

        assert self.crf is not None
        return refine(probabilities, pixels, self.crf)
