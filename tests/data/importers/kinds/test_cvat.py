"""Exports of CVAT: segmentation masks, and XML."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstm2d.data.importers.kinds import cvat
from lstm2d.data.importers.source import Options
from lstm2d.data.importers.write import write_source
from lstm2d.errors import DataError
from tests.data.importers.opened import labels_of, names_of, splits_of

Save = Callable[..., Path]
Photo = Callable[..., np.ndarray]
COLORS = np.array([(250, 50, 83), (0, 0, 0), (61, 245, 61)], np.uint8)
LABELMAP = "# label:color_rgb:parts:actions\ncar:250,50,83::\nbackground:0,0,0::\ntree:61,245,61::\n"


@pytest.fixture
def masks(save: Save, photo: Photo, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Make an export of masks; return the class numbers, in the order of labelmap.txt."""
    numbers = {stem: rng.integers(0, 3, (4, 6)) for stem in ("a", "day/b", "night/b")}
    numbers["a"][:] = 1  # nothing but background: the mask is gray
    save("labelmap.txt", LABELMAP)
    for name, values in numbers.items():
        save(f"SegmentationClass/{name}.png", COLORS[values])
        save(f"SegmentationObject/{name}.png", COLORS[values])
        save(f"JPEGImages/{name}.jpg", photo())
    save("ImageSets/Segmentation/Train.txt", "a\nday/b\n")
    save("ImageSets/Segmentation/Validation.txt", "night/b\n")
    return numbers


def test_masks_round_trip(
    tmp_path: Path, masks: dict[str, np.ndarray], labels_in: Callable[[Path], dict[str, np.ndarray]]
) -> None:
    src = tmp_path / "src"
    assert "Segmentation mask" in (cvat.recognise(src) or "")
    source = cvat.open_source(src, Options())
    assert names_of(source) == ["car", "background", "tree"]
    np.testing.assert_array_equal([info.color for info in source.classes], COLORS)
    assert splits_of(source) == {"a": "train", "day_b": "train", "night_b": "val"}
    write_source(source, tmp_path / "out")
    found = labels_in(tmp_path / "out")
    for name, values in masks.items():
        np.testing.assert_array_equal(found[name.replace("/", "_")], values)


def test_background_can_be_ignored(tmp_path: Path, masks: dict[str, np.ndarray]) -> None:
    source = cvat.open_source(tmp_path / "src", Options(uncovered="ignore"))
    assert names_of(source) == ["car", "tree"]
    expected = np.array([0, 255, 1])[masks["day/b"]]
    np.testing.assert_array_equal(labels_of(source)["day_b"], expected)
    assert "CVAT's class 'background' is ignored" in source.found


def test_palette_masks_are_read_by_colour(tmp_path: Path, masks: dict[str, np.ndarray], save: Save) -> None:
    values = masks["day/b"]
    order = [2, 0, 1]  # palette index 0 has the colour of the last class
    palette = COLORS[order].ravel().tolist()
    save("SegmentationClass/day/b.png", np.argsort(order)[values], palette=palette)
    labels = labels_of(cvat.open_source(tmp_path / "src", Options()))
    np.testing.assert_array_equal(labels["day_b"], values)


def test_a_colour_that_is_not_declared(tmp_path: Path, masks: dict, save: Save) -> None:
    wrong = COLORS[masks["day/b"]]
    wrong[1, 2] = (1, 2, 3)
    save("SegmentationClass/day/b.png", wrong)
    source = cvat.open_source(tmp_path / "src", Options())
    with pytest.raises(DataError, match=r"mask colour \(1, 2, 3\) at row 1, column 2") as e:
        source.items[1].labels()
    assert "b.png" in str(e.value)


def test_an_export_without_images(tmp_path: Path, masks: dict) -> None:
    for path in (tmp_path / "src/JPEGImages").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(DataError, match="annotations without their images") as e:
        cvat.open_source(tmp_path / "src", Options())
    assert '"Save images"' in str(e.value)


def test_a_missing_image_and_a_wrong_list(tmp_path: Path, masks: dict, save: Save) -> None:
    (tmp_path / "src/JPEGImages/a.jpg").unlink()
    source = cvat.open_source(tmp_path / "src", Options())
    assert sorted(splits_of(source)) == ["day_b", "night_b"]
    assert source.left_out == ("1 masks without an image: a.png",)
    save("ImageSets/Segmentation/Train.txt", "day/b\n\n../../secret\n")
    with pytest.raises(DataError, match=r"line 3: there is no mask '\.\./\.\./secret'"):
        cvat.open_source(tmp_path / "src", Options())


