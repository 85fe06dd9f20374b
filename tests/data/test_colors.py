"""Masks of colours, read with the colours of dataset.toml or CVAT's labelmap.txt."""

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.colors import ColorTable, read_labelmap
from lstm2d.data.folder import DatasetFolder
from lstm2d.data.labels import BY_COLOUR
from lstm2d.errors import DataError
from lstm2d.io.classes import default_color
from lstm2d.io.masks import GRAY_AS_COLOURS

Maker = Callable[..., Path]
LABELS = np.array([[0, 1, 2], [2, 1, 0]])
COLORS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8)  # of the classes of conftest's dataset.toml
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\nsky:70,130,180::\n"


def write_mask(root: Path, values: Any, folder: str = "masks") -> None:
    Image.fromarray(np.asarray(values, np.uint8)).save(root / folder / "a.png")


def load(root: Path) -> tuple[list[list[int]], DatasetFolder]:
    dataset = DatasetFolder(root)
    return dataset.load(dataset.samples[0])[1].tolist(), dataset


def test_colours_of_the_classes(make: Maker) -> None:
    root = make({"a": LABELS})
    write_mask(root, COLORS[LABELS])
    labels, dataset = load(root)
    assert labels == LABELS.tolist()
    assert dataset.notes.counts() == {BY_COLOUR: 1}


def test_a_colour_that_is_no_class(make: Maker) -> None:
    root = make({"a": LABELS})
    colors = COLORS[LABELS]
    colors[1, 1:] = 9, 9, 9
    write_mask(root, colors)
    with pytest.raises(DataError) as e:
        load(root)
    text = str(e.value)
    assert "mask colour (9, 9, 9) at row 1, column 1 (2 pixels have no class's colour)" in text
    assert "masks/a.png" in text
    assert "(4, 5, 6) tree" in text


def test_colour_of_ignored_pixels(make: Maker) -> None:
    root = make({"a": LABELS})
    toml = root / "dataset.toml"
    toml.write_text("ignore_color = [224, 224, 192]\n" + toml.read_text())
    colors = COLORS[LABELS]
    colors[0, 0] = 224, 224, 192
    write_mask(root, colors)
    assert load(root)[0] == [[255, 1, 2], [2, 1, 0]]
    toml.write_text(toml.read_text().replace("192]", "256]"))
    with pytest.raises(DataError, match="ignore_color: three numbers"):
        load(root)


def test_colours_that_nobody_has_chosen_mean_nothing(make: Maker) -> None:
    toml = "".join(f'[[classes]]\nname = "{name}"\n' for name in ("sky", "tree", "road"))
    root = make({"a": LABELS}, toml=toml)
    write_mask(root, np.array([default_color(k) for k in range(3)])[LABELS])
    with pytest.raises(DataError, match="a mask of colours") as e:
        load(root)
    assert "dataset.toml" in str(e.value)
    (root / "labelmap.txt").write_text("sky:0,0,0::\ntree:128,0,0::\nroad:0,128,0::\n")
    assert load(root)[0] == LABELS.tolist()


def test_a_colour_of_two_classes_means_neither() -> None:
    table = ColorTable([((1, 1, 1), 0), ((2, 2, 2), 1), ((2, 2, 2), 2), ((3, 3, 3), 4), ((3, 3, 3), 4)])
    assert table.labels == {(1, 1, 1): 0, (3, 3, 3): 4}
    colors = np.array([[[1, 1, 1], [2, 2, 2], [3, 3, 3]]], np.uint8)
    assert table.labels_of(colors).tolist() == [[0, -1, 4]]


def test_numbers_stored_three_times(make: Maker) -> None:
    root = make({"a": LABELS})
    write_mask(root, np.repeat(LABELS[..., None], 3, axis=2))
    labels, dataset = load(root)
    assert labels == LABELS.tolist()
    assert dataset.notes.counts() == {GRAY_AS_COLOURS: 1}


def test_gray_colours(make: Maker) -> None:
    toml = "".join(f'[[classes]]\nname = "c{v}"\ncolor = [{v}, {v}, {v}]\n' for v in (0, 128, 255))
    root = make({"a": LABELS}, toml="ignore = 200\n" + toml)
    write_mask(root, np.repeat(np.array([0, 128, 255])[LABELS][..., None], 3, axis=2))
    assert load(root)[0] == LABELS.tolist()


def test_two_readings_of_one_mask(make: Maker) -> None:
    toml = "".join(f'[[classes]]\nname = "c{v}"\ncolor = [{v}, {v}, {v}]\n' for v in (1, 0))
    root = make({"a": LABELS}, toml=toml)
    write_mask(root, np.repeat((LABELS % 2)[..., None], 3, axis=2))
    with pytest.raises(DataError, match=r"ambiguous: 0 at row 0, column 0 is a class number.*\(0, 0, 0\)"):
        load(root)


def test_colours_and_a_table_of_values(make: Maker) -> None:
    toml = '[[classes]]\nname = "a"\ncolor = [9, 8, 7]\n[map]\n5 = "a"\n6 = "ignore"\n'
    root = make({"a": LABELS}, toml=toml)
    write_mask(root, np.broadcast_to([9, 8, 7], (2, 3, 3)))
    assert load(root)[0] == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("colors", [True, False])
def test_labelmap_without_dataset_toml(make: Maker, colors: bool) -> None:
    folders = ("JPEGImages", "SegmentationClass")
    root = make({"a": LABELS}, toml=None, folders=folders)
    (root / "labelmap.txt").write_text(LABELMAP)
    if colors:
        write_mask(root, np.array([[0, 0, 0], [128, 64, 128], [70, 130, 180]])[LABELS], folders[1])
    labels, dataset = load(root)
    assert labels == LABELS.tolist()
    assert [(c.name, c.color) for c in dataset.classes] == [
        ("background", (0, 0, 0)), ("road", (128, 64, 128)), ("sky", (70, 130, 180)),
    ]  # fmt: skip
    assert dataset.guessed_toml is None
    assert not dataset.guessed


def test_labelmap_of_any_encoding(tmp_path: Path) -> None:
    path = tmp_path / "labelmap.txt"
    expected = [("wäg", (1, 2, 3)), ("none", None)]
    for data in (
        "wäg:1,2,3::\r\nnone:::\r\n".encode(),
        codecs.BOM_UTF8 + "wäg: 1, 2, 3::\nnone:::\n".encode(),
        codecs.BOM_UTF16_LE + "wäg:1,2,3:a,b:c\n\nnone:::".encode("utf-16-le"),
    ):
        path.write_bytes(data)
        assert read_labelmap(path) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 classes"),
        ("road\n", "line 1 is not a class"),
        ("\nroad:1,2::\n", "line 2 is not a class"),
        ("road:1,2,256::\n", "line 1 is not a class"),
        (f"road:1,2,{'9' * 5000}::\n", "line 1 is not a class"),  # more digits than Python reads
        (":1,2,3::\n", "line 1 is not a class"),
        ("a:1,2,3::\na:4,5,6::\n", "line 2: 'a' appears twice"),
    ],
)
def test_wrong_labelmaps(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labelmap.txt").write_text(text)
    with pytest.raises(DataError, match=message) as e:
        read_labelmap(tmp_path / "labelmap.txt")
    assert "labelmap.txt" in str(e.value)
