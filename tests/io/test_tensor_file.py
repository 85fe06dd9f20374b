"""Arrays load from a file as they were saved; damage is found before memory is allocated."""

import struct
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from lstm2d.errors import DataError, Lstm2dError
from lstm2d.io.safe_open import open_regular
from lstm2d.io.tensor_file import DTYPE_NAMES, TensorFile, to_bytes, to_parts

SHAPES = arrays.array_shapes(min_dims=0, max_dims=8, min_side=0, max_side=2)
ONE_GIBIBYTE = b'{"w":{"dtype":"U8","shape":[1073741824],"data_offsets":[0,1073741824]}}'


def test_values_by_hand() -> None:
    values = np.array([[1.5, -2.0]], ">f4")
    data = to_bytes({"w": values.T}, {"text": "ü"})
    header = '{"__metadata__":{"text":"ü"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}'.encode()
    header += b" " * (-len(header) % 8)
    assert data == struct.pack("<Q", len(header)) + header + struct.pack("<ff", 1.5, -2.0)
    file = TensorFile(BytesIO(data), "f")
    assert (file.metadata, file.size) == ({"text": "ü"}, len(data))
    np.testing.assert_array_equal(file.read("w"), np.array([[1.5], [-2.0]], "<f4"), strict=True)
    assert (file.tensors["w"].begin, file.tensors["w"].end) == (len(data) - 8, len(data))


@given(
    st.dictionaries(
        st.text(max_size=5).filter(lambda name: name != "__metadata__"),
        st.sampled_from(sorted(DTYPE_NAMES)).flatmap(lambda dtype: arrays.arrays(dtype, SHAPES)),
        max_size=4,
    )
)
def test_any_arrays(tensors: dict[str, NDArray[np.generic]]) -> None:
    data = to_bytes(tensors, {})
    file = TensorFile(BytesIO(data), "f")
    assert file.tensors.keys() == tensors.keys()
    for name, values in tensors.items():
        np.testing.assert_array_equal(file.read(name), values, strict=True)
    theirs = safetensors.numpy.load(data)
    assert all(theirs[name].tobytes() == values.tobytes() for name, values in tensors.items())


def test_the_bytes_are_those_of_the_safetensors_package(rng: np.random.Generator) -> None:
    tensors = {
        f"{k}ü": np.ascontiguousarray((9 * rng.random((2, 3))).astype(t)) for k, t in enumerate(DTYPE_NAMES)
    }
    tensors |= {"a": np.zeros((0, 2), np.float32), "b": np.array(1.5), "c": tensors["0ü"]}
    for metadata in ({}, {"text": 'ü"\u2028\n'}):
        assert to_bytes(tensors, metadata) == safetensors.numpy.save(tensors, metadata or None)


def test_parts_are_views_of_the_arrays() -> None:
    values = np.arange(5.0)
    header, part = to_parts({"w": values}, {})
    values[0] = 7
    assert bytes(part) == values.tobytes()
    assert len(header) % 8 == 0


def test_arrays_may_be_changed() -> None:
    file = TensorFile(BytesIO(to_bytes({"w": np.zeros(2)}, {})), "f")
    file.read("w")[:] = 1
    assert file.read("w").tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [np.complex64, np.bool_, object])
def test_types_that_a_file_cannot_hold(dtype: type) -> None:
    with pytest.raises(Lstm2dError, match="cannot be stored") as caught:
        to_bytes({"good": np.zeros(1), "bad": np.zeros(1, dtype)}, {})
    assert caught.value.where == "bad"


def test_cut_after_its_header_was_read(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(to_bytes({"a": np.zeros(3), "b": np.zeros(90_000)}, {}))
    with open_regular(path) as opened:
        file = TensorFile(opened, path)
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DataError, match="ends within tensor 'b'") as caught:
            file.read("b")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        lambda: struct.pack("<Q", 2**40),
        lambda: struct.pack("<Q", 17 * 2**20),
        lambda: to_bytes({"w": np.zeros(1)}, {}).replace(b"[0,8]", b"[0,9]"),
        lambda: struct.pack("<Q", len(ONE_GIBIBYTE)) + ONE_GIBIBYTE,
    ],
)
def test_claims_take_no_memory(tmp_path: Path, data: Callable[[], bytes]) -> None:
    """A file of 2 GiB, without contents on the disk."""
    with (tmp_path / "f").open("wb") as out:
        out.write(data())
        out.truncate(2**31)
    tracemalloc.start()
    try:
        with open_regular(tmp_path / "f") as opened, pytest.raises(DataError, match="damaged file"):
            TensorFile(opened, "f")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
