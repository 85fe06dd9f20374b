"""Labelling many files: results, records and failures."""

import gc
import io
import os
import subprocess
import sys
import traceback
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.errors import DataError, OutputError
from lstm2d.pipeline.preprocess import Size
from lstm2d.predict import Predictor, load
from lstm2d.predict.inputs import plan, shard
from lstm2d.predict.label_files import label_files
from lstm2d.predict.manifest import Manifest, read_manifest
from lstm2d.predict.manifest_file import MARKS
from lstm2d.predict.outcome import Options, Outcome


@pytest.fixture(scope="module")
def predictor(brightness_model: Path) -> Predictor:
    return load(brightness_model)


@pytest.fixture
def images(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a folder of five images, two of them in a sub-folder."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png", "sub/a.png", "sub/d.png"):
        save(folder / name, rng)
    return folder


def save(path: Path, rng: np.random.Generator, height: int = 6, width: int = 9) -> None:
    Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)


def expected_labels(path: Path) -> np.ndarray:
    return (np.array(Image.open(path))[:, :, 0] > 127).astype(np.uint8)


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, without classes.json and legend.png."""
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: found[name] for name in found.keys() - {"classes.json", "legend.png"}}


def run(predictor: Predictor, images: Path, out: Path, options: Options | None = None) -> Outcome:
    return label_files(predictor, plan([images], out), out, options=options)


def test_label_images_hold_numbers_and_colours(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    outcome = run(predictor, images, tmp_path / "out")
    assert (outcome.total, outcome.done, outcome.skipped, outcome.failed) == (5, 5, 0, [])
    names = {"a.png", "b.png", "c.png", "sub/a.png", "sub/d.png"}
    assert set(files(tmp_path / "out")) == names | {"predictions.csv"}
    for name in names:
        image = Image.open(tmp_path / "out" / name)
        assert image.mode == "P"
        labels = expected_labels(images / name)
        np.testing.assert_array_equal(np.array(image), labels)
        colors = np.array([[10, 20, 30], [200, 210, 220]])
        np.testing.assert_array_equal(np.array(image.convert("RGB")), colors[labels])


def test_the_inputs_stay_as_they_were(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    before = files(images)
    run(predictor, images, tmp_path / "out", Options(overlay=True, probabilities=True))
    assert files(images) == before


def test_overlay_is_half_photograph_half_colour(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    run(predictor, images, tmp_path / "out", Options(overlay=True))
    photo = np.array(Image.open(images / "sub/d.png")).astype(float)
    colors = np.array([[10, 20, 30], [200, 210, 220]])[expected_labels(images / "sub/d.png")]
    found = np.array(Image.open(tmp_path / "out/sub/d_overlay.png"))
    assert np.abs(found - (photo + colors) / 2).max() <= 0.5


def test_probabilities_are_those_of_the_predictor(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    run(predictor, images, tmp_path / "out", Options(probabilities=True))
    with np.load(tmp_path / "out/b.npz", allow_pickle=False) as stored:
        assert stored["classes"].tolist() == ["dark", "bright", "never"]
        found = stored["probabilities"]
    assert found.dtype == np.float32
    expected = predictor.predict_proba(images / "b.png")
    assert found.tobytes() == expected.tobytes()
    np.testing.assert_array_equal(found.argmax(axis=2), expected_labels(images / "b.png"))


def test_manifest_has_areas_and_seconds(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    run(predictor, images, tmp_path / "out")
    rows = read_manifest(tmp_path / "out/predictions.csv")
    assert list(rows[0])[:5] == ["image", "labels", "seconds", "error", "crf"]
    assert list(rows[0])[5:8] == ["area dark", "area bright", "area never"]
    assert list(rows[0])[8:] == list(MARKS)
    assert [row["labels"] for row in rows] == ["a.png", "b.png", "c.png", "sub/a.png", "sub/d.png"]
    for row in rows:
        assert row["image"] == str(images / row["labels"])
        assert row["error"] == ""
        assert 0 < float(row["seconds"]) < 60
        bright = expected_labels(images / row["labels"]).mean()
        assert [float(row[f"area {n}"]) for n in ("dark", "bright", "never")] == pytest.approx(
            [1 - bright, bright, 0], abs=1e-6
        )


def test_progress_counts_up(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    (images / "b.png").write_bytes(b"no image")
    seen: list[tuple[int, int]] = []
    label_files(
        predictor,
        plan([images], tmp_path / "out"),
        tmp_path / "out",
        progress=lambda o: seen.append((o.done, len(o.failed))),
    )
    assert seen == [(1, 0), (1, 1), (2, 1), (3, 1), (4, 1)]


def test_a_broken_image_among_a_hundred(
    predictor: Predictor, tmp_path: Path, rng: np.random.Generator
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(100):
        save(folder / f"{k:02d}.png", rng, 3, 4)
    whole = (folder / "41.png").read_bytes()
    (folder / "41.png").write_bytes(whole[: len(whole) // 2])
    outcome = run(predictor, folder, tmp_path / "out")
    assert outcome.done == 99
    assert [f.image for f in outcome.failed] == [str(folder / "41.png")]
    assert isinstance(outcome.failed[0].error, DataError)
    results = files(tmp_path / "out")
    assert len(results) == 100  # 99 label images and the manifest
    assert "41.png" not in results
    rows = read_manifest(tmp_path / "out/predictions.csv")
    assert [row["labels"] for row in rows if row["error"]] == ["41.png"]
    assert rows[41]["area dark"] == ""
    for k in (0, 40, 42, 99):
        labels = np.array(Image.open(tmp_path / f"out/{k:02d}.png"))
        np.testing.assert_array_equal(labels, expected_labels(folder / f"{k:02d}.png"))


def test_every_kind_of_bad_file_is_one_failure(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    (images / "empty.png").write_bytes(b"")
    (images / "text.png").write_text("hello")
    (images / "gone.png").symlink_to("nowhere")
    (images / "self.png").symlink_to("self.png")
    os.mkfifo(images / "pipe.png")
    long = "x" * 247 + ".jpg"
    (images / long).write_bytes((images / "a.png").read_bytes())
    longest = "y" * 251 + ".png"
    (images / longest).write_bytes((images / "a.png").read_bytes())
    outcome = run(predictor, images, tmp_path / "out", Options(overlay=True))
    failed = {Path(f.image).name for f in outcome.failed}
    assert failed == {"empty.png", "text.png", "gone.png", "self.png", "pipe.png", long, longest}
    assert all(isinstance(f.error, DataError) for f in outcome.failed)
    assert outcome.done == 5


def test_an_unforeseen_error_costs_one_image(
    predictor: Predictor, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels_of = Predictor.labels_of
    calls = iter(range(100))

    def fail_once(self: Predictor, pixels: np.ndarray, size: Size) -> np.ndarray:
        if next(calls) == 2:
            raise RuntimeError("of this\nimage")
        return labels_of(self, pixels, size)

    monkeypatch.setattr(Predictor, "labels_of", fail_once)
    outcome = run(predictor, images, tmp_path / "out")
    assert (outcome.done, len(outcome.failed)) == (4, 1)
    rows = read_manifest(tmp_path / "out/predictions.csv")
    assert rows[2]["error"] == "unexpected RuntimeError: of this image"


def test_a_failure_keeps_no_arrays(
    predictor: Predictor, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[np.ndarray]] = []

    def fail(self: Predictor, pixels: np.ndarray, size: Size) -> np.ndarray:
        copy = pixels.copy()
        held.append(weakref.ref(copy))
        try:
            raise ValueError("first")
        except ValueError as error:
            raise RuntimeError("second") from error

    monkeypatch.setattr(Predictor, "labels_of", fail)
    outcome = run(predictor, images, tmp_path / "out")
    assert len(outcome.failed) == len(held) == 5
    assert all(failure.unexpected for failure in outcome.failed)
    text = "".join(traceback.format_exception(outcome.failed[0].error))
    assert text.count('raise ValueError("first")') == text.count('raise RuntimeError("second")') == 1
    gc.collect()
    assert [reference() for reference in held] == [None] * 5


def test_stop_on_error_keeps_what_was_done(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    (images / "c.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"c\.png"):
        run(predictor, images, tmp_path / "out", Options(stop_on_error=True))
    assert set(files(tmp_path / "out")) == {"a.png", "b.png", "predictions.csv"}
    rows = read_manifest(tmp_path / "out/predictions.csv")
    assert [(row["labels"], bool(row["error"])) for row in rows] == [
        ("a.png", False),
        ("b.png", False),
        ("c.png", True),
    ]


def test_skip_done_makes_only_what_is_missing(
    predictor: Predictor, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = run(predictor, images, out)
    kept = files(out)
    (out / "b.png").unlink()
    read: list[str] = []
    monkeypatch.setattr(
        Predictor,
        "labels_of",
        lambda self, image, size, real=Predictor.labels_of: read.append("image") or real(self, image, size),
    )
    outcome = run(predictor, images, out, Options(skip_done=True))
    assert (outcome.total, outcome.skipped, outcome.done) == (first.total, 4, 1)
    assert read == ["image"]
    after = files(out)
    assert {k: v for k, v in after.items() if k.endswith(".png")} == {
        k: v for k, v in kept.items() if k.endswith(".png")
    }
    labels = [row["labels"] for row in read_manifest(out / "predictions.csv")]
    assert labels == ["a.png", "c.png", "sub/a.png", "sub/d.png", "b.png"]


def test_skip_done_asks_for_all_results(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    run(predictor, images, tmp_path / "out")
    wanted = Options(skip_done=True, overlay=True, probabilities=True)
    assert run(predictor, images, tmp_path / "out", wanted).done == 5
    assert run(predictor, images, tmp_path / "out", wanted).skipped == 5
    (tmp_path / "out/a.npz").unlink()
    assert run(predictor, images, tmp_path / "out", wanted).done == 1


def test_without_skip_done_all_is_made_anew(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    run(predictor, images, tmp_path / "out")
    (tmp_path / "out/a.png").write_bytes(b"old")
    assert run(predictor, images, tmp_path / "out").done == 5
    np.testing.assert_array_equal(
        np.array(Image.open(tmp_path / "out/a.png")), expected_labels(images / "a.png")
    )
    assert len(read_manifest(tmp_path / "out/predictions.csv")) == 5


def test_manifest_survives_a_crash_in_the_middle_of_a_row(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    manifest = Manifest(path, ["x"])
    manifest.add("a.jpg", "a.png", seconds=1, areas=[1.0])
    manifest.add("b.jpg", "b.png", seconds=1, areas=[1.0])
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    again = Manifest(path, ["x"])
    again.add("b.jpg", "b.png", seconds=1, areas=[1.0])
    assert path.read_bytes() == whole


def test_manifest_keeps_the_rows_of_other_models(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    Manifest(path, ["x", "both"]).add("a", "a.png", seconds=1, areas=[0.75, 0.25])
    with Manifest(path, ["both", "y"]) as manifest:
        manifest.add("b", "b.png", seconds=1, areas=[0.5, 0.5])
    rows = read_manifest(path)
    assert list(rows[0])[5:8] == ["area x", "area both", "area y"]
    areas = [[row["labels"], row["area x"], row["area both"], row["area y"]] for row in rows]
    assert areas == [["a.png", "0.750000", "0.250000", ""], ["b.png", "", "0.500000", "0.500000"]]
    with Manifest(path, ["both", "y"]) as manifest:  # the last row of the first model goes, and its column
        manifest.add("a", "a.png", seconds=1, areas=[0.0, 1.0])
    assert [name for name in read_manifest(path)[0] if name.startswith("area")] == ["area both", "area y"]
    assert [row["labels"] for row in read_manifest(path)] == ["b.png", "a.png"]


def test_names_in_the_manifest_are_no_formulas_and_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    manifest = Manifest(path, ["=1+1", "a,b"])
    odd = ["=cmd()|x.png", "two\nlines.png", 'quo"te,comma.png', os.fsdecode(b"caf\xe9.png"), "one\rline.png"]
    for name in odd:
        manifest.add(name, name, seconds=0.5, areas=[0.25, 0.75])
    with Manifest(path, ["=1+1", "a,b"]) as again:
        assert [row["labels"] for row in read_manifest(again.path)] == ["'" + odd[0], *odd[1:]]
        again.add(odd[0], odd[0], seconds=0.5, areas=[0.25, 0.75])
    rows = read_manifest(path)
    assert [row["labels"] for row in rows] == [*odd[1:], "'" + odd[0]]
    assert rows[-1]["image"] == "'=cmd()|x.png"
    assert rows[-1]["area =1+1"] == "0.250000"
    assert b"caf\xe9" in path.read_bytes()


def test_output_that_is_a_file(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="out"):
        run(predictor, images, tmp_path / "out")
    with pytest.raises(OutputError, match="out"):
        run(predictor, images, tmp_path / "out/deeper")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_folder_in_the_way_of_a_result(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    (tmp_path / "out/b.png").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"b\.png"):
        run(predictor, images, tmp_path / "out")
    assert (tmp_path / "out/a.png").is_file()
    assert [row["labels"] for row in read_manifest(tmp_path / "out/predictions.csv")] == ["a.png"]


FULL_DISK = """
import resource, sys
from lstm2d.pipeline.preprocess import Size
from lstm2d.predict import load
from lstm2d.predict.label_files import label_files
from lstm2d.predict.inputs import plan, shard
from lstm2d.errors import OutputError
predictor = load(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    label_files(predictor, plan([sys.argv[2]], sys.argv[3]), sys.argv[3])
except OutputError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_a_full_disk_stops_and_keeps_what_is_there(
    brightness_model: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    save(folder / "a.png", rng)
    save(folder / "b.png", rng, 300, 300)  # its labels take more than 5000 bytes
    save(folder / "c.png", rng)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, brightness_model, folder, out], capture_output=True, text=True
    )
    assert done.returncode == 5, done.stderr
    assert "b.png" in done.stdout
    assert set(files(out)) == {"a.png", "predictions.csv"}  # no temporary file either
    np.testing.assert_array_equal(np.array(Image.open(out / "a.png")), expected_labels(folder / "a.png"))


