"""Images in strips: `label_files` with `stream`, against the whole image."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from lstm2d.errors import ConfigError, DataError, OutputError
from lstm2d.io import scratch
from lstm2d.io.images import read_photo
from lstm2d.io.label_strips import TILE, write_label_strips
from lstm2d.io.photo import Reading
from lstm2d.io.photo_rows import PhotoRows
from lstm2d.predict import Predictor, load, streaming, write_streamed
from lstm2d.predict.inputs import plan
from lstm2d.predict.label_files import label_files
from lstm2d.predict.manifest import read_manifest
from lstm2d.predict.outcome import Options, Outcome

SCALE = (33550, 12, 3, (0.5, 0.5, 0.0), True)
TIE = (33922, 12, 6, (0.0, 0.0, 0.0, 500000.0, 5400000.0, 0.0), True)
KEYS = (34735, 3, 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True)
MEMORY = 1 << 40


@pytest.fixture(scope="module", params=["outdoor", "outdoor-renet"])
def predictor(request: pytest.FixtureRequest) -> Predictor:
    return load(request.param)


@pytest.fixture
def low_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make strips of one row of windows."""
    monkeypatch.setattr(streaming, "TALLEST", 5)


def smooth(rng: np.random.Generator, rows: int, columns: int, bands: int = 3) -> np.ndarray:
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize((columns, rows), Image.Resampling.BICUBIC))
    return np.ascontiguousarray(np.dstack([pixels, pixels])[:, :, :bands])


def label(predictor: Predictor, image: Path, out: Path, **options: Any) -> Outcome:
    options = {"format": "tiff", "size": "native", "stream": MEMORY} | options
    return label_files(predictor, plan([image], out, format="tiff"), out, options=Options(**options))


@pytest.mark.usefixtures("low_strips")
def test_equals_the_whole_image(predictor: Predictor, rng: np.random.Generator, tmp_path: Path) -> None:
    pixels = smooth(rng, 61, 47)
    tifffile.imwrite(tmp_path / "map.tif", pixels, photometric="rgb", extratags=[SCALE, TIE, KEYS])
    parts: list[float] = []
    out = tmp_path / "out"
    options = Options(format="tiff", size="native", stream=MEMORY, probabilities=True)
    tasks = plan([tmp_path / "map.tif"], out, format="tiff")
    outcome = label_files(predictor, tasks, out, options=options, progress=lambda o: parts.append(o.part))
    assert (outcome.done, outcome.failed, outcome.resized) == (1, [], 0)
    assert len(parts) > 20
    assert parts[:-1] == sorted(parts[:-1])
    labels, expected = predictor.labels_and_probabilities(pixels, "native")
    with np.load(out / "map.npz") as found:
        np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=1e-5)
        assert found["probabilities"].dtype == np.float32
        assert found["classes"].tolist() == [c.name for c in predictor.classes]
    best = np.sort(expected, axis=2)
    clear = best[:, :, -1] - best[:, :, -2] > 1e-4
    with tifffile.TiffFile(out / "map.tif") as tiff:
        page = tiff.pages.first
        assert tiff.is_bigtiff
        assert page.is_tiled
        assert [page.tags[tag[0]].value for tag in (SCALE, TIE, KEYS)] == [
            tag[3] for tag in (SCALE, TIE, KEYS)
        ]
        assert (page.asarray() == labels)[clear].all()
    (row,) = read_manifest(out / "predictions.csv")
    shares = [float(row[f"area {c.name}"]) for c in predictor.classes]
    assert shares == pytest.approx(
        (np.bincount(labels.ravel(), minlength=8) / labels.size).tolist(), abs=1e-3
    )
    assert sorted(path.name for path in out.iterdir()) == [
        "classes.json", "legend.png", "map.npz", "map.tif", "predictions.csv",
    ]  # fmt: skip


