"""Importers of annotations, from a folder to labels."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from lstm2d.data.importers.registry import kind_named
from lstm2d.data.importers.source import Options
from tests.reliability.fuzz.forms import json_form
from tests.reliability.fuzz.made import encoded, photo
from tests.reliability.fuzz.target import Form, Target

_SQUARE = [1, 1, 5, 1, 5, 4, 1, 4]
_CORNERS = [[1, 1], [5, 1], [5, 4], [1, 4]]
_NAMES = (b'"../x"', b'"/etc/passwd"', b'"a\\u0000b"', b'"a/b"', b'"."', b'".."', b'""')


def _dumped(content: Any) -> bytes:
    return json.dumps(content).encode()


def _coco() -> list[bytes]:
    images = [
        {"id": n, "file_name": f"{stem}.png", "height": 4, "width": 6} for n, stem in ((1, "a"), (7, "b"))
    ]
    categories = [{"id": 18, "name": "dog"}, {"id": 1, "name": "person", "supercategory": "x"}]
    runs = {"size": [4, 6], "counts": [3, 5, 16]}
    segmentations = [[_SQUARE], runs, {"size": [4, 6], "counts": "04d0"}, [[1, 1, 2, 2]], []]
    outlined = [
        {
            "id": k,
            "image_id": 1 if k < 3 else 7,
            "category_id": (18, 1)[k % 2],
            "iscrowd": 0,
            "segmentation": s,
        }
        for k, s in enumerate(segmentations)
    ]
    whole = {"images": images, "annotations": outlined, "categories": categories}
    return [_dumped(whole), _dumped(whole | {"annotations": outlined[:1]})]


def _panoptic() -> list[bytes]:
    segments = [{"id": 1, "category_id": 18}, {"id": 258, "category_id": 1, "iscrowd": 0}]
    images = [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}]
    categories = [
        {"id": 18, "name": "dog", "isthing": 1, "color": [1, 2, 3]},
        {"id": 1, "name": "grass", "isthing": 0},
    ]
    annotations = [{"image_id": 1, "file_name": "a.png", "segments_info": segments}]
    return [_dumped({"images": images, "annotations": annotations, "categories": categories})]


def _labelme() -> list[bytes]:
    mask = base64.b64encode(encoded(np.array([[1, 0, 1], [0, 1, 1]], np.uint8), "PNG")).decode()
    shapes = [
        {"label": "tree", "points": _CORNERS, "shape_type": "polygon", "group_id": None, "flags": {}},
        {"label": "car", "points": [[4, 3], [2, 2]], "shape_type": "rectangle"},
        {"label": "sky", "points": [[2.5, 2.5], [3.5, 2.5]], "shape_type": "circle"},
        {"label": "sky", "points": [[3, 2], [5, 3]], "shape_type": "mask", "mask": mask},
        {"label": "x", "points": [[1, 1], [2, 2]], "shape_type": "linestrip"},
    ]
    start = {
        "version": "5.4.1",
        "flags": {},
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": 4,
        "imageWidth": 6,
    }
    return [_dumped(start | {"shapes": shapes}), _dumped(start | {"shapes": shapes[:1]})]


def _cvat() -> list[bytes]:
    shapes = (
        '<polygon label="car" points="1,1;5,1;5,4;1,4" z_order="0"></polygon>'
        '<box label="tree" xtl="1" ytl="1" xbr="3" ybr="3" rotation="30" z_order="1"/>'
        '<ellipse label="car" cx="2" cy="2" rx="1" ry="2" z_order="0"/>'
        '<mask label="tree" rle="1, 2, 1" left="0" top="0" width="2" height="2" z_order="0"/>'
        '<polyline label="car" points="1,1;2,2" z_order="0"/>'
    )
    labels = "".join(
        f"<label><name>{name}</name><color>{color}</color></label>"
        for name, color in (("car", "#fa3253"), ("tree", "#3df53d"))
    )
    head = f"<annotations><meta><task><labels>{labels}</labels></task></meta>"
    head += '<image id="0" name="a.png" subset="Train" width="6" height="4">'
    return [
        f'<?xml version="1.0" encoding="utf-8"?>{head}{part}</image></annotations>'.encode()
        for part in (shapes, shapes[: shapes.index("<box")])
    ]


def _matrices() -> list[bytes]:
    names = np.empty((33, 1), dtype=object)
    names[:, 0] = [f"class {k}" for k in range(33)]
    found = []
    for compress in (False, True):
        out = io.BytesIO()
        content = {"S": (photo(channels=1) % 33).astype(np.uint8), "names": names, "metaData": "x"}
        savemat(out, content, do_compression=compress)
        found.append(out.getvalue())
    return found


def _images(*stems: str) -> dict[str, bytes]:
    return {stem: encoded(photo(), "PNG") for stem in stems}


def _target(
    name: str,
    kind: str,
    file: str,
    seeds: Sequence[bytes],
    others: dict[str, bytes],
    *,
    words: tuple[bytes, ...] = (),
    forms: tuple[Form, ...] = (),
) -> Target:
    """Return a target that imports a folder in which one file is fuzzed."""
    root = Path("source")

    def around(folder: Path) -> None:
        for path, data in others.items():
            (folder / root / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / root / path).write_bytes(data)

    depth = len(Path(file).parts)

    def read(path: Path) -> None:
        importer, source = kind_named(kind), path.parents[depth - 1]
        importer.recognise(source)
        for item in importer.open_source(source, Options()).items:
            item.labels()

    return Target(name, lambda: seeds, read, file=str(root / file), around=around, words=words, forms=forms)


_COLOURED = encoded(np.array([[[1, 0, 0], [2, 1, 0]] * 3] * 4, np.uint8), "PNG")
_REGIONS = b"0 1 2 3 4 5\n-1 0 0 0 0 7\n1 1 1 1 1 1\n2 2 2 2 2 2\n"
_XML = (
    b"<image ", b"</image>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&amp;", b"&#0;", b"&#xD800;",
    b"<![CDATA[", b"<track>", b"<?xml version='1.0' encoding='utf-16'?>", b'points="1,1;"', b'rle="1,"',
    b'z_order="1e9"',
)  # fmt: skip

TARGETS = (
    _target(
        "COCO",
        "coco",
        "annotations/instances_train.json",
        _coco(),
        _images("images/train/a.png", "images/train/b.png"),
        words=_NAMES,
        forms=(json_form,),
    ),
    _target(
        "COCO panoptic",
        "coco",
        "annotations/panoptic_val.json",
        _panoptic(),
        {**_images("images/val/a.png"), "annotations/panoptic_val/a.png": _COLOURED},
        words=_NAMES,
        forms=(json_form,),
    ),
    _target("labelme", "labelme", "a.json", _labelme(), _images("a.png"), words=_NAMES, forms=(json_form,)),
    _target(
        "CVAT XML",
        "cvat",
        "annotations.xml",
        _cvat(),
        _images("images/a.png", "images/Train/a.png"),
        words=_XML,
    ),
    _target(
        "YOLO data.yaml",
        "yolo",
        "data.yaml",
        [
            b"path: .\ntrain: images/train\nval: images/train\nnames:\n  0: cat\n  1: dog\n",
            b"train: images/train\nnames: ['cat', \"dog\"]\nnc: 2\n",
            b"train: [images/train]\nnames: {0: cat, 1: dog}\n",
        ],
        {**_images("images/train/a.png"), "labels/train/a.txt": b"1 0.25 0.25 0.75 0.25 0.75 0.75\n"},
        words=(
            b"- ",
            b": ",
            b"&a ",
            b"*a",
            b"!!python/object:os.system ",
            b"|\n",
            b">\n",
            b"{",
            b"[",
            b"? ",
            b"../..",
            b"#",
            b"---\n",
        ),
    ),
    _target(
        "YOLO labels",
        "yolo",
        "labels/train/a.txt",
        [b"1 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n0 0.1 0.1 0.9 0.1 0.9 0.9\n"],
        {
            **_images("images/train/a.png"),
            "data.yaml": b"path: .\ntrain: images/train\nnames:\n  0: cat\n  1: dog\n",
        },
    ),
    _target(
        "Matlab",
        "sift-flow",
        "SemanticLabels/x/a_1.mat",
        _matrices(),
        _images("Images/x/a_1.png"),
        words=(b"\x0e\0\0\0", b"\x0f\0\0\0", b"\x01\0\0\0", b"MI", b"IM"),
    ),
    _target("text matrix", "stanford", "labels/a.regions.txt", [_REGIONS], _images("images/a.png")),
    _target(
        "pairs of paths",
        "segnet",
        "train.txt",
        [b"/SegNet/CamVid/train/a.png /SegNet/CamVid/trainannot/a.png\n"],
        {"train/a.png": encoded(photo(), "PNG"), "trainannot/a.png": encoded(photo(channels=1) % 3, "PNG")},
    ),
    _target(
        "VOC split",
        "voc",
        "ImageSets/Segmentation/train.txt",
        [b"a\nb\n"],
        {
            **_images("JPEGImages/a.png", "JPEGImages/b.png"),
            **{f"SegmentationClass/{s}.png": encoded(np.zeros((4, 6), np.uint8), "PNG") for s in "ab"},
        },
    ),
)
