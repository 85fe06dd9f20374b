"""[map] of dataset.toml, and the ready-made ones for VOC and COCO."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm2d.data.conventions import convention, convention_names
from lstm2d.data.description import Description, parse
from lstm2d.data.folder import DatasetFolder
from lstm2d.data.mapping import ValueMap
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.classes import ClassInfo, default_color, wrong_name

Maker = Callable[..., Path]
CLASSES = '[[classes]]\nname = "sky"\n[[classes]]\nname = "tree"\n'


def described(text: str) -> Description:
    return parse(tomllib.loads(text), "folder/dataset.toml")


def test_labels_by_hand(make: Maker) -> None:
    toml = f'[map]\n0 = "tree"\n4 = "sky"\n5 = 0\n9 = "ignore"\n10 = 255\n{CLASSES}'
    dataset = DatasetFolder(make({"a": [[0, 4, 5, 9, 10, 255]]}, toml=toml))
    np.testing.assert_array_equal(dataset.load(dataset.samples[0])[1], [[1, 0, 0, 255, 255, 255]])


def test_a_value_that_is_not_mapped_is_an_error(make: Maker) -> None:
    root = make({"a": [[0, 4], [0, 7]]}, toml=f'[map]\n0 = "tree"\n4 = "sky"\n{CLASSES}')
    dataset = DatasetFolder(root)
    with pytest.raises(DataError, match="mask value 7 at row 1, column 1") as caught:
        dataset.load(dataset.samples[0])
    assert "one of 0, 4, 255" in str(caught.value)
    assert "a.png" in str(caught.value)


@pytest.mark.parametrize(("others", "label"), [('"sky"', 0), ("1", 1), ('"ignore"', 255)])
def test_others(make: Maker, others: str, label: int) -> None:
    toml = f'ignore = 3\n[map]\n0 = "tree"\nothers = {others}\n{CLASSES}'
    dataset = DatasetFolder(make({"a": [[0, 3, 7, 255]]}, toml=toml))
    np.testing.assert_array_equal(dataset.load(dataset.samples[0])[1], [[1, 255, label, label]])


def test_the_ignored_value_is_255_or_a_free_one() -> None:
    assert described(f'[map]\n0 = "tree"\n255 = "ignore"\n{CLASSES}').ignore == 255
    assert described(f'[map]\n0 = "tree"\n255 = "sky"\n{CLASSES}').ignore == 254


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("map = 3", r"map: a table \[map\] is expected"),
        ('[map]\n0 = "tre"', r"map: 0 = 'tre': a class or 'ignore' is expected \(did you mean 'tree'\?\)"),
        ("[map]\n0 = 2", "map: 0 = 2: a class or"),
        ("[map]\n0 = true", "map: 0 = True: a class or"),
        ('[map]\n256 = "sky"', "map: '256': a mask value from 0 to 255 is expected, or 'others'"),
        ('[map]\nsky = "sky"', "map: 'sky': a mask value from 0 to 255"),
        ('[map]\n1 = "sky"\n01 = "tree"', "map: 1 appears twice"),
        ('ignore = 1\n[map]\n1 = "tree"', "ignore: 1 is the mask value of class 'tree'"),
        ('[maps]\n1 = "tree"', r"unknown key 'maps' \(did you mean 'map'\?\)"),
    ],
)
def test_wrong_maps(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        described(f"{text}\n{CLASSES}")


def test_map_and_values_exclude_each_other() -> None:
    with pytest.raises(DataError, match="cannot be combined with a value"):
        described('[map]\n1 = "a"\n[[classes]]\nname = "a"\nvalue = 1\n')


NAMES = st.text(min_size=1, max_size=5).filter(lambda name: wrong_name(name) is None)


@settings(max_examples=50)
@given(
    st.lists(NAMES | st.just("ignore"), min_size=1, max_size=4, unique=True),
    st.dictionaries(st.integers(0, 254), st.integers(0, 4), max_size=6),
    st.none() | st.integers(0, 4),
)
def test_what_is_written_is_read_back(names: list[str], meant: dict[int, int], others: int | None) -> None:
    def label(k: int) -> int:
        return k if k < len(names) else 255

    classes = tuple(ClassInfo(n, default_color(i)) for i, n in enumerate(names))
    labels = tuple(sorted((value, label(k)) for value, k in meant.items()))
    mapping = ValueMap(labels, None if others is None else label(others))
    before = Description("d", classes, tuple(range(len(names))), 255, "images", "masks", mapping)
    after = parse(tomllib.loads(before.to_toml()), "dataset.toml")
    assert after == before
    np.testing.assert_array_equal(after.label_of_value(), before.label_of_value())


# the published category numbers of COCO's 2014 and 2017 annotations
COCO = {
    "person": 1, "bicycle": 2, "car": 3, "motorbike": 4, "aeroplane": 5, "bus": 6, "train": 7, "boat": 9,
    "bird": 16, "cat": 17, "dog": 18, "horse": 19, "sheep": 20, "cow": 21, "bottle": 44, "chair": 62,
    "sofa": 63, "pottedplant": 64, "diningtable": 67, "tvmonitor": 72,
}  # fmt: skip


def test_ready_made_conventions() -> None:
    assert convention_names() == ["coco-stuff-to-voc", "coco-to-voc", "voc"]
    read = {name: parse(tomllib.loads(convention(name)), "dataset.toml") for name in convention_names()}
    voc, coco, stuff = read["voc"], read["coco-to-voc"], read["coco-stuff-to-voc"]
    names = [info.name for info in voc.classes]
    assert len(names) == 21
    assert (names[0], names[1:]) == ("background", sorted(names[1:]))  # VOC's order is alphabetical
    assert [info.color for info in voc.classes] == [default_color(k) for k in range(21)]
    assert coco.classes == stuff.classes == voc.classes
    plain, by_category, less_one = (one.label_of_value() for one in (voc, coco, stuff))
    assert plain.tolist() == [*range(21), *[-1] * 234, 255]
    for value in range(255):
        found = [name for name, category in COCO.items() if category == value]
        assert by_category[value] == (names.index(found[0]) if found else 0), value
        if value < 254:
            assert less_one[value] == by_category[value + 1], value
    assert by_category[255] == less_one[255] == 255


def test_every_convention_says_what_it_is_for() -> None:
    for name in convention_names():
        first = convention(name).splitlines()[0]
        assert first.startswith("# ")
        assert len(first) > 30


def test_no_such_convention() -> None:
    with pytest.raises(ConfigError, match="no such convention: coco-voc") as caught:
        convention("coco-voc")
    assert "did you mean coco-to-voc?" in str(caught.value)
    with pytest.raises(ConfigError):
        convention("../presets/reseg")
