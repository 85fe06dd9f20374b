"""Earlier results are compared by content: which images are labelled again, and why."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.io.classes import ClassInfo
from lstm2d.io.model_file import load_model, model_digest, save_model
from lstm2d.predict import Predictor, load
from lstm2d.predict.inputs import plan, shard
from lstm2d.predict.label_files import label_files
from lstm2d.predict.manifest import read_manifest
from lstm2d.predict.outcome import Options, Outcome
from lstm2d.predict.skip_done import CHANGED, MISSING, NO_DIGESTS, OTHER_IMAGE, OTHER_MODEL

NAMES = ("a.png", "b.png", "sub/c.png")


@pytest.fixture(scope="module")
def predictor(brightness_model: Path) -> Predictor:
    return load(brightness_model)


@pytest.fixture
def images(tmp_path: Path, rng: np.random.Generator) -> Path:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name in NAMES:
        save(folder / name, rng)
    return folder


def save(path: Path, rng: np.random.Generator) -> None:
    Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)).save(path)


def expected(path: Path) -> np.ndarray:
    return (np.array(Image.open(path))[:, :, 0] > 127).astype(np.uint8)


def test_another_photograph_of_the_same_size_and_time(
    predictor: Predictor, tmp_path: Path, rng: np.random.Generator
) -> None:
    """As after `cp -p`: only the change time (ctime) differs."""
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in (0, 1):
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "a.bmp")  # uncompressed
        os.utime(folder / "a.bmp", ns=(1, 1))
        assert run(predictor, folder, tmp_path / "out").done == 1
        np.testing.assert_array_equal(np.array(Image.open(tmp_path / "out/a.png")), pixels[:, :, 0] > 127)


def run(predictor: Predictor, images: Path, out: Path, **options: bool) -> Outcome:
    chosen = Options(skip_done=True, **options)
    return label_files(predictor, plan([images], out), out, options=chosen)


def inverted(path: Path, brightness_model: Path, *names: str) -> Predictor:
    """Return a model whose labels are opposite to the brightness model's, with other class names."""
    model = load_model(brightness_model)
    state = {**model.state, "feedforward.0.weight": -model.state["feedforward.0.weight"]}
    classes = tuple(ClassInfo(name, (k, k, k)) for k, name in enumerate(names or ("dark", "bright", "never")))
    save_model(path, replace(model, state=state, classes=classes))
    return load(path)


def test_all_is_done_the_second_time(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    assert run(predictor, images, tmp_path / "out").done == 3
    before = (tmp_path / "out/predictions.csv").read_bytes()
    outcome = run(predictor, images, tmp_path / "out")
    assert (outcome.done, outcome.skipped, outcome.redone) == (0, 3, {})
    assert (tmp_path / "out/predictions.csv").read_bytes() == before


def test_another_model(predictor: Predictor, brightness_model: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(predictor, images, out)
    other = inverted(tmp_path / "other.safetensors", brightness_model, "p", "q", "r")
    lines: list[str] = []
    outcome = label_files(
        other, plan([images / "sub"], out / "sub"), out, options=Options(skip_done=True), remark=lines.append
    )
    assert outcome.done == 1  # "c.png" in "out" is not "sub/c.png": a new image
    outcome = label_files(
        other,
        plan([images], out)[:2],
        out,
        options=Options(skip_done=True),
        remark=lines.append,
    )
    assert (outcome.done, outcome.skipped, outcome.redone) == (2, 0, {OTHER_MODEL: 2})
    assert lines == ["images labelled again: another model (2)"]
    np.testing.assert_array_equal(np.array(Image.open(out / "a.png")), 1 - expected(images / "a.png"))
    rows = {row["labels"]: row for row in read_manifest(out / "predictions.csv")}
    bright = expected(images / "sub/c.png").mean()
    assert rows["sub/c.png"]["area bright"] == f"{bright:.6f}"  # the first model's row stays
    assert rows["sub/c.png"]["area q"] == ""
    assert rows["a.png"]["area bright"] == ""
    assert float(rows["a.png"]["area p"]) == pytest.approx(expected(images / "a.png").mean(), abs=1e-6)


def test_a_model_is_known_by_what_it_is(predictor: Predictor, brightness_model: Path, tmp_path: Path) -> None:
    shutil.copy(brightness_model, tmp_path / "copy.safetensors")
    digest = model_digest(predictor.model)
    assert len(digest) == 64
    assert model_digest(load(tmp_path / "copy.safetensors").model) == digest
    other = inverted(tmp_path / "other.safetensors", brightness_model)
    assert model_digest(other.model) != digest
    for changed in (replace(other.model, ignore=254), replace(other.model, classes=other.classes[::-1])):
        assert model_digest(changed) != model_digest(other.model)
    assert model_digest(replace(other.model)) == model_digest(other.model)


@pytest.mark.parametrize("keep_time", [False, True])
def test_another_photograph(
    predictor: Predictor, images: Path, tmp_path: Path, rng: np.random.Generator, keep_time: bool
) -> None:
    run(predictor, images, tmp_path / "out")
    before = (images / "a.png").stat()
    save(images / "a.png", rng)
    if keep_time:
        os.utime(images / "a.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    outcome = run(predictor, images, tmp_path / "out")
    assert (outcome.done, outcome.redone) == (1, {OTHER_IMAGE: 1})
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "out/a.png")), expected(images / "a.png"))


