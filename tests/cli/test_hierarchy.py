"""`lstm2d hierarchy`: build and show."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.cli.hierarchy import build as command
from lstm2d.hierarchy.file import load_hierarchy, save_hierarchy
from lstm2d.hierarchy.options import Options
from tests.cli.conftest import Run
from tests.hierarchy.examples import clusters, scenes, write_landscapes

SCENES = {f"i{k:02d}": "park" if k % 2 == 0 else "town" for k in range(6)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a dataset of four training images with scene names."""
    return write_landscapes(tmp_path / "data", 6, scenes=SCENES)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return the name of a file to write."""
    return tmp_path / "h.json"


def test_build(data: Path, out: Path, lstm2d: Run) -> None:
    ran = lstm2d("hierarchy", "build", data, "--method", "sn", "-o", out, "--json", "--rho", 90)
    assert ran.code == 0
    assert ran.json == {"common": 3, "rare": 1, "subclasses": 5, "file": str(out)}
    assert len(ran.out.splitlines()) == 1
    assert "3 common and 1 rare classes, 5 subclasses" in ran.err
    found = load_hierarchy(out)
    assert found.settings == {"split": "train", "rho": 90.0, "seed": 0, "images": 4, "filled_images": 0}
    assert sorted(found.images) == ["i00", "i01", "i02", "i03"]


def test_defaults_are_those_of_the_library(data: Path, out: Path, lstm2d: Run) -> None:
    options = Options("lc")
    assert lstm2d("hierarchy", "build", data, "--method", "lc", "-o", out, "--quiet").code == 0
    found = load_hierarchy(out)
    assert found.window == options.window == command.DEFAULT_WINDOW
    assert {k: found.settings[k] for k in ("rho", "seed", "nstar_factor", "k_factor")} == {
        "rho": options.rho,
        "seed": options.seed,
        "nstar_factor": options.nstar_factor,
        "k_factor": options.k_factor,
    }
    assert (
        options.rho,
        options.nstar_factor,
        options.k_factor,
    ) == (command.DEFAULT_RHO, command.DEFAULT_NSTAR, command.DEFAULT_K)


def test_options_of_clusters(data: Path, out: Path, lstm2d: Run) -> None:
    given = ["--window", "image", "--nstar-factor", 1, "--k-factor", 1.5, "--seed", 7, "--split", "test"]
    assert lstm2d("hierarchy", "build", data, "--method", "lc", "-o", out, *given).code == 0
    found = load_hierarchy(out)
    assert found.window is None
    assert found.settings["nstar_factor"] == 1
    assert found.settings["k_factor"] == 1.5
    assert found.settings["seed"] == 7
    assert found.settings["split"] == "test"
    assert found.settings["images"] == 2


def test_threads_do_not_change_the_file(data: Path, out: Path, lstm2d: Run) -> None:
    written = []
    for threads in (1, 2):
        assert lstm2d("hierarchy", "build", data, "--method", "lc", "-o", out, "--threads", threads).code == 0
        written.append(out.read_bytes())  # a file of ours is replaced
    assert written[0] == written[1]


def test_without_splits_all_images_count(data: Path, out: Path, lstm2d: Run) -> None:
    for name in ("train.txt", "test.txt"):
        (data / "splits" / name).unlink()
    ran = lstm2d("hierarchy", "build", data, "--method", "sn", "-o", out)
    assert "all 6 images count" in ran.err
    assert load_hierarchy(out).settings["images"] == 6


def test_filling(tmp_path: Path, out: Path, brightness_model: Path, lstm2d: Run) -> None:
    data = write_landscapes(
        tmp_path / "filled", 6, names=("dark", "bright", "never"), unlabelled=2, cars=False
    )
    given = ["hierarchy", "build", data, "--method", "lc", "-o", out]
    assert lstm2d(*given).code == 0
    naive = load_hierarchy(out)
    ran = lstm2d(*given, "--fill-with", brightness_model)
    assert "2 of 4 images were under 90 % labelled and filled" in ran.out
    found = load_hierarchy(out)
    assert found.settings["fill_with"] == str(brightness_model)
    assert found.settings["filled_images"] == 2
    assert found.settings["samples_before_filling"] == naive.samples
    # the rows without labels are sky, which the model calls bright: class 1, and a little ground
    more = np.subtract(found.samples, naive.samples)
    assert more[1] > 0.6 * more.sum() > 0
    assert more[2] == 0
    shown = lstm2d("hierarchy", "show", out, "-o", tmp_path / "pictures", "--json")
    assert shown.json["written"] == ["frequencies.png", "filling.png"]


def test_nothing_to_fill(tmp_path: Path, out: Path, brightness_model: Path, lstm2d: Run) -> None:
    data = write_landscapes(tmp_path / "full", 6, names=("dark", "bright", "never"), cars=False)
    ran = lstm2d("hierarchy", "build", data, "--method", "lc", "-o", out, "--fill-with", brightness_model)
    assert "no image is under 90 % labelled: none was filled" in ran.out


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (["--method", "lc", "--rho", "0"], 2, "--rho out of range: 0"),
        (["--method", "lc", "--rho", "some"], 2, "--rho"),
        (["--method", "lc", "--window", "64"], 2, "--window out of range: 64"),
        (["--method", "lc", "--window", "wide"], 2, "--window is not a number: wide"),
        (["--method", "lc", "--nstar-factor", "-1"], 2, "--nstar-factor out of range"),
        (["--method", "lc", "--k-factor", "0"], 2, "--k-factor out of range"),
        (["--method", "lc", "--seed", "-1"], 2, "--seed out of range"),
        (["--method", "sn", "--window", "65"], 2, "--window together with --method sn"),
        (["--method", "ic", "--k-factor", "1"], 2, "--k-factor together with --method ic"),
        (["--method", "xx"], 2, "--method"),
        ([], 2, "--method"),
        (["--method", "lc", "--split", "none"], 3, "no split 'none'"),
        (["--method", "lc", "--split", "empty"], 3, "an empty split"),
        (["--method", "lc", "--fill-with", "nobody"], 3, "no such model"),
        (["--method", "lc", "--fill-with", "outdoor"], 3, "classes"),
    ],
)
def test_errors(given: list[str], code: int, message: str, data: Path, out: Path, lstm2d: Run) -> None:
    (data / "splits/empty.txt").write_text("\n")
    ran = lstm2d("hierarchy", "build", data, "-o", out, *given)
    assert ran.code == code
    assert message in ran.err
    assert not out.exists()


def test_no_scene_names(data: Path, out: Path, lstm2d: Run) -> None:
    (data / "scenes.txt").write_text("i00 park\n")
    ran = lstm2d("hierarchy", "build", data, "--method", "sn", "-o", out, "--json")
    assert ran.code == 3
    assert "3 of 4 images have no scene (for example i01)" in ran.err
    (data / "scenes.txt").unlink()
    ran = lstm2d("hierarchy", "build", data, "--method", "sn", "-o", out, "--json")
    assert ran.code == 3
    assert "there are no scene names" in ran.err


@pytest.mark.parametrize(
    ("label", "message"), [(255, "the images have no labels"), (1, "only one class (tree)")]
)
def test_labels_that_cannot_be_divided(label: int, message: str, data: Path, out: Path, lstm2d: Run) -> None:
    for path in (data / "masks").iterdir():
        Image.fromarray(np.full((64, 96), label, np.uint8)).save(path)
    ran = lstm2d("hierarchy", "build", data, "--method", "lc", "-o", out)
    assert ran.code == 3
    assert message in ran.err


def test_files_of_others_stay(data: Path, out: Path, tmp_path: Path, lstm2d: Run) -> None:
    out.write_text("{}")
    build = ["hierarchy", "build", data, "--method", "sn", "-o"]
    ran = lstm2d(*build, out)
    assert ran.code == 2
    assert "the file exists, and this command did not write it" in ran.err
    assert out.read_text() == "{}"
    assert lstm2d(*build, out, "--overwrite").code == 0
    assert load_hierarchy(out).n > 4
    ran = lstm2d(*build, data / "scenes.txt", "--overwrite")
    assert ran.code == 2
    assert "would replace an input file" in ran.err
    assert lstm2d(*build, tmp_path / "no/h.json").code == 5


def test_show(out: Path, lstm2d: Run) -> None:
    save_hierarchy(out, clusters())
    ran = lstm2d("hierarchy", "show", out)
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    lines = [line.split() for line in ran.out.splitlines()]
    assert ["0", "sky", "common", "2", "50", "62.50"] in lines
    assert ["2", "road", "rare", "1", "5", "6.25"] in lines
    # 1 / 1.35 is 74 %, 0.25 / 1.35 is 19 %
    assert "sky 1     sky 74, tree 19, road 7            30        60.0" in ran.out
    ran = lstm2d("hierarchy", "show", out, "--json", "--quiet")
    assert ran.json["common"] == ["sky", "tree"]
    assert ran.json["subclasses"][1] == {"name": "sky 2", "class": "sky", "superpixels": 20}
    assert (ran.json["method"], ran.json["dataset"], ran.json["classes"]) == ("lc", "toy", 3)


def test_show_scenes(out: Path, lstm2d: Run) -> None:
    save_hierarchy(out, scenes())
    assert ["sky", "/", "coast", "30", "60.0"] in [
        line.split() for line in lstm2d("hierarchy", "show", out).out.splitlines()
    ]


def test_pictures(data: Path, out: Path, tmp_path: Path, lstm2d: Run) -> None:
    assert lstm2d("hierarchy", "build", data, "--method", "sn", "-o", out, "--rho", 90).code == 0
    pictures = tmp_path / "pictures"
    ran = lstm2d("hierarchy", "show", out, "--data", data, "-o", pictures, "--json")
    assert ran.code == 0
    assert ran.json["written"] == [
        "frequencies.png",
        "patches/00-sky.png",
        "patches/01-tree.png",
        "patches/02-road.png",
        "patches/rare.png",
    ]
    for name in ran.json["written"]:
        with Image.open(pictures / name) as picture:
            assert min(picture.size) > 90
    # without the dataset the next call removes the patches, and nothing else
    (pictures / "notes.txt").write_text("mine")
    assert lstm2d("hierarchy", "show", out, "-o", pictures).code == 0
    left = {path.name for path in pictures.iterdir()}
    assert left == {"frequencies.png", "notes.txt", ".lstm2d-hierarchy.json"}


def test_show_fails_well(data: Path, out: Path, tmp_path: Path, lstm2d: Run) -> None:
    ran = lstm2d("hierarchy", "show", out)
    assert (ran.code, "file not found" in ran.err) == (3, True)
    out.write_text(json.dumps({"format": "other"}))
    ran = lstm2d("hierarchy", "show", out)
    assert (ran.code, "not a label hierarchy" in ran.err) == (3, True)
    save_hierarchy(out, clusters())
    ran = lstm2d("hierarchy", "show", out, "--data", data)
    assert (ran.code, "--data without -o" in ran.err) == (2, True)
    ran = lstm2d("hierarchy", "show", out, "--data", data, "-o", tmp_path / "pictures")
    assert (ran.code, "has other classes: it was built from toy" in ran.err) == (3, True)
    assert not (tmp_path / "pictures").exists()
    ran = lstm2d("hierarchy", "show", out, "-o", data)
    assert (ran.code, "the folder is not empty" in ran.err) == (2, True)
