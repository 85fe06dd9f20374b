"""Read tensors from files of torch.save, without torch and without running code."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from lstm2d.errors import DataError
from lstm2d.weights.lazy_array import LazyArray, damaged, short
from lstm2d.weights.torch_pickle import Storage, TensorPlace, Value, read_pickle
from lstm2d.weights.zip_members import ZipMembers

_MAX_DESCRIPTION = 16 * 2**20
_NESTED = ("state_dict", "model_state_dict", "model")  # where training scripts put the dict of tensors
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_START = b"\x80\x02\x8a\n" + _LEGACY_MAGIC.to_bytes(10, "little") + b"."


def torch_zip_arrays(members: ZipMembers, path: object) -> dict[str, LazyArray]:
    """List the tensors of a zip file by torch.save (torch 1.6 and newer).

    Parameters
    ----------
    members : ZipMembers
        The file.
    path : object
        Its name, for messages.

    Returns
    -------
    dict of str to LazyArray
        By name.

    Raises
    ------
    DataError
        If the file is damaged or holds anything but tensors.
    """
    found = [name for name in members.names if name.endswith("/data.pkl")]
    if len(found) != 1:
        raise damaged("it is a zip file, but not from torch.save", path)
    folder = found[0].removesuffix("data.pkl")
    order = "<"
    if f"{folder}byteorder" in members.names:
        order = {b"little": "<", b"big": ">"}.get(members.read(f"{folder}byteorder", limit=16), "")
        if not order:
            raise damaged("its byte order is unknown", path)
    described = read_pickle(members.read(found[0], limit=_MAX_DESCRIPTION), path)

    @functools.lru_cache(maxsize=1)
    def numbers(storage: Storage) -> NDArray[np.generic]:
        dtype = np.dtype(order + storage.dtype)
        size = storage.count * dtype.itemsize
        name = f"{folder}data/{storage.key}"
        if members.size(name) != size:
            raise damaged(f"{short(name)} has a wrong length", path)
        return np.frombuffer(members.read(name, limit=size), dtype)

    return _lazy(described.value, numbers, path)


def torch_legacy_arrays(file: BinaryIO, path: object) -> dict[str, LazyArray]:
    """List the tensors of a file by torch.save as torch wrote it before 1.6.

    Parameters
    ----------
    file : BinaryIO
        The file, at its beginning; it must stay open.
    path : object
        Its name, for messages.

    Returns
    -------
    dict of str to LazyArray
        By name.

    Raises
    ------
    DataError
        If the file is damaged or holds anything but tensors.
    """
    data = file.read(_MAX_DESCRIPTION)
    version = read_pickle(data, path, len(LEGACY_START))
    system = read_pickle(data, path, version.end)
    described = read_pickle(data, path, system.end)
    keys = read_pickle(data, path, described.end)
    little = isinstance(system.value, dict) and system.value.get("little_endian") is True
    if version.value != 1001 or not little:
        raise damaged("it was written in an unknown version or byte order", path)
    places = _legacy_places(file, keys.end, keys.value, described.storages, path)

    @functools.lru_cache(maxsize=1)
    def numbers(storage: Storage) -> NDArray[np.generic]:
        dtype = np.dtype("<" + storage.dtype)
        file.seek(places[storage.key])
        values = np.frombuffer(file.read(storage.count * dtype.itemsize), dtype)
        if values.size != storage.count:
            raise damaged("it is truncated", path)
        return values

    return _lazy(described.value, numbers, path)


def _legacy_places(
    file: BinaryIO, position: int, keys: Value, storages: dict[str, Storage], path: object
) -> dict[str, int]:
    """Return the first byte of each storage's numbers: they follow each other, each after its count."""
    if not isinstance(keys, list) or set(map(type, keys)) - {str} or set(keys) != set(storages):
        raise damaged("its numbers are listed wrongly", path)
    size = file.seek(0, 2)
    places = {}
    for key in keys:
        storage = storages[key]
        file.seek(position)
        places[key] = position + 8
        position = places[key] + storage.count * np.dtype(storage.dtype).itemsize
        if int.from_bytes(file.read(8), "little") != storage.count or position > size:
            raise damaged("its numbers are truncated or have a wrong length", path)
    return places


def _lazy(
    value: Value, numbers: Callable[[Storage], NDArray[np.generic]], path: object
) -> dict[str, LazyArray]:
    """Return the tensors of a dict, or of the dict in it that holds them; `numbers` reads a storage."""
    for key in _NESTED:
        if isinstance(value, dict) and isinstance(value.get(key), dict):
            value = value[key]
    if not isinstance(value, dict):
        raise DataError("the file holds no dict of tensors", where=path, expected="model.state_dict()")
    return {
        name: LazyArray(place.shape, functools.partial(lambda p: _view(numbers(p.storage), p), place))
        for name, place in value.items()
        if isinstance(name, str) and isinstance(place, TensorPlace)
    }


def _view(numbers: NDArray[np.generic], place: TensorPlace) -> NDArray[np.generic]:
    if math.prod(place.shape) == 0:
        return np.zeros(place.shape, numbers.dtype)
    steps = tuple(step * numbers.itemsize for step in place.strides)
    return np.lib.stride_tricks.as_strided(numbers[place.offset :], place.shape, steps, writeable=False)
