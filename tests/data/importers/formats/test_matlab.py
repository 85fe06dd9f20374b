"""MATLAB files, damaged and hostile ones included."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from lstm2d.data.importers.formats import matlab
from lstm2d.data.importers.formats.matlab import read_matlab
from lstm2d.errors import DataError

HEADER = b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + struct.pack("<H", 0x0100) + b"IM"


def part(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(name: str, kind: int, sizes: tuple[int, ...], content: bytes) -> bytes:
    head = part(6, struct.pack("<II", kind, 0)) + part(5, struct.pack(f"<{len(sizes)}i", *sizes))
    return part(14, head + part(1, name.encode()) + content)


def cells(*texts: str) -> np.ndarray:
    found = np.empty((len(texts), 1), dtype=object)
    found[:, 0] = texts
    return found


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / "a.mat"
    path.write_bytes(HEADER + content)
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, np.float64, np.int32])
def test_numbers_and_names(tmp_path: Path, compressed: bool, kind: type) -> None:
    values = np.arange(12).reshape(3, 4).astype(kind)
    content = {"other": {"a": 1}, "S": values, "names": cells("sky", "tall tree", "x")}
    savemat(tmp_path / "a.mat", content, do_compression=compressed)
    found = read_matlab(tmp_path / "a.mat", ("S", "names", "missing"))
    assert found.keys() == {"S", "names"}
    np.testing.assert_array_equal(found["S"], values)
    assert ["".join(cell) for cell in found["names"].ravel()] == ["sky", "tall tree", "x"]


def test_elements_written_by_hand(tmp_path: Path) -> None:
    path = file_of(tmp_path, matrix("S", 9, (2, 3), part(2, bytes([1, 2, 3, 4, 5, 6]))))
    assert read_matlab(path, ("S",))["S"].tolist() == [[1, 3, 5], [2, 4, 6]]


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [(2, b"B\xe4ume", "Bäume"), (16, "B\u4e2d".encode(), "B\u4e2d"), (17, "\u00e9".encode("utf-16-le"), "é")],
)
def test_texts_in_every_encoding(tmp_path: Path, kind: int, data: bytes, text: str) -> None:
    cell = matrix("", 4, (1, len(text)), part(kind, data))
    found = read_matlab(file_of(tmp_path, matrix("S", 1, (1, 1), cell)), ("S",))["S"]
    assert "".join(found[0, 0]) == text


def test_the_same_as_scipy(tmp_path: Path, rng: np.random.Generator) -> None:
    for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"):
        values = (rng.random((3, 4)) * 100).astype(kind)
        savemat(tmp_path / "a.mat", {"S": values[:, ::-1]})
        np.testing.assert_array_equal(
            read_matlab(tmp_path / "a.mat", ("S",))["S"], loadmat(tmp_path / "a.mat")["S"], strict=True
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (matrix("S", 9, (60_000, 60_000), part(2, bytes(6))), "S is no array"),
        (matrix("S", 1, (60_000, 60_000), b""), "S is no array"),
        (matrix("S", 1, (1, 1), matrix("", 1, (10**6, 10**6), b"")), "cells that hold no text"),
        (matrix("S", 1, (1, 1), matrix("", 9, (2, 1), part(2, bytes(2)))), "cells that hold no text"),
        (matrix("S", 1, (1, 2), matrix("", 4, (1, 1), part(2, b"a"))), "damaged or cut off"),
        (matrix("S", 5, (1, 1), b""), "S is no array"),  # sparse
        (matrix("S", 2, (1, 1), b""), "S is no array"),  # a structure
        (matrix("S", 9, (-2, 3), part(2, bytes(6))), "a wrong size"),
        (matrix("S", 9, (6,), part(2, bytes(6))), "a wrong size"),
        (matrix("S", 9, (2, 3), part(2, bytes(6)))[:-9], "cut off"),
        (b"\x0e\0\0\0", "damaged or cut off"),
        (matrix("S", 9, (2, 3), part(2, bytes(5))), "not hold as many numbers as it states"),
        (matrix("S", 9, (2, 3), part(14, bytes(6))), "not hold as many numbers as it states"),
        (matrix("S", 1, (1, 1), matrix("", 4, (1, 2), part(16, b"abc"))), "another length than stated"),
        (matrix("S", 1, (1, 1), matrix("", 4, (1, 2), part(5, b"abcdefgh"))), "unknown encoding"),
        (matrix("S", 1, (1, 1), matrix("", 4, (1, 1), part(16, b"\xff"))), "damaged or cut off"),
        (part(9, bytes(16)), "no variable"),
        (part(15, zlib.compress(matrix("S", 9, (2, 3), part(2, bytes(6))))[:-9]), "cut off"),
        (part(15, b"no zlib "), "damaged or cut off"),
    ],
)
def test_hostile_files(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as e:
        read_matlab(file_of(tmp_path, content), ("S",))
    assert "a.mat" in str(e.value)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab, "MAX_BYTES", 10_000)
    packed = zlib.compress(matrix("S", 9, (1000, 1000), part(2, bytes(10**6))))
    element = struct.pack("<II", 15, len(packed)) + packed
    assert len(element) < 5000
    with pytest.raises(DataError, match="unpacks to more than 10000 bytes"):
        read_matlab(file_of(tmp_path, element), ("S",))
    small = zlib.compress(matrix("x", 9, (1000, 6), part(2, bytes(6000))))
    element = struct.pack("<II", 15, len(small)) + small
    with pytest.raises(DataError, match="unpacks to more"):  # the limit is for all elements together
        read_matlab(file_of(tmp_path, element * 2), ("S",))
    with pytest.raises(DataError, match="MATLAB file too large"):
        read_matlab(file_of(tmp_path, bytes(10_000)), ("S",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no MATLAB file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "no MATLAB file"),
        (b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF", "version 7.3"),
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "version 7.3"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_matlab(path, ("S",))


@given(st.data())
def test_damaged_bytes_raise_no_other_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.mat"
    savemat(path, {"S": np.arange(6).reshape(2, 3), "names": cells("a", "bc")})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(120, len(content)))])
    try:
        found = read_matlab(path, ("S", "names"))
    except DataError:
        return
    assert found.keys() <= {"S", "names"}
