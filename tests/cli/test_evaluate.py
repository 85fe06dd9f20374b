"""`lstm2d evaluate` of one model."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.pipeline.preprocess import Size
from lstm2d.predict import Predictor
from tests.cli.conftest import SINGLE, names_in


def test_json(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    ran = lstm2d("evaluate", brightness_model, dataset, "--json")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 1
    assert set(ran.json) == {
        "images",
        "pixel_accuracy",
        "class_accuracy",
        "mean_iou",
        "per_class",
        "confusion",
        "baselines",
        "seconds_per_image",
        "parameters",
        "model",
        "data",
        "split",
    }
    assert ran.json["images"] == 2
    assert ran.json["pixel_accuracy"] == pytest.approx(5 / 7)
    assert ran.json["class_accuracy"] == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert ran.json["mean_iou"] == pytest.approx((2 / 4 + 3 / 5) / 2)
    assert ran.json["confusion"] == [[2, 1, 0], [1, 3, 0], [0, 0, 0]]
    assert ran.json["per_class"]["never"] == {"accuracy": None, "iou": None, "pixels": 0}
    assert ran.json["split"] == "test"
    assert ran.json["baselines"] == [
        {
            "name": "every pixel bright",
            "class": "bright",
            "pixel_accuracy": pytest.approx(4 / 7),
            "class_accuracy": 0.5,
            "mean_iou": pytest.approx(2 / 7),
        }
    ]


def test_tables(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    ran = lstm2d("evaluate", brightness_model, dataset)
    assert ran.code == 0
    assert ran.err == ""
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "pixel accuracy     71.43 %" in lines
    assert "class accuracy     70.83 %" in lines
    assert "mean IoU           55.00 %" in lines
    cells = [line.split() for line in lines]
    assert ["0", "dark", "66.67", "50.00", "42.86"] in cells
    assert ["2", "never", "absent", "absent", "0.00"] in cells
    assert ["0", "dark", "66.7", "33.3", "0.0"] in cells
    assert ["2", "never", "-", "-", "-"] in cells
    assert "every pixel bright    57.14    50.00       28.57" in lines


def test_figures_of_each_image(
    lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path
) -> None:
    ran = lstm2d("evaluate", brightness_model, dataset, "-o", tmp_path / "images.csv")
    assert ran.code == 0
    assert "images.csv" in ran.err
    with (tmp_path / "images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["a", "b"]
    assert [row["labelled_pixels"] for row in rows] == ["3", "4"]
    assert [float(row["pixel_accuracy"]) for row in rows] == pytest.approx([2 / 3, 3 / 4], abs=1e-6)


def test_a_folder_without_splits_says_so(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    (dataset / "splits/test.txt").unlink()
    (dataset / "splits").rmdir()
    ran = lstm2d("evaluate", brightness_model, dataset, "--json")
    assert ran.code == 0
    assert "no splits: all 2 images count" in ran.err
    assert ran.json["split"] is None
    assert ran.json["images"] == 2


def test_a_guess_is_shown_as_toml(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    (dataset / "dataset.toml").unlink()
    ran = lstm2d("evaluate", brightness_model, dataset)
    assert ran.code == 0
    assert "[[classes]]" in ran.err
    assert "pixel accuracy     71.43 %" in ran.out


def test_a_missing_folder(lstm2d: Callable, brightness_model: Path, tmp_path: Path) -> None:
    ran = lstm2d("evaluate", brightness_model, tmp_path / "nowhere", "--json")
    assert ran.code == 3
    assert ran.json["error"]["what"] == "folder not found"
    assert "nowhere" in ran.err


@pytest.mark.parametrize(("split", "part"), [("empty", "empty split"), ("val", "no split 'val'")])
def test_a_missing_or_empty_split(
    lstm2d: Callable, brightness_model: Path, dataset: Path, split: str, part: str
) -> None:
    (dataset / "splits/empty.txt").write_text("")
    ran = lstm2d("evaluate", brightness_model, dataset, "--split", split)
    assert ran.code == 3
    assert part in ran.err
    assert f"{split}.txt" in ran.err


def test_a_mask_of_another_size(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    Image.fromarray(np.zeros((2, 4), np.uint8)).save(dataset / "masks/b.png")
    ran = lstm2d("evaluate", brightness_model, dataset)
    assert ran.code == 3
    assert "b.png" in ran.err
    assert ran.err.count("Error: ") == 1
    assert ran.out == ""


def test_a_mask_value_out_of_range(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    Image.fromarray(np.array([[0, 1, 17, 1]], np.uint8)).save(dataset / "masks/b.png")
    ran = lstm2d("evaluate", brightness_model, dataset)
    assert ran.code == 3
    assert "mask value 17 at row 0, column 2" in ran.err
    assert "b.png" in ran.err


def test_a_truncated_image(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    whole = (dataset / "images/b.png").read_bytes()
    (dataset / "images/b.png").write_bytes(whole[: len(whole) // 2])
    ran = lstm2d("evaluate", brightness_model, dataset)
    assert ran.code == 3
    assert "b.png" in ran.err


def test_an_error_of_the_program_names_the_image(
    lstm2d: Callable, brightness_model: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels_of = Predictor.labels_of
    calls = iter(range(100))

    def fail_second(self: Predictor, pixels: np.ndarray, size: Size = "auto") -> np.ndarray:
        if next(calls) == 2:  # the first call is on no image
            raise IndexError("a bug")
        return labels_of(self, pixels, size)

    monkeypatch.setattr(Predictor, "labels_of", fail_second)
    ran = lstm2d("evaluate", brightness_model, dataset, "--json", "--traceback")
    assert ran.code == 1
    assert f"Error: unexpected IndexError: a bug: {dataset}/images/b.png\n" in ran.err
    assert ran.json["error"]["where"] == f"{dataset}/images/b.png"
    assert ran.err.count('raise IndexError("a bug")') == 1


def test_other_classes(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    text = (dataset / "dataset.toml").read_text().replace('"bright"', '"shiny"')
    (dataset / "dataset.toml").write_text(text)
    ran = lstm2d("evaluate", brightness_model, dataset)
    assert ran.code == 3
    assert "lacks shiny; the dataset lacks bright" in ran.err


def test_an_unwritable_csv(lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path) -> None:
    ran = lstm2d("evaluate", brightness_model, dataset, "-o", tmp_path / "no/such/folder.csv")
    assert ran.code == 5
    assert "folder.csv" in ran.err


@pytest.mark.parametrize("command", ["evaluate", "stats"])
def test_notes_on_images_and_masks(
    lstm2d: Callable, brightness_model: Path, dataset: Path, command: str
) -> None:
    """One line for the first of a kind, another for the number, none with --quiet."""
    images = sorted((dataset / "images").iterdir())
    for path in images:
        with Image.open(path) as image:
            clear = image.convert("RGBA")
        clear.putpixel((0, 0), (0, 0, 0, 128))
        clear.save(path)
    (dataset / "masks" / "lonely.png").write_bytes(next((dataset / "masks").iterdir()).read_bytes())
    arguments = (
        ["evaluate", brightness_model, dataset] if command == "evaluate" else ["data", "stats", dataset]
    )
    ran = lstm2d(*arguments)
    assert ran.code == 0
    text = "transparent pixels are composited on white"
    lines = [line for line in ran.err.splitlines() if text in line]
    assert len(lines) == 2
    assert lines[0].endswith(f".png: {text}")
    assert lines[1] == f"{len(images)} images: {text}"
    assert "masks: 1 of 3 masks have no image and are left out (lonely.png)" in ran.err
    assert text not in lstm2d(*arguments, "--quiet").err


def test_a_file_of_somebody_else_is_not_replaced(
    lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "figures.csv"
    command = ("evaluate", brightness_model, dataset, "-o", out)
    for _ in range(2):  # a table of an earlier evaluation is replaced
        assert lstm2d(*command).code == 0
    table = out.read_bytes()
    out.write_bytes(b"image,grade\na,1\n")
    ran = lstm2d(*command)
    assert ran.code == 2
    assert "--overwrite" in ran.err
    assert out.read_bytes() == b"image,grade\na,1\n"
    assert lstm2d(*command, "--overwrite").code == 0
    assert out.read_bytes()[:40] == table[:40]


INPUTS = ["images/a.png", "masks/b.png", "splits/test.txt", "dataset.toml", "model"]


@pytest.mark.parametrize("name", INPUTS)
def test_no_input_is_replaced(
    lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path, name: str
) -> None:
    path = brightness_model if name == "model" else dataset / name
    before = path.read_bytes()
    ran = lstm2d("evaluate", brightness_model, dataset, "-o", path, "--overwrite")
    assert ran.code == 2
    assert "a name that ends in .csv" in ran.err
    os.link(path, tmp_path / "table.csv")
    ran = lstm2d("evaluate", brightness_model, dataset, "-o", tmp_path / "table.csv", "--overwrite")
    assert ran.code == 2
    assert "an input file" in ran.err
    assert path.read_bytes() == before


def test_an_image_without_mask_outside_of_the_split(
    lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path
) -> None:
    (dataset / "masks" / "b.png").unlink()
    (dataset / "splits" / "test.txt").write_text("a\n")
    for out in ("table.csv", "folder"):
        ran = lstm2d("evaluate", brightness_model, dataset, "--json", "-o", tmp_path / out)
        assert ran.code == 0
        assert ran.json["images"] == 1
    os.link(dataset / "images" / "b.png", tmp_path / "b.csv")  # it is an input, although it is not evaluated
    ran = lstm2d("evaluate", brightness_model, dataset, "-o", tmp_path / "b.csv", "--overwrite")
    assert ran.code == 2
    assert "an input file" in ran.err


def test_a_folder_of_one_model(
    lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new/out"
    ran = lstm2d("evaluate", brightness_model, dataset, "-o", out, "--json")
    assert ran.code == 0
    assert names_in(out) == SINGLE
    assert json.loads((out / "metrics.json").read_text()) == ran.json
    assert f"report: {out}/report.html" in ran.err
    assert "no class frequencies of the training images (no training split in the dataset)" in ran.err
    with (out / "images.csv").open() as file:
        assert [row["image"] for row in csv.DictReader(file)] == ["a", "b"]
    page = (out / "report.html").read_text()
    for text in ("Evaluation of brightness", "every pixel bright", "71.4 %", "57.1 %"):
        assert text in page
    assert page.count("data:image/png;base64,") == 4


def test_one_model_with_one_split(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    (dataset / "splits/first.txt").write_text("a\n")
    found = [
        lstm2d("evaluate", brightness_model, dataset, option, "first", "--json").json
        for option in ("--split", "--splits")
    ]
    for one in found:
        del one["seconds_per_image"]
    assert found[0] == found[1]
    assert found[0]["split"] == "first"


def test_two_classes(lstm2d: Callable, two_class_model: Path, dataset: Path, tmp_path: Path) -> None:
    toml = dataset / "dataset.toml"
    toml.write_text(toml.read_text().partition('[[classes]]\nname = "never"')[0])
    table = tmp_path / "images.csv"
    for _ in range(2):  # the command recognizes its own table
        ran = lstm2d("evaluate", two_class_model, dataset, "--json", "-o", table)
        assert ran.code == 0
    # a: 1 of {1, 2}; b: {0, 3} of {0, 1, 3}
    assert ran.json["foreground_iou"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert [(b["name"], b["foreground_iou"]) for b in ran.json["baselines"]] == [
        ("every pixel bright", pytest.approx((2 / 3 + 2 / 4) / 2)),
        ("every pixel dark", 0.0),
    ]
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]] == [
        "image",
        "labelled_pixels",
        "pixel_accuracy",
        "class_accuracy",
        "mean_iou",
        "foreground_iou",
        "seconds",
    ]
    assert [float(row["foreground_iou"]) for row in rows] == pytest.approx([1 / 2, 2 / 3], abs=1e-6)
    both = lstm2d("evaluate", two_class_model, two_class_model, dataset, "--json").json
    assert both["mean"]["foreground_iou"] == pytest.approx(7 / 12)
    assert "foreground_iou" in both["spread"]


def test_folders_of_somebody_else(
    lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    command = ("evaluate", brightness_model, dataset, "-o", out)
    ran = lstm2d(*command)
    assert ran.code == 2
    assert "the folder is not empty" in ran.err
    assert "--overwrite" in ran.err
    assert [p.name for p in out.iterdir()] == ["notes.txt"]
    assert lstm2d(*command, "--overwrite").code == 0
    assert lstm2d(*command).code == 0
    assert names_in(out) == sorted([*SINGLE, "notes.txt"])


@pytest.mark.parametrize("name", ["", "images", "masks", "splits"])
def test_nothing_is_written_among_the_data(
    lstm2d: Callable, brightness_model: Path, dataset: Path, name: str
) -> None:
    before = sorted(dataset.rglob("*"))
    ran = lstm2d("evaluate", brightness_model, dataset, "-o", dataset / name, "--overwrite")
    assert ran.code == 2
    assert sorted(dataset.rglob("*")) == before


def test_an_unwritable_folder_is_found_before_the_evaluation(
    lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled: list[object] = []
    monkeypatch.setattr(Predictor, "labels_of", lambda *args: labelled.append(args))
    (tmp_path / "file").touch()
    for out in ("file/out", "no/folder.csv"):
        assert lstm2d("evaluate", brightness_model, dataset, "-o", tmp_path / out).code == 5
    assert labelled == []


def test_a_broken_image_leaves_an_earlier_folder_as_it_was(
    lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ("evaluate", brightness_model, dataset, "-o", out)
    assert lstm2d(*command).code == 0
    before = {path: path.read_bytes() for path in out.iterdir()}
    (dataset / "images/b.png").write_bytes(b"")
    assert lstm2d(*command).code == 3
    assert lstm2d("evaluate", brightness_model, brightness_model, dataset, "-o", out).code == 3
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    assert lstm2d("evaluate", brightness_model, dataset, "-o", tmp_path / "new").code == 3
    assert not (tmp_path / "new").exists()


def test_bad_images_are_listed_before_anything_is_computed(
    lstm2d: Callable, brightness_model: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    computed = []
    monkeypatch.setattr(Predictor, "labels_after", lambda *a: computed.append(a))
    (dataset / "images/b.png").write_bytes(b"")
    Image.fromarray(np.zeros((2, 4), np.uint8)).save(dataset / "masks/a.png")
    for more in ([], ["-o", tmp_path / "out"], ["-o", tmp_path / "images.csv"]):
        ran = lstm2d("evaluate", brightness_model, dataset, *more)
        assert ran.code == 3
        first, *lines = ran.err[ran.err.index("Error: ") :].splitlines()
        assert first == "Error: 2 of 2 images cannot be evaluated"
        assert lines[0].startswith(f"    {dataset}/masks/a.png: the mask is 4x2 pixels, its image 4x1")
        assert lines[1] == f"    {dataset}/images/b.png: the file is empty"
    assert computed == []
    assert not (tmp_path / "images.csv").exists()


def test_an_image_that_takes_too_much_memory(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    ran = lstm2d("evaluate", brightness_model, dataset, "--max-memory", "1M")
    assert ran.code == 3
    assert "of memory, 1.0 MB are allowed" in ran.err
    assert "a larger --max-memory" in ran.err
    ran = lstm2d("evaluate", brightness_model, dataset, "--max-pixels", "3")
    assert ran.code == 3
    assert ran.err.count("image too large (4x1 = 4 pixels)") == 2
