"""`--resolution` and `--instances` on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.io.model_file import save_model
from lstm2d.metrics.confusion import Confusion
from lstm2d.predict import load
from tests.cli.conftest import Run
from tests.predict.rcnn import rcnn_model
from tests.predict.test_predictor import photo


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a recurrent convolutional network with three instances."""
    save_model(tmp_path / "small.safetensors", rcnn_model())
    return tmp_path / "small.safetensors"


@pytest.fixture
def scenes(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a dataset of three images with random masks, some pixels without a label."""
    root = tmp_path / "scenes"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    tables = "".join(f'[[classes]]\nname = "{c}"\ncolor = [{k}, {k}, {k}]\n' for k, c in enumerate("abcd"))
    (root / "dataset.toml").write_text(f'name = "scenes"\nignore = 255\n{tables}')
    for k in range(3):
        Image.fromarray(photo(rng, 17, 22)).save(root / f"images/{k}.png")
        Image.fromarray(rng.choice([0, 1, 2, 3, 255], (17, 22)).astype(np.uint8)).save(
            root / f"masks/{k}.png"
        )
    return root


def test_predict(lstm2d: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["predict", model, photos, "-o", out, "--json", "--device", "cpu"]
    ran = lstm2d(*words, "--instances", "1,3", "--resolution", "1/2")
    assert ran.code == 0, ran.err
    assert ran.json["instances"] == [1, 3]
    assert ran.json["resolution"] == "1/2"
    labels = np.array(Image.open(out / "a.i1.png"))
    np.testing.assert_array_equal(
        labels, load(model, instances=1, resolution="1/2").predict(photos / "a.png")
    )
    assert (out / "sub/c.i1.png").is_file()
    plain = lstm2d(*words)
    assert "instances" not in plain.json
    assert "resolution" not in plain.json
    # files without --instances are the defaults: as many as were trained, every pixel
    np.testing.assert_array_equal(np.array(Image.open(out / "b.png")), load(model).predict(photos / "b.png"))


def test_evaluate(lstm2d: Run, model: Path, scenes: Path, tmp_path: Path) -> None:
    ran = lstm2d("evaluate", model, scenes, "--instances", "1,2,3", "--json", "--device", "cpu")
    assert ran.code == 0, ran.err
    after = ran.json["instances"]
    assert list(after) == ["1", "2", "3"]
    for number, totals in after.items():
        predictor, counts = load(model, instances=int(number)), Confusion(4)
        for k in range(3):
            truth = np.array(Image.open(scenes / f"masks/{k}.png"))
            counts.add(truth, predictor.predict(scenes / f"images/{k}.png"))
        assert totals == counts.totals
        assert list(totals) == ["pixel_accuracy", "class_accuracy", "mean_iou"]
    assert after["3"] == {key: ran.json[key] for key in after["3"]}
    assert after["1"] != after["3"]
    out = tmp_path / "report"
    words = ["evaluate", model, scenes, "--instances", "2", "--resolution", "1/4", "--device", "cpu"]
    ran = lstm2d(*words, "-o", out, "--json")
    assert (list(ran.json["instances"]), ran.json["resolution"]) == (["2"], "1/4")
    assert json.loads((out / "metrics.json").read_text())["resolution"] == "1/4"
    plain = lstm2d("evaluate", model, scenes, "--json").json
    assert not {"instances", "resolution"} & set(plain)


def test_the_table_and_the_report(lstm2d: Run, model: Path, scenes: Path, tmp_path: Path) -> None:
    words = ["--instances", "1,3", "--device", "cpu"]
    ran = lstm2d("evaluate", model, scenes, "-o", tmp_path / "report", *words)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 80
    (begin,) = (k for k, line in enumerate(lines) if line.startswith("after instance"))
    assert lines[begin].split() == ["after", "instance", "pixel", "%", "class", "%", "mean", "IoU", "%"]
    assert [line.split()[0] for line in lines[begin + 1 : begin + 3]] == ["1", "3"]
    page = (tmp_path / "report/report.html").read_text()
    assert "<th>instances</th>" in page.replace(' scope="col"', "")
    several = lstm2d("evaluate", model, model, scenes, *words)
    cells = [line.split() for line in several.out.splitlines()]
    (begin,) = (k for k, cell in enumerate(cells) if cell[:3] == ["model", "after", "instance"])
    assert [cell[:2] for cell in cells[begin + 1 : begin + 5]] == [
        [name, number] for name in ("small", "small-2") for number in ("1", "3")
    ]


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resolution", "1/16"], "--resolution: 1/16: {}\n  expected: 1, 1/2, 1/4, 1/8\n"),
        (["--resolution", "half"], "--resolution 'half'\n  expected: 1, 1/2, 1/4, 1/8, 1/16 or 1/32\n"),
        (["--instances", "4"], "--instances: 4; the model was trained with 3: {}\n  expected: 1 to 3\n"),
        (["--instances", "1,x"], "--instances '1,x'\n"),
        (["--instances", "1", "--resolution", "1/4"], "expected: 1, 1/2\n"),
    ],
)
def test_wrong_options(
    lstm2d: Run, model: Path, photos: Path, scenes: Path, command: str, options: list[str], message: str
) -> None:
    out = photos.parent / "out"
    ran = lstm2d(command, model, *([photos, "-o", out] if command == "predict" else [scenes]), *options)
    assert ran.code == 2
    assert message.format(model) in ran.err
    assert not out.exists()


@pytest.mark.parametrize("options", [["--resolution", "1/2"], ["--instances", "1"]])
def test_other_networks(
    lstm2d: Run, brightness_model: Path, photos: Path, tmp_path: Path, options: list[str]
) -> None:
    ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", *options)
    assert ran.code == 2
    assert f"{options[0]} for a model that has no such choice: {brightness_model}" in ran.err
    assert f"do: leave {options[0]} out" in ran.err


def test_a_run_has_a_picture_of_its_instances(lstm2d: Run, scenes: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = ["--set", "model.channels=[3,2]", "--set", "train.warmup_steps=0", "--epochs", "1"]
    ran = lstm2d("train", "rcnn2", "--data", scenes, "-o", run, "--device", "cpu", *small)
    assert ran.code == 0, ran.err
    assert "not all pictures" not in ran.err
    with Image.open(run / "plots/instances.png") as sheet:
        # of one held-out image: picture, truth, labels after one, two and three instances
        assert sheet.height > 5 * 150
    ran = lstm2d("evaluate", run, scenes, "--instances", "1,2,3", "--json", "--device", "cpu")
    assert list(ran.json["instances"]) == ["1", "2", "3"]
