"""Kinds with files of annotations: how `auto` tells them apart, and the option that they share."""

from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstm2d.data.importers.formats.coco_files import read_file
from lstm2d.data.importers.formats.entries import Findings
from lstm2d.data.importers.registry import KINDS, choose_kind
from lstm2d.data.importers.source import Options
from lstm2d.errors import ConfigError, DataError

Save = Callable[..., Path]
OUTLINE = '{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 2, 0, 2, 2]]}'
COCO = (
    '{"images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 6}], "annotations": ['
    + OUTLINE
    + '], "categories": [{"id": 1, "name": "a"}]}'
)
LAYOUTS = {
    "stanford": {"images/a.jpg": None, "labels/a.regions.txt": "0 1"},
    "sift-flow": {"Images/x/a.jpg": None, "SemanticLabels/x/a.txt": "1 2"},
    "cvat": {"JPEGImages/a.jpg": None, "SegmentationClass/a.png": None, "labelmap.txt": "a:1,2,3::"},
    "labelme": {"a.jpg": None, "a.json": '{"version": "5", "shapes": [], "imagePath": "a.jpg"}'},
    "coco": {"train2017/a.jpg": None, "annotations/instances_train2017.json": COCO},
    "yolo": {"images/a.jpg": None, "labels/a.txt": "", "data.yaml": "names: [a, b]"},
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_auto_knows_them(tmp_path: Path, save: Save, name: str) -> None:
    for path, content in LAYOUTS[name].items():
        save(path, np.zeros((4, 6, 3)) if content is None else content)
    if name == "cvat":
        save("ImageSets/Segmentation/default.txt", "a\n")  # VOC has these folders too
    kind, reason = choose_kind(tmp_path / "src")
    assert kind.name == name
    assert reason


def test_images_and_masks_are_none_of_them(tmp_path: Path, save: Save) -> None:
    save("images/a.jpg", np.zeros((4, 6, 3)))
    save("labels/a.png", np.eye(4, 6))
    save("notes.json", '{"a": 1}')
    save("settings.yaml", "a: 1\n")
    save("page.xml", "<a/>")
    for name in LAYOUTS:
        kind = next(kind for kind in KINDS if kind.name == name)
        for src in (tmp_path / "src", tmp_path / "src/notes.json", tmp_path / "src/images/a.jpg"):
            assert kind.recognise(src) is None
        with pytest.raises(DataError):
            kind.open_source(tmp_path / "src", Options())


def test_the_option_is_refused_where_it_has_no_effect(tmp_path: Path) -> None:
    for kind in KINDS:
        if "uncovered" not in kind.takes:
            with pytest.raises(ConfigError, match="`uncovered` has no effect") as e:
                kind.open_source(tmp_path, Options(uncovered="ignore"))
            assert "cvat, labelme, coco, yolo" in str(e.value)


def test_outlines_are_packed_while_a_file_is_read(tmp_path: Path, save: Save) -> None:
    path = save("a.json", COCO)
    file = read_file(path, path.parent, Findings(path.parent))
    assert file.annotations[0]["segmentation"] == [array("d", [0, 0, 2, 0, 2, 2])]
