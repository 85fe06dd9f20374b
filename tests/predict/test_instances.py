"""Resolution and instances of recurrent convolutional networks."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lstm2d
from lstm2d.errors import ConfigError
from lstm2d.io.model_file import save_model
from lstm2d.predict import Predictor
from lstm2d.predict.inputs import plan
from lstm2d.predict.instances import parse_instances, parse_resolution
from lstm2d.predict.label_files import label_files
from lstm2d.predict.manifest import Manifest, read_manifest
from lstm2d.predict.outcome import Options, Outcome
from tests.predict.rcnn import rcnn_model
from tests.predict.test_predictor import photo, random_model

ALL = (1, 2, 3)


@pytest.mark.parametrize(
    ("value", "expected"), [("1", 1), (1, 1), ("1/1", 1), ("1/2", 2), (4, 4), ("1/16", 16)]
)
def test_resolutions(value: object, expected: int) -> None:
    assert parse_resolution(value) == expected


@pytest.mark.parametrize("value", ["", "4", "1/0", "1/", "2/4", "0.25", 0.25, 0, -1, True, None, "1/1000000"])
def test_wrong_resolutions(value: object) -> None:
    with pytest.raises(ConfigError, match=r"`resolution`.*\n.*1, 1/2, 1/4, 1/8, 1/16 or 1/32"):
        parse_resolution(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, ()), (2, (2,)), ("2", (2,)), ("1, 2,3", ALL), ((3, 1), (1, 3)), (range(1, 4), ALL)],
)
def test_instances(value: Any, expected: tuple[int, ...]) -> None:
    assert parse_instances(value) == expected


@pytest.mark.parametrize("value", [0, -1, "", "1,", "1,1", (2, 2), (), "a", "1;2", True, (1, True), 1.0])
def test_wrong_instances(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"`instances`.*\n.*numbers from 1 on"):
        parse_instances(value)


@pytest.mark.parametrize(
    ("resolution", "instances", "message"),
    [
        ("1/16", None, r"1/16.*\n.*expected: 1, 1/2, 1/4, 1/8\n.*after 3 instances .* stride of 8 pixels"),
        ("1/8", 2, r"1/8.*\n.*expected: 1, 1/2, 1/4\n"),
        ("1/4", "1", r"1/4.*\n.*expected: 1, 1/2\n.*after 1 instance the"),
        ("1/3", None, r"1/3"),
        (1, 4, r"4; the model was trained with 3.*\n.*1 to 3\n.*model\.instances=4"),
        (1, "1,5", r"1, 5; the model was trained with 3.*\n.*1 to 3\n.*model\.instances=5"),
    ],
)
def test_what_a_model_does_not_have(resolution: str, instances: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Predictor(rcnn_model(), source="a.safetensors", resolution=resolution, instances=instances)
    assert caught.value.where == "a.safetensors"


@pytest.mark.parametrize("options", [{"resolution": 2}, {"instances": 1}, {"instances": "1,2"}])
def test_a_network_without_instances(rng: np.random.Generator, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ConfigError, match=rf"`{name}` for a model .* no such choice.*\n.*rcnn1 and rcnn2"):
        Predictor(random_model(rng), **options)
    predictor = Predictor(random_model(rng), resolution="1")
    assert (predictor.instances, predictor.trained, predictor.selection) == ((1,), 1, {})
    image = photo(rng)
    (labels,) = predictor.predict_instances(image).values()
    np.testing.assert_array_equal(labels, predictor.predict(image))


@pytest.mark.parametrize("size", [(20, 31), (1, 1), (1, 40), (3, 2)])
@pytest.mark.parametrize("resolution", [1, 2])
def test_labels_after_each_are_those_of_a_network_with_so_many(
    rng: np.random.Generator, size: tuple[int, int], resolution: int
) -> None:
    image = photo(rng, *size)
    several = Predictor(rcnn_model(), instances=ALL, resolution=resolution)
    found = several.predict_instances(image)
    assert list(found) == [1, 2, 3]
    assert size != (20, 31) or len({labels.tobytes() for labels in found.values()}) == 3
    for number, labels in found.items():
        smaller = Predictor(rcnn_model(number), resolution=resolution)
        expected = smaller.predict_proba(image)
        one = Predictor(rcnn_model(), instances=number, resolution=resolution)
        np.testing.assert_allclose(one.predict_proba(image), expected, atol=1e-6)
        np.testing.assert_array_equal(labels, one.predict(image))
    np.testing.assert_array_equal(several.predict(image), found[3])
    labels, probabilities = several.results_of(image, "auto", several.instances)
    np.testing.assert_array_equal(
        probabilities, Predictor(rcnn_model(), resolution=resolution).predict_proba(image)
    )
    assert [*labels] == [1, 2, 3]


@pytest.mark.parametrize("resolution", [2, 4, 8])
def test_pixels_have_the_values_of_the_nearest_cell(rng: np.random.Generator, resolution: int) -> None:
    image, q = photo(rng, 19, 30), resolution
    every = Predictor(rcnn_model()).predict_proba(image)
    found = Predictor(rcnn_model(), resolution=f"1/{q}").predict_proba(image)
    for row in range(19):
        for column in range(30):
            # cells lie on the pixels q // 2, q // 2 + q, ...; the last one inside the image is repeated
            i = min(row // q, (18 - q // 2) // q) * q + q // 2
            j = min(column // q, (29 - q // 2) // q) * q + q // 2
            np.testing.assert_allclose(found[row, column], every[i, j], atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (28, 5)])
@pytest.mark.parametrize("resolution", [1, 8])
@pytest.mark.parametrize("contrast", ["none", "image"])
def test_images_smaller_than_the_context_and_constant_ones(
    size: tuple[int, int], resolution: int, contrast: str
) -> None:
    model = rcnn_model()
    model.config["data"] = {"contrast": contrast}
    predictor = Predictor(model, resolution=resolution, instances=ALL)
    for value in (0, 100, 255):
        image = np.full((*size, 3), value, np.uint8)
        assert predictor.predict(image).shape == size
        np.testing.assert_allclose(predictor.predict_proba(image).sum(axis=2), 1, rtol=1e-5)


@pytest.mark.parametrize("resolution", [1, 4])
def test_a_device_gives_the_labels_of_the_cpu(
    rng: np.random.Generator, device: str, cupy_module: ModuleType, resolution: int
) -> None:
    image = photo(rng, 9, 14)
    expected = Predictor(rcnn_model(), instances=ALL, resolution=resolution)
    found = Predictor(rcnn_model(), instances=ALL, resolution=resolution, device=device)
    np.testing.assert_allclose(found.predict_proba(image), expected.predict_proba(image), atol=1e-5)
    for number, labels in found.predict_instances(image).items():
        assert isinstance(labels, np.ndarray)
        assert (labels == expected.predict_instances(image)[number]).mean() > 0.99
    features = expected.features(image)
    for name, values in found.features(image).items():
        np.testing.assert_allclose(values, features[name], atol=1e-5)


def test_feature_maps_lie_over_the_photograph(rng: np.random.Generator) -> None:
    model, image = rcnn_model(), photo(rng, 9, 14)
    maps = Predictor(model, resolution=4).features(image)  # of every pixel, whatever the resolution
    layers = [f"instance{p}.{name}" for p in ALL for name in ("layer1", "layer2", "scores")]
    assert list(maps) == [*layers[:-1], "scores"]
    assert {values.shape[:2] for values in maps.values()} == {(9, 14)}
    for number in ALL:
        scores = maps["scores" if number == 3 else f"instance{number}.scores"]
        found = Predictor(model, instances=number).features(image)
        np.testing.assert_allclose(scores, found["scores"], atol=1e-6)
        assert len(found) == 3 * number
    # layer 1 by hand: a 2x2 convolution, the maximum of 2x2, tanh; its 3x3 pixels begin one before its own
    x = np.pad((image - np.array(model.mean)) / np.array(model.std), ((1, 1), (1, 1), (0, 0)))
    weight, bias = model.state["first.image"], model.state["first.bias"]
    for i, j in ((0, 0), (8, 13), (4, 5)):
        four = [
            (x[i + a : i + a + 2, j + b : j + b + 2, :, None] * weight).sum(axis=(0, 1, 2)) + bias
            for a in (0, 1)
            for b in (0, 1)
        ]
        np.testing.assert_allclose(maps["instance1.layer1"][i, j], np.tanh(np.max(four, axis=0)), atol=1e-5)


def run(folder: Path, out: Path, *, instances: Any = None, resolution: Any = 1, **options: Any) -> Outcome:
    predictor = Predictor(rcnn_model(), instances=instances, resolution=resolution)
    form = options.get("format", "palette")
    return label_files(predictor, plan([folder], out, format=form), out, options=Options(**options))


@pytest.fixture
def images(tmp_path: Path, rng: np.random.Generator) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(photo(rng, 16, 20)).save(folder / name)
    return folder


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()} - {"classes.json", "legend.png", "predictions.csv"}


def test_files_of_several_instances(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(images, out, instances=ALL, overlay=True, probabilities=True).done == 2
    ends = [".png", ".i1.png", ".i2.png", "_overlay.png", ".i1_overlay.png", ".i2_overlay.png"]
    ends += [".npz", ".instances.png"]
    assert names(out) == {f"{stem}{end}" for stem in "ab" for end in ends}
    image = np.asarray(Image.open(images / "a.png"))
    expected = Predictor(rcnn_model(), instances=ALL).predict_instances(image)
    for end, number in ((".i1.png", 1), (".i2.png", 2), (".png", 3)):
        np.testing.assert_array_equal(np.array(Image.open(out / f"a{end}")), expected[number])
    with np.load(out / "a.npz") as stored:
        np.testing.assert_array_equal(stored["probabilities"].argmax(axis=2), expected[3])
    (row, _) = read_manifest(out / "predictions.csv")
    assert "instances=[1,2,3]" in row["settings"]
    assert "resolution" not in row["settings"]
    for column in ("i1 labels file", "i2 overlay file", "instances file"):
        assert row[column].startswith("sha256:")
    assert "i3 labels file" not in row


def test_a_picture_per_image_shows_them_side_by_side(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(images, out, instances=(1, 3), legend=True)
    with Image.open(out / "a.instances.png") as image:
        sheet = np.asarray(image.convert("RGB"))
    height, width = 256, 320
    assert sheet.shape[1] == 14 + 3 * width + 2 * 6 + 14
    # the colours of the model's classes are 0, 1, 2 and 3; enlarged without interpolation
    expected = Predictor(rcnn_model(), instances=(1, 3)).predict_instances(Image.open(images / "a.png"))
    lefts = [sheet.shape[1] - 14 - (2 - k) * width - (1 - k) * 6 for k in range(2)]
    top = 14 + 15 + 12
    for left, labels in zip(lefts, expected.values(), strict=True):
        part = sheet[top : top + height, left : left + width]
        np.testing.assert_array_equal(part[:, :, 0], labels.repeat(16, 0).repeat(16, 1))


def test_tiff_and_gray_labels(images: Path, tmp_path: Path) -> None:
    run(images, tmp_path / "out", instances=(1, 2), format="tiff")
    assert names(tmp_path / "out") == {"a.tif", "a.i1.tif", "b.tif", "b.i1.tif"}


def test_skip_done_knows_instances_and_resolution(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(images, out, skip_done=True).done == 2
    assert run(images, out, skip_done=True, instances=3).skipped == 2  # the default
    again = run(images, out, skip_done=True, instances=ALL)
    assert (again.done, again.redone) == (2, {"other settings (instances)": 2})
    assert run(images, out, skip_done=True, instances="1,2,3").skipped == 2
    (out / "b.i2.png").unlink()
    again = run(images, out, skip_done=True, instances=ALL)
    assert (again.done, again.skipped, again.redone) == (1, 1, {"i2 labels missing or changed": 1})
    again = run(images, out, skip_done=True, instances=ALL, resolution="1/2")
    assert again.redone == {"other settings (resolution)": 2}
    again = run(images, out, skip_done=True, instances=ALL, resolution="1/2", overlay=True)
    assert again.redone == {"overlay missing or changed": 2}
    assert run(images, out, skip_done=True, instances=ALL, resolution="1/2", overlay=True).skipped == 2
    assert run(images, out, skip_done=True, resolution="1/2").redone == {"other settings (instances)": 2}


def test_a_record_gets_columns_where_they_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    with Manifest(path, ["sky"]) as record:
        record.add("a.jpg", "a.png", seconds=1.0, areas=[1.0])
        assert "i1 labels file" not in read_manifest(path)[0]
        record.add("b.jpg", "b.png", seconds=1.0, areas=[1.0], marks={"i1 labels file": "x"})
        rows = read_manifest(path)  # before the end, as after a crash
        assert [(row["labels"], row["i1 labels file"]) for row in rows] == [("a.png", ""), ("b.png", "x")]
        record.add("c.jpg", "c.png", seconds=1.0, areas=[1.0], marks={"i1 labels file": "y"})
        assert read_manifest(path)[2]["i1 labels file"] == "y"
        record.add("b.jpg", "b.png", seconds=1.0, areas=[1.0])
        record.add("c.jpg", "c.png", seconds=1.0, areas=[1.0])
    rows = read_manifest(path)
    assert [row["labels"] for row in rows] == ["a.png", "b.png", "c.png"]
    assert "i1 labels file" not in rows[0]


def test_earlier_files_stay_replaceable(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(images, out, instances=ALL, overlay=True)
    run(images, out)  # leaves the files of the first two instances
    row = read_manifest(out / "predictions.csv")[0]
    assert row["i1 labels file"] == "earlier" == row["instances file"]
    assert run(images, out, instances=ALL, overlay=True).done == 2
    (tmp_path / "other").mkdir()
    Image.new("RGB", (3, 3)).save(tmp_path / "other/a.i1.png")
    with pytest.raises(ConfigError, match="not a result of lstm2d"):
        run(images, tmp_path / "other", instances=(1, 2))
    assert run(images, tmp_path / "other").done == 2  # writes no such file


def test_names_of_results_never_meet(images: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    Image.fromarray(photo(rng)).save(images / "a.i1.png")
    run(images, tmp_path / "out", instances=(1, 2))
    # a.i1.png comes first, and a.png keeps its ending
    assert names(tmp_path / "out") == {
        *("a.i1.png", "a.i1.i1.png"),
        *("a.png.png", "a.png.i1.png"),
        *("b.png", "b.i1.png"),
    }


def test_load_and_what_is_not_the_default(tmp_path: Path) -> None:
    save_model(tmp_path / "small.safetensors", rcnn_model())
    model = lstm2d.load(tmp_path / "small.safetensors", resolution="1/4", instances=[2])
    assert json.dumps(model.selection) == '{"resolution": "1/4", "instances": [2]}'
    assert (model.resolution, model.instances, model.trained) == (4, (2,), 3)
    assert lstm2d.load(tmp_path / "small.safetensors", instances=3).selection == {}
