"""What `label_files` writes for other programs: formats, tables of classes, legends, georeferences."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from lstm2d.errors import ConfigError
from lstm2d.io.class_files import read_class_files
from lstm2d.notes import Notes
from lstm2d.predict import Predictor, load
from lstm2d.predict.inputs import plan
from lstm2d.predict.label_files import label_files
from lstm2d.predict.manifest import read_manifest
from lstm2d.predict.outcome import Options, Outcome
from lstm2d.predict.zoo import model_name

SCALE = (33550, 12, 3, (0.5, 0.5, 0.0), True)
TIE = (33922, 12, 6, (0.0, 0.0, 0.0, 500000.0, 5400000.0, 0.0), True)
KEYS = (34735, 3, 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True)


@pytest.fixture(scope="module")
def predictor(brightness_model: Path) -> Predictor:
    return load(brightness_model)


@pytest.fixture
def image(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, image: np.ndarray) -> Path:
    """Return a folder of two images: a.png and a georeferenced map.tif with the same pixels."""
    found = tmp_path / "in"
    found.mkdir()
    Image.fromarray(image).save(found / "a.png")
    tifffile.imwrite(found / "map.tif", image, photometric="rgb", extratags=[SCALE, TIE, KEYS])
    return found


def expected(image: np.ndarray) -> np.ndarray:
    return (image[:, :, 0] > 127).astype(np.uint8)


def run(predictor: Predictor, inputs: Path, out: Path, notes: Notes | None = None, **options: Any) -> Outcome:
    tasks = plan([inputs], out, format=options.get("format", "palette"))
    return label_files(predictor, tasks, out, options=Options(**options), notes=notes)


@pytest.mark.parametrize(
    ("format", "suffix", "mode"), [("palette", ".png", "P"), ("gray", ".png", "L"), ("tiff", ".tif", "L")]
)
def test_formats(
    predictor: Predictor, folder: Path, image: np.ndarray, tmp_path: Path, format: str, suffix: str, mode: str
) -> None:
    out = tmp_path / "out"
    assert run(predictor, folder, out, format=format, overlay=True).done == 2
    names = {p.name for p in out.iterdir()}
    labels = {f"a{suffix}", f"map{suffix}"}
    assert names == labels | {
        "a_overlay.png", "map_overlay.png", "classes.json", "legend.png", "predictions.csv"
    }  # fmt: skip
    for name in labels:
        with Image.open(out / name) as found:
            assert found.mode == mode
            np.testing.assert_array_equal(np.asarray(found), expected(image))
    assert {row["labels"] for row in read_manifest(out / "predictions.csv")} == labels


def test_the_format_changes_no_overlay(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    overlays = set()
    for format in ("palette", "gray", "tiff"):
        run(predictor, folder, tmp_path / format, format=format, overlay=True)
        overlays.add((tmp_path / format / "a_overlay.png").read_bytes())
    assert len(overlays) == 1


def test_skip_done_knows_tiffs(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    run(predictor, folder, tmp_path / "out", format="tiff")
    outcome = run(predictor, folder, tmp_path / "out", format="tiff", skip_done=True)
    assert (outcome.done, outcome.skipped) == (0, 2)
    rows = read_manifest(tmp_path / "out/predictions.csv")
    assert [row["labels"] for row in rows] == ["a.tif", "map.tif"]
    assert float(rows[0]["area bright"]) > 0.1


def test_a_geotiff_stays_one(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    notes = Notes()
    run(predictor, folder, tmp_path / "out", notes, format="tiff")
    with tifffile.TiffFile(tmp_path / "out/map.tif") as tiff:
        tags = tiff.pages[0].tags
        assert [tags[tag[0]].value for tag in (SCALE, TIE, KEYS)] == [tag[3] for tag in (SCALE, TIE, KEYS)]
    with tifffile.TiffFile(tmp_path / "out/a.tif") as tiff:
        assert 33550 not in tiff.pages[0].tags
    assert notes.counts() == {}


@pytest.mark.parametrize("format", ["palette", "gray"])
def test_a_georeference_that_is_lost_is_reported(
    predictor: Predictor, folder: Path, tmp_path: Path, format: str
) -> None:
    lines: list[str] = []
    run(predictor, folder, tmp_path / "out", Notes(lines.append), format=format)
    lost = f"its georeference is left out of a {format} PNG; `format='tiff'` keeps it"
    assert lines == [f"{folder / 'map.tif'}: {lost}"]


def test_a_turned_geotiff_is_reported(
    predictor: Predictor, image: np.ndarray, folder: Path, tmp_path: Path
) -> None:
    turned = (274, 3, 1, 6, True)
    tifffile.imwrite(folder / "map.tif", image, photometric="rgb", extratags=[SCALE, TIE, turned])
    lines: list[str] = []
    run(predictor, folder, tmp_path / "out", Notes(lines.append), format="tiff")
    assert len(lines) == 1
    assert "turned upright" in lines[0]
    found = tifffile.imread(tmp_path / "out/map.tif")
    np.testing.assert_array_equal(found, expected(np.rot90(image, -1)))


def test_the_classes_of_the_model(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    run(predictor, folder, tmp_path / "out")
    table = json.loads((tmp_path / "out/classes.json").read_text(encoding="utf-8"))
    assert (table["model"], table["ignore"]) == ("brightness", 255)
    assert [entry["name"] for entry in table["classes"]] == ["dark", "bright", "never"]
    assert table["classes"][1]["color"] == [200, 210, 220]


def test_another_model_in_the_same_folder(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    run(predictor, folder, tmp_path / "out")
    model = replace(predictor.model, classes=predictor.classes[::-1])
    run(Predictor(model, source="runs/second/model.safetensors"), folder / "a.png", tmp_path / "out")
    found = read_class_files(tmp_path / "out")
    assert [(table.model, table.classes[0].name) for table in found] == [
        ("second", "never"),
        ("brightness", "dark"),
    ]


def test_a_file_of_that_name_stops_the_work_before_it_begins(
    predictor: Predictor, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/legend.png").write_bytes(b"mine")
    with pytest.raises(ConfigError, match="legend is taken"):
        run(predictor, folder, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["legend.png"]
    assert (tmp_path / "out/legend.png").read_bytes() == b"mine"


def test_a_photograph_called_legend(predictor: Predictor, image: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(image).save(tmp_path / "in/Legend.bmp")
    run(predictor, tmp_path / "in", tmp_path / "out")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/Legend.bmp.png")), expected(image))


def test_a_legend_comes_with_an_overlay(
    predictor: Predictor, folder: Path, image: np.ndarray, tmp_path: Path
) -> None:
    run(predictor, folder, tmp_path / "plain", overlay=True)
    run(predictor, folder, tmp_path / "out", legend=True)
    plain = np.asarray(Image.open(tmp_path / "plain/a_overlay.png"))
    found = np.asarray(Image.open(tmp_path / "out/a_overlay.png"))
    np.testing.assert_array_equal(found[:6, :9], plain)
    colors = {tuple(color) for color in found.reshape(-1, 3).tolist()}
    assert {(10, 20, 30), (200, 210, 220)} <= colors
    assert (255, 0, 0) not in colors  # "never" does not occur
    assert run(predictor, folder, tmp_path / "out", legend=True, skip_done=True).skipped == 2


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/zoo/outdoor.safetensors", "outdoor"),
        ("runs/first/model.safetensors", "first"),
        ("my.model.safetensors", "my.model"),
        ("runs/../runs/x/model.safetensors", "x"),
    ],
)
def test_names_of_models(path: str, name: str) -> None:
    assert model_name(path) == name


@pytest.mark.usefixtures("compiled")
def test_no_matplotlib_for_latin_names(brightness_model: Path, folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from contextlib import suppress\n"
        "from lstm2d.cli import main\n"
        "with suppress(SystemExit):\n"
        "    main(sys.argv[1:])\n"
        "print({'matplotlib', 'fontTools', 'pydantic', 'numba'} & set(sys.modules))\n"
    )
    words = ["predict", brightness_model, folder / "a.png", "-o", tmp_path / "out", "--legend", "--quiet"]
    done = subprocess.run([sys.executable, "-P", "-c", code, *words], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
