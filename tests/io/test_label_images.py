"""Label images in every format, as other programs read them, and overlays."""

import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from lstm2d.errors import ConfigError, OutputError, ShapeError
from lstm2d.io.classes import ClassInfo
from lstm2d.io.images import read_photo
from lstm2d.io.label_images import (
    LABEL_FORMATS,
    encode_labels,
    label_suffix,
    write_image,
    write_labels,
    write_overlay,
)
from lstm2d.io.masks import read_mask, read_mask_palette

LABELS = np.array([[0, 1, 2], [7, 255, 3]], np.uint8)
PALETTE = np.array([[10 * i, 255 - i, i] for i in range(8)], np.uint8)


def test_labels_are_right_as_picture_and_as_data(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_labels(path, LABELS, PALETTE)
    np.testing.assert_array_equal(read_mask(path), LABELS)
    expected = np.zeros((2, 3, 3), np.uint8)
    expected[LABELS < 8] = PALETTE[LABELS[LABELS < 8]]
    np.testing.assert_array_equal(read_photo(path).pixels, expected)
    with Image.open(path) as image:
        assert image.mode == "P"
    palette = read_mask_palette(path)
    assert palette is not None
    np.testing.assert_array_equal(palette[:8], PALETTE)


def test_labels_of_wider_type_and_any_layout(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.png", LABELS.T.astype(np.int64), PALETTE)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), LABELS.T)


def test_overlay_mixes_colours(tmp_path: Path) -> None:
    image = np.full((1, 2, 3), 100, np.uint8)
    labels = np.array([[1, 255]], np.uint8)
    palette = np.array([[0, 0, 0], [200, 0, 100]], np.uint8)
    write_overlay(tmp_path / "a.png", image, labels, palette, opacity=0.25)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png").pixels, [[[125, 75, 100], [100, 100, 100]]])


def test_image_is_rounded_and_clipped(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.array([[[-3.0, 99.6, 300.0]]]))
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png").pixels, [[[0, 100, 255]]])


def test_wrong_shapes(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3, 1\)"):
        write_labels(tmp_path / "a.png", LABELS[:, :, None], PALETTE)
    with pytest.raises(ShapeError, match=r"\(2, 3\)"):
        write_image(tmp_path / "a.png", LABELS)
    with pytest.raises(ShapeError, match="another size"):
        write_overlay(tmp_path / "a.png", np.zeros((3, 2, 3)), LABELS, PALETTE)
    assert not any(tmp_path.iterdir())


def test_output_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing/a\.png"):
        write_labels(tmp_path / "missing" / "a.png", LABELS, PALETTE)


@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))),
    st.integers(1, 255),
    st.sampled_from(sorted(LABEL_FORMATS)),
)
def test_every_format_keeps_every_number(labels: np.ndarray, count: int, format: str) -> None:
    data = encode_labels(labels, np.arange(3 * count).reshape(-1, 3).astype(np.uint8), format=format)
    with Image.open(BytesIO(data)) as image:
        assert image.format == ("TIFF" if format == "tiff" else "PNG")
        assert image.mode == ("P" if format == "palette" else "L")
        np.testing.assert_array_equal(np.asarray(image), labels)


