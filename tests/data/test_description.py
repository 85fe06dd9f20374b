"""dataset.toml: valid and invalid contents, and what is guessed without it."""

import os
import tomllib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lstm2d.data.description import Description, parse, read_description
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import DataError
from lstm2d.io.classes import ClassInfo, default_color, palette_of, wrong_name

Maker = Callable[..., Path]


def described(text: str, tmp_path: Path) -> Description:
    (tmp_path / "dataset.toml").write_text(text)
    return read_description(tmp_path / "dataset.toml")


def test_defaults(tmp_path: Path) -> None:
    d = described('[[classes]]\nname = "a"\n[[classes]]\nname = "b"\n', tmp_path)
    assert d.name == tmp_path.name
    assert d.classes == (ClassInfo("a", (0, 0, 0)), ClassInfo("b", (128, 0, 0)))
    assert d.values == (0, 1)
    assert (d.ignore, d.images, d.masks) == (255, "images", "masks")


def test_default_ignore_is_a_free_value(tmp_path: Path) -> None:
    assert described('[[classes]]\nname = "a"\nvalue = 255\n', tmp_path).ignore == 254


def test_labels_of_mask_values(tmp_path: Path) -> None:
    text = 'ignore = 0\n[[classes]]\nname = "a"\nvalue = 7\n[[classes]]\nname = "b"\nvalue = 255\n'
    table = described(text, tmp_path).label_of_value()
    assert (table[7], table[255], table[0], table[1], table[254]) == (0, 1, 255, -1, -1)


