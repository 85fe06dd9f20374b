"""Only results are replaced, and never an input image, not even through links."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lstm2d.errors import ConfigError, DataError, OutputError
from lstm2d.predict import Predictor, load
from lstm2d.predict.inputs import plan
from lstm2d.predict.label_files import label_files
from lstm2d.predict.left_out import LeftOut
from lstm2d.predict.manifest import read_manifest
from lstm2d.predict.outcome import Options, Outcome
from lstm2d.predict.overwriting import refuse_images_in_output

PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3) * 4


@pytest.fixture(scope="module")
def predictor(brightness_model: Path) -> Predictor:
    return load(brightness_model)


def save(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS).save(path)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, without classes.json and legend.png."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: found[name] for name in found.keys() - {"classes.json", "legend.png"}}


def run(predictor: Predictor, source: object, out: Path, **options: bool) -> Outcome:
    return label_files(predictor, plan([source], out), out, options=Options(**options))


def test_a_folder_of_links_to_the_output_folder(predictor: Predictor, tmp_path: Path) -> None:
    save(tmp_path / "photos/a.png", tmp_path / "photos/sub/b.png")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/a.png").symlink_to("../photos/a.png")
    (tmp_path / "links/sub").symlink_to("../photos/sub")
    before = contents(tmp_path)
    for options in ({}, {"overwrite": True}):
        with pytest.raises(ConfigError, match="among the images"):
            run(predictor, tmp_path / "links", tmp_path / "photos", **options)
        with pytest.raises(ConfigError, match="among the images"):
            run(predictor, tmp_path / "links/a.png", tmp_path / "photos", **options)
    assert contents(tmp_path) == before


def test_a_linked_sub_folder_of_the_output_folder(predictor: Predictor, tmp_path: Path) -> None:
    save(tmp_path / "photos/a.png", tmp_path / "photos/sub/b.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").symlink_to("../photos/sub")
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match="among the images"):
        run(predictor, tmp_path / "photos", tmp_path / "out", overwrite=True)
    assert contents(tmp_path) == before


def test_two_results_in_one_linked_folder(predictor: Predictor, tmp_path: Path) -> None:
    save(tmp_path / "photos/x/a.png", tmp_path / "photos/y/a.png")
    (tmp_path / "out/x").mkdir(parents=True)
    (tmp_path / "out/y").symlink_to("x")
    with pytest.raises(ConfigError, match="one file through a link"):
        run(predictor, tmp_path / "photos", tmp_path / "out")


def test_a_hard_link_of_an_image(predictor: Predictor, tmp_path: Path) -> None:
    save(tmp_path / "photos/a.png")
    (tmp_path / "out").mkdir()
    os.link(tmp_path / "photos/a.png", tmp_path / "out/a.png")
    with pytest.raises(ConfigError, match="both are the same file"):
        run(predictor, tmp_path / "photos", tmp_path / "out", overwrite=True)


def test_a_picture_of_the_user(predictor: Predictor, tmp_path: Path) -> None:
    save(tmp_path / "photos/rocket.jpg", tmp_path / "photos/other.jpg", tmp_path / "mine/rocket.png")
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match=r"mine/rocket\.png") as caught:
        run(predictor, tmp_path / "photos", tmp_path / "mine")
    assert "`overwrite=True`" in str(caught.value.hint)
    assert contents(tmp_path) == before
    assert run(predictor, tmp_path / "photos/other.jpg", tmp_path / "mine").done == 1  # it is not in the way
    assert run(predictor, tmp_path / "photos", tmp_path / "mine", overwrite=True).done == 2
    assert run(predictor, tmp_path / "photos", tmp_path / "mine").done == 2  # from now on a result


@pytest.mark.parametrize(("name", "option"), [("a_overlay.png", "overlay"), ("a.npz", "probabilities")])
def test_files_named_as_other_results(predictor: Predictor, tmp_path: Path, name: str, option: str) -> None:
    save(tmp_path / "photos/a.png")
    out = tmp_path / "out"
    assert run(predictor, tmp_path / "photos", out).done == 1
    (out / name).write_bytes(b"mine")
    assert run(predictor, tmp_path / "photos", out).done == 1
    with pytest.raises(ConfigError, match=name):
        run(predictor, tmp_path / "photos", out, **{option: True})
    assert (out / name).read_bytes() == b"mine"
    (out / name).unlink()
    run(predictor, tmp_path / "photos", out, **{option: True})
    run(predictor, tmp_path / "photos", out)
    assert run(predictor, tmp_path / "photos", out, **{option: True}).done == 1


def test_a_link_in_place_of_a_result(predictor: Predictor, tmp_path: Path) -> None:
    save(tmp_path / "photos/a.png", tmp_path / "elsewhere/mine.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.png").symlink_to("../elsewhere/mine.png")
    with pytest.raises(ConfigError, match="not a result"):
        run(predictor, tmp_path / "photos", tmp_path / "out")
    mine = (tmp_path / "elsewhere/mine.png").read_bytes()
    assert run(predictor, tmp_path / "photos", tmp_path / "out", overwrite=True).done == 1
    assert (tmp_path / "elsewhere/mine.png").read_bytes() == mine


def test_an_output_folder_among_the_images(tmp_path: Path) -> None:
    save(tmp_path / "album/a.png", tmp_path / "album/2024/b.png")
    left_out = LeftOut()
    plan([tmp_path / "album"], tmp_path / "album/2024", left_out=left_out)
    with pytest.raises(ConfigError, match=r"2024/b\.png"):
        refuse_images_in_output(left_out)
    assert "1 image in the output folder was not labelled" in left_out.lines()[0]


def test_results_in_an_output_folder_among_the_images(predictor: Predictor, tmp_path: Path) -> None:
    save(tmp_path / "album/a.png", tmp_path / "album/sub/b.png")
    for _ in range(2):
        left_out = LeftOut()
        tasks = plan([tmp_path / "album"], tmp_path / "album/out", left_out=left_out)
        refuse_images_in_output(left_out)
        done = label_files(predictor, tasks, tmp_path / "album/out", options=Options(overlay=True)).done
        assert done == 2


def test_folders_of_results_in_one_another(predictor: Predictor, tmp_path: Path) -> None:
    """A part may be labelled alone, into its part of the results, and the whole after the part."""
    save(tmp_path / "photos/sub/a.png", tmp_path / "photos/b.png")
    run(predictor, tmp_path / "photos", tmp_path / "out")
    assert run(predictor, tmp_path / "photos/sub", tmp_path / "out/sub").done == 1
    (tmp_path / "out/predictions.csv").unlink()
    (tmp_path / "out/b.png").unlink()
    assert run(predictor, tmp_path / "photos", tmp_path / "out").done == 2


def test_results_stay_ours_when_a_later_run_fails_half_way(predictor: Predictor, tmp_path: Path) -> None:
    save(*(tmp_path / f"photos/{name}.png" for name in "abc"))
    run(predictor, tmp_path / "photos", tmp_path / "out")

    def stop(outcome: Outcome) -> None:
        raise KeyboardInterrupt

    tasks = plan([tmp_path / "photos"], tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        label_files(predictor, tasks, tmp_path / "out", progress=stop)
    (tmp_path / "photos/b.png").write_bytes(b"broken")
    outcome = run(predictor, tmp_path / "photos", tmp_path / "out")
    assert (outcome.done, len(outcome.failed)) == (2, 1)
    save(tmp_path / "photos/b.png")
    assert run(predictor, tmp_path / "photos", tmp_path / "out").done == 3
    assert sorted(contents(tmp_path / "out")) == ["a.png", "b.png", "c.png", "predictions.csv"]


@pytest.mark.parametrize("wanted", ["labels", "overlay"])
def test_an_interrupt_between_a_result_and_its_record(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    from lstm2d.predict import label_files as module

    save(tmp_path / "photos/a.png", tmp_path / "photos/b.png")
    name = {"labels": "label_files._crf", "overlay": "label_image.encode_labels"}[wanted]

    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"lstm2d.predict.{name}", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(predictor, tmp_path / "photos", tmp_path / "out", overlay=True)
    assert (tmp_path / "out/a_overlay.png").is_file()
    assert [row["error"] for row in read_manifest(tmp_path / "out/predictions.csv")] == [module.UNFINISHED]
    outcome = run(predictor, tmp_path / "photos", tmp_path / "out", overlay=True, skip_done=True)
    assert (outcome.done, outcome.skipped) == (2, 0)


def test_an_error_between_two_results(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("of this image")

    save(tmp_path / "photos/a.png")
    with monkeypatch.context() as patch:
        patch.setattr("lstm2d.predict.label_image.encode_labels", fail)
        assert len(run(predictor, tmp_path / "photos", tmp_path / "out", overlay=True).failed) == 1
    assert sorted(contents(tmp_path / "out")) == ["a_overlay.png", "predictions.csv"]
    assert run(predictor, tmp_path / "photos", tmp_path / "out", overlay=True).done == 1
    (tmp_path / "out/a.npz").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"a\.npz"):
        run(predictor, tmp_path / "photos", tmp_path / "out", probabilities=True)


KILLED = """
import os, sys
from lstm2d.predict import label_files as module, load
from lstm2d.predict.inputs import plan
module._crf = lambda *args: os.kill(os.getpid(), 9)  # results are written, their row is not
module.label_files(load(sys.argv[1]), plan([sys.argv[2]], sys.argv[3]), sys.argv[3])
"""


def test_a_kill_between_a_result_and_its_record(
    predictor: Predictor, brightness_model: Path, tmp_path: Path
) -> None:
    save(tmp_path / "photos/a.png", tmp_path / "photos/b.png")
    words = [sys.executable, "-c", KILLED, brightness_model, tmp_path / "photos", tmp_path / "out"]
    assert subprocess.run(words).returncode == -signal.SIGKILL
    assert (tmp_path / "out/a.png").is_file()
    assert read_manifest(tmp_path / "out/predictions.csv") == []
    assert run(predictor, tmp_path / "photos", tmp_path / "out", skip_done=True).done == 2
    assert sorted(contents(tmp_path / "out")) == ["a.png", "b.png", "predictions.csv"]


@pytest.mark.parametrize("what", ["deleted", "replaced", "sub-folder", "one result", "emptied"])
def test_results_that_vanish_during_the_work(predictor: Predictor, tmp_path: Path, what: str) -> None:
    """Files reported as written must exist; otherwise exit code 5, with the missing ones."""
    import shutil

    out = tmp_path / "out"
    save(*(tmp_path / f"photos/sub/{k}.png" for k in range(4)), tmp_path / "photos/z/9.png")

    def vanish(outcome: Outcome) -> None:
        if outcome.done != 2:
            return
        if what in ("deleted", "replaced"):
            shutil.rmtree(out)
            if what == "replaced":
                (out / "sub").mkdir(parents=True)
                (out / "predictions.csv").write_text("image,labels\n")
        elif what == "sub-folder":
            shutil.rmtree(out / "sub")
        elif what == "one result":
            (out / "sub/0.png").unlink()
        else:
            (out / "sub/0.png").write_bytes(b"")

    tasks = plan([tmp_path / "photos"], out)
    missing = {"one result": "1 of 5", "emptied": "1 of 5", "replaced": "2 of 5"}.get(what, "2 of 2")
    with pytest.raises(OutputError, match=f"{missing} written results are missing") as caught:
        label_files(predictor, tasks, out, progress=vanish)
    assert caught.value.exit_code == 5
    assert str(out / "sub/0.png") in str(caught.value)


@pytest.mark.slow
def test_the_output_folder_is_deleted_while_the_command_runs(brightness_model: Path, tmp_path: Path) -> None:
    import shutil

    save(*(tmp_path / f"photos/{k:03d}.png" for k in range(300)))
    out = tmp_path / "out"
    words = [sys.executable, "-m", "lstm2d.cli", "predict", brightness_model, tmp_path / "photos", "-o", out]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        while not (out / "010.png").exists():
            assert process.poll() is None
            time.sleep(0.001)
        while out.exists():
            shutil.rmtree(out, ignore_errors=True)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 5
    assert "written results are missing" in err
    assert "images labelled in" not in err


PLACES = st.sampled_from(["a.png", "b.jpg", "a.jpg", "x/a.png", "x/b.png", "y/a.png"])


@given(
    photos=st.sets(PLACES, min_size=1),
    mine=st.sets(st.sampled_from(["a.png", "b.png", "x/a.png", "a_overlay.png", "a.npz", "predictions.csv"])),
    linked=st.sets(st.sampled_from(["photos", "out", "x"])),
    target=st.sampled_from(["out", "photos", "photos/x", "links", "out/x"]),
    source=st.sampled_from(["photos", "links", "photos/x"]),
    overlay=st.booleans(),
    again=st.booleans(),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_tree_loses_a_file(
    tmp_path_factory: pytest.TempPathFactory,
    predictor: Predictor,
    photos: set[str],
    mine: set[str],
    linked: set[str],
    target: str,
    source: str,
    overlay: bool,
    again: bool,
) -> None:
    """For any layout of files: existing files have the same bytes after a run."""
    root = tmp_path_factory.mktemp("tree")
    save(*(root / "photos" / name for name in photos))
    (root / "photos/x").mkdir(exist_ok=True)
    (root / "links").mkdir()
    (root / "out").mkdir()
    if "photos" in linked:
        for name in photos:
            (root / "links" / name.replace("/", "_")).symlink_to(root / "photos" / name)
    if "x" in linked:
        (root / "out/x").symlink_to(root / "photos/x")
    if "out" in linked:
        (root / "photos/out").symlink_to(root / "out")
    for name in mine:
        path = root / "out" / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_bytes(b"mine: " + name.encode())
    before = contents(root)
    for _ in range(1 + again):
        with suppress(ConfigError, DataError):
            outcome = run(predictor, root / source, root / target, overlay=overlay)
            assert outcome.done + len(outcome.failed) == outcome.total
    after = contents(root)
    foreign_record = after.get("out/predictions.csv.damaged")
    if foreign_record is not None:  # another program's file of that name is kept beside
        after["out/predictions.csv"] = foreign_record
    assert {name: after.get(name) for name in before} == before