def test_a_geographic_program_reads_it(rng: np.random.Generator, tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    tifffile.imwrite(
        tmp_path / "map.tif", smooth(rng, 30, 20), photometric="rgb", extratags=[SCALE, TIE, KEYS]
    )
    label(load("outdoor"), tmp_path / "map.tif", tmp_path / "out")
    with rasterio.open(tmp_path / "map.tif") as before, rasterio.open(tmp_path / "out" / "map.tif") as after:
        assert after.transform == before.transform
        assert after.crs == before.crs
        assert after.count == 1


def test_other_formats_are_decoded_whole(rng: np.random.Generator, tmp_path: Path) -> None:
    pixels = smooth(rng, 23, 31)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    predictor = load("outdoor")
    label(predictor, tmp_path / "a.png", tmp_path / "out")
    found = tifffile.imread(tmp_path / "out" / "a.tif")
    np.testing.assert_array_equal(found, predictor.labels_of(pixels, "native"))


def test_skip_done(rng: np.random.Generator, tmp_path: Path) -> None:
    Image.fromarray(smooth(rng, 23, 31)).save(tmp_path / "a.png")
    predictor, out = load("outdoor"), tmp_path / "out"
    label(predictor, tmp_path / "a.png", out)
    assert label(predictor, tmp_path / "a.png", out, skip_done=True).skipped == 1
    again = label(predictor, tmp_path / "a.png", out, skip_done=True, stream=None)
    assert (again.skipped, again.redone) == (0, {"other settings (stream)": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "auto"}, "at their own size"),
        ({"size": 300.0}, "at their own size"),
        ({"overlay": True}, "draws no overlays"),
        ({"format": "gray"}, "writes tiled BigTIFF"),
    ],
)
def test_options_that_need_the_whole_image(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(ConfigError, match=message):
        label(load("outdoor"), tmp_path / "a.png", tmp_path / "out", **options)


@pytest.mark.parametrize(("name", "message"), [("outdoor-rcnn", "middles of patches")])
def test_models_that_need_the_whole_image(name: str, message: str, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(ConfigError, match=message):
        label(load(name, crf=False), tmp_path / "a.png", tmp_path / "out")


def test_a_crf_needs_the_whole_image(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(ConfigError, match="no CRF"):
        label(load("outdoor", crf="deeplab-voc"), tmp_path / "a.png", tmp_path / "out")


def test_too_little_memory(rng: np.random.Generator, tmp_path: Path) -> None:
    Image.fromarray(smooth(rng, 23, 31)).save(tmp_path / "a.png")
    outcome = label(load("outdoor"), tmp_path / "a.png", tmp_path / "out", stream=1 << 20)
    error = outcome.failed[0].error
    assert isinstance(error, ConfigError)
    assert "are too little for an image of 31 columns" in str(error)
    assert "raise `memory` to" in str(error)
    enough = int(str(error).rpartition("raise `memory` to ")[2].removesuffix("M")) << 20
    assert label(load("outdoor"), tmp_path / "a.png", tmp_path / "out", stream=enough + (50 << 20)).done == 1


@pytest.mark.usefixtures("low_strips")
def test_a_full_disk_leaves_nothing(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(smooth(rng, 61, 31)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    write, calls = scratch.ScratchRows.write, []

    def full(self: scratch.ScratchRows, first: int, values: np.ndarray) -> None:
        calls.append(first)
        if len(calls) > 60:
            raise OutputError(f"cannot write ({os.strerror(errno.ENOSPC)})", where=out)
        write(self, first, values)

    monkeypatch.setattr(scratch.ScratchRows, "write", full)
    with pytest.raises(OutputError, match="No space left"):
        label(load("outdoor"), tmp_path / "a.png", out, probabilities=True)
    assert sorted(path.name for path in out.iterdir()) == ["classes.json", "legend.png", "predictions.csv"]


@pytest.mark.usefixtures("low_strips")
def test_an_interrupt_leaves_nothing(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(smooth(rng, 61, 31)).save(tmp_path / "a.png")
    found = write_streamed.StripPredictor.strips_of

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        for number, strip in enumerate(found(self, *args, **kwargs)):
            if number == 2 and kwargs.get("progress"):
                raise KeyboardInterrupt
            yield strip

    monkeypatch.setattr(write_streamed.StripPredictor, "strips_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        label(load("outdoor"), tmp_path / "a.png", tmp_path / "out", probabilities=True)
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == ["classes.json", "legend.png", "predictions.csv"]


KINDS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 7},
    "one strip": {},
    "tiles": {"tile": (16, 32)},
    "deflate": {"compression": "zlib", "rowsperstrip": 5},
    "predictor": {"compression": "zlib", "predictor": True, "tile": (16, 16)},
    "planar": {"planarconfig": "separate", "compression": "zlib", "tile": (16, 16)},
    "big endian": {"byteorder": ">", "rowsperstrip": 4},
    "bigtiff": {"bigtiff": True, "tile": (32, 16)},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_rows_are_those_of_the_whole_photograph(
    kind: str, dtype: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    options = dict(KINDS[kind])
    pixels = rng.integers(0, 256 if dtype == "uint8" else 4000, (45, 37, 3)).astype(dtype)
    stored = np.moveaxis(pixels, 2, 0) if kind == "planar" else pixels
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(
        path, byteorder=options.pop("byteorder", "<"), bigtiff=options.pop("bigtiff", False)
    ) as w:
        w.write(stored, photometric="rgb", **options)
    expected = read_photo(path)
    with PhotoRows(path, Reading()) as photo:
        assert photo.size == expected.size
        assert photo.memory < expected.pixels.nbytes * 4
        found = np.concatenate([photo.rows(first, min(first + 8, 45)) for first in range(0, 45, 8)])
        np.testing.assert_array_equal(found, expected.pixels)
        assert found.dtype == expected.pixels.dtype
        np.testing.assert_array_equal(photo.rows(3, 5), expected.pixels[3:5])  # backward too
        assert tuple(photo.notes) == expected.notes


@pytest.mark.parametrize("bands", [1, 2, 4])
def test_gray_and_opacity(bands: int, rng: np.random.Generator, tmp_path: Path) -> None:
    pixels = rng.integers(0, 256, (45, 37, bands), dtype=np.uint8).squeeze()
    kind = "rgb" if bands == 4 else "minisblack"
    extra = {} if bands == 1 else {"extrasamples": ["unassalpha"], "planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=kind, rowsperstrip=6, **extra)
    expected = read_photo(tmp_path / "a.tif")
    with PhotoRows(tmp_path / "a.tif", Reading()) as photo:
        found = np.concatenate([photo.rows(first, first + 5) for first in range(0, 45, 5)])
        np.testing.assert_array_equal(found, expected.pixels)
        assert tuple(photo.notes) == expected.notes


def test_damaged_and_large_files(rng: np.random.Generator, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, rng.integers(0, 256, (45, 37, 3), dtype=np.uint8), photometric="rgb", rowsperstrip=9
    )
    with pytest.raises(DataError, match="too large"):
        PhotoRows(path, Reading(max_pixels=1000))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError), PhotoRows(path, Reading()) as photo:
        photo.rows(0, 45)
    Image.new("RGB", (300, 300)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match="as a whole") as caught:
        PhotoRows(tmp_path / "b.png", Reading(max_memory=1_000_000))
    assert "save it as a TIFF" in str(caught.value)


@pytest.mark.parametrize("size", [(1, 1), (TILE, TILE), (2 * TILE + 3, TILE + 1)])
def test_label_strips(size: tuple[int, int], rng: np.random.Generator, tmp_path: Path) -> None:
    labels = rng.integers(0, 9, size, dtype=np.uint8)
    strips = (labels[first : first + 50] for first in range(0, size[0], 50))
    write_label_strips(tmp_path / "a.tif", strips, size)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), labels)
