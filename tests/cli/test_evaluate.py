"""`lstm2d evaluate` on the command line."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.pipeline.preprocess import Size
from lstm2d.predict import Predictor


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


@pytest.mark.parametrize("name", ["images/a.png", "masks/b.png", "splits/test.txt", "dataset.toml", "model"])
def test_no_input_is_replaced(lstm2d: Callable, brightness_model: Path, dataset: Path, name: str) -> None:
    path = brightness_model if name == "model" else dataset / name
    before = path.read_bytes()
    ran = lstm2d("evaluate", brightness_model, dataset, "-o", path, "--overwrite")
    assert ran.code == 2
    assert "an input file" in ran.err
    assert path.read_bytes() == before
