"""`lstm2d features`: files, values, JSON, options, and what is never overwritten."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.cli import features as command
from lstm2d.config import load_preset, preset_names
from lstm2d.data.synth import draw_scene
from lstm2d.io.model_file import save_model
from lstm2d.models import build
from lstm2d.predict import load
from lstm2d.report import feature_folder
from tests.cli.conftest import Run
from tests.predict.rcnn import rcnn_model
from tests.predict.test_predictor import random_model

FILES = {"01-lstm1.png", "02-scores.png", "overview.png", "features.json"}
SMALL = {
    "lstm2d": {"units": [2, 2], "features": [3]},
    "n-renet": {"units": [2, 3, 2]},
    "reseg": {"units": [2, 3], "upsample_channels": 4, "weights": ""},
    "h-renet": {"width": 1 / 64, "weights": ""},
    "rcnn": {"channels": [3, 2]},
    "fcn": {"width": 1 / 64, "weights": ""},
    "patch-cnn": {"width": 1 / 64, "weights": ""},
}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Return an image of 4x6 pixels, alone in its folder: red 0 at the left, red 255 at the right."""
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, 3:, 0] = 255
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos/a.png")
    return tmp_path / "photos/a.png"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def saved(section: dict[str, Any], path: Path) -> Path:
    """Save a model with random weights."""
    rng = np.random.default_rng(0)
    state = build(section, 4, rng).state_dict()
    model = replace(random_model(rng), state=state, config={"model": section})
    save_model(path, model)
    return path


