"""Cut an axis of a convolution into parts whose positions have the same taps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

SHARE = 0.9  # with fewer taps inside the image, those outside are left out of the products


class Part(NamedTuple):
    """Targets ``first + step * t``, t < length; tap k reads the source ``source_step * t + offsets[k]``."""

    first: int
    step: int
    length: int
    source_step: int
    taps: tuple[int, ...]
    offsets: tuple[int, ...]


def forward_parts(size: int, n_out: int, kernel: int, stride: int, padding: int, dilation: int) -> list[Part]:
    """Cut one axis of a convolution.

    Parameters
    ----------
    size, n_out : int
        Length of input and output.
    kernel, stride, padding, dilation : int
        Parameters of this axis.

    Returns
    -------
    list of Part
        Sources are inputs, targets are outputs.
    """
    offsets = tuple(r * dilation - padding for r in range(kernel))
    return _split(Part(0, 1, n_out, stride, tuple(range(kernel)), offsets), size)


def adjoint_parts(size: int, n_out: int, kernel: int, stride: int, padding: int, dilation: int) -> list[Part]:
    """Cut one axis of the input gradient.

    Parameters
    ----------
    size, n_out : int
        Length of input and output of the convolution.
    kernel, stride, padding, dilation : int
        Parameters of this axis.

    Returns
    -------
    list of Part
        Sources are outputs, targets are inputs: those with one remainder by the stride have the same taps.
    """
    parts: list[Part] = []
    for phase in range(min(stride, size)):
        seen = [r for r in range(kernel) if (phase + padding - r * dilation) % stride == 0]
        offsets = tuple((phase + padding - r * dilation) // stride for r in seen)
        length = (size - phase + stride - 1) // stride
        parts += _split(Part(phase, stride, length, 1, tuple(seen), offsets), n_out)
    return parts


def _split(part: Part, size: int) -> list[Part]:
    """Return the part, or pieces of it that have only the taps inside a source of `size`."""

    def inside(t: int) -> tuple[int, ...]:
        return tuple(k for k, o in enumerate(part.offsets) if 0 <= part.source_step * t + o < size)

    seen = [inside(t) for t in range(part.length)]
    if sum(map(len, seen)) >= SHARE * part.length * len(part.taps):
        return [part]
    starts = [t for t in range(part.length) if t == 0 or seen[t] != seen[t - 1]]
    return [_piece(part, a, b, seen[a]) for a, b in zip(starts, [*starts[1:], part.length], strict=True)]


def _piece(part: Part, start: int, stop: int, seen: Iterable[int]) -> Part:
    shift = part.source_step * start
    return part._replace(
        first=part.first + part.step * start,
        length=stop - start,
        taps=tuple(part.taps[k] for k in seen),
        offsets=tuple(part.offsets[k] + shift for k in seen),
    )
