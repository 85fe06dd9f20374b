"""What a split is for, and which splits must not share images."""

import pytest

from lstm2d.data.check.splits import Sides, opponents, role_of


@pytest.mark.parametrize(
    ("split", "role", "family"),
    [
        ("train", "train", "*"),
        ("Test", "test", "*"),
        ("valid", "val", "*"),
        ("validation", "val", "*"),
        ("fold1_train", "train", "fold1_*"),
        ("train_1000", "train", "*_1000"),
        ("test2", "test", "*2"),
        ("latest", "", "latest"),
        ("training", "", "training"),
        ("extra", "", "extra"),
        ("", "", ""),
    ],
)
def test_roles(split: str, role: str, family: str) -> None:
    assert role_of(split) == (role, family)


def test_splits_that_must_not_share_images() -> None:
    names = [
        "all",
        "fold1_test",
        "fold1_train",
        "fold2_test",
        "fold2_train",
        "test",
        "train",
        "train_1000",
        "val",
    ]
    assert opponents(dict.fromkeys(names)) == [
        ("test", "train"),
        ("test", "val"),
        ("train", "val"),
        ("fold1_test", "fold1_train"),
        ("fold2_test", "fold2_train"),
    ]


def test_images_on_two_sides() -> None:
    splits = {"train": {"a", "b"}, "test": {"c"}, "fold1_test": {"a"}, "fold1_train": {"b", "c"}}
    sides = Sides(splits)
    assert sides.of("a", "c") == ("train", "test")
    assert sides.of("c", "a") == ("test", "train")
    assert sides.of("a", "b") == ("fold1_test", "fold1_train")
    assert sides.of("a", "d") is None
    both = Sides({"train": {"a"}, "test": {"b"}, "fold1_test": {"a"}, "fold1_train": {"b"}})
    assert (both.of("a", "b"), both.of("b", "a")) == (("train", "test"), ("test", "train"))  # before the fold
