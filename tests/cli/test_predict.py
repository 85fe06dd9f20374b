"""`lstm2d predict` on the command line: files, JSON, messages, exit codes."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.io.photo import DEFAULT_MAX_PIXELS
from lstm2d.pipeline.preprocess import Size
from lstm2d.predict import Predictor
from lstm2d.predict.manifest import read_manifest


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, without classes.json and legend.png."""
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: found[name] for name in found.keys() - {"classes.json", "legend.png"}}


def expected_labels(path: Path) -> np.ndarray:
    return (np.array(Image.open(path))[:, :, 0] > 127).astype(np.uint8)


def test_a_folder(lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out")
    assert ran.code == 0
    assert ran.out == ""
    assert "3 images labelled" in ran.err
    assert set(files(tmp_path / "out")) == {"a.png", "b.png", "sub/c.png", "predictions.csv"}
    for name in ("a.png", "b.png", "sub/c.png"):
        np.testing.assert_array_equal(
            np.array(Image.open(tmp_path / "out" / name)), expected_labels(photos / name)
        )


def test_json(lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--json")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 1
    seconds = ran.json.pop("seconds")
    assert seconds > 0
    expected = {"images": 3, "failed": [], "skipped": 0, "redone": {}, "not_labelled": []}
    expected |= {"seconds": seconds, "out": str(tmp_path / "out")}
    assert ran.json | {"seconds": seconds} == expected


def test_quiet_says_nothing(lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_a_run_folder_is_a_model(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    shutil.copy(brightness_model, tmp_path / "run/model.safetensors")
    assert lstm2d("predict", tmp_path / "run", photos / "a.png", "-o", tmp_path / "out").code == 0
    assert (tmp_path / "out/a.png").is_file()


def test_overlay_and_probabilities(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert (
        lstm2d("predict", brightness_model, photos / "a.png", "-o", out, "--overlay", "--probabilities").code
        == 0
    )
    assert set(files(out)) == {"a.png", "a_overlay.png", "a.npz", "predictions.csv"}
    labels = expected_labels(photos / "a.png")
    with np.load(out / "a.npz", allow_pickle=False) as stored:
        assert stored["probabilities"].shape == (6, 9, 3)
        np.testing.assert_array_equal(stored["probabilities"].argmax(axis=2), labels)
        np.testing.assert_allclose(stored["probabilities"].sum(axis=2), 1, atol=1e-6)
    colors = np.array([[10, 20, 30], [200, 210, 220]])[labels]
    overlay = np.array(Image.open(out / "a_overlay.png"))
    assert np.abs(overlay - (np.array(Image.open(photos / "a.png")) + colors.astype(float)) / 2).max() <= 0.5


def test_a_broken_image_does_not_stop_the_others(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "b.png").write_bytes((photos / "a.png").read_bytes()[:80])
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--json")
    assert ran.code == 4
    assert len(ran.out.splitlines()) == 1
    assert ran.json["images"] == 2
    assert [f["image"] for f in ran.json["failed"]] == [str(photos / "b.png")]
    assert "cannot decode" in ran.json["failed"][0]["error"]
    assert "1 of 3 images could not be labelled" in ran.err
    assert str(photos / "b.png") in ran.err
    assert set(files(tmp_path / "out")) == {"a.png", "sub/c.png", "predictions.csv"}


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_an_error_of_the_program_leaves_its_traceback(
    lstm2d: Callable,
    brightness_model: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quiet: list[str],
) -> None:
    """It is shown immediately, once per place in the code, and the other images are labelled."""
    labels_of = Predictor.labels_of
    calls = iter(range(100))

    def fail_thrice(self: Predictor, pixels: np.ndarray, size: Size) -> np.ndarray:
        number = next(calls)
        if number in (1, 3):
            raise IndexError("of one place")
        if number == 2:
            raise KeyError("of another")
        return labels_of(self, pixels, size)

    for name in ("d.png", "e.png"):
        shutil.copy(photos / "a.png", photos / name)
    monkeypatch.setattr(Predictor, "labels_of", fail_thrice)
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--json", *quiet)
    assert (ran.code, ran.json["images"]) == (4, 2)
    assert [f["error"] for f in ran.json["failed"]] == [
        "unexpected IndexError: of one place",
        "unexpected KeyError: 'of another'",
        "unexpected IndexError: of one place",
    ]
    assert ran.err.count("Traceback (most recent call last)") == 2
    assert ran.err.count('raise IndexError("of one place")') == 1
    assert ran.err.count('raise KeyError("of another")') == 1
    assert f"Warning: {photos}/b.png: an error in the program, please report it\nTraceback" in ran.err
    assert f"{photos}/b.png: unexpected IndexError: of one place" in ran.err


def test_an_error_of_the_program_on_one_image(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Predictor, pixels: np.ndarray, size: Size) -> np.ndarray:
        raise IndexError("a bug")

    monkeypatch.setattr(Predictor, "labels_of", fail)
    command = ("predict", brightness_model, photos / "a.png", "-o", tmp_path / "out")
    short, long = lstm2d(*command), lstm2d(*command, "--traceback")
    assert (short.code, long.code) == (1, 1)
    assert "unexpected IndexError: a bug\n  do: run again with --traceback" in short.err
    assert "Traceback" not in short.err
    assert long.err.count('raise IndexError("a bug")') == 1


def test_on_error_stop(lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "b.png").write_bytes(b"")
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--on-error", "stop")
    assert ran.code == 3
    assert "the file is empty" in ran.err
    assert "b.png" in ran.err
    assert set(files(tmp_path / "out")) == {"a.png", "predictions.csv"}


def test_one_truncated_image(lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    Image.open(photos / "a.png").save(tmp_path / "cut.jpg")
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    ran = lstm2d("predict", brightness_model, tmp_path / "cut.jpg", "-o", tmp_path / "out", "--json")
    assert ran.code == 3
    assert ran.json["images"] == 0
    assert len(ran.json["failed"]) == 1
    assert ran.err.count("Error: ") == 1
    assert "Error: cannot decode the image" in ran.err
    assert "cut.jpg" in ran.err


def test_nothing_but_broken_images(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png", "sub/c.png"):
        (photos / name).write_bytes(b"x")
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out")
    assert ran.code == 3
    assert "3 of 3 images could not be labelled" in ran.err


def test_many_failures_are_not_all_listed(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    for k in range(30):
        (photos / f"x{k}.png").write_bytes(b"")
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out")
    assert ran.code == 4
    assert ran.err.count("the file is empty") == 20
    assert "and 10 more, see" in ran.err
    rows = read_manifest(tmp_path / "out/predictions.csv")
    assert sum(row["error"] == "the file is empty" for row in rows) == 30


@pytest.mark.parametrize("missing", ["nowhere", "nowhere/*.png", "nowhere.jpg"])
def test_a_missing_input(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path, missing: str
) -> None:
    ran = lstm2d("predict", brightness_model, photos, tmp_path / missing, "-o", tmp_path / "out")
    assert ran.code == 3
    assert missing in ran.err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_images(lstm2d: Callable, brightness_model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = lstm2d("predict", brightness_model, tmp_path / "empty", "-o", tmp_path / "out")
    assert ran.code == 3
    assert "no image found" in ran.err


def test_a_missing_model(lstm2d: Callable, photos: Path, tmp_path: Path) -> None:
    ran = lstm2d("predict", "nosuchmodel", photos, "-o", tmp_path / "out", "--json")
    assert ran.code == 3
    assert ran.json["error"]["what"] == "no such model"
    assert "nosuchmodel" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["cut", "flipped", "text", "empty"])
def test_a_corrupt_model(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path, kind: str
) -> None:
    whole = brightness_model.read_bytes()
    contents = {
        "cut": whole[:-10],
        "flipped": whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:],
        "text": b"this is no model, whatever its name says",
        "empty": b"",
    }[kind]
    (tmp_path / "bad.safetensors").write_bytes(contents)
    ran = lstm2d("predict", tmp_path / "bad.safetensors", photos, "-o", tmp_path / "out")
    assert ran.code == 3
    assert ran.err.count("Error: ") == 1
    assert "bad.safetensors" in ran.err
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("mine")
    for target in ("out", "out/deeper"):
        ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / target, "--json")
        assert ran.code == 5
        assert ran.json["error"]["kind"] == "OutputError"
        assert str(tmp_path / "out") in ran.err
    assert (tmp_path / "out").read_text() == "mine"


def test_the_output_folder_cannot_be_the_input_folder(
    lstm2d: Callable, brightness_model: Path, photos: Path
) -> None:
    before = files(photos)
    ran = lstm2d("predict", brightness_model, photos, "-o", photos)
    assert ran.code == 2
    assert "among the images" in ran.err
    assert files(photos) == before


def test_skip_done(lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    args = ("predict", brightness_model, photos, "-o", tmp_path / "out", "--skip-done", "--json")
    assert lstm2d(*args).json["images"] == 3
    before = (tmp_path / "out/a.png").stat().st_mtime_ns
    (tmp_path / "out/b.png").unlink()
    again = lstm2d(*args)
    assert again.code == 0
    assert (again.json["images"], again.json["skipped"]) == (1, 2)
    assert "2 were done already" in again.err
    assert (tmp_path / "out/a.png").stat().st_mtime_ns == before
    assert len(read_manifest(tmp_path / "out/predictions.csv")) == 3


def test_shards_together_are_the_whole(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    assert lstm2d("predict", brightness_model, photos, "-o", tmp_path / "whole").code == 0
    counts = []
    for part in ("1/4", "2/4", "3/4", "4/4"):
        ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--shard", part, "--json")
        assert ran.code == 0
        counts.append(ran.json["images"])
    assert counts == [1, 1, 1, 0]
    parts = {k: v for k, v in files(tmp_path / "out").items() if k.endswith(".png")}
    assert parts == {k: v for k, v in files(tmp_path / "whole").items() if k.endswith(".png")}
    rows = [
        row["labels"]
        for k in range(1, 5)
        for row in read_manifest(tmp_path / f"out/predictions-{k}-of-4.csv")
    ]
    assert sorted(rows) == ["a.png", "b.png", "sub/c.png"]


@pytest.mark.parametrize("part", ["0/2", "3/2", "1/0", "1", "a/b", "1/2/3", "-1/2", ""])
def test_a_wrong_shard(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path, part: str
) -> None:
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--shard", part)
    assert ran.code == 2
    assert "I/N" in ran.err


def test_max_pixels(lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (10, 10)).save(photos / "large.png")
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--max-pixels", 60)
    assert ran.code == 4
    assert "large.png" in ran.err
    assert "too large" in ran.err


def test_max_pixels_is_that_of_the_library() -> None:
    from lstm2d.cli.options import MAX_PIXELS

    assert MAX_PIXELS == DEFAULT_MAX_PIXELS


@pytest.mark.parametrize(
    ("device", "code"), [("auto", 0), ("cpu", 0), ("cuda:999", 2), ("cuda:x", 2), ("tpu", 2)]
)
def test_device(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path, device: str, code: int
) -> None:
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--device", device)
    assert ran.code == code
    assert ("--device" in ran.err) == (code == 2)


def test_threads_change_no_bit(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    import lstm2d as library

    before = library.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            out = tmp_path / f"out{threads}"
            args = ("predict", brightness_model, photos, "-o", out, "--probabilities", "--threads", threads)
            assert lstm2d(*args).code == 0
            assert library.get_num_threads() == threads
            results.append({k: v for k, v in files(out).items() if not k.endswith(".csv")})
        assert results[0] == results[1] == results[2]
    finally:
        library.set_num_threads(before)


def test_images_of_one_name(lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "b.png", tmp_path / "b.png")
    Image.open(photos / "a.png").save(photos / "a.bmp")
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out")
    assert ran.code == 0
    assert "2 images share names" in ran.err
    names = {k for k in files(tmp_path / "out") if k.startswith("a")}
    assert names == {"a.bmp.png", "a.png.png"}


def test_what_was_not_labelled_is_named(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "IMG_1.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--json", "--quiet")
    assert ran.code == 0
    assert f"Warning: 1 HEIC file was not labelled ({photos}/IMG_1.heic): save as JPEG or PNG" in ran.err
    entry = {
        "kind": "HEIC file",
        "files": 1,
        "first": f"{photos}/IMG_1.heic",
        "advice": "save as JPEG or PNG",
    }
    assert ran.json["not_labelled"] == [entry]
    ran = lstm2d("predict", brightness_model, photos / "IMG_1.heic", "-o", tmp_path / "out")
    assert ran.code == 3
    assert "save as JPEG or PNG" in ran.err


def test_a_picture_in_the_output_folder(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "b.png").write_bytes(b"mine")
    ran = lstm2d("predict", brightness_model, photos, "-o", mine)
    assert ran.code == 2
    assert str(mine / "b.png") in ran.err
    assert "--overwrite" in ran.err
    assert files(mine) == {"b.png": b"mine"}
    assert lstm2d("predict", brightness_model, photos, "-o", mine, "--overwrite").code == 0
    assert lstm2d("predict", brightness_model, photos, "-o", mine).code == 0


def test_an_album_into_a_part_of_it(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    before = files(photos)
    ran = lstm2d("predict", brightness_model, photos, "-o", photos / "sub")
    assert ran.code == 2
    assert str(photos / "sub/c.png") in ran.err
    assert files(photos) == before
    ran = lstm2d("predict", brightness_model, photos, "-o", photos / "sub", "--overwrite", "--json")
    assert ran.code == 0
    assert [entry["kind"] for entry in ran.json["not_labelled"]] == ["image in the output folder"]
    assert {name: data for name, data in files(photos).items() if name in before} == before


def test_a_damaged_record(lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("predict", brightness_model, photos, "-o", out, "--skip-done", "--json")
    assert lstm2d(*command).code == 0
    whole = (out / "predictions.csv").read_bytes()
    (out / "predictions.csv").write_bytes(whole[:-20])
    ran = lstm2d(*command)
    assert (ran.code, ran.json["images"], ran.json["skipped"]) == (0, 1, 2)
    assert "kept as predictions.csv.damaged" in ran.err
    assert (out / "predictions.csv.damaged").read_bytes() == whole[:-20]
    (out / "predictions.csv").write_bytes(bytes(range(256)) * 4)
    ran = lstm2d(*command)
    assert (ran.code, ran.json["images"]) == (0, 3)
    assert (out / "predictions.csv.damaged-2").read_bytes() == bytes(range(256)) * 4
    assert lstm2d(*command).json["skipped"] == 3


def test_a_quoted_name_with_brackets(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path
) -> None:
    photos.rename(tmp_path / "photos [2024]")
    ran = lstm2d("predict", brightness_model, tmp_path / "photos [2024]/*.png", "-o", tmp_path / "out")
    assert ran.code == 0
    assert set(files(tmp_path / "out")) == {"a.png", "b.png", "predictions.csv"}


def test_a_progress_line() -> None:
    from lstm2d.cli.predict import progress_line
    from lstm2d.predict.outcome import Failure, Outcome

    outcome = Outcome(total=50, done=9, skipped=10, failed=[Failure("x", ValueError())], seconds=5.0)
    assert progress_line(outcome) == "10/40 images  2.0 images/s  15 s left  1 failed"


@pytest.mark.slow
def test_an_interrupt_keeps_what_was_done(
    brightness_model: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    import signal
    import time

    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for k in range(400):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / f"{k:03d}.png")
    words = [sys.executable, "-m", "lstm2d.cli", "predict", brightness_model, folder, "-o", out]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        while not (out / "003.png").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith("Interrupted.\n")
    assert "Traceback" not in err
    results = files(out)
    assert 4 <= len(results) - 1 < 400
    assert not [name for name in results if not name.endswith((".png", ".csv"))]
    for name in results:
        if name.endswith(".png"):
            np.testing.assert_array_equal(np.array(Image.open(out / name)), expected_labels(folder / name))
    assert subprocess.run([*words, "--skip-done"], stderr=subprocess.DEVNULL).returncode == 0
    assert len(files(out)) == 401
    rows = read_manifest(out / "predictions.csv")
    assert sorted(row["labels"] for row in rows) == sorted(
        name for name in files(out) if name.endswith(".png")
    )
