"""`lstm2d data` on the command line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def test_json(lstm2d: Callable, dataset: Path) -> None:
    ran = lstm2d("data", "stats", dataset, "--json")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 1
    found = ran.json
    assert (found["images"], found["name"], found["split"], found["guessed"]) == (2, "two", None, False)
    assert found["splits"] == {"test": 2}
    assert found["sizes"] == [{"height": 1, "width": 4, "images": 2}]
    # reds of both images: three times 0, five times 255
    assert found["mean"] == pytest.approx([255 * 5 / 8] * 3)
    assert found["std"] == pytest.approx([255 * np.sqrt(15) / 8] * 3)
    assert found["ignored_pixels"] == 1
    assert found["per_class"]["dark"]["pixels"] == 3
    assert found["per_class"]["bright"]["pixels"] == 4
    assert found["per_class"]["bright"]["frequency"] == pytest.approx(4 / 7)
    # both classes are in both images: frequencies 3/7 and 4/7, median 1/2
    assert found["per_class"]["dark"]["median_frequency_weight"] == pytest.approx(7 / 6)
    assert found["per_class"]["bright"]["median_frequency_weight"] == pytest.approx(7 / 8)
    assert found["per_class"]["never"] == {"pixels": 0, "frequency": 0, "median_frequency_weight": 0}


def test_for_people(lstm2d: Callable, dataset: Path) -> None:
    ran = lstm2d("data", "stats", dataset)
    assert ran.code == 0
    assert ran.err == ""
    lines = ran.out.splitlines()
    assert "width x height     4x1 (2)" in lines
    assert "ignored            12.50 % of the pixels" in lines
    assert ["1", "bright", "4", "57.14", "0.875"] in [line.split() for line in lines]


def test_one_split(lstm2d: Callable, dataset: Path) -> None:
    (dataset / "splits/some.txt").write_text("b\n")
    ran = lstm2d("data", "stats", dataset, "--split", "some", "--json")
    assert (ran.json["images"], ran.json["split"]) == (1, "some")
    assert ran.json["per_class"]["dark"]["pixels"] == 2


def test_a_guess_is_shown_as_toml(lstm2d: Callable, dataset: Path) -> None:
    (dataset / "dataset.toml").unlink()
    ran = lstm2d("data", "stats", dataset, "--json")
    assert ran.code == 0
    assert ran.json["guessed"] is True
    assert "[[classes]]" in ran.err


def test_masks_of_0_and_255_are_asked_about(lstm2d: Callable, dataset: Path) -> None:
    (dataset / "dataset.toml").unlink()
    for name in ("a", "b"):
        Image.fromarray(np.array([[0, 255, 255, 0]], np.uint8)).save(dataset / f"masks/{name}.png")
    ran = lstm2d("data", "stats", dataset)
    assert ran.code == 3
    assert ran.err.count("dataset.toml") >= 2
    assert ran.err.count("[[classes]]") >= 2


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda d: (d / "splits/test.txt").write_text(""), "empty split"),
        (lambda d: (d / "splits/test.txt").write_text("a\nz\n"), "no image 'z'"),
        (lambda d: (d / "masks/a.png").unlink(), "1 of 2 images have no mask"),
        (lambda d: (d / "images/a.png").write_bytes(b""), "the file is empty"),
        (lambda d: Image.new("L", (3, 3)).save(d / "masks/a.png"), "a.png"),
        (lambda d: Image.new("RGB", (4, 1), (9, 0, 0)).save(d / "masks/a.png"), "colour"),
        (lambda d: Image.new("L", (4, 1), 9).save(d / "masks/a.png"), "mask value 9 at row 0, column 0"),
        (lambda d: (d / "dataset.toml").write_text("classes = 3"), "dataset.toml"),
    ],
)
def test_what_is_wrong_with_a_dataset(
    lstm2d: Callable, dataset: Path, damage: Callable[[Path], object], part: str
) -> None:
    damage(dataset)
    ran = lstm2d("data", "stats", dataset, "--split", "test")
    assert ran.code == 3
    assert ran.err.count("Error: ") == 1
    assert part in ran.err
    assert ran.out == ""


def test_a_missing_folder(lstm2d: Callable, tmp_path: Path) -> None:
    ran = lstm2d("data", "stats", tmp_path / "nowhere")
    assert ran.code == 3
    assert "folder not found" in ran.err


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


SMALL = ("--count", 10, "--width", 40, "--height", 30)


def test_synth_makes_a_dataset(lstm2d: Callable, tmp_path: Path) -> None:
    ran = lstm2d("data", "synth", "-o", tmp_path / "scenes", *SMALL, "--json")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 1
    seconds = ran.json["seconds"]
    sizes = {"train": 7, "val": 1, "test": 2}
    assert ran.json == {
        "data": str(tmp_path / "scenes"),
        "images": 10,
        "splits": sizes,
        "seconds": seconds,
    }
    assert "10 scenes drawn" in ran.err
    found = lstm2d("data", "stats", tmp_path / "scenes", "--json").json
    assert found["splits"] == sizes
    assert found["sizes"] == [{"height": 30, "width": 40, "images": 10}]
    assert list(found["per_class"]) == [
        "sky",
        "tree",
        "road",
        "grass",
        "water",
        "building",
        "mountain",
        "foreground",
    ]


def test_synth_depends_on_the_seed_alone(lstm2d: Callable, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        ran = lstm2d("data", "synth", "-o", tmp_path / name, *SMALL, "--seed", seed)
        assert (ran.code, ran.out) == (0, "")
    assert files(tmp_path / "one") == files(tmp_path / "again")
    assert (
        files(tmp_path / "one")["images/scene_0000.png"] != files(tmp_path / "two")["images/scene_0000.png"]
    )


@pytest.mark.parametrize(
    "options", [("--count", 2), ("--width", 3), ("--height", 99999), ("--seed", -1), ("--count", "many")]
)
def test_synth_refuses_numbers_out_of_range(lstm2d: Callable, tmp_path: Path, options: tuple) -> None:
    ran = lstm2d("data", "synth", "-o", tmp_path / "scenes", *options)
    assert ran.code == 2
    assert ran.err.count("Error: ") == 1
    assert not (tmp_path / "scenes").exists()


def test_synth_overwrites_nothing(lstm2d: Callable, dataset: Path) -> None:
    before = files(dataset)
    ran = lstm2d("data", "synth", "-o", dataset, *SMALL)
    assert ran.code == 5
    assert "not empty" in ran.err
    assert files(dataset) == before
    assert lstm2d("data", "synth", "-o", dataset / "dataset.toml", *SMALL).code == 5


def test_labels_of_known_datasets(lstm2d: Callable, tmp_path: Path) -> None:
    ran = lstm2d("data", "labels")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines() if line[0] != " "] == [
        "coco-stuff-to-voc",
        "coco-to-voc",
        "voc",
    ]
    shown = lstm2d("data", "labels", "coco-to-voc")
    assert '1 = "person"' in shown.out
    out = tmp_path / "dataset.toml"
    ran = lstm2d("data", "labels", "coco-to-voc", "-o", out, "--json")
    assert ran.json["toml"] == out.read_text()
    assert ran.json["toml"].strip() == shown.out.strip()
    again = lstm2d("data", "labels", "voc", "-o", out)
    assert again.code == 2
    assert "the file exists" in again.err
    assert lstm2d("data", "labels", "vok").code == 2
    assert lstm2d("data", "labels", "-o", tmp_path / "other").code == 2
    assert not (tmp_path / "other").exists()