@pytest.mark.parametrize("format", sorted(LABEL_FORMATS))
def test_masks_are_read_in_every_format(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"a{label_suffix(format)}"
    write_labels(path, LABELS, PALETTE, format=format)
    np.testing.assert_array_equal(read_mask(path), LABELS)


@pytest.mark.parametrize("format", sorted(LABEL_FORMATS))
def test_equal_labels_give_equal_bytes(format: str) -> None:
    assert encode_labels(LABELS, PALETTE, format=format) == encode_labels(LABELS, PALETTE, format=format)


def test_a_tiff_is_one_band_of_bytes_with_deflate(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", LABELS, PALETTE, format="tiff")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        page = tiff.pages[0]
        assert len(tiff.pages) == 1
        assert (page.dtype, page.samplesperpixel, page.shape) == (np.uint8, 1, (2, 3))
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        assert "ImageDescription" not in page.tags


def test_large_labels_take_little_room(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 8, (12, 16), dtype=np.uint8).repeat(50, axis=0).repeat(50, axis=1)
    for format in LABEL_FORMATS:
        assert len(encode_labels(labels, PALETTE, format=format)) < labels.size / 40


@pytest.mark.parametrize("format", ["png", "", "GRAY"])
def test_no_such_format(format: str) -> None:
    with pytest.raises(ConfigError, match="palette, gray, tiff"):
        encode_labels(LABELS, PALETTE, format=format)
    with pytest.raises(ConfigError, match="palette, gray, tiff"):
        label_suffix(format)


def _with_pil(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def _with_skimage(path: str) -> np.ndarray:
    from skimage import io

    return np.asarray(io.imread(path))


def _with_imageio(path: str) -> np.ndarray:
    imageio = pytest.importorskip("imageio.v3")
    return np.asarray(imageio.imread(path))


def _with_opencv(path: str) -> np.ndarray:
    cv2 = pytest.importorskip("cv2")
    return np.asarray(cv2.imread(path, cv2.IMREAD_UNCHANGED))


def _with_tifffile(path: str) -> np.ndarray:
    return np.asarray(tifffile.imread(path))


def _with_rasterio(path: str) -> np.ndarray:
    rasterio = pytest.importorskip("rasterio")
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(path) as file:
        return np.asarray(file.read(1))


def _with_matplotlib(path: str) -> np.ndarray:
    """Return what `matplotlib.image.imread` gives: gray PNGs as fractions of 255, TIFFs as bytes."""
    from matplotlib.image import imread

    values = imread(path)
    return np.rint(values * 255).astype(np.uint8) if values.dtype.kind == "f" else np.asarray(values)


READERS = [
    _with_pil,
    _with_skimage,
    _with_imageio,
    _with_opencv,
    _with_tifffile,
    _with_rasterio,
    _with_matplotlib,
]


@pytest.mark.parametrize("format", ["gray", "tiff"])
@pytest.mark.parametrize("read", READERS)
def test_other_programs_read_class_numbers(
    tmp_path: Path, read: Callable[[str], np.ndarray], format: str, rng: np.random.Generator
) -> None:
    if read is _with_tifffile and format == "gray":
        pytest.skip("tifffile reads TIFF")
    labels = rng.integers(0, 256, (31, 43), dtype=np.uint8)
    path = tmp_path / f"a{label_suffix(format)}"
    write_labels(path, labels, PALETTE, format=format)
    np.testing.assert_array_equal(read(str(path)), labels, strict=True)


@pytest.mark.parametrize("read", READERS)
def test_who_reads_a_palette_png_as_numbers(tmp_path: Path, read: Callable[[str], np.ndarray]) -> None:
    """As in docs/how-to/label-files.md: Pillow and GDAL read numbers, the others colours."""
    if read is _with_tifffile:
        pytest.skip("tifffile reads TIFF")
    write_labels(tmp_path / "a.png", LABELS, PALETTE)
    found = read(str(tmp_path / "a.png"))
    if read in (_with_pil, _with_rasterio):
        np.testing.assert_array_equal(found, LABELS)
    else:
        assert found.shape[:2] == LABELS.shape
        assert found.ndim == 3
        order = [2, 1, 0] if read is _with_opencv else [0, 1, 2]
        np.testing.assert_array_equal(found[0][:, order], PALETTE[LABELS[0]])


def test_an_overlay_is_the_same_in_strips(rng: np.random.Generator, tmp_path: Path) -> None:
    image = rng.integers(0, 256, (700, 3, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, (700, 3), dtype=np.uint8)
    write_overlay(tmp_path / "a.png", image, labels, PALETTE)
    expected = image.copy()
    coloured = labels < 8
    expected[coloured] = np.rint((image[coloured].astype(float) + PALETTE[labels[coloured]]) / 2)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png").pixels, expected)


@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (1, 1), (5, 400)])
def test_a_legend_leaves_the_picture_as_it_is(
    tmp_path: Path, shape: tuple[int, int], rng: np.random.Generator
) -> None:
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    labels = rng.integers(0, 3, shape, dtype=np.uint8)
    classes = [ClassInfo(f"name {k}", (90 * k, 255 - k, k)) for k in range(3)]
    palette = np.array([c.color for c in classes], np.uint8)
    write_overlay(tmp_path / "plain.png", image, labels, palette)
    write_overlay(tmp_path / "legend.png", image, labels, palette, legend=classes)
    with_legend = read_photo(tmp_path / "legend.png").pixels
    np.testing.assert_array_equal(
        with_legend[: shape[0], : shape[1]], read_photo(tmp_path / "plain.png").pixels
    )
    assert with_legend.size > image.size


def test_labels_need_no_matplotlib(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from lstm2d.io.classes import ClassInfo\n"
        "from lstm2d.io.class_files import ClassTable, write_class_files\n"
        "from lstm2d.io.label_images import write_labels, write_overlay\n"
        "labels, palette = np.zeros((4, 5), int), np.zeros((1, 3), np.uint8)\n"
        "classes = (ClassInfo('Stra\u00dfe', (0, 0, 0)),)\n"
        "write_labels('a.png', labels, palette)\n"
        "write_overlay('b.png', np.zeros((4, 5, 3)), labels, palette, legend=classes)\n"
        "write_class_files('.', ClassTable('m', classes, 255))\n"
        "print({'matplotlib', 'fontTools', 'tifffile'} & set(sys.modules))\n"
    )
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert (run.stdout, run.stderr) == ("set()\n", "")
    assert (tmp_path / "legend.png").is_file()
