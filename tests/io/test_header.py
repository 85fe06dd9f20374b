"""Headers say size, orientation and compression without decoding."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from lstm2d.errors import DataError
from lstm2d.io.decoding import Header, read_header
from lstm2d.io.images import read_photo


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_size_of_the_upright_image(tmp_path: Path, ending: str, orientation: int) -> None:
    path = tmp_path / f"a.{ending}"
    exif = Image.Exif()
    exif[274] = orientation
    Image.new("RGB", (30, 20), (1, 2, 3)).save(path, exif=exif)
    header = read_header(path)
    names = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF", "webp": "WEBP"}
    size = (20, 30) if orientation < 5 else (30, 20)
    assert header == Header(size, orientation, ending in ("jpg", "webp"), names[ending])
    assert header.size == read_photo(path).size


@pytest.mark.parametrize("ending", ["bmp", "ppm", "gif"])
def test_kinds_without_orientation(tmp_path: Path, ending: str) -> None:
    Image.new("L", (30, 20)).save(tmp_path / f"a.{ending}")
    assert read_header(tmp_path / f"a.{ending}") == Header((20, 30), 1, False, ending.upper())


def test_a_tiff_that_only_tifffile_reads(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 30, 3), np.float32), photometric="rgb")
    assert read_header(tmp_path / "a.tif") == Header((20, 30), 1, False, "TIFF")


def test_a_tiff_with_jpeg_inside(tmp_path: Path) -> None:
    Image.new("L", (30, 20)).save(tmp_path / "a.tif", compression="jpeg")
    assert read_header(tmp_path / "a.tif").lossy


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "the file is empty"), (b"hello", "this is no image"), (b"\x89PNG\r\n\x1a\n\0\0", "cannot decode")],
)
def test_files_that_are_no_image(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_header(tmp_path / "a.png")
    with pytest.raises(DataError, match="file not found"):
        read_header(tmp_path / "b.png")


def test_the_pixels_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.effect_noise((300, 200), 50).save(path)
    path.write_bytes(path.read_bytes()[:500])
    assert read_header(path).size == (200, 300)
    with pytest.raises(DataError):
        read_photo(path)
    with pytest.raises(DataError, match="too large"):
        read_header(path, max_pixels=59_999)
