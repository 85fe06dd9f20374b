"""The georeference of a GeoTIFF is kept in its labels, in every form of the standard."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from lstm2d.errors import DataError
from lstm2d.io.georeference import DAMAGED, TURNED, Georeference, read_georeference
from lstm2d.io.label_images import write_labels

LABELS = np.arange(24, dtype=np.uint8).reshape(4, 6) % 3
PALETTE = np.zeros((3, 3), np.uint8)
SCALE = (33550, 12, 3, (0.5, 0.25, 0.0))
TIE = (33922, 12, 6, (0.0, 0.0, 0.0, 500000.0, 5400000.0, 0.0))
TWO_TIES = (33922, 12, 12, (0.0, 0.0, 0.0, 10.0, 50.0, 0.0, 6.0, 4.0, 0.0, 11.0, 49.0, 0.0))
MATRIX = (34264, 12, 16, (0.1, 0.2, 0.0, 7.0, 0.3, -0.1, 0.0, 9.0, *(0.0,) * 7, 1.0))
KEYS = (34735, 3, 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1026, 34737, 9, 0, 3072, 0, 1, 32633))
OWN_KEYS = (34735, 3, 12, (1, 1, 0, 2, 1024, 0, 1, 1, 2057, 34736, 1, 0))
DOUBLES = (34736, 12, 2, (6378137.0, 1e-300))
TEXT = (34737, 2, 0, "UTM 33 N|")
RPC = (50844, 12, 92, tuple(float(k) for k in range(92)))
NODATA = (42113, 2, 0, "0")
FORMS = {
    "scale and tie point": [SCALE, TIE, KEYS, TEXT],
    "tie points": [TWO_TIES, KEYS, TEXT],
    "matrix": [MATRIX, OWN_KEYS, DOUBLES],
    "polynomials": [RPC],
    "no keys": [SCALE, TIE],
}


def save(path: Path, tags: list[tuple[Any, ...]], *, orientation: int | None = None, **options: Any) -> None:
    if orientation is not None:
        tags = [*tags, (274, 3, 1, orientation)]
    image = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    tifffile.imwrite(path, image, photometric="rgb", extratags=[(*tag, True) for tag in tags], **options)


def tags_of(path: Path) -> dict[int, Any]:
    with tifffile.TiffFile(path) as tiff:
        wanted = {33550, 33922, 34264, 34735, 34736, 34737, 50844, 42113, 274}
        return {tag.code: tag.value for tag in tiff.pages[0].tags if tag.code in wanted}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}])
def test_labels_lie_where_the_image_lies(tmp_path: Path, form: str, options: dict[str, Any]) -> None:
    save(tmp_path / "a.tif", FORMS[form], **options)
    found, note = read_georeference(tmp_path / "a.tif")
    assert note is None
    write_labels(tmp_path / "b.tif", LABELS, PALETTE, format="tiff", georeference=found)
    expected = {number: value for number, _, _, value in FORMS[form]}
    assert tags_of(tmp_path / "a.tif") == expected
    assert tags_of(tmp_path / "b.tif") == expected
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), LABELS)
    assert read_georeference(tmp_path / "b.tif") == (found, None)


@pytest.mark.parametrize("form", ["scale and tie point", "matrix", "tie points"])
def test_gdal_finds_the_same_place(tmp_path: Path, form: str) -> None:
    rasterio = pytest.importorskip("rasterio")
    save(tmp_path / "a.tif", FORMS[form])
    found, _ = read_georeference(tmp_path / "a.tif")
    write_labels(tmp_path / "b.tif", LABELS, PALETTE, format="tiff", georeference=found)
    with rasterio.open(tmp_path / "a.tif") as image, rasterio.open(tmp_path / "b.tif") as labels:
        assert labels.transform == image.transform
        assert labels.crs == image.crs
        assert labels.gcps == image.gcps or str(labels.gcps) == str(image.gcps)
        assert (labels.width, labels.height, labels.count, labels.nodata) == (6, 4, 1, None)
        np.testing.assert_array_equal(labels.read(1), LABELS)
        if form == "scale and tie point":
            assert labels.transform[:6] == (0.5, 0, 500000, 0, -0.25, 5400000)
            assert labels.crs.to_epsg() == 32633


def test_no_data_of_the_photograph_is_not_that_of_the_labels(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", [SCALE, TIE, NODATA])
    found, note = read_georeference(tmp_path / "a.tif")
    assert found == Georeference(((33550, 12, SCALE[3]), (33922, 12, TIE[3])))
    assert note is None


def test_text_of_any_encoding_keeps_its_bytes(tmp_path: Path) -> None:
    text = "Gauß-Krüger|".encode("latin-1") + b"\0"
    save(tmp_path / "a.tif", [SCALE, TIE, (34737, 2, 0, text)])
    found, _ = read_georeference(tmp_path / "a.tif")
    assert found is not None
    assert dict((number, value) for number, _, value in found.tags)[34737] == text
    write_labels(tmp_path / "b.tif", LABELS, PALETTE, format="tiff", georeference=found)
    assert text in (tmp_path / "b.tif").read_bytes()


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
def test_a_turned_image_has_no_place(tmp_path: Path, orientation: int) -> None:
    save(tmp_path / "a.tif", [SCALE, TIE], orientation=orientation)
    found, note = read_georeference(tmp_path / "a.tif")
    assert (found is None, note) == ((False, None) if orientation == 1 else (True, TURNED))


@pytest.mark.parametrize(
    "wrong",
    [
        (33550, 12, 2, (0.5, 0.5)),
        (33550, 3, 3, (1, 1, 0)),
        (33922, 12, 5, (0.0,) * 5),
        (34264, 12, 15, (0.0,) * 15),
        (34735, 3, 3, (1, 1, 0)),
        (34735, 12, 4, (1.0, 1.0, 0.0, 0.0)),
        (34736, 12, 100_001, (0.0,) * 100_001),
        (34737, 3, 2, (65, 66)),
    ],
    ids=lambda tag: f"{tag[0]} of type {tag[1]} with {tag[2]}",
)
def test_damaged_tags_are_left_out(tmp_path: Path, wrong: tuple[Any, ...]) -> None:
    others = [tag for tag in (SCALE, TIE) if tag[0] != wrong[0]]
    save(tmp_path / "a.tif", [*others, wrong])
    assert read_georeference(tmp_path / "a.tif") == (None, DAMAGED)


@pytest.mark.parametrize("tags", [[], [SCALE], [KEYS, TEXT]])
def test_a_tiff_without_a_place(tmp_path: Path, tags: list[tuple[Any, ...]]) -> None:
    save(tmp_path / "a.tif", tags)
    assert read_georeference(tmp_path / "a.tif") == (None, None)


@pytest.mark.parametrize("data", [b"", b"II", b"\x89PNG\r\n\x1a\n", b"text"])
def test_other_files_have_no_place(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    assert read_georeference(tmp_path / "a") == (None, None)


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", [SCALE, TIE])
    whole = (tmp_path / "a.tif").read_bytes()
    for length in range(4, len(whole), 7):
        (tmp_path / "a.tif").write_bytes(whole[:length])
        found, _ = read_georeference(tmp_path / "a.tif")
        assert found is None or found.tags == ((33550, 12, SCALE[3]), (33922, 12, TIE[3]))
    with pytest.raises(DataError, match="not found"):
        read_georeference(tmp_path / "b.tif")
