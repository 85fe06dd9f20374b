"""The network of a model and all that surrounds it, for the pixels of photographs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lstm2d import kernels
from lstm2d.io.classes import ClassInfo
from lstm2d.io.model_file import ModelFile
from lstm2d.kernels import gpu
from lstm2d.kernels.device import Array
from lstm2d.models import Network
from lstm2d.pipeline.finite import not_finite
from lstm2d.pipeline.preprocess import Preprocessing, Size, parse_size
from lstm2d.pipeline.resize import labels_at, probabilities_at
from lstm2d.predict.instances import Instances, parse_instances, parse_resolution
from lstm2d.predict.layer_maps import LayerMaps, layer_maps
from lstm2d.predict.memory import MemoryUse, check_memory, rehearse
from lstm2d.predict.model_network import network_of
from lstm2d.predict.model_settings import contrast_of, crf_of, reading_of
from lstm2d.predict.zoo import model_name
from lstm2d.tensor import Tensor

if TYPE_CHECKING:
    from lstm2d.config.schema import CRFSection

FloatArray = NDArray[np.float32]
LabelArray = NDArray[np.uint8]
T = TypeVar("T")


class PixelPredictor:
    """Label the pixels of photographs that are read.

    `Predictor`, which also reads what a caller gives, describes parameters, attributes and errors.
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
        self.max_memory: int | None = None
        self._memory_use: tuple[CRFSection | None, MemoryUse] | None = None
        if self.crf is not None:  # imported now, so that no fork happens during the import in another thread
            import lstm2d.pipeline.crf  # noqa: F401

    @property
    def network(self) -> Network:
        """The network with its weights, on the device."""
        return self._network

    @property
    def parameters(self) -> int:
        """Number of trained parameters, without imported layers."""
        return sum(values.size for values in self.model.state.values())

    @property
    def selection(self) -> dict[str, Any]:
        """Resolution and instances if they are not the default, as JSON values: "1/4", a list of numbers."""
        found: dict[str, Any] = {}
        if self.resolution != 1:
            found["resolution"] = f"1/{self.resolution}"
        if self.instances != (self.trained,):
            found["instances"] = [*self.instances]
        return found

    @property
    def size_is_unknown(self) -> bool:
        """Whether the model file has no size at which photographs should be labelled."""
        return self.preprocessing.typical_size is None and not self.preprocessing.native

    @property
    def memory_use(self) -> MemoryUse:
        """Memory that labelling takes, measured on small images when it is first asked for."""
        if self._memory_use is None or self._memory_use[0] is not self.crf:

            def label(pixels: NDArray[Any]) -> object:
                shape = pixels.shape[:2]
                last = self.instances[-1:]
                return self._computed(
                    pixels, "native", lambda p, _: labels_at(p, *shape), last, checked=False
                )

            self._memory_use = self.crf, rehearse(label)
        return self._memory_use[1]

    def check_memory(self, height: int, width: int, size: Size = "auto") -> None:
        """Refuse a photograph that takes more than `max_memory` to label.

        Parameters
        ----------
        height, width : int
            Its size in pixels.
        size : "auto", "native" or float, default "auto"
            As for `predict`.

        Raises
        ------
        DataError
            If it takes more.
        """
        if self.max_memory is not None and self.device == "cpu":
            network = self.preprocessing.network_size(height, width, parse_size(size))
            weights = sum(values.nbytes for values in self._network.arrays().values())
            check_memory((height, width), network, self.max_memory, lambda: self.memory_use, weights)

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

    def layers_of(self, pixels: NDArray[Any], size: Size = "auto") -> list[LayerMaps]:
        """Return what `features` does, with the size of positions, for the pixels of a `Photo`."""

        def compute(small: NDArray[Any]) -> list[LayerMaps]:
            x = self.preprocessing.network_input(small)
            return layer_maps(self._network, x, *small.shape[:2], source=self._source)

        return self._on_device(pixels, size, compute)

    def _computed(
        self,
        pixels: NDArray[Any],
        size: Size,
        finish: Callable[[Array, bool], T],
        instances: Sequence[int],
        *,
        checked: bool = True,
    ) -> dict[int, T]:
        """Apply `finish` to the probabilities after each instance, on the device; True for the last ones."""

        def compute(small: NDArray[Any]) -> dict[int, T]:
            found = {}
            for number, one in zip(instances, self._of_network(small, instances), strict=True):
                refined = one if self.crf is None else self._refined(one, small)
                found[number] = finish(refined, number == instances[-1])
            return found

        return self._on_device(pixels, size, compute, checked=checked)

    def _on_device(
        self, pixels: NDArray[Any], size: Size, compute: Callable[[NDArray[Any]], T], *, checked: bool = True
    ) -> T:
        """Apply `compute` to the photograph at the network's size, on the device; `checked`: its memory."""
        if checked:
            self.check_memory(pixels.shape[0], pixels.shape[1], size)
        small = self.preprocessing.resized(pixels, parse_size(size))
        try:
            with gpu.current(self.device):
                return compute(small)
        except MemoryError as error:
            hint = "use smaller images or a smaller `size`, or close other programs"
            failure = gpu.out_of_memory(error, where=f"{small.shape[0]}x{small.shape[1]} pixels", hint=hint)
        finally:
            kernels.arena.settle()
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
