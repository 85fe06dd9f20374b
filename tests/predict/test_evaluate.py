"""Evaluation: metrics counted by hand, and classes that must agree."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import DataError
from lstm2d.predict import Predictor, load
from lstm2d.predict.evaluate import ImageScore, check_classes, choose_samples, evaluate, image_table

TOML = """\
name = "black and white"
ignore = 255
""" + "".join(
    f'[[classes]]\nname = "{name}"\ncolor = [{k}, {k}, {k}]\n'
    for k, name in enumerate(["dark", "bright", "never"])
)


@pytest.fixture(scope="module")
def predictor(brightness_model: Path) -> Predictor:
    return load(brightness_model)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Return a dataset of two 1x4 images; comments give the brightness model's labels."""
    for name in ("images", "masks", "splits"):
        (tmp_path / name).mkdir()
    (tmp_path / "dataset.toml").write_text(TOML)
    write(tmp_path, "a", [0, 0, 255, 255], [0, 1, 1, 255])  # right, 1 taken for 0, right, ignored
    write(tmp_path, "b", [255, 255, 0, 255], [1, 0, 0, 1])  # right, 0 taken for 1, right, right
    (tmp_path / "splits/test.txt").write_text("a\nb\n")
    (tmp_path / "splits/only_a.txt").write_text("a\n")
    return tmp_path


def write(root: Path, stem: str, reds: list[int], mask: list[int]) -> None:
    image = np.repeat(np.array([reds], np.uint8)[:, :, None], 3, axis=2)
    Image.fromarray(image).save(root / f"images/{stem}.png")
    Image.fromarray(np.array([mask], np.uint8)).save(root / f"masks/{stem}.png")


def test_figures_by_hand(predictor: Predictor, dataset: Path) -> None:
    folder = DatasetFolder(dataset)
    name, samples = choose_samples(folder, None)
    result = evaluate(predictor, folder, samples)
    assert name == "test"
    figures = result.figures
    assert figures["confusion"] == [[2, 1, 0], [1, 3, 0], [0, 0, 0]]
    assert figures["images"] == 2
    assert figures["pixel_accuracy"] == pytest.approx(5 / 7)
    assert figures["class_accuracy"] == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert figures["mean_iou"] == pytest.approx((2 / 4 + 3 / 5) / 2)
    assert figures["per_class"] == {
        "dark": {"accuracy": pytest.approx(2 / 3), "iou": pytest.approx(2 / 4), "pixels": 3},
        "bright": {"accuracy": pytest.approx(3 / 4), "iou": pytest.approx(3 / 5), "pixels": 4},
        "never": {"accuracy": None, "iou": None, "pixels": 0},
    }
    assert figures["parameters"] == predictor.parameters
    assert 0 < figures["seconds_per_image"] < 60
    a, b = result.images
    assert (a.image, a.labelled_pixels, a.pixel_accuracy) == ("a", 3, pytest.approx(2 / 3))
    assert (a.class_accuracy, a.mean_iou) == (pytest.approx(3 / 4), pytest.approx(1 / 2))
    assert (b.image, b.labelled_pixels, b.pixel_accuracy) == ("b", 4, pytest.approx(3 / 4))


def test_the_listener_is_called_after_each_image(predictor: Predictor, dataset: Path) -> None:
    folder = DatasetFolder(dataset)
    seen = []
    evaluate(
        predictor,
        folder,
        folder.split("test"),
        listener=lambda one: seen.append((one.number, int(one.total.matrix.sum()))),
    )
    assert seen == [(1, 3), (2, 7)]


def test_an_image_without_labels_has_no_figures(predictor: Predictor, dataset: Path) -> None:
    write(dataset, "a", [0, 0], [255, 255])
    folder = DatasetFolder(dataset)
    result = evaluate(predictor, folder, folder.split("only_a"))
    assert result.figures["pixel_accuracy"] is None
    assert image_table(result.images).splitlines()[1].startswith("a,0,,,,")


def test_image_table() -> None:
    text = image_table([ImageScore("=x,y", 12, 0.5, 0.25, None, 0.125)])
    header, row = csv.reader(text.splitlines())
    assert header == ["image", "labelled_pixels", "pixel_accuracy", "class_accuracy", "mean_iou", "seconds"]
    assert row == ["'=x,y", "12", "0.500000", "0.250000", "", "0.125000"]


def test_a_folder_without_splits_is_taken_as_a_whole(dataset: Path) -> None:
    for path in (dataset / "splits").iterdir():
        path.unlink()
    (dataset / "splits").rmdir()
    name, samples = choose_samples(DatasetFolder(dataset), None)
    assert name is None
    assert [s.stem for s in samples] == ["a", "b"]
    with pytest.raises(DataError, match="val"):
        choose_samples(DatasetFolder(dataset), "val")


@pytest.mark.parametrize("split", ["val", "empty"])
def test_no_such_split_or_nothing_in_it(dataset: Path, split: str) -> None:
    (dataset / "splits/empty.txt").write_text("\n")
    with pytest.raises(DataError, match=split):
        choose_samples(DatasetFolder(dataset), split)


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (["bright", "dark", "never"], "another order"),
        (["dark", "bright"], "lacks never"),
        (["dark", "bright", "never", "more"], "the model lacks more"),
        (["dark", "bright", "other"], r"the model lacks other; the dataset lacks never"),
    ],
)
def test_other_classes_are_refused(predictor: Predictor, dataset: Path, names: list[str], part: str) -> None:
    classes = "".join(f'[[classes]]\nname = "{name}"\ncolor = [{k}, 0, 0]\n' for k, name in enumerate(names))
    (dataset / "dataset.toml").write_text(f'name = "x"\nignore = 255\n{classes}')
    folder = DatasetFolder(dataset)
    with pytest.raises(DataError, match=part) as caught:
        evaluate(predictor, folder, folder.split("test"))
    assert caught.value.expected == "dark, bright, never"


def test_of_a_guessed_dataset_only_numbers_are_compared(predictor: Predictor, dataset: Path) -> None:
    (dataset / "dataset.toml").unlink()
    folder = DatasetFolder(dataset)
    assert evaluate(predictor, folder, folder.split("test")).figures["pixel_accuracy"] == pytest.approx(5 / 7)
    write(dataset, "a", [0, 0, 255, 255], [0, 1, 2, 3])
    with pytest.raises(DataError, match="class 3"):
        check_classes(predictor, DatasetFolder(dataset))


def test_a_broken_image_ends_the_evaluation(predictor: Predictor, dataset: Path) -> None:
    (dataset / "images/b.png").write_bytes(b"")
    folder = DatasetFolder(dataset)
    with pytest.raises(DataError, match=r"b\.png"):
        evaluate(predictor, folder, folder.split("test"))
