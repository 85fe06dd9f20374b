"""Inputs that fuzzing found: each once ended a reader with another error, a crash, or took too long."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import lstm2d
from lstm2d.cli.program import program
from lstm2d.data.arrays import ArrayDataset
from lstm2d.errors import ConfigError, DataError, Lstm2dError
from lstm2d.predict.predictor import Predictor
from tests.data.importers.formats.test_matlab import HEADER, matrix, part
from tests.reliability.fuzz.table import GROUPS, targets_of
from tests.reliability.fuzz.target import Reader

LONG = "a" * 300  # longer than the name of a file can be


def labelme(path: str) -> bytes:
    shape = {"label": "tree", "points": [[1, 1], [5, 1], [5, 4]], "shape_type": "polygon"}
    return json.dumps({"imagePath": path, "imageHeight": 4, "imageWidth": 6, "shapes": [shape]}).encode()


def coco(name: str) -> bytes:
    image = {"id": 1, "file_name": name, "height": 4, "width": 6}
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 4]]}
    categories = [{"id": 1, "name": "dog"}]
    return json.dumps({"images": [image], "annotations": [annotation], "categories": categories}).encode()


def cell(content: bytes) -> bytes:
    """Return a MATLAB file with one cell of text."""
    return HEADER + matrix("names", 1, (1, 1), matrix("", 4, (1, 2), content))


FOUND = [  # target, input, part of the message; None if the input is read
    ("Matlab", cell(part(5, b"abcdefgh")), "text in an unknown encoding"),  # SciPy: segmentation fault
    ("Matlab", cell(part(14, b"abcdefgh")), "text in an unknown encoding"),
    ("labelme", labelme("." * 300), "without their image"),
    ("labelme", labelme("x/" + LONG), "without their image"),
    ("COCO", coco(LONG), "listed images that are not there"),
    (
        "CVAT XML",
        b'<annotations><image name="%s" width="6" height="4"/></annotations>' % LONG.encode(),
        "class",
    ),
    ("pairs of paths", f"train/a.png /SegNet/{LONG}\n".encode(), None),
    ("YOLO data.yaml", b"names(\n", "names"),
    ("YOLO data.yaml", f"names: [cat]\ntrain: {LONG}\n".encode(), "there is no folder or list"),
    ("predictions.csv", b"image,labels,seconds,error,crf\n" + b"\n" * 20_000, None),
    ("predictions.csv", b"image,labels,seconds,error,crf\n" + b'"a"b\n' * 12_000, None),
    ("predictions.csv", b"image,labels,seconds,error,crf\n/a.png,.,0.1,,\n/b.png,/,0.1,,\n", None),
    ("log.jsonl", b'{"event": "step", "step": 1%s}\n' % (b"0" * 400), None),
    ("log.jsonl", b'{"event": "step", "step": %s}\n' % (b"[" * 50_000), None),
]


@pytest.mark.parametrize(("name", "data", "message"), FOUND, ids=[f"{f[0]} {k}" for k, f in enumerate(FOUND)])
def test_inputs(tmp_path: Path, name: str, data: bytes, message: str | None) -> None:
    (target,) = [target for group in GROUPS for target in targets_of(group) if target.name == name]
    reader = Reader(target, tmp_path)
    reader.warm_up()
    assert reader.problem(data) is None
    if message is None:
        target.read(reader.path)
    else:
        with pytest.raises(DataError, match=message):
            target.read(reader.path)


COMMANDS = [  # arguments, and the exit code for a name that cannot be that of a file
    (("predict", "outdoor", "{}", "-o", "out"), 3),
    (("predict", "{}", "here/images", "-o", "out"), 3),
    (("predict", "outdoor", "here/images", "-o", "{}"), 5),
    (("train", "lstm2d-5x5", "--data", "{}", "-o", "run"), 3),
    (("train", "{}", "--data", "here", "-o", "run"), 2),
    (("train", "lstm2d-5x5", "--data", "here", "-o", "{}", "--val", "0"), 5),
    (("evaluate", "outdoor", "{}"), 3),
    (("evaluate", "{}", "here"), 3),
    (("inspect", "{}"), 3),
    (("data", "check", "{}"), 3),
    (("data", "stats", "{}"), 3),
    (("data", "split", "{}"), 3),
    (("data", "import", "auto", "{}", "-o", "out"), 3),
    (("data", "synth", "-o", "{}"), 5),
    (("features", "outdoor", "{}", "-o", "out"), 3),
    (("hierarchy", "build", "{}", "--method", "lc", "-o", "h.json"), 3),
    (("hierarchy", "show", "{}"), 3),
    (("weights", "import", "{}"), 3),
    (("config", "show", "{}"), 2),
    (("config", "diff", "{}", "lstm2d-5x5"), 2),
]


@pytest.mark.parametrize(("arguments", "code"), COMMANDS, ids=[" ".join(c[0]) for c in COMMANDS])
def test_names_that_are_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("images", "masks"):
        (tmp_path / "here" / name).mkdir(parents=True)
        values = np.arange(60, dtype=np.uint8).reshape(6, 10) % 2
        Image.fromarray(values).save(tmp_path / "here" / name / "a.png")
    ran = CliRunner().invoke(program, [argument.format(LONG) for argument in arguments])
    assert "unexpected" not in ran.output
    assert (ran.exit_code, LONG in ran.output) == (code, True), ran.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here"]


@pytest.fixture(scope="module")
def model(brightness_model: Path) -> Predictor:
    return lstm2d.load(brightness_model)


IMAGE = np.zeros((3, 4, 3), np.uint8)


@pytest.mark.parametrize(
    "size",
    [
        np.zeros(3),
        np.zeros(0),
        np.zeros(2, "u1,f4"),
        pytest.param(10**5000, id="5001 digits"),
        [1],
        None,
        True,
        float("nan"),
        "1e3",
        1e9,
    ],
)
def test_sizes_that_are_none(model: Predictor, size: Any) -> None:
    with pytest.raises(ConfigError) as e:
        model.predict(IMAGE, size=size)
    assert len(str(e.value)) < 300


@pytest.mark.parametrize("size", [3, 3.0, "3", np.float32(3), np.int64(3), "native", "auto"])
def test_sizes(model: Predictor, size: Any) -> None:
    assert model.predict(IMAGE, size=size).shape == (3, 4)


def test_buffers_of_several_images(model: Predictor) -> None:
    images = np.zeros((2, 3, 4, 3), np.uint8)
    assert np.shape(model.predict(memoryview(images))) == (2, 3, 4)
    data = ArrayDataset(memoryview(images), memoryview(np.zeros((2, 3, 4), np.uint8)), classes=["a"])
    assert [data.load(sample)[1].shape for sample in data.samples] == [(3, 4)] * 2


def test_a_masked_array_of_records(model: Predictor) -> None:
    with pytest.raises(Lstm2dError, match="image of type"):
        model.predict(np.ma.masked_array(np.zeros((3, 4), "u1,f4")))