def test_sixteen_bit_images_keep_their_depth(
    predictor: Predictor, tmp_path: Path, rng: np.random.Generator
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    gray = rng.integers(0, 65536, (7, 8), dtype=np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, format="PNG")
    (folder / "a.png").write_bytes(buffer.getvalue())
    run(predictor, folder, tmp_path / "out")
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "out/a.png")), gray / 257 > 127.5)


def test_skip_done_completes_the_manifest(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tasks = plan([images], out)
    for index in (1, 2):
        label_files(predictor, shard(tasks, index, 2), out, manifest=f"predictions-{index}-of-2.csv")
    (out / "c.png").write_bytes(b"cut off by somebody")
    outcome = run(predictor, images, out, Options(skip_done=True))
    assert (outcome.done, outcome.skipped) == (1, 4)
    rows = {row["labels"]: row for row in read_manifest(out / "predictions.csv")}
    assert sorted(rows) == ["a.png", "b.png", "c.png", "sub/a.png", "sub/d.png"]
    for name, row in rows.items():
        assert row["image"] == str(images / name)
        assert float(row["area bright"]) == pytest.approx(expected_labels(images / name).mean(), abs=1e-6)
    np.testing.assert_array_equal(np.array(Image.open(out / "c.png")), expected_labels(images / "c.png"))
