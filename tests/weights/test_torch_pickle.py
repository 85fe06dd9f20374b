"""The pickle reader accepts descriptions of tensors, names what it refuses, and never runs code."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d.errors import DataError
from lstm2d.weights.torch_pickle import TensorPlace, read_pickle
from tests.weights import torch_bytes


@pytest.mark.parametrize(
    ("pickle", "message"),
    [
        (b"", "truncated"),
        (b"\x80\x02", "truncated"),
        (b".", "damaged"),
        (b"}}u.", "damaged"),
        (b"(.", "damaged"),
        (b"h\x05.", "damaged"),
        (b"]" + torch_bytes.text("a") + b"s.", "damaged"),
        (b"}(" + b"K\x01\x85K\x02u.", "keys that are not names"),
        (b"X\xff\xff\xff\xffab", "truncated"),
        (b"X\x01\x00\x00\x00\xff.", "damaged"),
        (b"T\xff\xff\xff\xffab", "truncated"),
        (b"U\x01\xff.", "damaged"),
        (b"\xff.", "damaged"),
        (b"ctorch\nFloat\\x53torage\n.", "damaged"),
        (b"cos\n\\d\n.", "damaged"),
        (b"I" + b"9" * 10_000 + b"\n.", "damaged"),
        (b"ios\nsystem\n.", "instruction 0x69"),
        (b"\x8c\x02os\x8c\x06system\x93.", "instruction 0x8c"),
        (b"ccollections\nOrderedDict\n(K\x01K\x02tR.", "OrderedDict with 2"),
        (b"ctorch._utils\n_rebuild_parameter\n(K\x01\x88NtR.", "not a tensor"),
        (b"ctorch\nFloatStorage\n)R.", "FloatStorage with 0"),
        (b"K\x01Q.", "described wrongly"),
        (b"K\x01)R.", "damaged"),
    ],
)
def test_damaged_pickles(pickle: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_pickle(pickle, "f")


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (1, (2, 3), (3, 1)),
        (0, (2, 3), (4, 1)),
        (0, (7,), (1,)),
        (-1, (2, 3), (3, 1)),
        (0, (2, 3), (3, -1)),
        (0, (2, 3), (3,)),
        (0, (2**31 - 1,) * 8, (2**31 - 1,) * 8),
    ],
)
def test_tensors_stay_inside_their_numbers(
    offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    def program(offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
        good = torch_bytes.tensor("0", np.zeros((2, 3), np.float32))
        old = b"".join(
            f(v)
            for f, v in [(torch_bytes.integer, 0), *[(torch_bytes.integers, t) for t in ((2, 3), (3, 1))]]
        )
        new = torch_bytes.integer(offset) + torch_bytes.integers(shape) + torch_bytes.integers(strides)
        assert good.count(old) == 1
        return good.replace(old, new) + b"."

    assert isinstance(read_pickle(program(0, (2, 3), (3, 1)), "f").value, TensorPlace)
    assert isinstance(read_pickle(program(2, (2, 2), (0, 3)), "f").value, TensorPlace)
    with pytest.raises(DataError, match=r"described wrongly|beyond its numbers"):
        read_pickle(program(offset, shape, strides), "f")


def test_values_and_the_end_of_a_pickle() -> None:
    """By hand: every instruction that pushes a value, once."""
    numbers = b"K\xffM\x00\x01J\xff\xff\xff\xff\x8a\x02\xff\x7fG\x3f\xf8\x00\x00\x00\x00\x00\x00"
    texts = torch_bytes.text("ä") + b"U\x02\xc3\xa4" + b"T\x01\x00\x00\x00b"
    program = b"\x80\x02(" + numbers + texts + b"N\x88\x89)]}t."
    found = read_pickle(b"xx" + program + b"more", "f", 2)
    assert found.value == (255, 256, -1, 32767, 1.5, "ä", "ä", "b", None, True, False, (), [], {})
    assert found.end == 2 + len(program)


def test_numbers_of_another_type_are_named() -> None:
    pickle = torch_bytes.tensor("0", np.zeros(2, np.float32)).replace(b"FloatStorage", b"BFloat16Storage")
    with pytest.raises(DataError, match=r"numbers of the type 'torch\.BFloat16Storage'") as caught:
        read_pickle(pickle + b".", "f")
    assert "float32" in str(caught.value)


@settings(max_examples=300)
@given(st.binary(max_size=80))
def test_any_bytes_as_a_pickle(data: bytes) -> None:
    with suppress(DataError):
        read_pickle(data, "f")
