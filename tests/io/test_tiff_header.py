"""Directories of TIFF files, read without trust; and what is refused before decoding."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from lstm2d.errors import DataError
from lstm2d.io.claims import repeats_itself
from lstm2d.io.decoding import decode
from lstm2d.io.images import read_photo
from lstm2d.io.photo import Reading
from lstm2d.io.tiff_header import DamagedHeaderError, TiffHeader
from lstm2d.reliability.inputs import bombs, tiff_bombs


def big_tiff(following: int) -> bytes:
    """Return a BigTIFF of 2x1 gray pixels, which states where the next page is."""
    tags = [(256, 3, 2), (257, 3, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 16, 16), (279, 3, 2)]
    page = struct.pack("<Q", len(tags))
    for number, kind, value in tags:
        page += struct.pack("<HHQQ", number, kind, 1, value)
    head = b"II+\0" + struct.pack("<HHQ", 8, 0, 24)
    return head + b"\x05\x07" + bytes(6) + page + struct.pack("<Q", following)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_tags_of_pages(tmp_path: Path, order: str, big: bool) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=big, byteorder=order) as tiff:
        for rows in (3, 5):
            tiff.write(np.zeros((rows, 7, 3), np.uint16), photometric="rgb", metadata=None)
    with open(path, "rb") as file:
        header = TiffHeader(file)
        pages = [{tag.number: header.values(tag, 9).tolist() for tag in page} for page in header.pages(9)]
        assert [(page[256], page[257], page[258], page[277]) for page in pages] == [
            ([7], [3], [16, 16, 16], [3]),
            ([7], [5], [16, 16, 16], [3]),
        ]
        assert len(list(header.pages(1))) == 1
        (bits,) = [tag for tag in header.page(header.first)[0] if tag.number == 258]
        assert header.values(bits, 2).tolist() == [16, 16]
        assert bits.size == 6


@pytest.mark.parametrize("following", [2**64 - 1, 2**63, 10**6, 24])
def test_a_next_page_that_is_nowhere(tmp_path: Path, following: int) -> None:
    (tmp_path / "a.tif").write_bytes(big_tiff(following))
    found = decode(tmp_path / "a.tif").samples
    assert found.values.tolist() == [[5, 7]]
    assert found.notes == ()


@pytest.mark.parametrize(
    "data",
    [b"", b"II", b"II*\0", b"II*\0\x08\0\0", b"II*\0\x08\0\0\0\x05", b"II*\0\x08\0\0\0\x05\0" + bytes(30)],
)
def test_a_header_that_ends_too_early(data: bytes) -> None:
    with pytest.raises(DamagedHeaderError):
        list(TiffHeader(io.BytesIO(data)).pages(9))


def test_tiles_that_extend_over_the_edges(tmp_path: Path) -> None:
    """The usual tiles of a large image pass even if the image has just as many pixels as allowed."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((100, 100), np.uint8), tile=(64, 64))
    assert read_photo(tmp_path / "a.tif", Reading(max_pixels=10_000)).size == (100, 100)
    with pytest.raises(DataError, match=r"100x100 in tiles of 64x64 = 16384 pixels"):
        read_photo(tmp_path / "a.tif", Reading(max_pixels=9_999))
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((10, 10), np.uint8), tile=(256, 256))
    assert read_photo(tmp_path / "b.tif", Reading(max_pixels=65_536)).size == (10, 10)
    with pytest.raises(DataError, match="too large"):
        read_photo(tmp_path / "b.tif", Reading(max_pixels=65_535))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64])
def test_samples_of_any_type_count_once(tmp_path: Path, kind: type) -> None:
    """Up to 16 bytes a pixel: red, green and blue of 64 bits take 24, and count twice."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((10, 10, 3), kind), photometric="rgb")
    limit = 200 if kind is np.float64 else 100
    assert read_photo(tmp_path / "a.tif", Reading(max_pixels=limit)).size == (10, 10)
    with pytest.raises(DataError, match="too large"):
        read_photo(tmp_path / "a.tif", Reading(max_pixels=limit - 1))


@pytest.mark.parametrize(("count", "passes"), [(100, True), (101, False)])
def test_scans_of_a_jpeg(tmp_path: Path, count: int, passes: bool) -> None:
    path = tmp_path / "a.jpg"
    data = bombs.jpeg_scans(side=16, count=count)
    for garbage in (b"", b"\x00\x12", b"\xff\xff\xff\xd3"):  # decoders skip what is no marker
        path.write_bytes(data.replace(b"\xff\xda", garbage + b"\xff\xda"))
        if passes:
            assert read_photo(path).size == (16, 16)
        else:
            with pytest.raises(DataError, match="more than 100 scans"):
                read_photo(path)


def test_usual_files_pass(tmp_path: Path, rng: np.random.Generator) -> None:
    """What encoders write with unusual options."""
    picture = Image.fromarray(rng.integers(0, 256, (70, 90, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[270] = "x" * 40_000
    exif[274] = 6
    for name, options in {
        "a.jpg": {"progressive": True, "exif": exif},
        "b.jpg": {"quality": 100, "subsampling": 0, "restart_marker_blocks": 1, "exif": exif},
        "a.png": {"exif": exif, "compress_level": 0},
        "a.webp": {"exif": exif, "lossless": True},
        "a.tif": {"exif": exif, "compression": "tiff_lzw"},
        "b.tif": {"compression": "jpeg"},
        "a.jp2": {},
        "a.bmp": {},
        "a.gif": {},
    }.items():
        picture.save(tmp_path / name, **options)
        size = (90, 70) if "exif" in options else (70, 90)
        assert read_photo(tmp_path / name).size == size
    assert not repeats_itself(exif.tobytes())
    assert repeats_itself(bombs.exif())
    assert not repeats_itself(b"garbage")


def test_a_bmp_of_runs(tmp_path: Path) -> None:
    data = b"\x04\x00\x00\x00\x02\x00\x02\x00\x00\x01"  # 4 pixels, end of line, 2, 2 more, end
    (tmp_path / "a.bmp").write_bytes(bombs.bmp(4, 2, compression=1, data=data))
    assert read_photo(tmp_path / "a.bmp").size == (2, 4)


def test_a_strip_that_is_a_little_longer(tmp_path: Path) -> None:
    """Some writers pad the last strip."""
    tags = tiff_bombs.page(16, 16, bits=32)
    packed = tiff_bombs.zeros(1)  # 1 MB for 3 kB of pixels
    tags |= {339: (tiff_bombs.SHORT, [3, 3, 3]), 279: (tiff_bombs.LONG, [len(packed)])}
    (tmp_path / "a.tif").write_bytes(tiff_bombs.tiff(tags, packed))
    assert read_photo(tmp_path / "a.tif").size == (16, 16)
    (tmp_path / "a.tif").write_bytes(tiff_bombs.float_strip(megabytes=2))
    with pytest.raises(DataError, match="expand to more than its pixels"):
        read_photo(tmp_path / "a.tif")
