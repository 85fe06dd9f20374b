"""Folders of labelme."""

import base64
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.importers.kinds import labelme
from lstm2d.data.importers.source import Options
from lstm2d.data.importers.write import write_source
from lstm2d.errors import DataError
from tests.data.importers.opened import labels_of, names_of, splits_of

Save = Callable[..., Path]
Photo = Callable[..., np.ndarray]
SQUARE = [[1, 1], [5, 1], [5, 4], [1, 4]]


def shape(label: Any, points: Any, kind: str | None = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}


def content(name: str, *shapes: Any, **more: Any) -> str:
    start: dict[str, Any] = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": name}
    return json.dumps({**start, "imageData": None, "imageHeight": 4, "imageWidth": 6, **more})


def png(values: Any) -> str:
    buffer = BytesIO()
    Image.fromarray(np.array(values, np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_all_types_of_shapes(
    tmp_path: Path, save: Save, photo: Photo, labels_in: Callable[[Path], dict[str, np.ndarray]]
) -> None:
    mask = shape("leaf", [[3.0, 2.0], [5.0, 3.0]], "mask", mask=png([[1, 0, 1], [0, 1, 1]]))
    save("a.json", content("a.jpg", shape("tree", SQUARE), mask, shape("car", [[4, 3], [2, 2]], "rectangle")))
    save("b.json", content("b.jpg", shape("leaf", [[2.5, 2.5], [3.5, 2.5]], "circle"), imageData="QUJD"))
    save("c.json", content("c.jpg", shape("tree", SQUARE, None), shape("car", [*SQUARE[:2], [5, 2], [1, 2]])))
    for stem in "abc":
        save(f"{stem}.jpg", photo())
    src = tmp_path / "src"
    assert labelme.recognise(src) == "a.json has shapes, as in the files of labelme"
    source = labelme.open_source(src, Options())
    assert names_of(source) == ["_background_", "car", "leaf", "tree"]
    assert source.classes[0].color == (0, 0, 0)
    write_source(source, tmp_path / "out")
    found = labels_in(tmp_path / "out")
    # the mask begins in column 3 of row 2; the rectangle, drawn later, covers its first pixel
    assert found["a"].tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 3, 3, 3, 3, 0],
        [0, 3, 1, 1, 3, 2],
        [0, 3, 3, 3, 2, 2],
    ]
    assert found["b"].tolist() == [[0] * 6, [0, 0, 2, 0, 0, 0], [0, 2, 2, 2, 0, 0], [0, 0, 2, 0, 0, 0]]
    assert found["c"].tolist() == [[0] * 6, [0, 1, 1, 1, 1, 0], [0, 3, 3, 3, 3, 0], [0, 3, 3, 3, 3, 0]]


def test_masks_end_with_the_image(tmp_path: Path, save: Save, photo: Photo) -> None:
    mask = shape("leaf", [[4.0, 2.0], [6.0, 4.0]], "mask", mask=png([[1, 0], [0, 1]]))
    save("a.json", content("a.jpg", mask))
    save("a.jpg", photo())
    labels = labels_of(labelme.open_source(tmp_path / "src", Options()))["a"]
    assert labels.tolist() == [[0] * 6, [0] * 6, [0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]]


def test_the_list_of_labels_rules(tmp_path: Path, save: Save, photo: Photo) -> None:
    save(
        "a.json", content("a.jpg", shape("tree", SQUARE), shape("__ignore__", [[1, 1], [3, 2]], "rectangle"))
    )
    save("a.jpg", photo())
    expected = np.zeros((4, 6), int)
    expected[1:4, 1:5] = 2
    expected[1, 1:3] = 255
    save("labels.txt", "__ignore__\n_background_\ncar\n\ntree\n")
    source = labelme.open_source(tmp_path / "src", Options())
    assert names_of(source) == ["_background_", "car", "tree"]
    np.testing.assert_array_equal(labels_of(source)["a"], expected)
    save("labels.txt", "tree\ncar\n")  # no background: what has no shape is ignored
    source = labelme.open_source(tmp_path / "src", Options())
    assert names_of(source) == ["tree", "car"]
    np.testing.assert_array_equal(labels_of(source)["a"], np.where(expected == 2, 0, 255))
    assert any("are ignored; with `uncovered='background'`" in line for line in source.found)
    source = labelme.open_source(tmp_path / "src", Options(uncovered="background"))
    assert names_of(source) == ["_background_", "tree", "car"]
    np.testing.assert_array_equal(labels_of(source)["a"], np.where(expected == 2, 1, expected))
    save("labels.txt", "car\n")
    with pytest.raises(DataError, match=r"a\.json, shape 0: the label 'tree' is not in labels\.txt"):
        labelme.open_source(tmp_path / "src", Options())
    save("labels.txt", "car\ncar\n")
    with pytest.raises(DataError, match="two classes with the name 'car'"):
        labelme.open_source(tmp_path / "src", Options())


