"""A PNG or a Deflate TIFF with a wrong checksum is refused like one that is cut short."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.errors import DataError
from lstm2d.io.images import read_photo
from lstm2d.io.masks import read_mask

Png = Callable[..., bytes]


def chunks(data: bytes) -> list[tuple[bytes, int, int]]:
    """Return kind, begin and length of the data of each chunk."""
    found, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], at + 8, length))
        at += 12 + length
    return found


def flipped(data: bytes, at: int, *, repair: bool = False) -> bytes:
    """Return a PNG with one bit flipped; optionally with the checksum of its chunk corrected."""
    changed = bytearray(data)
    changed[at] ^= 4
    if repair:
        begin, length = next((b, n) for _, b, n in chunks(data) if b <= at < b + n)
        checksum = zlib.crc32(bytes(changed[begin - 4 : begin + length]))
        changed[begin + length : begin + length + 4] = struct.pack(">I", checksum)
    return bytes(changed)


@pytest.fixture
def mask(rng: np.random.Generator) -> bytes:
    """Return a palette mask, large enough that its pixels are in several chunks."""
    labels = np.repeat(np.repeat(rng.integers(0, 8, (60, 60)), 8, axis=0), 8, axis=1)
    labels = np.where(rng.random(labels.shape) < 0.5, rng.integers(0, 8, labels.shape), labels)
    image = Image.fromarray(labels.astype(np.uint8), "P")
    image.putpalette(rng.integers(0, 256, 24, dtype=np.uint8).tobytes())
    buffer = BytesIO()
    image.save(buffer, "PNG", transparency=bytes([255] * 8))
    return buffer.getvalue()


def test_every_chunk_that_decides_on_pixels(tmp_path: Path, mask: bytes) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(mask)
    kinds = {kind for kind, _, _ in chunks(mask)}
    assert kinds >= {b"IHDR", b"PLTE", b"tRNS", b"IDAT"}
    for _, begin, length in chunks(mask):
        for at in (begin + length // 2, begin + length + 1):  # its data, its checksum
            path.write_bytes(flipped(mask, at))
            with pytest.raises(DataError, match=r"(checksum|header is damaged).*mask\.png"):
                read_mask(path)
            with pytest.raises(DataError, match=r"(checksum|header is damaged).*mask\.png"):
                read_photo(path)


def test_any_bit_of_the_pixels(tmp_path: Path, mask: bytes, rng: np.random.Generator) -> None:
    path = tmp_path / "mask.png"
    pixels = [(b, n) for kind, b, n in chunks(mask) if kind == b"IDAT"]
    assert len(pixels) > 1
    for begin, length in pixels:
        for at in rng.integers(begin, begin + length, 20):
            path.write_bytes(flipped(mask, int(at)))
            with pytest.raises(DataError, match="checksum of IDAT is wrong"):
                read_mask(path)


def test_checksum_of_the_pixels_themselves(tmp_path: Path, mask: bytes, png: Png) -> None:
    """The last four bytes of the compressed pixels: no decoder reads as far."""
    path = tmp_path / "a.png"
    for data in (mask, png(np.arange(12, dtype=np.uint16).reshape(3, 4), bits=8, kind=0)):
        begin, length = [(b, n) for kind, b, n in chunks(data) if kind == b"IDAT"][-1]
        path.write_bytes(flipped(data, begin + length - 2, repair=True))
        with pytest.raises(DataError, match=r"pixels are damaged: .*incorrect data check"):
            read_mask(path)


def test_interlaced_and_deep_files_pass(tmp_path: Path, png: Png, rng: np.random.Generator) -> None:
    for bits, kind, channels in [(1, 0, 1), (4, 3, 1), (8, 4, 2), (16, 6, 4)]:
        values = rng.integers(0, 2**bits, (9, 13, channels)).astype(np.uint16)
        (tmp_path / "a.png").write_bytes(png(values, bits=bits, kind=kind))
        assert read_photo(tmp_path / "a.png").size == (9, 13)


def test_a_bomb_after_the_pixels_is_not_unpacked(tmp_path: Path) -> None:
    """Decoders ignore data after the last row; it must not be unpacked either."""
    packer = zlib.compressobj(9)
    rows = packer.compress(b"\0\x07" * 4)
    zeros = b"".join([rows, *(packer.compress(bytes(1 << 20)) for _ in range(64)), packer.flush()])
    header = struct.pack(">IIBBBBB", 1, 4, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, content in [(b"IHDR", header), (b"IDAT", zeros[:-4] + b"\0\0\0\0"), (b"IEND", b"")]:
        data += struct.pack(">I", len(content)) + kind + content
        data += struct.pack(">I", zlib.crc32(kind + content))
    (tmp_path / "a.png").write_bytes(data)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), 7)  # the wrong checksum is never reached


def test_a_file_without_its_last_chunk(tmp_path: Path, mask: bytes) -> None:
    (tmp_path / "whole.png").write_bytes(mask)
    (tmp_path / "cut.png").write_bytes(mask[:-12])
    np.testing.assert_array_equal(read_mask(tmp_path / "cut.png"), read_mask(tmp_path / "whole.png"))
    (tmp_path / "cut.png").write_bytes(mask[:-400])
    with pytest.raises(DataError, match=r"cut\.png"):
        read_mask(tmp_path / "cut.png")


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "lzma"])
def test_compressed_tiff_with_a_flipped_bit(
    tmp_path: Path, rng: np.random.Generator, compression: str
) -> None:
    labels = np.repeat(rng.integers(0, 8, (60, 50)), 4, axis=1).astype(np.uint8)
    path = tmp_path / "mask.tif"
    Image.fromarray(labels).save(path, compression=compression)
    data = path.read_bytes()
    with Image.open(path) as image:
        (begin,), (length,) = image.tag_v2[273], image.tag_v2[279]
    for at in rng.integers(begin, begin + length, 30):
        changed = bytearray(data)
        changed[at] ^= 4
        path.write_bytes(changed)
        try:
            found = read_mask(path)
        except DataError:
            continue
        np.testing.assert_array_equal(found, labels)  # an unused bit
