"""Model files load as they were saved; any other contents are one DataError."""

import json
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d.errors import DataError, Lstm2dError, OutputError
from lstm2d.io.model_file import (
    ClassInfo,
    load_model,
    read_header,
    save_model,
)
from tests.io.models import assert_equal, example


def raw(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(shape: list[Any], begin: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Return a model file."""
    save_model(tmp_path / "m.safetensors", example())
    return tmp_path / "m.safetensors"


def test_comes_back_as_saved(saved: Path) -> None:
    model = load_model(saved)
    assert_equal(model, example())
    assert all(v.flags.writeable for v in model.state.values())
    assert stat.S_IMODE(saved.stat().st_mode) == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_header_alone(saved: Path) -> None:
    header = read_header(saved)
    assert header.model.state == {}
    assert header.model.classes == example().classes
    assert header.tensors["layers.0.weight"].shape == (4, 3, 10)
    assert header.tensors["layers.0.bias"].dtype == "<f8"
    assert header.parameters == 120 + 40 + 1
    assert header.file_bytes == saved.stat().st_size


def test_other_readers_see_the_same(saved: Path) -> None:
    state = safetensors.numpy.load_file(saved)
    for name, values in example().state.items():
        np.testing.assert_array_equal(state[name], values, strict=True)


def test_memory_layout_does_not_matter(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.standard_normal((6, 8)).astype(np.float32)
    state = {"t": values.T, "v": values[::2, ::-1], "b": values.astype(">f4")}
    save_model(tmp_path / "m", example(state=state))
    loaded = load_model(tmp_path / "m").state
    np.testing.assert_array_equal(loaded["t"], values.T)
    np.testing.assert_array_equal(loaded["v"], values[::2, ::-1])
    np.testing.assert_array_equal(loaded["b"], values)


def test_same_bytes_for_the_same_model(tmp_path: Path) -> None:
    save_model(tmp_path / "a", example())
    save_model(tmp_path / "b", example(state=dict(reversed(example().state.items()))))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"state": {"w": np.array([1.0, np.nan])}},
        {"state": {"w": np.array([1.0 + 2j])}},
        {"metrics": {"loss": float("nan")}},
        {"config": {"a": object()}},
        {"classes": ()},
        {"classes": (ClassInfo("", (0, 0, 0)),)},
        {"classes": (ClassInfo("a", (0, 0, 256)),)},
        {"std": (1.0, 0.0, 1.0)},
        {"mean": (1.0,)},
        {"ignore": 256},
        {"seed": -1},
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(Lstm2dError):
        save_model(tmp_path / "m", example(**changes))
    assert not any(tmp_path.iterdir())


def test_output_folder_missing(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        save_model(tmp_path / "no" / "m", example())


@pytest.mark.parametrize("read", [load_model, read_header])
def test_no_model(tmp_path: Path, read: Callable[[Path], object]) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("just text, longer than eight bytes")
    (tmp_path / "folder").mkdir()
    safetensors.numpy.save_file({"a": np.zeros(3)}, tmp_path / "foreign")
    for name, message in [
        ("empty", "damaged"),
        ("text", "damaged"),
        ("folder", "a folder"),
        ("missing", "not found"),
        ("foreign", "not an lstm2d model"),
    ]:
        with pytest.raises(DataError, match=message) as e:
            read(tmp_path / name)
        assert name in str(e.value)
        assert e.value.exit_code == 3


@pytest.mark.slow
def test_every_byte_changed(saved: Path, rng: np.random.Generator) -> None:
    good = saved.read_bytes()
    messages = []
    for at in range(len(good)):
        data = bytearray(good)
        data[at] ^= int(rng.integers(1, 256))
        saved.write_bytes(data)
        try:
            model = load_model(saved)
        except DataError as e:
            messages.append(str(e))
        else:  # white space of the header became other white space
            assert_equal(model, example())
    assert len(messages) >= len(good) - 8
    assert all(str(saved) in m for m in messages)


def test_every_bit_of_the_numbers_counts(saved: Path) -> None:
    good = saved.read_bytes()
    start = 8 + struct.unpack("<Q", good[:8])[0]
    for at in range(start, len(good), 5):
        data = bytearray(good)
        data[at] ^= 1
        saved.write_bytes(data)
        with pytest.raises(DataError, match="damaged"):
            load_model(saved)


def test_cut_and_lengthened_anywhere(saved: Path, rng: np.random.Generator) -> None:
    good = saved.read_bytes()
    for length in [*range(0, 40), *rng.integers(40, len(good), 60).tolist(), len(good) - 1]:
        saved.write_bytes(good[:length])
        with pytest.raises(DataError, match="damaged"):
            load_model(saved)
        with pytest.raises(DataError):
            read_header(saved)
    saved.write_bytes(good + b"\0")
    with pytest.raises(DataError, match="damaged"):
        load_model(saved)


def test_blocks_swapped_and_zeroed(saved: Path, rng: np.random.Generator) -> None:
    good = saved.read_bytes()
    for _ in range(100):
        data = bytearray(good)
        a, b = sorted(rng.integers(0, len(good), 2).tolist())
        data[a:b] = bytes(b - a) if rng.random() < 0.5 else rng.bytes(b - a)
        if data == good:
            continue
        saved.write_bytes(data)
        with pytest.raises(DataError):
            load_model(saved)


HOSTILE: dict[str, bytes] = {
    "length of nothing": struct.pack("<Q", 0),
    "length beyond the file": struct.pack("<Q", 100) + b"{}",
    "largest length": struct.pack("<Q", 2**64 - 1) + b"{}",
    "no text": raw(b"\xff\xfe\xff\xfe"),
    "no json": raw(b"{not json}"),
    "a list": raw([]),
    "deep nesting": raw(b"[" * 100_000),
    "a number too long": raw(b"9" * 10_000),
    "not a number": raw(b'{"a": NaN}'),
    "duplicate tensor": raw(b'{"a": 1, "a": 2}'),
    "no description": raw({"a": 3}),
    "missing key": raw({"a": {"dtype": "F32", "shape": []}}, bytes(4)),
    "another key": raw({"a": {**tensor([1], 0, 4), "code": "x"}}, bytes(4)),
    "unknown type": raw({"a": tensor([1], 0, 4, "OBJECT")}, bytes(4)),
    "type of another type": raw({"a": tensor([1], 0, 4, ["F32"])}, bytes(4)),
    "negative size": raw({"a": tensor([-1], 0, 4)}, bytes(4)),
    "a size that is true": raw({"a": tensor([True], 0, 4)}, bytes(4)),
    "a size that is a fraction": raw({"a": tensor([1.0], 0, 4)}, bytes(4)),
    "a size as text": raw({"a": tensor(["1"], 0, 4)}, bytes(4)),
    "huge product": raw({"a": tensor([2**62, 2**62], 0, 4)}, bytes(4)),
    "huge beside nothing": raw({"a": tensor([2**62, 0], 0, 0)}),
    "huge beside nothing, axis by axis": raw({"a": tensor([0, 2**31 - 1, 2**31 - 1, 2**31 - 1], 0, 0)}),
    "product that wraps to 4": raw({"a": tensor([2**32, 2**32, 1], 0, 4)}, bytes(4)),
    "too many axes": raw({"a": tensor([1] * 70, 0, 4)}, bytes(4)),
    "shape is no list": raw({"a": {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]}}, bytes(4)),
    "offsets backwards": raw({"a": tensor([1], 4, 0)}, bytes(4)),
    "three offsets": raw({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}, bytes(8)),
    "offset beyond the end": raw({"a": tensor([1], 4, 8)}, bytes(4)),
    "overlap": raw({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, bytes(12)),
    "the same bytes twice": raw({"a": tensor([1], 0, 4), "b": tensor([1], 0, 4)}, bytes(4)),
    "a gap": raw({"a": tensor([1], 0, 4), "b": tensor([1], 8, 12)}, bytes(12)),
    "bytes of nobody": raw({"a": tensor([1], 0, 4)}, bytes(8)),
    "metadata no object": raw({"__metadata__": "x"}),
    "metadata no text": raw({"__metadata__": {"lstm2d": {}}}),
    "description no json": raw({"__metadata__": {"lstm2d": "{"}}),
    "description no object": raw({"__metadata__": {"lstm2d": "[]"}}),
    "description empty": raw({"__metadata__": {"lstm2d": "{}"}}),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("read", [load_model, read_header])
def test_hostile_files(tmp_path: Path, name: str, read: Callable[[Path], object]) -> None:
    (tmp_path / "m").write_bytes(HOSTILE[name])
    with pytest.raises(DataError, match="damaged file"):
        read(tmp_path / "m")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format_version", None),
        ("format_version", True),
        ("preset", 3),
        ("config", []),
        ("classes", []),
        ("classes", [{"name": "a"}]),
        ("classes", [{"name": "a", "color": [0, 0, "0"]}]),
        ("classes", [{"name": "a", "color": [0, 0, True]}]),
        ("classes", [{"name": "a", "color": [0, 0, 0]}] * 256),
        ("mean", []),
        ("mean", ["1", 2, 3]),
        ("mean", [1e300, 2, 3]),
        ("std", [1, 2, 0]),
        ("std", [1, 2]),
        ("ignore", 1.5),
        ("seed", "1"),
        ("metrics", None),
        ("trained_on", None),
    ],
)
def test_description_of_other_types(tmp_path: Path, key: str, value: Any) -> None:
    save_model(tmp_path / "m", example())
    data = (tmp_path / "m").read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    description = json.loads(header["__metadata__"]["lstm2d"])
    assert key in description
    description[key] = value
    header["__metadata__"]["lstm2d"] = json.dumps(description)
    (tmp_path / "m").write_bytes(raw(header, data[end:]))
    for read in (load_model, read_header):
        with pytest.raises(DataError, match="damaged"):
            read(tmp_path / "m")


def test_file_of_a_later_version(tmp_path: Path) -> None:
    text = json.dumps({"format_version": 99})
    (tmp_path / "m").write_bytes(raw({"__metadata__": {"lstm2d": text}}))
    with pytest.raises(DataError, match="version 99") as e:
        load_model(tmp_path / "m")
    assert "newer lstm2d" in str(e.value)


def test_name_that_is_no_text(tmp_path: Path) -> None:
    save_model(tmp_path / "m", example(state={"name": np.zeros(3)}))
    data = (tmp_path / "m").read_bytes().replace(b'"name":{"dtype"', b'"\\ud800":{"dtype"')
    length = struct.unpack("<Q", data[:8])[0] + 2
    (tmp_path / "m").write_bytes(struct.pack("<Q", length) + data[8:])
    with pytest.raises(DataError, match="checksum"):
        load_model(tmp_path / "m")


def test_description_of_another_model_does_not_fit(tmp_path: Path) -> None:
    """The checksum covers the description, so exchanged class names are detected."""
    save_model(tmp_path / "m", example())
    data = (tmp_path / "m").read_bytes()
    changed = data.replace(b"sky", b"sea")
    assert changed != data
    (tmp_path / "m").write_bytes(changed)
    with pytest.raises(DataError, match="checksum"):
        load_model(tmp_path / "m")


@pytest.mark.slow
@settings(max_examples=50)
@given(
    shapes=st.dictionaries(
        st.text(min_size=1, max_size=5).filter(lambda s: s != "__metadata__"),
        st.lists(st.integers(0, 4), max_size=4),
        max_size=5,
    ),
    dtype=st.sampled_from(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]),
)
def test_any_state_comes_back(
    tmp_path_factory: pytest.TempPathFactory, shapes: dict[str, list[int]], dtype: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "m"
    state = {k: (np.arange(np.prod(s, dtype=int)).reshape(s)).astype(dtype) for k, s in shapes.items()}
    save_model(path, example(state=state))
    if dtype == "f2":  # a way to store float32, no type that networks compute with
        state = {k: v.astype(np.float32) for k, v in state.items()}
    assert_equal(load_model(path), example(state=state))
