"""Readers of published weights."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import safetensors.numpy

from lstm2d.errors import Lstm2dError
from lstm2d.weights.import_file import _arrays, read_weights
from lstm2d.weights.store import METADATA_KEY, read_stored, store_weights
from tests.reliability.fuzz.forms import header_form, metadata_form, zip_form
from tests.reliability.fuzz.target import Target
from tests.weights import torch_bytes

_PICKLE = (
    b"ctorch\nFloatStorage\n", b"ctorch\nHalfStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n", b"cos\nsystem\n", b"ctorch._utils\n_rebuild_parameter\n",
    b"ctorch.nn.parameter\nParameter\n", b"\x80\x02", b"\x80\x05", b"(", b")", b"}", b"]", b"u", b"e", b"R",
    b"Q", b"t", b"\x85", b"\x86", b"\x87", b"q\0", b"h\0", b"r\xff\xff\xff\xff", b"N", b"\x88", b"\x89",
    b"J\xff\xff\xff\xff", b"J\xff\xff\xff\x7f", b"K\0", b"M\xff\xff",
    b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\x7f", b"X\x01\0\0\0a", b"U\x01a",
    b"L1L\n", b"I1\n", b"I00\n", b"F1.5\n", b"V\\u0041\n", b"G?\xf0\0\0\0\0\0\0", b"\x94", b"\x95", b"s",
    b"b", b".", b"0", b"2", b"g0\n", b"p0\n", b"\x8c\x01a", b"\x93",
)  # fmt: skip
_NPY = (
    b"\x93NUMPY\x01\0", b"'descr': '<f4'", b"'descr': '|O'", b"'descr': '<f8'", b"'descr': 'V8'",
    b"'shape': (1, 2)", b"'shape': ()", b"'shape': (99999999999, )", b"True", b"<U9999999999", b"<m8",
    b"|S0", b"L, ",
)  # fmt: skip


def _arrays_of() -> dict[str, np.ndarray]:
    """Return the first layer of VGG-16 under the names of torchvision."""
    rng = np.random.default_rng(3)
    return {
        "features.0.weight": rng.standard_normal((64, 3, 3, 3)).astype(np.float32),
        "features.0.bias": rng.standard_normal(64).astype(np.float32),
    }


def _small() -> dict[str, np.ndarray]:
    return {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros((2, 0), np.float32)}


def _zips() -> list[bytes]:
    found = [torch_bytes.torch_zip(arrays) for arrays in (_arrays_of(), _small())]
    return [*found, torch_bytes.torch_zip(_small(), compress=zipfile.ZIP_DEFLATED)]


def _legacy() -> list[bytes]:
    return [torch_bytes.torch_legacy(arrays) for arrays in (_arrays_of(), _small())]


def _npz() -> list[bytes]:
    found = []
    for save, arrays in (
        (np.savez, _small()),
        (np.savez_compressed, _arrays_of()),
        (np.savez, {"x": np.asfortranarray(np.eye(3))}),
    ):
        out = io.BytesIO()
        save(out, **arrays)
        found.append(out.getvalue())
    return found


def _safetensors() -> list[bytes]:
    return [safetensors.numpy.save(arrays) for arrays in (_arrays_of(), _small())]


def _stored() -> list[bytes]:
    rng = np.random.default_rng(3)
    layers = {"conv1_1": (rng.standard_normal((3, 3, 3, 64)).astype(np.float32), np.zeros(64, np.float32))}
    with TemporaryDirectory() as folder, patch.dict(os.environ, LSTM2D_DATA=folder):
        return [store_weights(layers, name="fuzzed", convention="rgb", source="x.pth").path.read_bytes()]


def _read(path: Path) -> None:
    """Read all arrays of a file, then what of them is a published network."""
    first: Lstm2dError | None = None
    with _arrays(path) as arrays:
        for array in arrays.values():
            try:
                found = array.read()
            except Lstm2dError as error:
                first = first or error
            else:
                assert found.shape == array.shape
    if first is not None:
        raise first
    if any(name.startswith("features") for name in arrays):
        read_weights(path)


def _read_stored(path: Path) -> None:
    read_stored(path)
    read_weights(path)


TARGETS = (
    Target("torch zip", _zips, _read, words=_PICKLE, forms=(zip_form,)),
    Target("torch before 1.6", _legacy, _read, words=_PICKLE),
    Target("npz", _npz, _read, words=_NPY, forms=(zip_form,)),
    Target("safetensors", _safetensors, _read, forms=(header_form,)),
    Target("stored weights", _stored, _read_stored, forms=(header_form, metadata_form(METADATA_KEY))),
)
