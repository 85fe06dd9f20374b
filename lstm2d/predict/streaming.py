"""Label an image in strips, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lstm2d.data.transforms import normalise
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.machine_memory import in_words, resident
from lstm2d.io.scratch import check_space
from lstm2d.kernels import arena
from lstm2d.models import Network
from lstm2d.ops import softmax
from lstm2d.pipeline.resize import labels_at
from lstm2d.predict.memory import GAPS, peak_of
from lstm2d.strips.graph import not_streamed, steps_of
from lstm2d.strips.plan import Plan
from lstm2d.strips.run import run
from lstm2d.tensor import FloatArray, Tensor

if TYPE_CHECKING:
    from lstm2d.predict.predictor import Predictor

TALLEST = 500  # pixels; higher strips gain no speed
PIECE = 100_000  # pixels of a piece of a strip, at least one row of positions
PIECE_BYTES = 400  # per pixel of a piece that is higher than that
LABEL_BYTES = 4  # per pixel of a row of tiles: labels as they are computed, joined, cut and compressed
# rows of strips and columns of the images of the rehearsal, in strides: with the states of more columns than
# a block of a sweep has
REHEARSED = ((12, 400), (24, 400), (12, 600))


class Rows(Protocol):
    """A photograph by rows, such as `lstm2d.io.photo_rows.PhotoRows`."""

    size: tuple[int, int]
    memory: int

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """Return the pixels of some rows, of shape (rows, W, 3)."""


@dataclass(frozen=True, slots=True)
class StripUse:
    """Memory that labelling a strip takes.

    Parameters
    ----------
    fixed : float
        Bytes for any image.
    per_column : float
        Bytes per column of pixels.
    per_pixel : float
        Bytes per pixel of a strip.
    """

    fixed: float
    per_column: float
    per_pixel: float

    def of(self, height: int, width: int) -> int:
        """Return the bytes for a strip of this height, in an image of this width."""
        return int(GAPS * (self.fixed + width * (self.per_column + self.per_pixel * height)))

    def height(self, memory: int, width: int) -> int:
        """Return the largest height of a strip that fits into this memory; 0 or less if none does."""
        return int((memory / GAPS - self.fixed - width * self.per_column) / (width * self.per_pixel))


class StripPredictor:
    """Label images of any size in strips, at their own size.

    Parameters
    ----------
    predictor : Predictor
        The model.
    memory : int
        Bytes that the process may hold.

    Raises
    ------
    ConfigError
        If the model cannot be computed in strips.
    """

    def __init__(self, predictor: Predictor, memory: int) -> None:
        self.predictor, self.memory = predictor, memory
        self._network: Network = predictor.network
        check_model(predictor)
        self._stride = self._network.stride
        self._plan(self._stride, self._stride)
        self._use: StripUse | None = None

    def strips_of(
        self,
        image: Rows,
        folder: Path,
        *,
        height: int | None = None,
        piece: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Generator[tuple[NDArray[np.uint8], FloatArray]]:
        """Label an image strip by strip.

        Parameters
        ----------
        image : Rows
            The photograph.
        folder : Path
            Folder for the maps between the layers.
        height : int, optional
            Rows of a strip; by default as many as fit into the memory.
        piece : int, optional
            Rows of a piece of a strip; by default a few.
        progress : callable, optional
            Called with the fraction that is done.

        Yields
        ------
        labels : array of shape (rows, W), uint8
            Class numbers of the next rows, from top to bottom.
        probabilities : array of shape (rows, W, K), float32
            Their class probabilities.

        Raises
        ------
        DataError
            If the image cannot be read, or the output is not finite.
        ConfigError
            If the memory is too small for a strip.
        OutputError
            If the disk has no room for the maps, or fails.
        """
        rows, columns = image.size
        padded = tuple(-(-side // self._stride) * self._stride for side in image.size)
        plan = self._plan(*padded)
        check_space(folder, plan.disk_bytes())
        if height is None:
            height = self.height_for(image, folder)
        if piece is None:
            piece = self._stride * max(1, PIECE // (padded[1] * self._stride))
        count, pieces = -(-padded[0] // height), -(-height // piece)
        done = 0
        source = _Padded(image, padded, self.predictor.preprocessing.mean, self.predictor.preprocessing.std)
        computed = run(plan, source, strips=count, pieces=pieces, folder=folder, progress=progress)
        with closing(computed) as strips:
            for strip in strips:
                part = self._network.corrected(Tensor(strip)).data[0, : rows - done, :columns]
                if not len(part):
                    continue
                if not math.isfinite(float(part.sum())):
                    raise DataError(
                        f"the output of the network is not finite in rows {done} to {done + len(part) - 1}",
                        expected="finite numbers",
                        hint="use another model: its training has diverged, or its file was modified",
                    )
                done += len(part)
                probabilities = np.ascontiguousarray(part)
                yield labels_at(probabilities, *part.shape[:2]), probabilities

    def height_for(self, image: Rows, folder: Path) -> int:
        """Return the rows of a strip, so that the process stays within its memory.

        Parameters
        ----------
        image : Rows
            The photograph.
        folder : Path
            Folder for the maps of small images, on which the memory is measured first.

        Returns
        -------
        int
            A multiple of the stride.

        Raises
        ------
        ConfigError
            If the memory is too small.
        """
        use = self._use = self._use or self._rehearse(folder)
        width = -(-image.size[1] // self._stride) * self._stride
        arena.clear()
        others = resident() + image.memory + LABEL_BYTES * 256 * width + PIECE_BYTES * PIECE
        height = use.height(self.memory - others, width) // self._stride * self._stride
        if height < self._stride:
            smallest = others + use.of(self._stride, width)
            raise ConfigError(
                f"`memory`: {in_words(self.memory)} are too little for an image of {image.size[1]} columns",
                expected=f"at least {in_words(smallest)}",
                hint=f"raise `memory` to {math.ceil(1.02 * smallest / 2**20)}M",
            )
        return max(self._stride, min(height, TALLEST // self._stride * self._stride))

    def _plan(self, rows: int, columns: int) -> Plan:
        network = self._network

        def compute(x: Tensor) -> Tensor:
            z = network.frozen(x)
            return network.at_pixels(softmax(network.scores(z)), z)

        channels = len(self.predictor.preprocessing.mean)
        return Plan(steps_of(compute, (rows, columns), stride=self._stride, channels=channels))

    def _rehearse(self, folder: Path) -> StripUse:
        """Measure the memory of strips: it is linear in the columns, and for each column in the rows."""
        strides = [(rows * self._stride, columns * self._stride) for rows, columns in REHEARSED]
        peaks = [self._peak(*size, folder) for size in strides]
        (low, width), (high, _), (_, wide) = strides
        per_pixel = max(1.0, (peaks[1] - peaks[0]) / ((high - low) * width))
        per_column = max(0.0, (peaks[2] - peaks[0]) / (wide - width) - per_pixel * low)
        return StripUse(max(0.0, peaks[0] - width * (per_column + per_pixel * low)), per_column, per_pixel)

    def _peak(self, height: int, width: int, folder: Path) -> int:
        """Return the most bytes that two strips take."""
        pixels = np.random.default_rng(0).integers(0, 256, (2 * height, width, 3), dtype=np.uint8)

        def label() -> None:
            for _ in self.strips_of(_Noise(pixels), folder, height=height, piece=self._stride):
                pass

        return peak_of(label)


def check_model(predictor: Predictor) -> None:
    """Check that a model is one for strips, as far as its settings show.

    Parameters
    ----------
    predictor : Predictor
        The model.

    Raises
    ------
    ConfigError
        If it is not.
    """
    if predictor.device != "cpu":
        raise ConfigError("`stream` computes on the CPU", hint="use `device='cpu'`")
    if predictor.crf is not None:
        raise ConfigError("`stream` has no CRF, which needs the whole image", hint="turn the CRF off")
    if predictor.preprocessing.padding:  # recurrent CNNs, and patch networks
        raise not_streamed("it labels the middles of patches, from an image with zeros around it")
    if predictor.preprocessing.contrast != "none":
        contrast = predictor.preprocessing.contrast
        raise not_streamed(f"data.contrast = {contrast!r} depends on statistics of the whole image")


class _Noise:
    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels, self.size, self.memory = pixels, (pixels.shape[0], pixels.shape[1]), 0

    def rows(self, first: int, last: int) -> NDArray[Any]:
        return self._pixels[first:last]


class _Padded:
    """A normalised photograph whose last row and column are repeated, as for a network's whole input."""

    def __init__(
        self, image: Rows, size: tuple[int, ...], mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        self._image, self._size, self._statistics = image, size, (mean, std)

    def rows(self, first: int, last: int) -> FloatArray:
        height, width = self._image.size
        begin = min(first, height - 1)
        pixels = normalise(self._image.rows(begin, max(begin + 1, min(last, height))), *self._statistics)
        missing = last - first - len(pixels), self._size[1] - width
        if any(missing):
            pixels = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        return pixels[np.newaxis]