def test_files_and_answer(lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "a/maps"
    ran = lstm2d("features", brightness_model, photo, "-o", out)
    assert ran.code == 0
    assert set(files(out)) == FILES
    assert "feature maps of 2 layers" in ran.err
    assert [line.split() for line in ran.out.splitlines()] == [
        ["layer", "file", "positions", "channels"],
        ["lstm1", "01-lstm1.png", "6x4", "4"],
        ["scores", "02-scores.png", "6x4", "3"],
    ]


def test_json_and_record(lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"
    ran = lstm2d("features", brightness_model, photo, "-o", out, "--json", "--quiet")
    layers = [
        {"name": "lstm1", "file": "01-lstm1.png", "rows": 4, "columns": 6, "channels": 4},
        {"name": "scores", "file": "02-scores.png", "rows": 4, "columns": 6, "channels": 3},
    ]
    assert ran.json == {
        "model": str(brightness_model),
        "image": str(photo),
        "out": str(out),
        "layers": layers,
    }
    assert len(ran.out.splitlines()) == 1
    assert ran.err.count("\n") <= 1  # without the size of the training images: one note, if not quiet
    assert json.loads((out / "features.json").read_text()) == {
        "written_by": "lstm2d features",
        "model": "brightness",
        "image": str(photo),
        "layers": layers,
        "files": sorted(FILES - {"features.json"}),
    }


def test_tiles_hold_the_values(lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path) -> None:
    """The scores of the two classes rise and fall with red; those of the third are the same everywhere."""
    out = tmp_path / "maps"
    assert lstm2d("features", brightness_model, photo, "-o", out, "--npy", "--quiet").code == 0
    sheet = np.array(Image.open(out / "02-scores.png"))
    expected = load(brightness_model).features(photo)
    assert set(files(out)) == FILES | {"01-lstm1.npy", "02-scores.npy"}
    for name, file in (("lstm1", "01-lstm1.npy"), ("scores", "02-scores.npy")):
        stored = np.load(out / file, allow_pickle=False)
        assert stored.dtype == np.float32
        np.testing.assert_array_equal(stored, expected[name])
    np.testing.assert_array_equal(expected["scores"][0, [0, -1], 0] > 0, [True, False])  # -h, by hand
    rows, columns = 141, 212  # of tiles of 4x6: sqrt(30000 * 4 / 6)
    top = sheet.shape[0] - 14 - 6 - 18 - rows
    for k, (left, right) in enumerate([(255, 0), (0, 255), (128, 128)]):
        tile = sheet[top : top + rows, 14 + k * (columns + 6) :][:, :columns]
        assert (tile[:, : columns // 2] == left).all()
        assert (tile[:, columns // 2 :] == right).all()


def test_chosen_layers(lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path) -> None:
    for words, names in (
        ("scores", ["scores"]),
        ("scores, lstm1", ["lstm1", "scores"]),
        ("l*", ["lstm1"]),
        ("?cores,l*,scores", ["lstm1", "scores"]),
    ):
        out = tmp_path / words.replace("*", "")
        ran = lstm2d("features", brightness_model, photo, "-o", out, "--layers", words, "--json")
        assert [layer["name"] for layer in ran.json["layers"]] == names
        assert {layer["file"] for layer in ran.json["layers"]} | {"overview.png", "features.json"} == set(
            files(out)
        )
    ran = lstm2d("features", brightness_model, photo, "-o", tmp_path / "none", "--layers", "lstm1,conv*")
    assert ran.code == 2
    assert ran.err.splitlines()[-2:] == [
        "Error: --layers: no such layer: 'conv*'",
        "  expected: lstm1, scores",
    ]
    assert not (tmp_path / "none").exists()
    assert lstm2d("features", brightness_model, photo, "-o", tmp_path / "none", "--layers", "a,,b").code == 2


def test_channels_are_left_out_with_a_line(
    lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path
) -> None:
    args = ("features", brightness_model, photo, "-o", tmp_path / "out", "--channels")
    assert "--channels" not in lstm2d(*args, "4").err
    assert (
        "1 layer has more than 3 channels: the sheets show the first ones (--channels)"
        in lstm2d(*args, 3).err
    )
    assert "2 layers have more than 2 channels" in lstm2d(*args, 2).err
    assert lstm2d(*args, 0).code == 2
    assert command.CHANNELS == feature_folder.CHANNELS


def test_an_earlier_result_is_replaced(
    lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path
) -> None:
    """Also its files that are not written this time; a file of the user stays."""
    out = tmp_path / "maps"
    args = ("features", brightness_model, photo, "-o", out, "--quiet")
    assert lstm2d(*args, "--npy").code == 0
    (out / "mine.png").write_text("mine")
    (out / "02-scores.npy").unlink()
    assert lstm2d(*args, "--layers", "scores").code == 0
    assert set(files(out)) == {"02-scores.png", "overview.png", "features.json", "mine.png"}
    assert (out / "mine.png").read_text() == "mine"
    once = files(out)
    assert lstm2d(*args, "--layers", "scores").code == 0
    assert files(out) == once


@pytest.mark.parametrize("name", ["01-lstm1.png", "overview.png", "features.json", "02-scores.npy"])
def test_files_of_others_stay(
    lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "maps"
    out.mkdir()
    (out / name).write_text('{"mine": 1}')
    args = ("features", brightness_model, photo, "-o", out, "--npy")
    ran = lstm2d(*args, "--json")
    assert ran.code == 2
    assert ran.json["error"]["where"] == str(out / name)
    assert "--overwrite" in ran.json["error"]["hint"]
    assert files(out) == {name: b'{"mine": 1}'}
    assert lstm2d(*args, "--overwrite").code == 0
    assert set(files(out)) == FILES | {"01-lstm1.npy", "02-scores.npy"}


@pytest.mark.parametrize(
    "names", [["../a.png"], ["mine.png"], ["/etc/passwd", 3, None], "01-lstm1.png", {"a": 1}, []]
)
def test_a_record_lists_only_results(
    lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path, names: object
) -> None:
    out = tmp_path / "photos/maps"
    out.mkdir()
    (out / "mine.png").write_text("mine")
    (out / "features.json").write_text(json.dumps({"written_by": "lstm2d features", "files": names}))
    assert lstm2d("features", brightness_model, photo, "-o", out).code == 0
    assert photo.is_file()
    assert (out / "mine.png").read_text() == "mine"


def test_inputs_are_never_replaced(lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path) -> None:
    before = photo.read_bytes()
    ran = lstm2d("features", brightness_model, photo, "-o", photo.parent, "--overwrite")
    assert ran.code == 2
    assert "among the images" in ran.err
    out = tmp_path / "maps"
    out.mkdir()
    os.link(photo, out / "overview.png")
    ran = lstm2d("features", brightness_model, photo, "-o", out, "--overwrite")
    assert ran.code == 2
    assert photo.read_bytes() == before
    (out / "overview.png").unlink()
    model = tmp_path / "model.safetensors"
    model.write_bytes(brightness_model.read_bytes())
    (out / "01-lstm1.png").symlink_to(model)
    assert lstm2d("features", model, photo, "-o", out, "--overwrite").code == 2
    assert model.read_bytes() == brightness_model.read_bytes()


def test_wrong_inputs(lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"
    ran = lstm2d("features", brightness_model, photo.parent, "-o", out)
    assert ran.code == 3
    assert "name one image" in ran.err
    assert lstm2d("features", brightness_model, tmp_path / "none.png", "-o", out).code == 3
    assert lstm2d("features", "outdor", photo, "-o", out).code == 3
    photo.write_bytes(photo.read_bytes()[:45])
    assert lstm2d("features", brightness_model, photo, "-o", out).code == 3
    assert lstm2d("features", brightness_model, photo).code == 2
    assert not out.exists()


def test_outputs_that_cannot_be_written(
    lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    assert lstm2d("features", brightness_model, photo, "-o", tmp_path / "file").code == 5
    assert lstm2d("features", brightness_model, photo, "-o", tmp_path / "file/maps").code == 5
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "maps/overview.png").mkdir(parents=True)
    ran = lstm2d("features", brightness_model, photo, "-o", tmp_path / "maps", "--json")
    assert ran.code == 5
    assert ran.json["error"]["where"] == str(tmp_path / "maps/overview.png")
    # the files that were written are known: the next call replaces them
    (tmp_path / "maps/overview.png").rmdir()
    assert lstm2d("features", brightness_model, photo, "-o", tmp_path / "maps").code == 0


def test_a_file_that_grows_too_large(brightness_model: Path, photo: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: exit code 5, and no half a picture."""
    args = [sys.executable, "-P", "-m", "lstm2d.cli", "features", brightness_model, photo]
    done = subprocess.run(
        [*args, "-o", tmp_path / "maps", "--device", "cpu"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 5, done.stderr
    assert "cannot write" in done.stderr
    assert set(files(tmp_path / "maps")) == {"features.json"}


def test_names_in_any_script(lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path) -> None:
    wide = photo.parent / "風景 写真, été.png"
    photo.rename(wide)
    model = tmp_path / "模型.safetensors"
    model.write_bytes(brightness_model.read_bytes())
    ran = lstm2d("features", model, wide, "-o", tmp_path / "地図", "--json")
    assert ran.code == 0
    assert ran.json["image"] == str(wide)
    assert set(files(tmp_path / "地図")) == FILES
    assert json.loads((tmp_path / "地図/features.json").read_text())["model"] == "模型"


def test_photographs_are_read_as_by_predict(
    lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path
) -> None:
    see_through = np.zeros((4, 6, 4), np.uint8)
    Image.fromarray(see_through).save(photo)
    for colour, bright in (("white", True), ("black", False)):
        out = tmp_path / colour
        args = ("--background", colour, "--npy", "--size", "native")
        assert lstm2d("features", brightness_model, photo, "-o", out, *args).code == 0
        assert ((np.load(out / "02-scores.npy")[:, :, 1] > 0) == bright).all()
    ran = lstm2d("features", brightness_model, photo, "-o", tmp_path / "b", "--size", "2", "--json")
    assert [(layer["rows"], layer["columns"]) for layer in ran.json["layers"]] == [(2, 2)] * 2
    assert lstm2d("features", brightness_model, photo, "-o", tmp_path / "c", "--size", "x").code == 2


def test_a_device_draws_the_same_maps(
    lstm2d: Run, brightness_model: Path, photo: Path, tmp_path: Path, device: str
) -> None:
    for place in ("cpu", device):
        ran = lstm2d("features", brightness_model, photo, "-o", tmp_path / place, "--device", place)
        assert ran.code == 0, ran.err
    one, two = (
        np.array(Image.open(tmp_path / place / "02-scores.png"), np.int16) for place in ("cpu", device)
    )
    assert np.abs(one - two).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", preset_names())
def test_every_network(lstm2d: Run, tmp_path: Path, name: str) -> None:
    section = load_preset(name).model_dump()["model"]
    small = {key: value for key, value in SMALL[section["kind"]].items() if section.get(key) != []}
    if section["kind"] == "n-renet" and section["features"]:
        small["features"] = [3, 4]
    model = saved(section | small, tmp_path / f"{name}.safetensors")
    (tmp_path / "photos").mkdir()
    Image.fromarray(draw_scene(1, 2)[0][:41, :50]).save(tmp_path / "photos/scene.png")
    out = tmp_path / "maps"
    ran = lstm2d(
        "features", model, tmp_path / "photos/scene.png", "-o", out, "--npy", "--json", "--channels", 5
    )
    assert ran.code == 0, ran.err
    expected = load(model).features(tmp_path / "photos/scene.png")
    layers = ran.json["layers"]
    assert [layer["name"] for layer in layers] == list(expected)
    for layer in layers:
        values = np.load(out / layer["values"])
        assert values.shape == (layer["rows"], layer["columns"], layer["channels"])
        np.testing.assert_array_equal(values, expected[layer["name"]])
        sheet = np.array(Image.open(out / layer["file"]))
        assert sheet.shape[2] == 3
        assert sheet.std() > 10
    written = {layer[key] for layer in layers for key in ("file", "values")}
    assert set(files(out)) == written | {"overview.png", "features.json"}
    stride = 1 if layers[0]["name"] == "conv1_1" else first_stride(section)
    assert layers[0]["rows"] == -(-41 // stride)


def first_stride(section: dict[str, Any]) -> int:
    """Return the side of the first layer's windows or patches."""
    if section["kind"] == "rcnn":
        return 1
    if section["kind"] == "patch-cnn":
        return {"clarifai": 4, "overfeat": 8}[section["architecture"]]
    return int(section["window"] if section["kind"] == "lstm2d" else section["patches"][0])


def test_layers_of_some_instances(lstm2d: Run, photo: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "small.safetensors", rcnn_model())
    words = ["features", tmp_path / "small.safetensors", photo, "-o", tmp_path / "maps"]
    ran = lstm2d(*words, "--instances", 2, "--layers", "instance?.scores,scores", "--json")
    assert ran.code == 0, ran.err
    layers = [
        (layer["name"], layer["rows"], layer["columns"], layer["channels"]) for layer in ran.json["layers"]
    ]
    assert layers == [("instance1.scores", 4, 6, 4), ("scores", 4, 6, 4)]
    assert lstm2d(*words, "--json").json["layers"][-1]["file"] == "09-scores.png"
    ran = lstm2d(*words, "--instances", 4)
    assert ran.code == 2
    assert "--instances: 4; the model was trained with 3" in ran.err


@pytest.mark.usefixtures("compiled")
def test_nothing_heavy_is_loaded(brightness_model: Path, photo: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom lstm2d.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as e:\n    assert not e.code\n"
        "heavy = {'pydantic', 'rich', 'numba', 'matplotlib', 'skimage', 'tifffile', 'jinja2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    words = ["features", brightness_model, photo, "-o", tmp_path / "maps", "--device", "cpu", "--quiet"]
    subprocess.run([sys.executable, "-P", "-c", code, *map(str, words)], check=True, capture_output=True)