def test_a_photograph_that_was_only_touched_or_moved(
    predictor: Predictor, images: Path, tmp_path: Path
) -> None:
    run(predictor, images, tmp_path / "out")
    os.utime(images / "a.png", (1, 1))
    shutil.copytree(images, tmp_path / "moved")
    outcome = run(predictor, tmp_path / "moved", tmp_path / "out")
    assert (outcome.done, outcome.skipped) == (0, 3)
    rows = read_manifest(tmp_path / "out/predictions.csv")
    assert [row["image"] for row in rows] == [str(tmp_path / "moved" / name) for name in NAMES]
    size, mtime, ctime = rows[0]["image file"].split()[1:]
    status = (tmp_path / "moved/a.png").stat()
    assert (int(size), int(mtime), int(ctime)) == (status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@pytest.mark.parametrize("damage", ["emptied", "cut", "flipped", "replaced", "deleted", "a folder"])
def test_damaged_label_files(predictor: Predictor, images: Path, tmp_path: Path, damage: str) -> None:
    out = tmp_path / "out"
    run(predictor, images, out)
    whole = (out / "a.png").read_bytes()
    contents = {"emptied": b"", "cut": whole[:-5], "flipped": whole[:60] + b"\xff" + whole[61:]}
    (out / "a.png").unlink()
    if damage in contents:
        (out / "a.png").write_bytes(contents[damage])
    elif damage == "replaced":
        shutil.copy(out / "b.png", out / "a.png")
    elif damage == "a folder":
        (out / "a.png").mkdir()
        (out / "a.png").rmdir()
    outcome = run(predictor, images, out)
    reason = CHANGED if damage in (*contents, "replaced") else MISSING
    assert (outcome.done, outcome.skipped, outcome.redone) == (1, 2, {reason: 1})
    assert (out / "a.png").read_bytes() == whole


@pytest.mark.parametrize(("kind", "name"), [("overlay", "a_overlay.png"), ("probabilities", "a.npz")])
def test_results_besides_labels(
    predictor: Predictor, images: Path, tmp_path: Path, kind: str, name: str
) -> None:
    out = tmp_path / "out"
    run(predictor, images, out)
    assert run(predictor, images, out, **{kind: True}).redone == {f"{kind} missing or changed": 3}
    assert run(predictor, images, out, **{kind: True}).skipped == 3
    (out / name).write_bytes(b"")
    assert run(predictor, images, out).skipped == 3  # not asked for
    assert run(predictor, images, out, **{kind: True}).done == 1


def test_results_of_an_earlier_labelling_are_not_taken_for_this_ones(
    predictor: Predictor, brightness_model: Path, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(predictor, images, out, overlay=True)
    other = inverted(tmp_path / "other.safetensors", brightness_model)
    run(other, images, out)
    rows = read_manifest(out / "predictions.csv")
    assert [row["overlay file"] for row in rows] == ["earlier"] * 3
    assert run(other, images, out, overlay=True).done == 3  # and not refused as somebody else's
    assert run(other, images, out, overlay=True).skipped == 3


def test_an_image_that_failed_is_tried_again(
    predictor: Predictor, images: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    (images / "b.png").write_bytes(b"broken")
    assert len(run(predictor, images, tmp_path / "out").failed) == 1
    save(images / "b.png", rng)
    outcome = run(predictor, images, tmp_path / "out")
    assert (outcome.done, outcome.skipped, outcome.redone) == (1, 2, {})


def test_shards_count(predictor: Predictor, brightness_model: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tasks = plan([images], out)
    for k in (1, 2):
        label_files(predictor, shard(tasks, k, 2), out, manifest=f"predictions-{k}-of-2.csv")
    assert run(predictor, images, out).skipped == 3
    other = inverted(tmp_path / "other.safetensors", brightness_model)
    assert run(other, images, out).redone == {OTHER_MODEL: 3}
    # the shards' rows are older than the labels now, and the first model's
    assert run(predictor, images, out).redone == {OTHER_MODEL: 3}
    assert run(predictor, images, out).skipped == 3


def test_results_of_the_version_before(predictor: Predictor, images: Path, tmp_path: Path) -> None:
    """Its record has neither digests nor, in the oldest form, the column of the CRF."""
    out = tmp_path / "out"
    run(predictor, images, out, overlay=True)
    header = "image,labels,seconds,error,area dark,area bright,area never"
    lines = [f"{images / name},{name},0.1,,0.500000,0.500000,0.000000" for name in NAMES]
    (out / "predictions.csv").write_text("\n".join([header, *lines, ""]))
    first = label_files(predictor, plan([images / "a.png"], out), out, options=Options(skip_done=True))
    assert first.redone == {NO_DIGESTS: 1}
    rows = read_manifest(out / "predictions.csv")
    assert [row["labels"] for row in rows] == ["b.png", "sub/c.png", "a.png"]
    assert rows[0]["area bright"] == "0.500000"
    assert run(predictor, images, out, overlay=True).done == 3
    assert run(predictor, images, out, overlay=True).skipped == 3