def xml(*images: str, meta: str | None = None) -> str:
    label = "<label><name>{}</name><color>{}</color><attributes></attributes></label>"
    labels = label.format("car", "#fa3253") + label.format("tree", "#3df53d")
    meta = labels if meta is None else meta
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    return f"{head}<meta><task><labels>{meta}</labels></task></meta>{''.join(images)}</annotations>"


def image(name: str, *shapes: str, size: str = 'width="6" height="4"', **more: str) -> str:
    extra = "".join(f' {key}="{value}"' for key, value in more.items())
    return f'<image id="0" name="{name}" {size}{extra}>{"".join(shapes)}</image>'


def polygon(label: str, points: str, z: int | str = 0) -> str:
    return f'<polygon label="{label}" source="manual" occluded="0" points="{points}" z_order="{z}"></polygon>'


SQUARE = "1,1;5,1;5,4;1,4"


def test_polygons_masks_boxes_and_ellipses(
    tmp_path: Path, save: Save, photo: Photo, labels_in: Callable[[Path], dict[str, np.ndarray]]
) -> None:
    mask = '<mask label="tree" rle="1, 2, 1" left="0" top="2" width="2" height="2" z_order="0"/>'
    box = '<box label="tree" xtl="0" ytl="0" xbr="4" ybr="2" rotation="90" z_order="0"/>'
    ellipse = '<ellipse label="car" cx="2.5" cy="2.5" rx="1" ry="1" z_order="0"/>'
    save(
        "annotations.xml",
        xml(
            image("a.jpg", polygon("car", SQUARE), subset="Train"),
            image("sub/b.jpg", polygon("tree", "2,1;4,1;4,2;2,2", 1), polygon("car", SQUARE), mask),
            image("c.jpg", box, ellipse, '<tag label="car"/>', size='width="5" height="5"'),
        ),
    )
    for name, size in [("Train/a", (4, 6)), ("sub/b", (4, 6)), ("c", (5, 5))]:
        save(f"images/{name}.jpg", photo(*size))
    src = tmp_path / "src"
    assert "CVAT for images" in (cvat.recognise(src) or "")
    assert cvat.recognise(src / "annotations.xml") == cvat.recognise(src)
    source = cvat.open_source(src, Options())
    assert names_of(source) == ["background", "car", "tree"]
    assert [info.color for info in source.classes] == [(0, 0, 0), (250, 50, 83), (61, 245, 61)]
    assert splits_of(source) == {"a": "train", "b": "", "c": ""}
    write_source(source, tmp_path / "out")
    found = labels_in(tmp_path / "out")
    assert found["a"].tolist() == [[0] * 6] + [[0, 1, 1, 1, 1, 0]] * 3
    # the tree has the higher z_order; of the mask, later in the file, pixels 1 and 2 are set
    assert found["b"].tolist() == [[0] * 6, [0, 1, 2, 2, 1, 0], [0, 2, 1, 1, 1, 0], [2, 1, 1, 1, 1, 0]]
    # the box, turned around (2, 1), covers columns 1 and 2 and rows -1 to 2; the ellipse lies above it
    expected = [[0, 2, 2, 0, 0], [0, 2, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0] * 5]
    assert found["c"].tolist() == expected


def test_uncovered_pixels_can_be_ignored(tmp_path: Path, save: Save, photo: Photo) -> None:
    path = save("annotations.xml", xml(image("a.jpg", polygon("tree", SQUARE))))
    save("a.jpg", photo())  # beside the file
    source = cvat.open_source(path, Options(uncovered="ignore"))
    assert names_of(source) == ["car", "tree"]
    assert labels_of(source)["a"].tolist() == [[255] * 6] + [[255, 1, 1, 1, 1, 255]] * 3
    assert any("`uncovered='background'`" in line for line in source.found)


