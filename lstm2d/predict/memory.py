"""How much memory labelling an image takes, measured on small images."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.io.machine_memory import in_words, resident
from lstm2d.kernels import arena

SIDES = (192, 320)  # pixels, of the images of the rehearsal; below, small arrays are not in the arena
LEAST = 24  # bytes per pixel; below, fewer than the input alone takes, a third image is rehearsed
LARGE_SIDE = 960
# Measured peaks of the process are up to 1.3 times those of the arrays: freed memory has gaps
GAPS = 1.3
# all presets take less, so small images need no rehearsal: bytes per pixel of the network's input, bytes, and
# copies of the weights that are rearranged
NEVER_MORE, NEVER_MORE_FIXED, NEVER_MORE_COPIES = 20_000, 50_000_000, 8
PHOTO_BYTES = 24  # per pixel of the photograph: decoder, pixels, resized pixels, labels; 16 measured


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Memory that labelling an image takes, besides the process and the photograph.

    Parameters
    ----------
    fixed : int
        Bytes for an image of any size.
    per_pixel : int
        Bytes per pixel of the network's input.
    """

    fixed: int
    per_pixel: int

    def of(self, pixels: int) -> int:
        """Return the bytes for a number of pixels."""
        return self.fixed + self.per_pixel * pixels


def rehearse(label: Callable[[NDArray[np.uint8]], object]) -> MemoryUse:
    """Measure the memory that labelling takes.

    Parameters
    ----------
    label : callable
        Labels the pixels of a photograph of shape (H, W, 3) at its own size.

    Returns
    -------
    MemoryUse
        From the peak of all arrays while two small images of noise are labelled, or a third, larger one.
        Noise takes the most where it depends on the image, as for a CRF.

    Notes
    -----
    Arrays of other threads in the meantime count too.
    """
    label(_noise(SIDES[0]))  # loads and compiles what is loaded on first use
    peaks = {side: _peak(label, side) for side in SIDES}
    slope = _slope(peaks, *SIDES)
    if slope < LEAST:  # weights that are rearranged hide what depends on the image
        peaks[LARGE_SIDE] = _peak(label, LARGE_SIDE)
        slope = _slope(peaks, SIDES[-1], LARGE_SIDE)
    side = max(peaks)
    return MemoryUse(max(0, int(peaks[side] - slope * side * side)), int(GAPS * slope))


def _slope(peaks: Mapping[int, int], small: int, large: int) -> float:
    """Return the bytes that a further pixel takes."""
    return max(0.0, (peaks[large] - peaks[small]) / (large * large - small * small))


def _noise(side: int) -> NDArray[np.uint8]:
    return np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)


def _peak(label: Callable[[NDArray[np.uint8]], object], side: int) -> int:
    """Return the peak of all arrays while an image is labelled."""
    image = _noise(side)
    return peak_of(lambda: label(image))


def peak_of(work: Callable[[], object]) -> int:
    """Return the most bytes that arrays take during some work, besides those that exist before.

    Parameters
    ----------
    work : callable
        The work.

    Returns
    -------
    int
        Bytes.
    """
    arena.clear()
    started = not tracemalloc.is_tracing()
    if started:
        tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if started:
            tracemalloc.stop()


def most_of(pixels: int, weights: int, per_pixel: int = NEVER_MORE) -> int:
    """Return bytes that are never exceeded.

    Parameters
    ----------
    pixels : int
        Of the network's input.
    weights : int
        Bytes of the network's weights.
    per_pixel : int
        Bytes per pixel that are never exceeded.

    Returns
    -------
    int
        More than any preset takes.
    """
    return NEVER_MORE_FIXED + NEVER_MORE_COPIES * weights + per_pixel * pixels


def check_memory(
    photo: tuple[int, int],
    network: tuple[int, int],
    limit: int,
    use: Callable[[], MemoryUse],
    weights: int = 0,
) -> None:
    """Refuse an image that takes more memory than allowed, before anything is computed.

    Parameters
    ----------
    photo, network : tuple of int
        Rows and columns of the photograph, and of the network's input.
    limit : int
        Largest memory of the process in bytes.
    use : callable
        Returns what labelling takes; called only if the image is so large that it could be too much.
    weights : int, default 0
        Bytes of the network's weights.

    Raises
    ------
    DataError
        If it takes more.
    """
    pixels = network[0] * network[1]
    others = max(0, resident() - arena.footprint()) + PHOTO_BYTES * photo[0] * photo[1]
    if others + most_of(pixels, weights) <= limit:
        return
    needed = others + use().of(pixels)
    if needed > limit:
        side = int((max(0, limit - others - use().fixed) / max(1, use().per_pixel)) ** 0.5)
        size = f"a smaller `size`, such as {side * 9 // 10}, " if side > 10 else ""
        raise DataError(
            f"labelling takes about {in_words(needed)} of memory, {in_words(limit)} are allowed",
            where=f"{network[1]}x{network[0]} pixels in the network, {use().per_pixel} bytes per pixel",
            expected="less memory than `max_memory`",
            hint=f"choose {size}a smaller image, or a larger `max_memory`; "
            "predict with `stream` labels images of any size",
        )
