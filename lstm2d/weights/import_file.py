"""Read the weights of VGG-16 from the files in which others publish them."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import ConfigError, DataError
from lstm2d.io.safe_open import open_regular
from lstm2d.io.safetensors_header import TensorInfo, parse_tensors, read_header_bytes
from lstm2d.weights.lazy_array import StoredArray, damaged, short
from lstm2d.weights.npz_file import npz_arrays
from lstm2d.weights.store import MEANS, Layers, is_stored, load_stored, read_stored
from lstm2d.weights.torch_file import LEGACY_START, torch_legacy_arrays, torch_zip_arrays
from lstm2d.weights.vgg16 import LAYERS, Naming, recognise
from lstm2d.weights.zip_members import ZipMembers

CONVENTIONS = {
    "caffe": "BGR, 0..255, minus the means",
    "torchvision": "RGB, 0..1, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225)",
    "rgb": "RGB, 0..255, minus the means",
}
_CONVENTION_OF_STYLE = {
    "plain": "caffe",
    "keras": "caffe",
    "torchvision": "torchvision",
    "tensorflow": "rgb",
}
_TORCHVISION_MEAN = (0.485, 0.456, 0.406)
_TORCHVISION_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImportedWeights:
    """What was read from a file.

    Parameters
    ----------
    layers : dict of str to (array, array)
        Filters (kh, kw, in, out) for RGB input, 0..255 minus `lstm2d.weights.store.MEANS`, and biases;
        float32.
    convention : str
        The input that the file's filters are made for, a key of `CONVENTIONS`.
    style : str
        Whose names the file uses.
    others : int
        Arrays in the file that belong to no layer of VGG-16 up to fc7.
    """

    layers: Layers
    convention: str
    style: str
    others: int


def read_weights(path: str | os.PathLike[str], convention: str | None = None) -> ImportedWeights:
    """Read the layers of VGG-16 that are in a file.

    Parameters
    ----------
    path : str or path
        A safetensors file, a file by torch.save, an .npz file, or one that an earlier import wrote. Its first
        bytes decide which, not its name.
    convention : {"caffe", "torchvision", "rgb"}, optional
        The input that its filters are made for. By default the names of its layers decide.

    Returns
    -------
    ImportedWeights
        The layers, converted.

    Raises
    ------
    ConfigError
        If there is no such convention.
    DataError
        If the file is missing, damaged, needs code to be run, or holds something else than VGG-16.
    """
    if convention is not None and convention not in CONVENTIONS:
        raise ConfigError(f"unknown convention {convention!r}", expected=", ".join(CONVENTIONS))
    if is_stored(path):
        if convention is not None:
            raise ConfigError(
                "this file is converted already", where=path, hint="import it without --convention"
            )
        return ImportedWeights(load_stored(path).layers, read_stored(path).convention, "lstm2d", 0)
    with _arrays(path) as arrays:
        naming = recognise(arrays, path)
        _check_shapes(arrays, naming, path)
        layers = {layer: _read_layer(arrays, naming, layer, path) for layer in _found(naming)}
    chosen = convention or _CONVENTION_OF_STYLE[naming.style]
    if "conv1_1" in layers:
        layers["conv1_1"] = _for_rgb(*layers["conv1_1"], chosen)
    return ImportedWeights(layers, chosen, naming.style, naming.others)


@contextmanager
def _arrays(path: str | os.PathLike[str]) -> Iterator[dict[str, StoredArray]]:
    with open_regular(path) as file:
        try:
            yield _list_arrays(file, path)
        except (OSError, MemoryError) as e:
            raise damaged(str(e) or "not enough memory", path) from e


def _list_arrays(file: BinaryIO, path: object) -> dict[str, StoredArray]:
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


def _safetensors_arrays(file: BinaryIO, path: object) -> dict[str, StoredArray]:
    size = os.fstat(file.fileno()).st_size
    tensors, _ = parse_tensors(read_header_bytes(file, size, path), size, path)

    def read(tensor: TensorInfo) -> NDArray[Any]:
        file.seek(tensor.begin)
        data = file.read(tensor.end - tensor.begin)
        if len(data) != tensor.end - tensor.begin:
            raise damaged("it is cut short", path)
        return np.frombuffer(data, tensor.dtype).reshape(tensor.shape)

    return {name: StoredArray(t.shape, functools.partial(read, t)) for name, t in tensors.items()}


def _found(naming: Naming) -> list[str]:
    return [layer for layer in LAYERS if (layer, "weight") in naming.arrays]


def _file_shape(layer: str, kind: str, style: str) -> list[tuple[int, ...]]:
    """Return the shapes that an array may have in a file."""
    rows, columns, channels, width = LAYERS[layer]
    if kind == "bias":
        return [(width,)]
    dense = rows * columns * channels
    if style in ("keras", "tensorflow"):
        return [(rows, columns, channels, width)] + [(dense, width)] * layer.startswith("fc")
    return [(width, channels, rows, columns)] + [(width, dense)] * layer.startswith("fc")


def _check_shapes(arrays: dict[str, StoredArray], naming: Naming, path: object) -> None:
    for (layer, kind), name in naming.arrays.items():
        allowed = _file_shape(layer, kind, naming.style)
        if arrays[name].shape not in allowed:
            raise DataError(
                f"layer {layer} has a wrong shape, {short(name)} is {_size(arrays[name].shape)}",
                where=path,
                expected=" or ".join(_size(shape) for shape in allowed),
                hint="this is another network than VGG-16",
            )


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape[:8])) or "one number"


def _read_layer(
    arrays: dict[str, StoredArray], naming: Naming, layer: str, path: object
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    values = []
    for kind in ("weight", "bias"):
        name = naming.arrays[layer, kind]
        array = arrays[name].read()
        if array.dtype.kind != "f":
            raise DataError(f"layer {layer} is not of real numbers", where=path, expected="float32")
        with np.errstate(over="ignore"):  # what is too large is said below
            if kind == "weight":
                array = channel_last(array, LAYERS[layer], naming.style)
            values.append(np.ascontiguousarray(array, dtype=np.float32))
        if not np.isfinite(values[-1]).all():
            raise DataError(f"layer {layer} has values that are not finite", where=path)
    return values[0], values[1]


def channel_last(array: NDArray[Any], shape: tuple[int, int, int, int], style: str) -> NDArray[Any]:
    """Bring filters into our order.

    Parameters
    ----------
    array : array
        Filters as they stand in a file. Those of a fully connected layer may be a matrix: its inputs are the
        features that its network saw, flattened channel first (torch) or channel last (Keras).
    shape : tuple of int
        (kh, kw, in, out).
    style : str
        Whose names the file uses, see `lstm2d.weights.vgg16.Naming`.

    Returns
    -------
    array of shape (kh, kw, in, out)
        A view.
    """
    rows, columns, channels, width = shape
    if style in ("keras", "tensorflow"):
        return array.reshape(shape)
    return array.reshape(width, channels, rows, columns).transpose(2, 3, 1, 0)


def _for_rgb(
    filters: NDArray[np.float32], bias: NDArray[np.float32], convention: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fold what a network's input needs into its first layer, so that all are fed alike.

    Torchvision's input is t = (x / 255 - mean) / std of the RGB values x, ours u = x - MEANS. With the
    filters divided by 255 std, a sum over t is one over u plus their product with MEANS - 255 mean, which
    goes into the bias. Where a filter reaches beyond the image, torchvision's network pads t with 0, ours u
    with 0: there remains this difference, 0.005, 0.5 and 0.4 grey values of the padding, which only the
    outermost pixels of conv1_1 see.
    """
    if convention == "rgb":
        return filters, bias
    if convention == "caffe":
        return np.ascontiguousarray(filters[:, :, ::-1]), bias
    scaled = filters.astype(np.float64) / (255 * np.array(_TORCHVISION_STD))[:, None]
    shift = np.array(MEANS) - 255 * np.array(_TORCHVISION_MEAN)
    moved = bias + np.einsum("rsio,i->o", scaled, shift)
    return scaled.astype(np.float32), moved.astype(np.float32)