def test_mask_values_of_any_choice(make: Maker) -> None:
    toml = 'ignore = 0\n[[classes]]\nname = "a"\nvalue = 1\n[[classes]]\nname = "b"\nvalue = 2\n'
    dataset = DatasetFolder(make({"a": [[0, 1, 2]], "b": [[0, 1, 3]]}, toml=toml))
    np.testing.assert_array_equal(dataset.load(dataset.samples[0])[1], [[255, 0, 1]])
    with pytest.raises(DataError, match="mask value 3") as e:
        dataset.load(dataset.samples[1])
    assert "one of 0, 1, 2" in str(e.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "classes: 1 to 255 tables"),
        ("classes = 3", "classes: 1 to 255 tables"),
        ("classes = [3]", r"class 0: a table \[\[classes\]\] is expected"),
        ("name = ''\n[[classes]]\nname='a'", "name: a non-empty string is expected"),
        ("name = 3\n[[classes]]\nname='a'", "name: a non-empty string is expected"),
        ("ignore = 256\n[[classes]]\nname='a'", "ignore: a mask value from 0 to 255"),
        ("ignore = true\n[[classes]]\nname='a'", "ignore: a mask value from 0 to 255"),
        ("ignore = 0\n[[classes]]\nname='a'", "ignore: 0 is the mask value of class 'a'"),
        ("[[classes]]\ncolor=[0,0,0]", "class 0: name: a non-empty string is expected"),
        ("[[classes]]\nname='a'\n[[classes]]\nname='a'", "class 1: name: 'a' is taken"),
        ("[[classes]]\nname='a'\ncolor=[0,0]", "class 0: color: three numbers"),
        ("[[classes]]\nname='a'\ncolor=[0,0,256]", "class 0: color: three numbers"),
        ("[[classes]]\nname='a'\ncolor='red'", "class 0: color: three numbers"),
        ("[[classes]]\nname='a'\nvalue=-1", "class 0: value: a mask value from 0"),
        ("[[classes]]\nname='a'\nvalue=1\n[[classes]]\nname='b'", "class 1: value: 1 is taken"),
        (
            "[[classes]]\nname='a'\ncolour=[0,0,0]",
            r"class 0: unknown key 'colour' \(did you mean 'color'\?\)",
        ),
        ("[[class]]\nname='a'", r"unknown key 'class' \(did you mean 'classes'\?\)"),
        ("images = 3\n[[classes]]\nname='a'", "images: the name of a folder"),
        ("images = ''\n[[classes]]\nname='a'", "images: the name of a folder"),
        ("images = 'a'\nignore = 0", "classes: 1 to 255 tables"),
        ("images = 'a'\nclasses = []", "classes: 1 to 255 tables"),
        ("name = 'a'\nscale = 'native'", "classes: 1 to 255 tables"),
        ("folders = 3", r"folders: a table \[folders.SPLIT\]"),
        ("[folders]", r"folders: a table \[folders.SPLIT\]"),
        ("[folders]\ntrain = 'a'", "folders.train: a table with images and masks"),
        ("[folders.train]\nimages = 'a'", "folders.train: masks: the name of a folder"),
        ("[folders.train]\nimages='a'\nmasks='b'\nmask='c'", "folders.train: unknown key 'mask'"),
        ("[folders.'../a']\nimages='a'\nmasks='b'", r"folders.\.\./a: the name of a split"),
        ("images='a'\n[folders.train]\nimages='a'\nmasks='b'", "folders: cannot be combined with images"),
        ("name = \n", r"not valid TOML \(.*line 1"),
        ("a = " + "[" * 100_000, "not valid TOML"),
    ],
)
def test_wrong_toml(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as e:
        described(text, tmp_path)
    assert "dataset.toml" in str(e.value)


def test_all_findings_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as e:
        described("ignore = -1\nfoo = 1\n[[classes]]\nname = 3\nvalue = 999\n", tmp_path)
    assert all(word in str(e.value) for word in ("ignore", "foo", "class 0: name", "class 0: value"))


def test_toml_that_is_no_file(make: Maker) -> None:
    root = make({"a": [[0, 1]]}, toml=None)
    os.mkfifo(root / "dataset.toml")
    with pytest.raises(DataError, match="FIFO"):
        DatasetFolder(root)


NAMES = st.text(min_size=1, max_size=200).filter(lambda name: wrong_name(name) is None)


@settings(max_examples=50)
@given(
    names=st.lists(NAMES, min_size=1, max_size=4, unique=True),
    shift=st.integers(0, 200),
    name=NAMES,
    folder=st.sampled_from(["images", "photos", "../photos", "/photos"]),
    split=st.sampled_from(["", "train", "a b", "caf\u00e9"]),
)
def test_what_is_written_is_read_back(
    names: list[str], shift: int, name: str, folder: str, split: str
) -> None:
    classes = tuple(ClassInfo(n, default_color(i + 3)) for i, n in enumerate(names))
    values = tuple(i + shift for i in range(len(names)))
    before = Description(name, classes, values, 255, folder)
    if split:
        before = replace(before, images="images", folders=((split, folder, "../masks"), ("b", "c", "d")))
    after = parse(tomllib.loads(before.to_toml({0: "a remark"})), "dataset.toml")
    assert after == before


def test_default_colors_all_differ() -> None:
    assert [default_color(i) for i in (0, 1, 2, 3, 8)] == [
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (64, 0, 0),
    ]  # fmt: skip
    assert len({default_color(i) for i in range(256)}) == 256


def test_palette_of_classes() -> None:
    np.testing.assert_array_equal(
        palette_of([ClassInfo("a", (1, 2, 3)), ClassInfo("b", (4, 5, 6))]), [[1, 2, 3], [4, 5, 6]]
    )
    assert palette_of([]).shape == (0, 3)


def load_again(root: Path, toml: str) -> DatasetFolder:
    (root / "dataset.toml").write_text(toml)
    return DatasetFolder(root)


def test_guess_of_index_masks(make: Maker) -> None:
    root = make({"a": [[0, 1, 255]], "b": [[3, 3, 0]]}, toml=None)
    dataset = DatasetFolder(root)
    assert [c.name for c in dataset.classes] == ["class_0", "class_1", "class_2", "class_3"]
    assert dataset.classes[1].color == default_color(1)
    np.testing.assert_array_equal(dataset.load(dataset.samples[0])[1], [[0, 1, 255]])
    assert dataset.guessed_toml is not None
    again = load_again(root, dataset.guessed_toml)
    assert again.guessed_toml is None
    assert (again.name, again.classes, again.ignore) == (dataset.name, dataset.classes, 255)
    assert again.name == "toy"


def test_guess_takes_colours_from_palettes(make: Maker) -> None:
    root = make({"a": [[0, 1, 2]]}, toml=None)
    mask = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    mask.putpalette([9, 8, 7, 6, 5, 4, 3, 2, 1])
    mask.save(root / "masks" / "a.png")
    assert [c.color for c in DatasetFolder(root).classes] == [(9, 8, 7), (6, 5, 4), (3, 2, 1)]
    mask.putpalette([0] * 9)  # all colours are the same
    mask.save(root / "masks" / "a.png")
    assert [c.color for c in DatasetFolder(root).classes] == [default_color(i) for i in range(3)]


def test_guess_of_folder_names(make: Maker) -> None:
    root = make({"a": [[0, 1]]}, toml=None, folders=("imgs", "labels"))
    dataset = DatasetFolder(root)
    assert dataset.samples[0].mask_path == root / "labels" / "a.png"
    assert dataset.guessed_toml is not None
    assert load_again(root, dataset.guessed_toml).samples == dataset.samples


def test_0_and_255_can_mean_two_things(make: Maker) -> None:
    root = make({"a": [[0, 255, 0]], "b": [[0, 0, 0]]}, toml=None)
    with pytest.raises(DataError, match="only 0 and 255") as e:
        DatasetFolder(root)
    assert e.value.exit_code == 3
    _, _, texts = str(e.value).partition("# 1: ")
    first, _, second = texts.partition("# 2: ")
    readings: list[Any] = []
    for text in (first, second):
        dataset = load_again(root, text.partition("\n")[2])
        readings.append(([c.name for c in dataset.classes], dataset.load(dataset.samples[0])[1].tolist()))
    assert readings[0] == (["background", "foreground"], [[0, 1, 0]])
    assert readings[1] == (["class_0", "class_1"], [[0, 255, 0]])


def test_three_values_are_not_asked_about(make: Maker) -> None:
    dataset = DatasetFolder(make({"a": [[0, 1, 255]]}, toml=None))
    assert len(dataset.classes) == 2


@pytest.mark.parametrize("values", [[0, 128], [0, 85, 170, 255], [0, 50, 100], [0, 76, 149, 29]])
def test_gray_levels_are_no_class_numbers(make: Maker, values: list[int]) -> None:
    root = make({"a": [values]}, toml=None)
    with pytest.raises(DataError, match="do not look like class numbers") as e:
        DatasetFolder(root)
    assert "value" in str(e.value)


@pytest.mark.parametrize("values", [[0, 1], [0, 2, 4], [1, 2, 255], [3, 17, 32, 5, 8], list(range(150))])
def test_class_numbers_with_gaps(make: Maker, values: list[int]) -> None:
    dataset = DatasetFolder(make({"a": [values]}, toml=None))
    assert len(dataset.classes) == max(v for v in values if v != 255) + 1


@pytest.mark.parametrize("value", [0, 255])
def test_masks_of_one_value(make: Maker, value: int) -> None:
    with pytest.raises(DataError, match=f"same value, {value}"):
        DatasetFolder(make({"a": [[value, value]]}, toml=None))


def test_nothing_to_guess_from(make: Maker) -> None:
    with pytest.raises(DataError, match="1 of 1 images have no mask"):
        DatasetFolder(make({"a": None}, toml=None))


def test_colour_masks_are_not_guessed(make: Maker) -> None:
    root = make({"a": None}, toml=None)
    Image.new("RGB", (6, 4), (128, 0, 0)).save(root / "masks" / "a.png")
    with pytest.raises(DataError, match="a mask of colours"):
        DatasetFolder(root)


def smoothed(kind: Any = Image.Resampling.BILINEAR) -> Any:
    object_ = np.zeros((40, 60), np.uint8)
    object_[10:30, 15:40] = 255
    return np.array(Image.fromarray(object_).rotate(20).resize((93, 71), kind))


@pytest.mark.parametrize("kind", [Image.Resampling.BILINEAR, Image.Resampling.LANCZOS])
def test_smoothed_masks_are_asked_about(make: Maker, kind: Any) -> None:
    mask = smoothed(kind)
    assert len(np.unique(mask)) > 40
    root = make({"a": mask}, toml=None)
    with pytest.raises(DataError, match="0, 255 and many values between") as e:
        DatasetFolder(root)
    assert e.value.exit_code == 3
    assert "without smoothing" in str(e.value)
    dataset = load_again(root, "name" + str(e.value).partition("\n\nname")[2])
    assert [c.name for c in dataset.classes] == ["background", "foreground"]
    labels = dataset.load(dataset.samples[0])[1]
    np.testing.assert_array_equal(labels == 0, mask == 0)
    np.testing.assert_array_equal(labels == 1, mask == 255)
    np.testing.assert_array_equal(labels == 255, (mask > 0) & (mask < 255))


def test_masks_with_the_noise_of_jpeg_are_asked_about(make: Maker) -> None:
    buffer = BytesIO()
    Image.fromarray(smoothed(Image.Resampling.NEAREST)).save(buffer, "JPEG", quality=60)
    with Image.open(buffer) as image:
        mask = np.array(image)
    with pytest.raises(DataError, match="0, 255 and many values between"):
        DatasetFolder(make({"a": mask}, toml=None))


def test_low_values_of_smoothing_beside_255(make: Maker) -> None:
    mask = smoothed()
    mask[(mask > 120) & (mask < 255)] = 0  # no values just below 255
    with pytest.raises(DataError, match="0, 255 and many values between"):
        DatasetFolder(make({"a": mask}, toml=None))


def test_many_classes_are_not_taken_for_smoothing(make: Maker) -> None:
    values = np.arange(150, dtype=np.uint8).repeat(20).reshape(50, 60)
    values[0, :9] = 255
    assert len(DatasetFolder(make({"a": values}, toml=None)).classes) == 150


def test_scale(tmp_path: Path) -> None:
    text = '[[classes]]\nname = "a"\n'
    assert not described(text, tmp_path).native
    assert not described(f'scale = "auto"\n{text}', tmp_path).native
    description = described(f'scale = "native"\n{text}', tmp_path)
    assert description.native
    assert described(description.to_toml(), tmp_path) == description
    with pytest.raises(DataError, match='scale: "auto" or "native"'):
        described(f"scale = 3\n{text}", tmp_path)