def test_uncovered_pixels_can_be_ignored(tmp_path: Path, save: Save, photo: Photo) -> None:
    save("a.json", content("a.jpg", shape("tree", SQUARE)))
    save("a.jpg", photo())
    source = labelme.open_source(tmp_path / "src", Options(uncovered="ignore"))
    assert names_of(source) == ["tree"]
    assert labels_of(source)["a"].tolist() == [[255] * 6] + [[255, 0, 0, 0, 0, 255]] * 3


def test_images_in_other_folders(tmp_path: Path, save: Save, photo: Photo) -> None:
    save("annotations/a.json", content("..\\images\\a.png", shape("tree", SQUARE)))
    save("images/a.png", photo())
    for split in ("train", "val"):
        save(f"{split}/b.json", content("b.jpg", shape("tree", SQUARE)))
        save(f"{split}/b.jpg", photo())
    source = labelme.open_source(tmp_path / "src", Options())
    assert splits_of(source) == {"a": "", "train_b": "train", "val_b": "val"}
    assert source.items[0].image == tmp_path / "src/images/a.png"


def test_linked_folders_are_read(tmp_path: Path, save: Save, photo: Photo) -> None:
    save("a.json", content("photos/a.png", shape("tree", SQUARE)))
    save("../elsewhere/a.png", photo())
    (tmp_path / "src/photos").symlink_to(tmp_path / "elsewhere")
    assert splits_of(labelme.open_source(tmp_path / "src", Options())) == {"a": ""}


def test_files_without_a_size(tmp_path: Path, save: Save, photo: Photo) -> None:
    save("a.json", content("a.png", shape("tree", SQUARE), imageHeight=None, imageWidth=None))
    save("a.png", photo(5, 7))
    assert labels_of(labelme.open_source(tmp_path / "src", Options()))["a"].shape == (5, 7)


def test_what_is_left_out_is_listed(tmp_path: Path, save: Save, photo: Photo) -> None:
    shapes = [
        shape("tree", [[1, 1], [3, 3]]),
        shape("tree", [[1, 1], [3, 3], [2, 1]], "linestrip"),
        shape("tree", [[1, 1]], "point"),
        shape("tree", [[2, 2], [2, 2]], "circle"),
        shape("tree", SQUARE),
    ]
    save("a.json", content("a.jpg", *shapes))
    save("b.json", content("b.jpg", shape("tree", SQUARE), imageData=png(np.zeros((4, 6)))))
    save("settings.json", '{"a": 1}')
    save("a.jpg", photo())
    source = labelme.open_source(tmp_path / "src", Options())
    assert splits_of(source) == {"a": ""}
    assert source.left_out == (
        "1 polygons of fewer than 3 points: a.json, shape 0",
        "1 shapes of the type 'linestrip': a.json, shape 1",
        "1 shapes of the type 'point': a.json, shape 2",
        "1 circles without a radius: a.json, shape 3",
        "1 files without their image: b.json",
        "1 JSON files without shapes: settings.json",
    )


