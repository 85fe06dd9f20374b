"""Contents of a file besides the image that is read are noted in one line; stated bit depths are used."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from lstm2d.io.images import read_photo
from lstm2d.io.masks import open_mask

Png = Callable[..., bytes]

PAGES = ("several pages: only the first is read",)
PICTURES = ("several pictures: only the first is read",)
BAND = ("a further band, which is not opacity, is left out",)


def frames(count: int = 2) -> list[Image.Image]:
    return [Image.new("RGB", (16, 8), color) for color in ((200, 0, 0), (0, 200, 0), (0, 0, 200))[:count]]


@pytest.mark.parametrize(
    ("kind", "notes"), [("GIF", PICTURES), ("WEBP", PICTURES), ("PNG", PICTURES), ("TIFF", PAGES)]
)
def test_several_pictures_in_one_file(tmp_path: Path, kind: str, notes: tuple[str, ...]) -> None:
    first, *others = frames()
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    first.save(tmp_path / "one", kind, **options)
    first.save(tmp_path / "two", kind, save_all=True, append_images=others, **options)
    one, two = read_photo(tmp_path / "one"), read_photo(tmp_path / "two")
    assert (one.notes, two.notes) == ((), notes)
    np.testing.assert_array_equal(two.pixels, one.pixels)
    if kind in ("PNG", "TIFF"):
        first.convert("L").save(tmp_path / "two", kind, save_all=True, append_images=[others[0].convert("L")])
        assert open_mask(tmp_path / "two").notes == notes


def test_pages_that_only_tifffile_reads(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 8, 9, 3), np.float32), photometric="rgb")
    assert read_photo(tmp_path / "a.tif").notes == PAGES


def test_smaller_copies_and_masks_are_no_pages(tmp_path: Path) -> None:
    """Overviews and validity masks of satellite images."""
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(np.full((8, 8, 3), 9, np.uint8), photometric="rgb")
        tiff.write(np.full((4, 4, 3), 9, np.uint8), photometric="rgb", subfiletype=1)
        tiff.write(np.ones((8, 8), bool), photometric=4, subfiletype=4)
    assert read_photo(tmp_path / "a.tif").notes == ()


@pytest.mark.parametrize(("kind", "notes"), [(0x000000, ()), (0x010002, ()), (0x020002, PICTURES)])
def test_second_picture_of_a_jpeg(tmp_path: Path, kind: int, notes: tuple[str, ...]) -> None:
    """A gain map, a preview, a second view."""
    first, *others = frames()
    buffer = BytesIO()
    first.save(buffer, "MPO", save_all=True, append_images=others)
    data = bytearray(buffer.getvalue())
    at = (
        data.index(struct.pack("<L", 0x030000), data.index(b"\x02\xb0")) + 16
    )  # an entry of the index has 16 bytes
    assert data[at : at + 4] == struct.pack("<L", 0)
    data[at : at + 4] = struct.pack("<L", kind)
    (tmp_path / "a.jpg").write_bytes(data)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.notes == notes
    np.testing.assert_allclose(photo.pixels, np.full((8, 16, 3), (200, 0, 0)), atol=3)


def test_a_damaged_second_picture_does_not_hide_the_first(tmp_path: Path) -> None:
    first, *others = frames()
    for kind in ("GIF", "TIFF"):
        buffer = BytesIO()
        first.save(buffer, kind, save_all=True, append_images=others)
        data = buffer.getvalue()
        (tmp_path / "a").write_bytes(data[: len(data) - 10])
        assert (read_photo(tmp_path / "a").pixels == (200, 0, 0)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("bands", "options", "notes"),
    [
        (4, {"photometric": "rgb", "extrasamples": ["unspecified"]}, BAND),
        (4, {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": [0, 0, 0]}, BAND),
        (2, {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": [0]}, BAND),
        (3, {"photometric": "rgb"}, ()),
    ],
)
def test_bands_that_are_no_opacity(
    tmp_path: Path,
    rng: np.random.Generator,
    dtype: Any,
    bands: int,
    options: dict[str, Any],
    notes: tuple[str, ...],
) -> None:
    values = rng.integers(0, 256, (6, 7, bands)).astype(dtype)
    values[0, 0] = 255
    if dtype == np.uint16:
        values *= 257
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    photo = read_photo(tmp_path / "a.tif")
    assert photo.notes == notes
    colors = values[..., :3] if bands > 2 else np.repeat(values[..., :1], 3, axis=2)
    np.testing.assert_allclose(photo.pixels, colors / (257 if dtype == np.uint16 else 1), rtol=1e-6)


def test_a_fourth_band_of_no_stated_kind(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 3), (10, 20, 30, 0))
    image.save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as stored:
        assert stored.tag_v2[338] == (2,)
    assert (read_photo(tmp_path / "a.tif").pixels == 255).all()
    data = (tmp_path / "a.tif").read_bytes()
    at = data.index(struct.pack("<HHL", 338, 3, 1))
    (tmp_path / "a.tif").write_bytes(data[:at] + struct.pack("<H", 65000) + data[at + 2 :])
    photo = read_photo(tmp_path / "a.tif")
    assert photo.notes == BAND
    assert (photo.pixels == (10, 20, 30)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_associated_opacity(tmp_path: Path, rng: np.random.Generator, dtype: Any) -> None:
    white = {"uint8": 255, "uint16": 65535, "float32": 1}[np.dtype(dtype).name]
    share = rng.random((6, 7, 1))
    colors = rng.random((6, 7, 3))
    values = np.concatenate([colors * share, share], axis=2) * white
    tifffile.imwrite(tmp_path / "a.tif", values.astype(dtype), photometric="rgb", extrasamples=["assocalpha"])
    photo = read_photo(tmp_path / "a.tif")
    assert photo.notes == ("transparent pixels are composited on white",)
    expected = 255 * (colors * share + 1 - share)
    np.testing.assert_allclose(photo.pixels, expected, atol=3 if dtype == np.uint8 else 0.02)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("bands", [2, 4])
def test_opacity_after_gray_bands(tmp_path: Path, dtype: Any, bands: int) -> None:
    """As GDAL stores it: all bands are gray, the last one is opacity."""
    white = 1 if dtype == np.float32 else np.iinfo(dtype).max
    values = np.full((6, 7, bands), white // 2 if white > 1 else 0.5).astype(dtype)
    values[..., -1] = white
    values[2, 3, -1] = 0
    extras = [0] * (bands - 2) + [2]
    tifffile.imwrite(
        tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig", extrasamples=extras
    )
    photo = read_photo(tmp_path / "a.tif")
    assert photo.notes == ("transparent pixels are composited on white",)
    assert (photo.pixels[2, 3] == 255).all()
    np.testing.assert_allclose(photo.pixels[0, 0], 127.25, atol=0.3)


@pytest.mark.parametrize(
    ("tag", "value", "white"), [(281, 4095, 4095), (281, 3000, 4095), (341, 1023, 1023), (281, 65535, 65535)]
)
def test_depth_that_a_tiff_states(tmp_path: Path, tag: int, value: int, white: int) -> None:
    values = np.array([[0, 200, 1000]], np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=[(tag, "H", 1, value, True)])
    photo = read_photo(tmp_path / "a.tif")
    assert photo.notes == ()
    np.testing.assert_allclose(photo.pixels[..., 0], values * (255 / white), rtol=1e-6)


def test_a_stated_depth_that_is_too_small_is_not_believed(tmp_path: Path) -> None:
    values = np.array([[0, 60_000]], np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=[(281, "H", 1, 4095, True)])
    np.testing.assert_allclose(read_photo(tmp_path / "a.tif").pixels[..., 0], values / 257, rtol=1e-6)


@pytest.mark.parametrize("spread", [True, False])
def test_depth_that_a_png_states(tmp_path: Path, png: Png, spread: bool) -> None:
    """By the standard 12 bits are spread over 16; some programs store them as they are."""
    twelve = np.array([[0, 5, 200]], np.uint16)
    values = twelve << 4 | twelve >> 8 if spread else twelve
    data = png(values, bits=16, kind=0)
    chunk = b"sBIT" + bytes([12])
    stated = struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(data[:33] + stated + data[33:])
    photo = read_photo(tmp_path / "a.png")
    assert photo.notes == ()
    np.testing.assert_allclose(photo.pixels[0, :, 0], twelve[0] * (255 / 4095), atol=0.02)


def test_depths_that_formats_state(tmp_path: Path) -> None:
    """Dark images whose values fit into 8 bits."""
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 4095\n" + np.array([0, 200], ">u2").tobytes())
    photo = read_photo(tmp_path / "a.pgm")
    assert photo.notes == ()
    np.testing.assert_allclose(photo.pixels[0, :, 0], [0, 200 * 255 / 4095], atol=0.01)
    Image.fromarray(np.full((40, 40), 200, np.uint16)).save(tmp_path / "a.jp2", irreversible=False)
    photo = read_photo(tmp_path / "a.jp2")
    assert photo.notes == ()
    np.testing.assert_allclose(photo.pixels, 200 / 257, rtol=1e-6)


def test_sixteen_bit_colour_with_a_transparent_one(tmp_path: Path, png: Png) -> None:
    values = np.array([[[300, 600, 900], [300, 600, 901]]], np.uint16)
    data = png(values, bits=16, kind=2)
    chunk = b"tRNS" + struct.pack(">HHH", 300, 600, 900)
    key = struct.pack(">I", 6) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(data[:33] + key + data[33:])
    pixels: NDArray[Any] = read_photo(tmp_path / "a.png").pixels
    np.testing.assert_array_equal(pixels[0, 0], 255)
    assert (pixels[0, 1] < 255).all()


def test_few_bits_with_a_transparent_value(tmp_path: Path, png: Png) -> None:
    data = png(np.array([[0, 1, 2, 3]], np.uint16), bits=2, kind=0)
    chunk = b"tRNS" + struct.pack(">H", 1)
    key = struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(data[:33] + key + data[33:])
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png").pixels[0, :, 0], [0, 255, 170, 255])