def test_what_has_no_inside_is_listed(tmp_path: Path, save: Save, photo: Photo) -> None:
    shapes = [
        '<polyline label="car" points="1,1;2,2" z_order="0"/>',
        '<points label="car" points="1,1" z_order="0"/>',
        polygon("car", "1,1;2,2"),
        polygon("car", SQUARE),
    ]
    save("annotations.xml", xml(image("a.jpg", *shapes), image("gone.jpg", polygon("tree", SQUARE))))
    save("images/a.jpg", photo())
    source = cvat.open_source(tmp_path / "src", Options())
    assert source.left_out == (
        "2 shapes without an inside (polylines, points): annotations.xml, image 'a.jpg', shape 0; "
        "annotations.xml, image 'a.jpg', shape 1",
        "1 polygons of fewer than 3 points: annotations.xml, image 'a.jpg', shape 2",
        "1 annotations without their image: annotations.xml, image 'gone.jpg'",
    )


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (polygon("boat", SQUARE), "the label 'boat' is not declared"),
        (polygon("", SQUARE), "the class name ''"),
        (polygon("car", "1,1;nan,1;2,2"), r"point 1 at \(nan, 1\) is not finite"),
        (polygon("car", "1,1;1e300,1;2,2"), "point 1 .* is far outside of the image of 6x4 pixels"),
        (polygon("car", "1,1;2,2;3"), "5 coordinates"),
        (polygon("car", "1,1;2,x;3,3"), "points holds something that is not a number"),
        (polygon("car", SQUARE, "high"), "z_order is 'high'"),
        ('<mask label="car" rle="1, 2" left="0" top="0" width="2" height="2"/>', "runs of 3 pixels"),
        ('<mask label="car" rle="1, nan" left="0" top="0" width="2" height="2"/>', "not whole numbers"),
        ('<mask label="car" rle="4" left="1e8" top="0" width="2" height="2"/>', "far outside"),
        ('<mask label="car" rle="4" top="0" width="2" height="2"/>', "left is ''"),
        ('<mask label="car" rle="4" left="0" top="0" width="1e5" height="1e5"/>', "100000x100000"),
        ('<box label="car" xtl="0" ytl="0" xbr="inf" ybr="2"/>', "xbr is 'inf'"),
        ('<ellipse label="car" cx="1" cy="1" rx="-1" ry="2"/>', "an ellipse with the radii -1 and 2"),
    ],
)
def test_wrong_shapes(tmp_path: Path, save: Save, photo: Photo, shape: str, message: str) -> None:
    save("annotations.xml", xml(image("a.jpg", polygon("car", SQUARE), shape)))
    save("images/a.jpg", photo())
    with pytest.raises(DataError, match=message) as e:
        cvat.open_source(tmp_path / "src", Options())
    assert "annotations.xml, image 'a.jpg', shape 1" in str(e.value)


def test_all_wrong_entries_are_listed(tmp_path: Path, save: Save, photo: Photo) -> None:
    images = [
        image("a.jpg", polygon("boat", SQUARE), polygon("car", "x"), polygon("tree", SQUARE)),
        image("../../secret.jpg", polygon("car", SQUARE)),
        image("/etc/b.jpg"),
        image("c.jpg", size='width="0" height="4"'),
        image("d.jpg", size='width="1e6" height="1e6"'),
        image("e.jpg", size='width="2.5" height="4"'),
    ]
    save("annotations.xml", xml(*images))
    save("images/a.jpg", photo())
    with pytest.raises(DataError, match="7 wrong entries") as e:
        cvat.open_source(tmp_path / "src", Options())
    text = str(e.value)
    for line in (
        "image 'a.jpg', shape 0: the label 'boat'",
        "image 'a.jpg', shape 1: points holds",
        "image '../../secret.jpg': the file name '../../secret.jpg' leads out of the folder",
        "image '/etc/b.jpg': the file name '/etc/b.jpg'",
        "image 'c.jpg': the width is 0",
        "image 'd.jpg': an image of 1000000x1000000 pixels",
        "image 'e.jpg': the width is 2.5",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations><version>", "not valid XML"),
        ("<annotations>" + "<a>" * 100_000, "nested more than 64 deep"),
        ('<?xml version="1.0" encoding="klingon"?><annotations></annotations>', "not valid XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>', "a document type"),
        ("<annotations><track id='0'/></annotations>", "tracks of a video"),
        (xml(), "without their images"),
        (xml(meta=""), "0 classes"),
        (xml(meta="<label><name>a</name></label>" * 2), "two classes with the name 'a'"),
        (xml(meta="<label><name> </name></label>"), "annotations.xml, label 0: the class name"),
    ],
)
def test_wrong_files(tmp_path: Path, save: Save, text: str, message: str) -> None:
    save("annotations.xml", text)
    with pytest.raises(DataError, match=message):
        cvat.open_source(tmp_path / "src", Options())


def test_images_are_missing_in_the_export(tmp_path: Path, save: Save) -> None:
    save("annotations.xml", xml(image("a.jpg", polygon("car", SQUARE))))
    with pytest.raises(DataError, match="annotations without their images") as e:
        cvat.open_source(tmp_path / "src", Options())
    assert '"Save images"' in str(e.value)


def test_other_folders(tmp_path: Path, save: Save) -> None:
    save("annotations.xml", "<svg></svg>")
    assert cvat.recognise(tmp_path / "src") is None
    assert cvat.recognise(tmp_path / "src/annotations.xml") is None
    with pytest.raises(DataError, match="no export of CVAT"):
        cvat.open_source(tmp_path / "src", Options())
