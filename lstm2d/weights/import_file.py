"""Read the weights of published networks from files in common formats."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError, DataError
from lstm2d.io.safe_open import open_regular
from lstm2d.io.tensor_file import TensorFile
from lstm2d.weights.lazy_array import LazyArray, damaged, short
from lstm2d.weights.networks import NETWORKS, Naming, recognise
from lstm2d.weights.npz_file import npz_arrays
from lstm2d.weights.published import PARTS, Shape, Style
from lstm2d.weights.store import MEANS, Layers, is_stored, load_stored, read_stored
from lstm2d.weights.torch_file import LEGACY_START, torch_legacy_arrays, torch_zip_arrays
from lstm2d.weights.zip_members import ZipMembers

CONVENTIONS = {
    "caffe": "BGR, 0..255, minus the means",
    "torchvision": "RGB, 0..1, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225)",
    "rgb": "RGB, 0..255, minus the means",
    "overfeat": "RGB, 0..255, minus 118.380948, divided by 61.896913",
}
_SCALED = {  # mean and deviation of red, green and blue, in 0..255
    "torchvision": (255 * np.array((0.485, 0.456, 0.406)), 255 * np.array((0.229, 0.224, 0.225))),
    "overfeat": (np.full(3, 118.380948), np.full(3, 61.896913)),
}


@dataclass(frozen=True)
class ImportedWeights:
    """Layers of a published network, read from a file and converted.

    Parameters
    ----------
    network : str
        Which network, a key of `lstm2d.weights.networks.NETWORKS`.
    layers : dict of str to (array, array)
        Filters (kh, kw, in, out) for RGB input, 0..255 minus `lstm2d.weights.store.MEANS`, and biases;
        float32. In the order of the network.
    convention : str
        The input that the filters in the file expect, a key of `CONVENTIONS`.
    style : str
        The style of the file's names; "lstm2d" for a file that an earlier import wrote.
    others : int
        Number of other arrays in the file.
    """

    network: str
    layers: Layers
    convention: str
    style: str
    others: int


def read_weights(path: str | os.PathLike[str], convention: str | None = None) -> ImportedWeights:
    """Read the layers of a published network that are in a file.

    Parameters
    ----------
    path : str or path
        A safetensors file, a file by torch.save, an .npz file, or one that an earlier import wrote. Its first
        bytes decide which, not its name.
    convention : {"caffe", "torchvision", "rgb", "overfeat"}, optional
        The input that its filters expect. By default it is recognised from the layer names.

    Returns
    -------
    ImportedWeights
        The layers, converted.

    Raises
    ------
    ConfigError
        If there is no such convention.
    DataError
        If the file is missing, damaged, requires code execution, or holds no published network.
    """
    if convention is not None and convention not in CONVENTIONS:
        raise ConfigError(f"unknown convention {convention!r}", expected=", ".join(CONVENTIONS))
    if is_stored(path):
        if convention is not None:
            raise ConfigError(
                "this file is converted already", where=path, hint="import it without `convention`"
            )
        stored = read_stored(path)
        return ImportedWeights(stored.network, load_stored(path).layers, stored.convention, "lstm2d", 0)
    with _arrays(path) as arrays:
        naming = recognise(arrays, path, {name: array.shape for name, array in arrays.items()})
        shapes = _checked_shapes(arrays, naming, path)
        layers = {layer: _read_layer(arrays, naming, layer, shapes[layer], path) for layer in shapes}
    chosen = convention or naming.style.convention
    first = next(iter(NETWORKS[naming.network].layers))
    if first in layers:
        layers[first] = _for_rgb(*layers[first], chosen)
    return ImportedWeights(naming.network, layers, chosen, naming.style.name, naming.others)


@contextmanager
def _arrays(path: str | os.PathLike[str]) -> Iterator[dict[str, LazyArray]]:
    with open_regular(path) as file:
        try:
            yield _list_arrays(file, path)
        except (OSError, MemoryError) as e:
            raise damaged(str(e) or "not enough memory", path) from e


def _list_arrays(file: BufferedReader, path: object) -> dict[str, LazyArray]:
    start = file.read(16)
    file.seek(0)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        members = ZipMembers(file, path)
        if any(name.endswith("/data.pkl") for name in members.names):
            return torch_zip_arrays(members, path)
        return npz_arrays(members, path)
    if start.startswith(LEGACY_START):
        return torch_legacy_arrays(file, path)
    if start[8:9] == b"{":
        return _safetensors_arrays(file, path)
    raise DataError(
        "unknown kind of file",
        where=path,
        expected="a safetensors file, a file by torch.save (.pth), or an .npz file",
        hint="from an HDF5 file of Keras make an .npz, see docs/how-to/weights.md"
        if start.startswith(b"\x89HDF")
        else None,
    )


def _safetensors_arrays(file: BufferedReader, path: object) -> dict[str, LazyArray]:
    stored = TensorFile(file, path)
    return {n: LazyArray(t.shape, functools.partial(stored.read, n)) for n, t in stored.tensors.items()}


def _checked_shapes(arrays: dict[str, LazyArray], naming: Naming, path: object) -> dict[str, Shape]:
    """Return the shapes (kh, kw, in, out) of the layers in a file, checked against its arrays."""
    network = NETWORKS[naming.network]
    shapes = {layer: shape for layer, shape in network.layers.items() if (layer, PARTS[0]) in naming.arrays}
    for (layer, part), name in naming.arrays.items():
        allowed = network.file_shapes(layer, part, naming.style)
        if arrays[name].shape not in allowed:
            raise DataError(
                f"layer {layer} has a wrong shape, {short(name)} is {_size(arrays[name].shape)}",
                where=path,
                expected=" or ".join(_size(shape) for shape in allowed),
                hint=f"this is another network than {network.title}",
            )
    return shapes


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape[:8])) or "one number"


def _read_layer(
    arrays: dict[str, LazyArray], naming: Naming, layer: str, shape: Shape, path: object
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    values = []
    for part in PARTS:
        array = arrays[naming.arrays[layer, part]].read()
        if array.dtype.kind != "f":
            raise DataError(f"layer {layer} is not of real numbers", where=path, expected="float32")
        with np.errstate(over="ignore"):  # too large values are reported below
            if part == "weight":
                array = channels_last(array, shape, naming.style)
            values.append(np.ascontiguousarray(array, dtype=np.float32))
        if not np.isfinite(values[-1]).all():
            raise DataError(f"layer {layer} has values that are not finite", where=path)
    return values[0], values[1]


def channels_last(array: NDArray[Any], shape: Shape, style: Style) -> NDArray[Any]:
    """Reorder the axes of filters to those of this library.

    Parameters
    ----------
    array : array
        Filters as they are in a file. Those of a fully connected layer may be a matrix: its inputs are the
        features that its network saw, flattened channels first (torch) or channels last (Keras).
    shape : tuple of int
        (kh, kw, in, out).
    style : Style
        The style of the file.

    Returns
    -------
    array of shape (kh, kw, in, out)
        A view.
    """
    rows, columns, channels, width = shape
    if style.channels_last:
        return array.reshape(shape)
    return array.reshape(width, channels, rows, columns).transpose(2, 3, 1, 0)


def _for_rgb(
    filters: NDArray[np.float32], bias: NDArray[np.float32], convention: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fold the input normalisation of a network into its first layer.

    The input of torchvision and OverFeat is t = (x - mean) / std for RGB values x, ours is u = x - MEANS.
    With filters divided by std, a sum over t equals one over u plus their product with MEANS - mean, which is
    added to the bias. Padding differs: they pad t with 0, we pad u with 0. With torchvision this changes the
    padding by 0.005, 0.5 and 0.4 grey values, and affects only the outermost pixels of the first layer;
    OverFeat's first layer has no padding.
    """
    if convention == "rgb":
        return filters, bias
    if convention == "caffe":
        return np.ascontiguousarray(filters[:, :, ::-1]), bias
    mean, std = _SCALED[convention]
    scaled = filters.astype(np.float64) / std[:, None]
    shift = np.array(MEANS) - mean
    moved = bias + np.einsum("rsio,i->o", scaled, shift)
    return scaled.astype(np.float32), moved.astype(np.float32)
