"""`lstm2d evaluate` of several models."""

import csv
import errno
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lstm2d.predict import Predictor
from tests.cli.conftest import SINGLE, names_in, write_sample


def test_several_models_on_the_same_images(
    lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ran = lstm2d("evaluate", brightness_model, brightness_model, dataset, "--json", "-o", out)
    assert ran.code == 0
    assert list(ran.json) == ["models", "mean", "spread", "differences"]
    alone = lstm2d("evaluate", brightness_model, dataset, "--json").json
    for one in ran.json["models"]:
        assert one == alone | {"seconds_per_image": one["seconds_per_image"]}
    totals = {"pixel_accuracy": 5 / 7, "class_accuracy": 17 / 24, "mean_iou": 0.55}
    assert ran.json["mean"] == pytest.approx(totals)
    assert ran.json["spread"] == {"pixel_accuracy": 0.0, "class_accuracy": 0.0, "mean_iou": 0.0}
    own = [f"{name}/{file}" for name in ("brightness", "brightness-2") for file in SINGLE]
    pair = [f"brightness-2/{file}" for file in ("between.png", "differences.csv", "differences.png")]
    assert names_in(out) == sorted([*own, *pair, "comparison.png", "metrics.json", "report.html"])
    assert json.loads((out / "metrics.json").read_text()) == ran.json
    assert json.loads((out / "brightness-2/metrics.json").read_text()) == ran.json["models"][1]
    # the sheet of both models, the differences and the images in between, and the confusion table of each
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    assert "Images by their pixel accuracy: 0 better, 0 worse, 2 equal." in page


def test_differences_of_two_models(
    lstm2d: Callable, brightness_model: Path, dark_model: Path, dataset: Path, tmp_path: Path
) -> None:
    """The confusion tables are [[2, 1], [1, 3]] and [[3, 0], [4, 0]]; the images lose 1/3 and 1/4."""
    out = tmp_path / "out"
    ran = lstm2d("evaluate", brightness_model, dark_model, dataset, "--json", "-o", out, "--edge", 1)
    assert ran.code == 0
    (found,) = ran.json["differences"]
    classes = {
        "dark": {"accuracy": 1 / 3, "iou": 3 / 7 - 2 / 4, "pixels": 3},
        "bright": {"accuracy": -3 / 4, "iou": -3 / 5, "pixels": 4},
    }
    assert list(found["per_class"]) == ["dark", "bright", "never"]
    for name, expected in classes.items():
        assert found["per_class"][name] == pytest.approx(expected)
    assert found["per_class"]["never"] == {"accuracy": None, "iou": None, "pixels": 0}
    assert found["model"] == str(dark_model)
    assert found["baseline"] == str(brightness_model)
    assert found["pixel_accuracy"] == pytest.approx(-2 / 7)
    assert found["class_accuracy"] == pytest.approx(1 / 2 - 17 / 24)
    assert found["mean_iou"] == pytest.approx(3 / 14 - 0.55)
    assert found["edge_accuracy"] == pytest.approx(-2 / 7)
    assert found["images"] == {"better": 0, "worse": 2, "equal": 0}
    with (out / "dark/differences.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header[:5] == ["class", "pixels", "baseline_accuracy", "accuracy", "accuracy_difference"]
    assert header[5:] == ["baseline_iou", "iou", "iou_difference"]
    assert rows == [
        ["dark", "3", "0.666667", "1.000000", "0.333333", "0.500000", "0.428571", "-0.071429"],
        ["bright", "4", "0.750000", "0.000000", "-0.750000", "0.600000", "0.000000", "-0.600000"],
        ["never", "0", "", "", "", "", "", ""],
    ]
    pair = [*SINGLE, "differences.csv", "differences.png", "losses.png"]
    assert names_in(out / "dark") == sorted(pair)
    assert names_in(out / "brightness") == SINGLE
    page = (out / "report.html").read_text()
    for text in ("<h2>dark compared with brightness", "<td>+33.3</td>", "<td>-7.1</td>", "0 better, 2 worse"):
        assert text in page
    lines = lstm2d("evaluate", brightness_model, dark_model, dataset).out.splitlines()
    assert [line.split() for line in lines[lines.index("Gain of dark over brightness in points:") :][1:]] == [
        ["class", "accuracy", "IoU"],
        ["0", "dark", "+33.33", "-7.14"],
        ["1", "bright", "-75.00", "-60.00"],
        ["2", "never", "absent", "absent"],
    ]


def test_the_first_of_three_models_is_the_baseline(
    lstm2d: Callable, brightness_model: Path, dark_model: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    models = (brightness_model, dark_model, brightness_model)
    ran = lstm2d("evaluate", *models, dataset, "--json", "-o", out)
    assert ran.code == 0
    found = ran.json["differences"]
    assert [(one["baseline"], one["model"]) for one in found] == [
        (str(brightness_model), str(model)) for model in models[1:]
    ]
    assert [one["pixel_accuracy"] for one in found] == pytest.approx([-2 / 7, 0.0])
    assert "losses.png" in names_in(out / "dark")
    assert "between.png" in names_in(out / "brightness-2")
    assert "differences.csv" not in names_in(out / "brightness")
    page = (out / "report.html").read_text()
    for name in ("dark", "brightness-2"):
        assert f"<h2>{name} compared with brightness</h2>" in page
    assert "Gain of" not in lstm2d("evaluate", *models, dataset).out


def test_masks_without_labels_are_compared(
    lstm2d: Callable, brightness_model: Path, dark_model: Path, dataset: Path, tmp_path: Path
) -> None:
    """Neither bars nor images are drawn."""
    for stem in "ab":
        write_sample(dataset, stem, [0, 0, 255, 255], [255] * 4)
    out = tmp_path / "out"
    ran = lstm2d("evaluate", brightness_model, dark_model, dataset, "--json", "-o", out)
    assert ran.code == 0
    (found,) = ran.json["differences"]
    assert found["pixel_accuracy"] is None
    assert found["images"] == {"better": 0, "worse": 0, "equal": 0}
    assert set(names_in(out / "dark")) - set(SINGLE) == {"differences.csv"}


def test_a_full_disk(
    lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels that cannot be kept end the command with exit code 5; no new folder remains."""

    def full(**options: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    ran = lstm2d("evaluate", brightness_model, brightness_model, dataset, "-o", tmp_path / "out")
    assert ran.code == 5
    assert "No space left on device" in ran.err
    assert not (tmp_path / "out").exists()
    assert lstm2d("evaluate", brightness_model, dataset, "-o", tmp_path / "out").code == 0


def test_tables_of_several_models(lstm2d: Callable, brightness_model: Path, dataset: Path) -> None:
    ran = lstm2d("evaluate", brightness_model, brightness_model, dataset, "--edge", 1)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "brightness          71.43  70.83     55.00  71.43" in lines
    assert "every pixel bright  57.14  50.00     28.57  57.14" in lines
    cells = [line.split() for line in lines]
    assert ["class", "brightness", "brightness-2"] in cells
    assert ["0", "dark", "66.67", "66.67"] in cells
    assert ["2", "never", "absent", "absent"] in cells
    assert not any(line.startswith(("mean", "spread")) for line in lines)


def test_k_fold(lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path) -> None:
    (dataset / "splits/first.txt").write_text("a\n")
    (dataset / "splits/second.txt").write_text("b\n")
    (dataset / "splits/train.txt").write_text("b\n")
    command = ("evaluate", brightness_model, brightness_model, dataset, "--splits", "first,second")
    ran = lstm2d(*command, "-o", tmp_path / "out")
    assert ran.code == 0
    assert "training images" not in ran.err
    lines = ran.out.splitlines()
    # a: dark 1 of 1, bright 1 of 2; b: dark 1 of 2, bright 2 of 2. The most frequent class differs
    assert "brightness          first   66.67  75.00     50.00" in lines
    assert "brightness-2        second  75.00  75.00     58.33" in lines
    assert "mean                        70.83  75.00     54.17" in lines
    assert "spread                       5.89   0.00      5.89" in lines
    assert "every pixel bright  first   66.67  50.00     33.33" in lines
    assert "every pixel dark    second  50.00  50.00     25.00" in lines
    assert {Path(name).name for name in names_in(tmp_path / "out")} <= set(SINGLE)
    assert "Gain of" not in ran.out
    assert "compared with" not in (tmp_path / "out/report.html").read_text()
    found = lstm2d(*command, "--json").json
    assert list(found) == ["models", "mean", "spread"]
    assert [one["split"] for one in found["models"]] == ["first", "second"]
    assert found["mean"]["pixel_accuracy"] == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert found["spread"]["pixel_accuracy"] == pytest.approx((3 / 4 - 2 / 3) / 2**0.5)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--split", "test", "--splits", "test,test"], "--split together with --splits"),
        (["--splits", "test"], "the number of splits (1) is not the number of models (2)"),
        (["--splits", "test,,"], "'test,,' is not S1,S2,..."),
        (["-o", "images.csv"], "a table of the images of several models"),
    ],
)
def test_wrong_options_for_several_models(
    lstm2d: Callable, brightness_model: Path, dataset: Path, options: list[str], part: str
) -> None:
    ran = lstm2d("evaluate", brightness_model, brightness_model, dataset, *options)
    assert ran.code == 2
    assert part in ran.err
    assert ran.out == ""


def test_all_models_are_checked_first(
    lstm2d: Callable, brightness_model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with the second model, the first one labels no image, and nothing is written."""
    labelled: list[object] = []
    monkeypatch.setattr(Predictor, "labels_of", lambda *args: labelled.append(args))
    out = tmp_path / "out"
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(brightness_model.read_bytes()[:-4])
    for model, part in ((broken, "broken.safetensors"), ("outdoor", "the model is outdoor")):
        ran = lstm2d("evaluate", brightness_model, model, dataset, "-o", out)
        assert ran.code == 3
        assert part in ran.err
    assert labelled == []
    assert not out.exists()


def test_models_of_different_classes(
    lstm2d: Callable, brightness_model: Path, two_class_model: Path, dataset: Path
) -> None:
    """A dataset without dataset.toml fits models with more classes."""
    (dataset / "dataset.toml").unlink()
    assert lstm2d("evaluate", two_class_model, dataset).code == 0
    ran = lstm2d("evaluate", brightness_model, two_class_model, dataset)
    assert ran.code == 3
    assert "the models brightness and two have different classes" in ran.err
