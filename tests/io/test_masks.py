"""Masks keep their numbers; errors for colours, fractions and lossy files give the reason."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from lstm2d.errors import DataError
from lstm2d.io.decoding import read_header
from lstm2d.io.images import read_photo
from lstm2d.io.label_images import write_labels
from lstm2d.io.masks import FLOATS, open_mask, read_mask, read_mask_palette

Png = Callable[..., bytes]
LABELS = np.array([[0, 1, 2], [7, 255, 3]], np.uint8)
PALETTE = np.array([[10 * i, 255 - i, i] for i in range(8)], np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_index_and_palette_files_keep_their_numbers(tmp_path: Path, suffix: str) -> None:
    gray, palette = tmp_path / f"gray.{suffix}", tmp_path / f"palette.{suffix}"
    Image.fromarray(LABELS).save(gray)
    image = Image.fromarray(LABELS, "P")
    image.putpalette(np.random.default_rng(0).permutation(768).astype(np.uint8).tobytes())
    image.save(palette)
    for path in (gray, palette):
        mask = read_mask(path)
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, LABELS)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("kind", [0, 3])
def test_samples_of_few_bits_are_not_spread(tmp_path: Path, png: Png, bits: int, kind: int) -> None:
    values = np.arange(2**bits, dtype=np.uint16).reshape(2, -1)
    (tmp_path / "a.png").write_bytes(png(values, bits=bits, kind=kind))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), values)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "int32"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_wide_integers_that_fit(tmp_path: Path, dtype: str, compression: str | None) -> None:
    tifffile.imwrite(tmp_path / "a.tif", LABELS.astype(dtype), compression=compression)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), LABELS)


@pytest.mark.parametrize("value", [-1, 256, 30000])
def test_number_that_does_not_fit(tmp_path: Path, value: int) -> None:
    wide = LABELS.astype(np.int32)
    wide[1, 2] = value
    tifffile.imwrite(tmp_path / "wide.tif", wide)
    with pytest.raises(DataError, match=rf"mask value {value} at row 1, column 2: .*wide\.tif"):
        read_mask(tmp_path / "wide.tif")


def test_exif_turns_a_mask_as_it_turns_a_photograph(tmp_path: Path) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(LABELS).save(tmp_path / "a.png", exif=exif)
        np.testing.assert_array_equal(
            read_mask(tmp_path / "a.png"), read_photo(tmp_path / "a.png").pixels[..., 0], strict=True
        )


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK"])
def test_colours_are_not_indices(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    path = tmp_path / f"colours.{suffix}"
    Image.new("RGB", (4, 4), (128, 0, 0)).convert(mode).save(path)
    with pytest.raises(DataError, match="a mask of colours, not of class numbers") as e:
        read_mask(path)
    assert "colours." in str(e.value)
    assert "number of its class" in str(e.value)


@pytest.mark.parametrize("name", ["mask.jpg", "jpeg_called.png", "mask.webp", "mask.tif", "mask.gif"])
def test_formats_that_change_numbers_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    kind = {"mask.webp": "WEBP", "mask.tif": "TIFF", "mask.gif": "GIF"}.get(name, "JPEG")
    Image.fromarray(LABELS).save(path, kind, **({"compression": "jpeg"} if kind == "TIFF" else {}))
    with pytest.raises(DataError, match="does not keep class numbers") as e:
        read_mask(path)
    assert name in str(e.value)
    assert "as PNG" in str(e.value)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_fractions_are_refused(tmp_path: Path, value: float) -> None:
    wrong = LABELS.astype(np.float32)
    wrong[1, 2] = value
    tifffile.imwrite(tmp_path / "a.tif", wrong)
    with pytest.raises(DataError, match="row 1, column 2"):
        read_mask(tmp_path / "a.tif")


def test_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_labels(path, np.random.default_rng(0).integers(0, 8, (50, 50)), PALETTE)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError, match=r"a\.png"):
        read_mask(path)


def test_palette_of_a_gray_mask(tmp_path: Path) -> None:
    Image.fromarray(LABELS).save(tmp_path / "a.png")
    assert read_mask_palette(tmp_path / "a.png") is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whole_numbers_stored_as_floats(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", LABELS.astype(dtype))
    mask = open_mask(tmp_path / "a.tif")
    assert mask.notes == (FLOATS,)
    assert mask.numbers is not None
    np.testing.assert_array_equal(mask.numbers, LABELS)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), LABELS)


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "uint16", "float32"])
def test_numbers_stored_three_times(tmp_path: Path, kind: str) -> None:
    three = np.repeat(LABELS[..., None], 3, axis=2)
    if kind.startswith("RGB"):
        Image.fromarray(three).convert(kind).save(tmp_path / "a", "PNG")
    else:
        tifffile.imwrite(tmp_path / "a", three.astype(kind), photometric="rgb")
    mask = open_mask(tmp_path / "a")
    assert mask.numbers is not None
    np.testing.assert_array_equal(mask.numbers, LABELS)
    np.testing.assert_array_equal(read_mask(tmp_path / "a"), LABELS)
    if kind != "float32":
        np.testing.assert_array_equal(mask.colors, three)


@pytest.mark.parametrize("spread", [1, 257])
def test_colours_of_16_bits(tmp_path: Path, spread: int) -> None:
    colors = np.stack([LABELS, LABELS // 2, LABELS], axis=2).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", colors * spread, photometric="rgb")
    mask = open_mask(tmp_path / "a.tif")
    assert mask.numbers is None
    np.testing.assert_array_equal(mask.colors, colors)
    tifffile.imwrite(tmp_path / "a.tif", colors * 200, photometric="rgb")
    with pytest.raises(DataError, match="a mask of colours"):
        open_mask(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_hidden_pixels_are_no_labels(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(LABELS).convert(mode)
    image.putpixel((2, 1), (3,) * (len(mode) - 1) + (0,))
    image.save(tmp_path / "a.png")
    with pytest.raises(DataError, match="transparent pixels, the first at row 1, column 2"):
        read_mask(tmp_path / "a.png")


def test_a_transparent_index_is_a_number_like_others(tmp_path: Path) -> None:
    image = Image.fromarray(LABELS % 8, "P")
    image.putpalette(PALETTE.tobytes())
    image.save(tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), LABELS % 8)
    Image.fromarray(LABELS).save(tmp_path / "b.png", transparency=7)
    np.testing.assert_array_equal(read_mask(tmp_path / "b.png"), LABELS)


def test_formats_that_change_numbers_are_read_on_request(tmp_path: Path) -> None:
    gray = np.kron([[0, 255], [255, 0]], np.ones((8, 8))).astype(np.uint8)
    Image.fromarray(gray).save(tmp_path / "gray.jpg")
    mask = open_mask(tmp_path / "gray.jpg", lossy=True)
    assert mask.lossy
    assert mask.colors is None
    assert mask.numbers is not None
    np.testing.assert_array_equal(mask.numbers > 127, gray > 127)

    red = np.zeros((8, 16, 3), np.uint8)
    red[:, 8:, 0] = 200
    Image.fromarray(red).save(tmp_path / "red.jpg", quality=95, subsampling=0)
    mask = open_mask(tmp_path / "red.jpg", lossy=True)
    assert mask.lossy
    assert mask.numbers is None
    assert mask.colors is not None
    assert np.abs(mask.colors.astype(int) - red).max() < 8

    # GIF orders its palette anew: colours stay, numbers do not
    indexed = Image.fromarray(np.array([[1, 0, 1]], np.uint8))
    indexed.putpalette([9, 8, 7, 200, 100, 50])
    indexed.save(tmp_path / "a.gif")
    mask = open_mask(tmp_path / "a.gif", lossy=True)
    assert mask.lossy
    assert mask.numbers is None
    assert mask.colors is not None
    assert mask.colors.tolist() == [[[200, 100, 50], [9, 8, 7], [200, 100, 50]]]

    Image.fromarray(gray).save(tmp_path / "gray.png")
    assert not open_mask(tmp_path / "gray.png", lossy=True).lossy


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_in_a_header_is_that_of_the_image(tmp_path: Path, suffix: str, orientation: int) -> None:
    image = Image.new("L", (5, 3))
    exif = image.getexif()
    exif[274] = orientation
    path = tmp_path / f"a{suffix}"
    image.save(path, exif=exif)
    assert read_header(path).size == read_photo(path).size == ((5, 3) if orientation >= 5 else (3, 5))


def test_the_size_of_other_files(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 5, 3), np.float32), photometric="rgb")
    assert read_header(tmp_path / "a.tif").size == (3, 5)
    (tmp_path / "b.png").write_bytes(b"text")
    with pytest.raises(DataError, match="no image"):
        read_header(tmp_path / "b.png")
    Image.new("L", (5, 3)).save(tmp_path / "c.png")
    with pytest.raises(DataError, match="image too large"):
        read_header(tmp_path / "c.png", max_pixels=14)
