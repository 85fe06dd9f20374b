"""COCO data sets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm2d.data.importers.kinds import coco
from lstm2d.data.importers.source import Options
from lstm2d.data.importers.write import write_source
from lstm2d.errors import DataError
from tests.data.importers.formats.test_runs import encoded
from tests.data.importers.opened import labels_of, names_of, splits_of

Save = Callable[..., Path]
Photo = Callable[..., np.ndarray]
CATEGORIES = [
    {"id": 18, "name": "dog", "supercategory": "animal"},
    {"id": 1, "name": "person", "supercategory": "person"},
]
SQUARE = [1, 1, 5, 1, 5, 4, 1, 4]
SMALL = [2, 2, 4, 2, 4, 3, 2, 3]


def image(number: Any, name: Any, height: Any = 4, width: Any = 6) -> dict[str, Any]:
    return {"id": number, "file_name": name, "height": height, "width": width, "coco_url": "http://x/y.jpg"}


def annotation(number: int, picture: Any, category: Any, segmentation: Any, **more: Any) -> dict[str, Any]:
    entry = {"id": number, "image_id": picture, "category_id": category, "iscrowd": 0, "bbox": [0, 0, 1, 1]}
    return entry | ({} if segmentation is None else {"segmentation": segmentation}) | more


def document(images: list, annotations: list, categories: list | None = None) -> str:
    shown = CATEGORIES if categories is None else categories
    return json.dumps({"info": {}, "images": images, "annotations": annotations, "categories": shown})


def runs(mask: np.ndarray) -> list[int]:
    """Return the runs of a mask down its columns, by a plain loop."""
    counts, inside = [0], 0
    for pixel in mask.T.ravel().tolist():
        if pixel != inside:
            counts, inside = [*counts, 0], pixel
        counts[-1] += 1
    return counts


def test_instances(
    tmp_path: Path,
    save: Save,
    photo: Photo,
    rng: np.random.Generator,
    labels_in: Callable[[Path], dict[str, np.ndarray]],
) -> None:
    crowd = rng.integers(0, 2, (4, 6))
    packed = rng.integers(0, 2, (4, 6))
    annotations = [
        annotation(7, 3, 1, [SMALL]),  # small: above the dog, though listed first
        annotation(8, 3, 18, [SQUARE]),
        annotation(9, 4, 18, {"size": [4, 6], "counts": runs(crowd)}, iscrowd=1),
        annotation(10, 5, 1, {"size": [4, 6], "counts": encoded(runs(packed))}),
        annotation(11, 6, 1, [[0, 0, 1, 0, 1, 1, 0, 1], [4, 2, 6, 2, 6, 4, 4, 4]]),  # two parts
    ]
    names = {3: "000003", 4: "000004", 5: "000005", 6: "000006"}
    images = [image(number, f"{name}.jpg") for number, name in names.items()]
    save("annotations/instances_train2017.json", document(images, annotations))
    save(
        "annotations/instances_val2017.json",
        document([image(3, "000099.jpg")], [annotation(1, 3, 1, [SMALL])]),
    )
    save("annotations/captions_val2017.json", document([], []))
    for name in names.values():
        save(f"train2017/{name}.jpg", photo())
    save("images/val2017/000099.jpg", photo())
    src = tmp_path / "src"
    assert "instances_train2017.json" in (coco.recognise(src) or "")
    source = coco.open_source(src, Options())
    assert names_of(source) == ["background", "person", "dog"]  # in order of their ids
    assert splits_of(source) == {**dict.fromkeys(names.values(), "train"), "000099": "val"}
    write_source(source, tmp_path / "out")
    found = labels_in(tmp_path / "out")
    square = [[0] * 6, [0, 2, 2, 2, 2, 0], [0, 2, 1, 1, 2, 0], [0, 2, 2, 2, 2, 0]]
    assert found["000003"].tolist() == square
    np.testing.assert_array_equal(found["000004"], 2 * crowd)
    np.testing.assert_array_equal(found["000005"], packed)
    corners = [[1, 0, 0, 0, 0, 0], [0] * 6, [0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1]]
    assert found["000006"].tolist() == corners


def test_stuff_ignores_the_rest(tmp_path: Path, save: Save, photo: Photo) -> None:
    images = [image(1, "a.jpg"), image(2, "empty.jpg")]
    save("stuff_train.json", document(images, [annotation(1, 1, 18, [SQUARE])]))
    for name in ("a", "empty"):
        save(f"{name}.jpg", photo())
    source = coco.open_source(tmp_path / "src", Options())
    assert names_of(source) == ["person", "dog"]
    assert labels_of(source)["a"].tolist() == [[255] * 6] + [[255, 1, 1, 1, 1, 255]] * 3
    assert source.left_out == ("1 images without annotations: stuff_train.json, image 2",)
    source = coco.open_source(tmp_path / "src", Options(uncovered="background"))
    assert names_of(source) == ["background", "person", "dog"]
    assert labels_of(source)["empty"].max() == 0
    assert "1 images without annotations are background only" in source.found


def test_a_category_may_be_the_background(tmp_path: Path, save: Save, photo: Photo) -> None:
    categories = [{"id": 0, "name": "cup"}, {"id": 1, "name": "Background"}]
    text = document([image(1, "a.jpg")], [annotation(1, 1, 0, [SQUARE])], categories)
    save("train/_annotations.coco.json", text)
    save("train/a.jpg", photo())
    source = coco.open_source(tmp_path / "src", Options())
    assert names_of(source) == ["cup", "Background"]
    assert labels_of(source)["a"].tolist() == [[1] * 6] + [[1, 0, 0, 0, 0, 1]] * 3
    assert splits_of(source) == {"a": "train"}


def panoptic(ids: np.ndarray) -> np.ndarray:
    return np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1)


@pytest.fixture
def segments(save: Save, photo: Photo) -> np.ndarray:
    """Make a panoptic data set of one image; return its segment ids."""
    ids = np.array([[0, 7, 7], [70_000, 300, 16_777_215]])
    info = [(7, 18), (70_000, 1), (300, 18), (16_777_215, 1)]
    entry = {
        "image_id": 5,
        "file_name": "a.png",
        "segments_info": [{"id": number, "category_id": category, "iscrowd": 0} for number, category in info],
    }
    colors = [{**category, "isthing": 1, "color": [k + 1, 2, 3]} for k, category in enumerate(CATEGORIES)]
    images = [image(5, "a.jpg", 2, 3), image(6, "b.jpg", 2, 3)]
    save("annotations/panoptic_val2017.json", document(images, [entry], colors))
    save("annotations/panoptic_val2017/a.png", panoptic(ids))
    save("annotations/instances_val2017.json", document(images, []))
    for name in "ab":
        save(f"val2017/{name}.jpg", photo(2, 3))
    return ids


def test_panoptic_segments(
    tmp_path: Path, segments: np.ndarray, labels_in: Callable[[Path], dict[str, np.ndarray]]
) -> None:
    source = coco.open_source(tmp_path / "src", Options())
    assert [(info.name, info.color) for info in source.classes] == [("person", (2, 2, 3)), ("dog", (1, 2, 3))]
    assert source.left_out == (
        "1 images without annotations: annotations/panoptic_val2017.json, image 6",
        "files that are not used: instances_val2017.json",
    )
    assert splits_of(source) == {"a": "val"}
    write_source(source, tmp_path / "out")
    assert labels_in(tmp_path / "out")["a"].tolist() == [[255, 1, 1], [0, 1, 0]]
    source = coco.open_source(tmp_path / "src", Options(uncovered="background"))
    assert labels_of(source)["a"].tolist() == [[0, 2, 2], [1, 2, 1]]


def test_one_file_by_name(tmp_path: Path, segments: np.ndarray) -> None:
    path = tmp_path / "src/annotations/panoptic_val2017.json"
    assert coco.recognise(path) is not None
    source = coco.open_source(path, Options())
    assert splits_of(source) == {"a": "val"}
    assert source.name == "src"
    renamed = path.rename(path.with_name("mine.json"))  # the contents say what it holds
    (path.parent / "panoptic_val2017").rename(path.parent / "mine")
    (tmp_path / "src/val2017").rename(tmp_path / "src/images")
    assert labels_of(coco.open_source(renamed, Options()))["a"].tolist() == [[255, 1, 1], [0, 1, 0]]


def test_wrong_segments(tmp_path: Path, segments: np.ndarray, save: Save) -> None:
    segments[1, 1] = 301
    save("annotations/panoptic_val2017/a.png", panoptic(segments))
    source = coco.open_source(tmp_path / "src", Options())
    with pytest.raises(DataError, match=r"segment 301 at row 1, column 1 \(1 such pixels\)") as e:
        source.items[0].labels()
    assert "a.png" in str(e.value)
    (tmp_path / "src/annotations/panoptic_val2017/a.png").unlink()
    with pytest.raises(DataError, match="annotations without their images") as e:
        coco.open_source(tmp_path / "src", Options())
    assert "1 annotations without their PNG in panoptic_val2017/" in str(e.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file_name": "../../../a.png"}, "leads out of the folder"),
        ({"segments_info": 3}, 'no list "segments_info"'),
        ({"segments_info": [{"id": 0, "category_id": 1}]}, "the id of a segment is 0"),
        ({"segments_info": [{"id": 2**24, "category_id": 1}]}, "the id of a segment is 16777216"),
        ({"segments_info": [{"id": 1, "category_id": 2}]}, "no category with the id 2"),
        ({"image_id": 9}, "no image with the id 9"),
    ],
)
def test_wrong_panoptic_entries(tmp_path: Path, segments: np.ndarray, change: dict, message: str) -> None:
    path = tmp_path / "src/annotations/panoptic_val2017.json"
    content = json.loads(path.read_text())
    content["annotations"].append(content["annotations"][0] | change)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message) as e:
        coco.open_source(tmp_path / "src", Options())
    assert "panoptic_val2017.json, annotation 1" in str(e.value)


def test_what_is_left_out_is_listed(tmp_path: Path, save: Save, photo: Photo) -> None:
    annotations = [
        annotation(1, 1, 1, [SQUARE]),
        annotation(2, 1, 1, None),
        annotation(3, 1, 1, []),
        annotation(4, 1, 1, [[1, 1, 2, 2]]),
        annotation(5, 1, 1, [SMALL, [1, 1, 2, 2]]),
    ]
    save("instances_train.json", document([image(1, "a.jpg"), image(2, "gone.jpg")], annotations))
    save("a.jpg", photo())
    source = coco.open_source(tmp_path / "src", Options())
    assert source.left_out == (
        "2 annotations without an outline: instances_train.json, annotation 2; "
        "instances_train.json, annotation 3",
        "2 polygons of fewer than 3 points: instances_train.json, annotation 4; "
        "instances_train.json, annotation 5",
        "1 listed images that are not there: instances_train.json, image 2",
    )


NAN = float("nan")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (annotation(9, 1, 2, [SQUARE]), "no category with the id 2"),
        (annotation(9, 1, [1], [SQUARE]), r"no category with the id \[1\]"),
        (annotation(9, 7, 1, [SQUARE]), "no image with the id 7"),
        (annotation(9, [1], 1, [SQUARE]), r"the id of an image is \[1\]"),
        (annotation(9, 1, 1, [[1, 1, NAN, 2, 3, 3]]), r"point 1 at \(nan, 2\) is not finite"),
        (annotation(9, 1, 1, [[1, 1, 1e6, 2, 3, 3]]), "point 1 .* is far outside"),
        (annotation(9, 1, 1, [[1, 1, 2, 2, 3]]), "5 coordinates"),
        (annotation(9, 1, 1, [[1, 1, "2", 2, 3, 3]]), "coordinates that are not numbers"),
        (annotation(9, 1, 1, SQUARE), "coordinates that are not numbers"),
        (annotation(9, 1, 1, "x"), "neither polygons nor runs"),
        (annotation(9, 1, 1, {"size": [6, 4], "counts": [24]}), r"runs for the size \[6, 4\]"),
        (annotation(9, 1, 1, {"size": [4, 6], "counts": [23]}), "runs of 23 pixels"),
        (annotation(9, 1, 1, {"size": [4, 6], "counts": [30, -6]}), "a run of 30 pixels"),
        (annotation(9, 1, 1, {"size": [4, 6], "counts": [1.5]}), "not whole numbers"),
        (annotation(9, 1, 1, {"size": [4, 6], "counts": "~"}), "a damaged string"),
        (annotation(9, 1, 1, {"size": [4, 6]}), "neither polygons nor runs"),
    ],
)
def test_wrong_annotations(tmp_path: Path, save: Save, photo: Photo, wrong: dict, message: str) -> None:
    text = document([image(1, "a.jpg")], [annotation(1, 1, 1, [SQUARE]), wrong])
    save("instances_train.json", text)
    save("a.jpg", photo())
    with pytest.raises(DataError, match=message) as e:
        coco.open_source(tmp_path / "src", Options())
    assert "instances_train.json, annotation 9" in str(e.value)


GOOD = [annotation(1, 1, 1, [SQUARE])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document([image(1, "../a.jpg")], GOOD), "image 0: the file name '../a.jpg' leads out of the folder"),
        (document([image(1, "/etc/passwd")], GOOD), "image 0: the file name '/etc/passwd'"),
        (document([image(1, 3)], GOOD), "image 0: the file name 3"),
        (document([image(1, "a.jpg"), image(1, "b.jpg")], GOOD), "image 1: the id 1 appears twice"),
        (document([image(1, "a.jpg", 10**5, 10**5)], GOOD), "image 0: an image of 100000x100000 pixels"),
        (document([image(1, "a.jpg", -4)], GOOD), "image 0: the height is -4"),
        (document([image(1, "a.jpg", None)], GOOD), "image 0: the height is None"),
        (document([image(1, "gone.jpg")], GOOD), "annotations without their images"),
        (document([image(1, "a.jpg")], [annotation(1, 1, 1, None)]), "boxes, not outlines"),
        (document([image(1, "a.jpg")], GOOD, []), "no category with the id 1"),
        (document([image(1, "a.jpg")], [], []), "0 classes"),
        (document([image(1, "a.jpg")], GOOD, [*CATEGORIES, {"id": 1, "name": "x"}]), "category 2: the id 1"),
        (document([image(1, "a.jpg")], GOOD, [*CATEGORIES, {"id": 2, "name": "dog"}]), "the name 'dog'"),
        (document([image(1, "a.jpg")], GOOD, [{"id": True, "name": "x"}]), "category 0: id is True"),
        (document([image(1, "a.jpg")], GOOD, [{"id": 1, "name": ""}]), "category 0: the class name ''"),
        (
            document([image(1, "a.jpg")], GOOD, [{"id": k, "name": f"c{k}"} for k in range(255)]),
            "256 classes",
        ),
        ('{"images": [], "annotations": [{}, 1], "categories": []}', '"annotations", entry 1 is 1'),
        ('{"images": [], "annotations": {}, "categories": []}', 'no list "annotations"'),
        ('{"images": [], "annotations": [', "not valid JSON"),
    ],
)
def test_wrong_files(tmp_path: Path, save: Save, photo: Photo, text: str, message: str) -> None:
    save("instances_train.json", text)
    save("a.jpg", photo())
    with pytest.raises(DataError, match=message) as e:
        coco.open_source(tmp_path / "src", Options())
    assert "instances_train.json" in str(e.value) or str(tmp_path / "src") in str(e.value)


def test_categories_must_agree(tmp_path: Path, save: Save, photo: Photo) -> None:
    save("instances_train.json", document([image(1, "a.jpg")], GOOD))
    other = [CATEGORIES[0], {"id": 1, "name": "cat"}]
    save("instances_val.json", document([image(1, "b.jpg")], GOOD, other))
    for name in "ab":
        save(f"{name}.jpg", photo())
    with pytest.raises(DataError, match=r"other categories than in instances_train\.json") as e:
        coco.open_source(tmp_path / "src", Options())
    assert "instances_val.json" in str(e.value)


def test_other_folders(tmp_path: Path, save: Save) -> None:
    save("a.json", '{"images": 1}')
    assert coco.recognise(tmp_path / "src") is None
    assert coco.recognise(tmp_path / "src/a.json") is None
    with pytest.raises(DataError, match="no COCO data set"):
        coco.open_source(tmp_path / "src", Options())