NAN = float("nan")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (shape("tree", [[1, 1], [NAN, 2], [3, 3]]), r"point 1 at \(nan, 2\) is not finite"),
        (shape("tree", [[1, 1], [2, float("inf")], [3, 3]]), "point 1 .* is not finite"),
        (shape("tree", [[1, 1], [2, -1e9], [3, 3]]), "point 1 .* is far outside of the image of 6x4"),
        (shape("tree", [[1, 1], [2, "3"], [3, 3]]), "coordinates that are not numbers"),
        (shape("tree", [[1, 1], [2], [3, 3]]), "no pairs of x and y"),
        (shape("tree", None), "no pairs of x and y"),
        (shape(None, SQUARE), "the class name None"),
        (shape("a\nb", SQUARE), "the class name"),
        (shape("tree", SQUARE[:3], "circle"), "a circle of 3 points, 2 are expected"),
        (shape("tree", SQUARE[:1], "rectangle"), "a rectangle of 1 points"),
        (shape("tree", [[1, 1], [2, 2]], "mask"), "no base64 text"),
        (shape("tree", [[1, 1], [2, 2]], "mask", mask="@@"), "no base64 text"),
        (shape("tree", [[1, 1], [2, 2]], "mask", mask="QUJD"), "a mask that is no PNG"),
        (shape("tree", [[1, 1], [2, 2]], "mask", mask=png(np.ones((2, 3)))), "a mask of 3x2 pixels, .* 2x2"),
        (shape("tree", [[2, 2], [1, 1]], "mask", mask=png(np.ones((2, 2)))), "a mask of 2x2 pixels"),
        (shape("tree", [[1, 1], [2, 2]], "mask", mask=png(np.ones((2, 2, 3)))), "several channels"),
    ],
)
def test_wrong_shapes(tmp_path: Path, save: Save, photo: Photo, wrong: dict, message: str) -> None:
    save("a.json", content("a.jpg", shape("tree", SQUARE), wrong))
    save("a.jpg", photo())
    with pytest.raises(DataError, match=message) as e:
        labelme.open_source(tmp_path / "src", Options())
    assert "a.json, shape 1" in str(e.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (content("../a.jpg"), r"a\.json: the file name '\.\./a\.jpg' leads out of the folder"),
        (content("/etc/passwd"), "a path inside of the folder is expected"),
        (content("C:\\photos\\a.jpg"), "a path inside of the folder is expected"),
        (content("a\0.jpg"), "a path inside of the folder is expected"),
        (content("sub/../../a.jpg"), "leads out of the folder"),
        (content(""), "the file name ''"),
        (content(None), "the file name None"),  # type: ignore[arg-type]
        (content("a.jpg", imageHeight=0), "the height is 0"),
        (content("a.jpg", imageHeight="4"), "the height is '4'"),
        (content("a.jpg", imageHeight=10**6, imageWidth=10**6), "an image of 1000000x1000000 pixels"),
        (content("a.jpg", shapes={}), 'no list "shapes"'),
        (content("a.jpg", 3), '"shapes", entry 0 is 3'),
        ('{"shapes": [', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"shapes": ' + "1" * 5000 + "}", "not valid JSON"),
        ("[1]", "no JSON object"),
        ("\udcff", "not valid JSON"),
        (content("gone.jpg"), "annotations without their images"),
        (content("a.jpg"), "0 classes"),
    ],
)
def test_wrong_files(tmp_path: Path, save: Save, photo: Photo, text: str, message: str) -> None:
    path = save("a.json", "")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    save("a.jpg", photo())
    save("../a.jpg", photo())
    with pytest.raises(DataError, match=message) as e:
        labelme.open_source(tmp_path / "src", Options())
    assert str(tmp_path) in str(e.value) or "a.json" in str(e.value)


def test_all_wrong_entries_are_listed(tmp_path: Path, save: Save, photo: Photo) -> None:
    for k in range(30):
        save(f"{k:02}.json", content("a.jpg", shape("tree", [[NAN, 1], [2, 2], [3, 3]])))
    save("a.jpg", photo())
    save("05.json", '{"shapes": [')
    with pytest.raises(DataError, match="30 wrong entries") as e:
        labelme.open_source(tmp_path / "src", Options())
    assert "05.json: not valid JSON" in str(e.value)
    assert "19.json, shape 0: point 0" in str(e.value)
    assert "20.json" not in str(e.value)
    assert "and 10 more" in str(e.value)


def test_other_folders(tmp_path: Path, save: Save) -> None:
    save("a.json", '{"a": 1}')
    assert labelme.recognise(tmp_path / "src") is None
    assert labelme.recognise(tmp_path / "src/a.json") is None
    with pytest.raises(DataError, match="without their images"):
        labelme.open_source(tmp_path / "src", Options())
