"""`lstm2d predict --format` and `--legend` on the command line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from lstm2d.io.label_images import LABEL_FORMATS


@pytest.mark.parametrize(("format", "name", "mode"), [("gray", "a.png", "L"), ("tiff", "a.tif", "L")])
def test_format(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path, format: str, name: str, mode: str
) -> None:
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--format", format)
    assert ran.code == 0
    with Image.open(tmp_path / "out" / name) as found, Image.open(photos / "a.png") as photo:
        assert found.mode == mode
        np.testing.assert_array_equal(np.asarray(found), np.asarray(photo)[:, :, 0] > 127)
    assert (tmp_path / "out/classes.json").is_file()
    assert (tmp_path / "out/legend.png").is_file()


def test_formats_are_those_of_the_library() -> None:
    from lstm2d.cli.predict import FORMATS

    assert tuple(LABEL_FORMATS) == FORMATS


def test_no_such_format(lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--format", "jpeg")
    assert ran.code == 2
    assert "palette" in ran.err
    assert not (tmp_path / "out").exists()


def test_legend_brings_the_overlay(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    assert lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--legend").code == 0
    with Image.open(tmp_path / "out/a_overlay.png") as found, Image.open(photos / "a.png") as photo:
        assert found.width >= photo.width
        assert found.height > photo.height


def test_a_taken_name_is_reported(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "a.png").rename(photos / "legend.png")
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out")
    assert ran.code == 0
    assert (
        f"1 image shares its name with another result; {photos / 'legend.png'} becomes legend.png.png"
        in ran.err
    )


def test_files_of_another_program_are_a_usage_error(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/classes.json").write_text("{}")
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--json")
    assert ran.code == 2
    assert "classes.json" in ran.json["error"]["where"]
    assert (tmp_path / "out/classes.json").read_text() == "{}"


def test_lost_georeferences_are_counted(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    place = [(33550, 12, 3, (1.0, 1.0, 0.0), True), (33922, 12, 6, (0.0,) * 6, True)]
    for name in ("m.tif", "n.tif"):
        image = np.zeros((4, 5, 3), np.uint8)
        tifffile.imwrite(photos / name, image, photometric="rgb", extratags=place)
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out")
    assert ran.code == 0
    lines = [line for line in ran.err.splitlines() if line.startswith("Note: ")]
    assert len(lines) == 2
    assert lines[0].startswith(f"Note: {photos / 'm.tif'}: ")
    assert lines[1].startswith("Note: 2 images: ")
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "tiffs", "--format", "tiff")
    assert "Note: " not in ran.err
