"""Photographs of every kind are read as upright RGB in 0..255; other files are one DataError."""

import os
import struct
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lstm2d.errors import DataError
from lstm2d.io.images import read_photo
from lstm2d.io.photo import Reading

Png = Callable[..., bytes]


@pytest.fixture
def photo(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a picture whose pixels all differ."""
    return rng.permutation(5 * 7 * 3).astype(np.uint8).reshape(5, 7, 3) * 2


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp"])
def test_rgb_comes_back_as_it_is(tmp_path: Path, photo: NDArray[np.uint8], suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(photo).save(path, **({"lossless": True} if suffix == "webp" else {}))
    image = read_photo(path).pixels
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    np.testing.assert_array_equal(image, photo)


def test_what_the_file_is_counts_not_its_name(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(photo).save(path, "PNG")
    np.testing.assert_array_equal(read_photo(path).pixels, photo)


def test_gray_becomes_three_equal_channels(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    gray = photo[:, :, 0]
    Image.fromarray(gray).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png").pixels, np.stack([gray] * 3, axis=2))


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 40, 200)])
def test_transparent_pixels_are_composited(
    tmp_path: Path, photo: NDArray[np.uint8], rng: np.random.Generator, background: tuple[int, int, int]
) -> None:
    alpha = rng.integers(0, 256, (5, 7, 1), dtype=np.uint8)
    alpha[0, :2, 0] = 0, 255
    reading = Reading(background=background)
    shown = "white" if background == (255, 255, 255) else str(background)
    for colors in (photo, np.repeat(photo[..., 2:], 3, axis=2)):
        gray = colors is not photo
        stored = np.concatenate([photo[..., 2:] if gray else colors, alpha], axis=2)
        Image.fromarray(stored).save(tmp_path / "a.png")
        found = read_photo(tmp_path / "a.png", reading)
        assert found.notes == (f"transparent pixels are composited on {shown}",)
        assert found.pixels.dtype == np.uint8
        share = alpha / 255.0
        np.testing.assert_allclose(
            found.pixels, colors * share + np.array(background) * (1 - share), atol=0.5 + 1e-4
        )
        np.testing.assert_array_equal(found.pixels[0, :2], [background, colors[0, 1]])


def test_opaque_alpha_changes_nothing(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    Image.fromarray(photo).convert("RGBA").save(tmp_path / "a.png")
    found = read_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(found.pixels, photo)
    assert found.notes == ()


def test_palette_with_transparency_is_composited(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.save(tmp_path / "a.png", transparency=bytes([0, 128, 255]))
    half = [147, 152, 157]  # 40, 50, 60 on white
    expected = [[[255, 255, 255], half], [[70, 80, 90], half]]
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png").pixels, expected)


def test_cmyk_jpeg_is_near_its_rgb(tmp_path: Path) -> None:
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    Image.fromarray(flat).convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    np.testing.assert_allclose(read_photo(tmp_path / "a.jpg").pixels, flat, atol=3)


def test_lab_tiff_becomes_rgb(tmp_path: Path) -> None:
    lab = np.zeros((4, 4, 3), np.uint8)
    lab[..., 0] = 128  # L* = 50, a = b = 0: sRGB (119, 119, 119)
    Image.fromarray(lab, "LAB").save(tmp_path / "a.tif")
    np.testing.assert_allclose(read_photo(tmp_path / "a.tif").pixels, 119, atol=2)


@pytest.mark.parametrize(("bits", "white"), [(1, 1), (2, 3), (4, 15)])
def test_few_bits_are_spread_over_the_range(tmp_path: Path, png: Png, bits: int, white: int) -> None:
    values = np.array([[0, white], [white, 0], [1, 0]], np.uint16)
    (tmp_path / "a.png").write_bytes(png(values, bits=bits, kind=0))
    expected = np.stack([values * (255 // white)] * 3, axis=2)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png").pixels, expected)


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_png_keeps_all_its_bits(
    tmp_path: Path, png: Png, rng: np.random.Generator, kind: int, channels: int
) -> None:
    values = rng.integers(0, 65536, (5, 7, channels)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(png(values, bits=16, kind=kind))
    image = read_photo(tmp_path / "a.png").pixels
    assert image.dtype == np.float32
    colors = (values[..., :3] if channels >= 3 else np.repeat(values[..., :1], 3, axis=2)) / 257
    if channels in (2, 4):
        share = values[..., -1:] / 65535
        colors = colors * share + 255 * (1 - share)
    np.testing.assert_allclose(image, colors, rtol=1e-5)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_tiff_keeps_all_its_bits(
    tmp_path: Path, rng: np.random.Generator, order: str, compression: str | None, planar: str, channels: int
) -> None:
    values = rng.integers(0, 65536, (5, 7, channels)).astype(np.uint16)
    stored = values[..., 0] if channels == 1 else values
    if channels > 1 and planar == "separate":
        stored = np.moveaxis(stored, -1, 0)
    options = {"photometric": "rgb", "planarconfig": planar} if channels > 1 else {}
    if channels == 4:
        options["extrasamples"] = ["unassalpha"]
    tifffile.imwrite(tmp_path / "a.tif", stored, byteorder=order, compression=compression, **options)
    colors = (values[..., :3] if channels >= 3 else np.repeat(values, 3, axis=2)) / 257
    if channels == 4:
        share = values[..., -1:] / 65535
        colors = colors * share + 255 * (1 - share)
    np.testing.assert_allclose(read_photo(tmp_path / "a.tif").pixels, colors, rtol=1e-5)


def test_planar_tiff(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    for compression in (None, "zlib"):
        stored = np.moveaxis(photo, -1, 0)
        tifffile.imwrite(
            tmp_path / "a.tif", stored, photometric="rgb", planarconfig="separate", compression=compression
        )
        np.testing.assert_array_equal(read_photo(tmp_path / "a.tif").pixels, photo)


def test_big_tiff_and_lzw(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", photo, bigtiff=True, photometric="rgb")
    np.testing.assert_array_equal(read_photo(tmp_path / "a.tif").pixels, photo)
    Image.fromarray(photo).save(tmp_path / "b.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(read_photo(tmp_path / "b.tif").pixels, photo)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("top", "factor"), [(1.0, 255.0), (250.0, 1.0), (60000.0, 1 / 257)])
def test_float_tiff_is_scaled_by_its_range(
    tmp_path: Path, rng: np.random.Generator, dtype: str, channels: int, top: float, factor: float
) -> None:
    values = (rng.random((5, 7, channels)) * top).astype(dtype)
    values[0, 0] = top
    stored = values[..., 0] if channels == 1 else values
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb" if channels == 3 else "minisblack")
    image = read_photo(tmp_path / "a.tif").pixels
    assert image.dtype == np.float32
    expected = np.repeat(values, 3 // channels, axis=2).astype(np.float64) * factor
    np.testing.assert_allclose(image, expected, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 1e6])
@pytest.mark.parametrize("channels", [1, 3])
def test_floats_without_a_meaning_are_refused(tmp_path: Path, bad: float, channels: int) -> None:
    values = np.full((5, 7, channels), 0.5, np.float32)
    values[2, 3] = bad
    stored = values[..., 0] if channels == 1 else values
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb" if channels == 3 else "minisblack")
    with pytest.raises(DataError, match=r"a\.tif") as e:
        read_photo(tmp_path / "a.tif")
    if not np.isfinite(bad):
        assert "row 2, column 3" in str(e.value)


def test_32_bit_integers_have_no_fraction_range(tmp_path: Path) -> None:
    values = np.array([[0, 1], [1, 1]], np.uint32)
    tifffile.imwrite(tmp_path / "a.tif", values)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.tif").pixels[..., 0], values)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_orientation(tmp_path: Path, photo: NDArray[np.uint8], orientation: int, suffix: str) -> None:
    image = Image.fromarray(photo)
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a.{suffix}"
    image.save(path, exif=exif)
    with Image.open(path) as turned:
        expected = np.array(ImageOps.exif_transpose(turned))
    np.testing.assert_array_equal(read_photo(path).pixels, expected)
    assert expected.shape[:2] == ((7, 5) if orientation >= 5 else (5, 7))


def test_orientation_by_hand(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: show it turned by 90 degrees clockwise
    stored = np.array([[[1] * 3, [2] * 3, [3] * 3], [[4] * 3, [5] * 3, [6] * 3]], np.uint8)
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png").pixels[..., 0], [[4, 1], [5, 2], [6, 3]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_float_tiff(tmp_path: Path, rng: np.random.Generator, orientation: int) -> None:
    values = rng.random((5, 7, 3)).astype(np.float32)
    tag = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "f.tif", values, photometric="rgb", extratags=tag)
    bytes_ = (values * 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", bytes_, photometric="rgb", extratags=tag)
    float_image, byte_image = read_photo(tmp_path / "f.tif").pixels, read_photo(tmp_path / "b.tif").pixels
    assert float_image.shape == byte_image.shape
    np.testing.assert_array_equal(np.floor(float_image), byte_image)


def test_broken_exif_does_not_hide_the_photo(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0\x12\0\x03")
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png").pixels, photo)


def test_photo_with_a_second_one_behind_it(tmp_path: Path) -> None:
    """Phones store a preview or a stereo pair so."""
    frames = [Image.new("RGB", (16, 8), color) for color in ((200, 0, 0), (0, 200, 0))]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(
        read_photo(tmp_path / "a.jpg").pixels, np.full((8, 16, 3), (200, 0, 0)), atol=3
    )


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (6, 4), color) for color in ((255, 0, 0), (0, 255, 0))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    for name in ("a.gif", "a.tif"):
        assert (read_photo(tmp_path / name).pixels == (255, 0, 0)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 65500)])
def test_extreme_sizes(tmp_path: Path, shape: tuple[int, int]) -> None:
    Image.new("RGB", shape[::-1], (1, 2, 3)).save(tmp_path / "a.png")
    image = read_photo(tmp_path / "a.png").pixels
    assert image.shape == (*shape, 3)
    assert (image == (1, 2, 3)).all()


def test_odd_names(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    for name in (b"a\xff\xfe.png", b"x" * 251 + b".png", b"two\nlines.png"):
        path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
        buffer = BytesIO()
        Image.fromarray(photo).save(buffer, "PNG")
        path.write_bytes(buffer.getvalue())
        np.testing.assert_array_equal(read_photo(path).pixels, photo)


@pytest.mark.parametrize("keep", [0.02, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "gif", "webp", "bmp"])
def test_cut_short(tmp_path: Path, rng: np.random.Generator, kind: str, keep: float) -> None:
    buffer = BytesIO()
    picture = Image.fromarray(rng.integers(0, 256, (90, 70, 3), dtype=np.uint8))
    picture.save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind))
    path = tmp_path / f"photo.{kind}"
    path.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * keep)])
    with pytest.raises(DataError, match=rf"photo\.{kind}"):
        read_photo(path)


def test_wrong_checksum(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    buffer = BytesIO()
    Image.fromarray(photo).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[30] ^= 0xFF  # in the header's checksum
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.png"):
        read_photo(tmp_path / "a.png")


def test_no_image(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("this is text\n" * 100)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for name, message in [
        ("empty.png", "empty"),
        ("text.png", "no image"),
        ("folder.png", "folder"),
        ("missing.png", "not found"),
        ("loop.png", "cannot open"),
        ("nul\0.png", "cannot open"),
        ("x" * 300, "cannot open"),
    ]:
        with pytest.raises(DataError, match=message) as e:
            read_photo(tmp_path / name)
        assert "\0" not in str(e.value)


def test_fifo_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    found: list[str] = []

    def read() -> None:
        with pytest.raises(DataError) as e:
            read_photo(tmp_path / "a.png")
        found.append(str(e.value))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(timeout=10)
    assert found
    assert "FIFO" in found[0]
    with pytest.raises(DataError, match="device"):
        read_photo("/dev/zero")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(DataError, match="may not be read"):
        read_photo(tmp_path / "a.png")


def test_size_is_checked_before_decoding(tmp_path: Path, png: Png) -> None:
    pixel = np.zeros((1, 1, 3), np.uint16)
    (tmp_path / "bomb.png").write_bytes(png(pixel, bits=8, kind=2, size=(20000, 20000)))
    with pytest.raises(DataError, match=r"too large \(20000x20000") as e:
        read_photo(tmp_path / "bomb.png")
    assert "`max_pixels`" in str(e.value)
    # Beyond Pillow's own limit of 179 million, which would be an error of another kind: the header passes,
    # and the missing data are found.
    with pytest.raises(DataError, match="cannot decode"):
        read_photo(tmp_path / "bomb.png", Reading(max_pixels=400_000_000))


def test_limit_is_inclusive(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png", Reading(max_pixels=35)).pixels.shape == (5, 7, 3)
    with pytest.raises(DataError, match="too large"):
        read_photo(tmp_path / "a.png", Reading(max_pixels=34))
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 7, 3), np.float32), photometric="rgb")
    with pytest.raises(DataError, match="too large"):
        read_photo(tmp_path / "a.tif", Reading(max_pixels=34))


def test_pillow_is_left_as_it_was(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    before = Image.MAX_IMAGE_PIXELS
    Image.fromarray(photo).save(tmp_path / "a.png")
    read_photo(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS


def test_other_kinds_of_file_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(DataError, match="no image"):
        read_photo(tmp_path / "a.png")


def test_tiff_with_many_channels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 7, 6), np.float32), planarconfig="contig")
    with pytest.raises(DataError, match="6 channels"):
        read_photo(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((5, 7, 3), np.complex64), photometric="rgb")
    with pytest.raises(DataError, match="complex64"):
        read_photo(tmp_path / "b.tif")


def test_random_damage_is_never_a_crash(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "a"
    picture = Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8))
    for kind in ("PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP", "PPM"):
        buffer = BytesIO()
        picture.save(buffer, kind)
        for _ in range(60):
            data = bytearray(buffer.getvalue())
            for at in rng.integers(0, min(len(data), 200), 3):
                data[at] = rng.integers(0, 256)
            path.write_bytes(data)
            try:
                image = read_photo(path, Reading(max_pixels=10_000)).pixels
            except DataError:
                continue
            assert image.ndim == 3
            assert image.shape[2] == 3
            assert image.shape[0] * image.shape[1] <= 10_000


def test_header_of_a_tiff_that_points_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 2**31))
    with pytest.raises(DataError, match=r"a\.tif"):
        read_photo(tmp_path / "a.tif")
