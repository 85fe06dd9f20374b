"""Splits that are drawn at random."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lstm2d.data.folder import DatasetFolder
from lstm2d.data.partition import Partition, _divide, _groups, partition, write_splits
from lstm2d.errors import ConfigError, DataError, OutputError

Maker = Callable[..., Path]
MASK = np.array([[0, 1, 2], [255, 2, 1]])
NAMES = [f"i{n:02d}" for n in range(20)]


def sizes(found: Partition) -> dict[str, int]:
    return {name: len(stems) for name, stems in found.splits.items()}


def test_shares(make: Maker) -> None:
    root = make(dict.fromkeys(NAMES, MASK))
    found = partition(root, val=0.1, test=0.25, seed=3)
    assert sizes(found) == {"train": 13, "val": 2, "test": 5}
    assert sorted(stem for stems in found.splits.values() for stem in stems) == NAMES
    assert all(stems == sorted(stems) for stems in found.splits.values())
    assert (found.equal, found.left_out) == (0, [])
    assert partition(root, val=0.1, test=0.25, seed=3) == found
    assert partition(root, val=0.1, test=0.25, seed=4) != found
    assert sizes(partition(root, val=0, test=0.01)) == {"train": 19, "test": 1}
    assert sizes(partition(root, val=0.5, test=0)) == {"train": 10, "val": 10}


def test_what_is_written_is_read(make: Maker, tmp_path: Path) -> None:
    root = make(dict.fromkeys(NAMES, MASK))
    found = partition(root)
    paths = write_splits(found.splits, root / "splits")
    assert [path.name for path in paths] == ["train.txt", "val.txt", "test.txt"]
    dataset = DatasetFolder(root)
    assert {name: [s.stem for s in dataset.split(name)] for name in dataset.splits} == found.splits
    with pytest.raises(ConfigError, match=r"the file exists: .*train\.txt"):
        write_splits(found.splits, root / "splits")


def test_nothing_is_half_written(make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from lstm2d.data import partition as module

    real = module.write_text

    def failing(path: Path, text: str) -> None:
        if path.name == "test.txt":
            raise OutputError("cannot write (no space)", where=path)
        real(path, text)

    monkeypatch.setattr(module, "write_text", failing)
    with pytest.raises(OutputError):
        write_splits({"train": ["a"], "val": ["b"], "test": ["c"]}, tmp_path / "splits")
    assert not any((tmp_path / "splits").iterdir())


def test_equal_images_stay_together(make: Maker) -> None:
    root = make(dict.fromkeys(NAMES, MASK))
    for stem in NAMES[1:8]:
        (root / "images" / f"{stem}.png").write_bytes((root / "images/i00.png").read_bytes())
    with Image.open(root / "images/i00.png") as image:
        image.save(root / "images/i08.png", compress_level=0)  # other bytes, equal pixels
    for seed in range(5):
        found = partition(root, val=0.25, test=0.25, seed=seed)
        assert found.equal == 8
        assert any(set(NAMES[:9]) <= set(stems) for stems in found.splits.values())
        assert sizes(found) == {"train": 10, "val": 5, "test": 5}


def test_scenes_stay_together(make: Maker) -> None:
    root = make(dict.fromkeys(NAMES, MASK))
    with pytest.raises(DataError, match="20 of 20 images have no scene"):
        partition(root, by_scene=True)
    (root / "scenes.txt").write_text("".join(f"{stem} scene{k // 4}\n" for k, stem in enumerate(NAMES)))
    found = partition(root, val=0.2, test=0.2, by_scene=True)
    assert sizes(found) == {"train": 12, "val": 4, "test": 4}
    for stems in found.splits.values():
        assert all(
            stem in stems for one in stems for stem in NAMES if int(stem[1:]) // 4 == int(one[1:]) // 4
        )
    small = partition(
        root, val=0.05, test=0.05, by_scene=True
    )  # no scene is that small: the smallest is taken
    assert sizes(small) == {"train": 12, "val": 4, "test": 4}


def test_images_without_mask_are_left_out(make: Maker) -> None:
    found = partition(make({**dict.fromkeys(NAMES[:10], MASK), "none": None}), val=0.2)
    assert found.left_out == ["none"]
    assert sum(sizes(found).values()) == 10


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0.2), (0.5, 0.5), (0, 0), (1, 0), (float("nan"), 0.1)])
def test_shares_out_of_range(make: Maker, val: float, test: float) -> None:
    with pytest.raises(ConfigError, match="cannot split into these shares"):
        partition(make(dict.fromkeys(NAMES, MASK)), val=val, test=test)


def test_datasets_that_cannot_be_split(make: Maker, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder not found"):
        partition(tmp_path / "nowhere")
    root = make({"a": MASK, "b": MASK})
    with pytest.raises(DataError, match="2 images or groups of images cannot be split into 3 parts"):
        partition(root)
    assert sizes(partition(root, val=0)) == {"train": 1, "test": 1}
    (root / "images/a.png").write_bytes((root / "images/a.png").read_bytes()[:-30])
    with pytest.raises(DataError, match=r"a\.png"):
        partition(root, val=0)
    (root / "images/a.png").rename(root / "images/a .png")
    (root / "masks/a.png").rename(root / "masks/a .png")
    with pytest.raises(DataError, match="a name that a line of a split cannot hold: 'a '"):
        partition(root, val=0)
    (root / "dataset.toml").write_text('[folders.train]\nimages = "images"\nmasks = "masks"\n')
    with pytest.raises(ConfigError, match=r"the folders of dataset\.toml"):
        partition(root, val=0)


def test_groups_that_join() -> None:
    """Images a and c are equal, c and d show one scene, e and f another one."""
    keys = [b"1", b"2", b"1", b"3", b"4", b"5"]
    scenes = {"c": "x", "d": "x", "e": "y", "f": "y"}
    assert _groups("abcdef", keys, scenes) == [["a", "c", "d"], ["b"], ["e", "f"]]
    assert _groups("abcdef", keys, {}) == [["a", "c"], ["b"], ["d"], ["e"], ["f"]]


@settings(max_examples=200)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=3, max_size=30),
    val=st.floats(0.01, 0.49),
    test=st.floats(0.01, 0.49),
    seed=st.integers(0, 1000),
)
def test_every_split_gets_whole_groups(lengths: list[int], val: float, test: float, seed: int) -> None:
    groups = [[f"{k}.{n}" for n in range(length)] for k, length in enumerate(lengths)]
    splits = _divide(groups, {"test": test, "val": val}, seed)
    assert list(splits) == ["train", "val", "test"]
    assert sorted(s for stems in splits.values() for s in stems) == sorted(
        s for group in groups for s in group
    )
    for stems in splits.values():
        assert stems
        assert all(set(groups[int(stem.partition(".")[0])]) <= set(stems) for stem in stems)
    for name, share in (("val", val), ("test", test)):
        wanted = max(1, round(share * sum(lengths)))
        within = {stem.partition(".")[0] for stem in splits[name]}
        assert len(splits[name]) <= wanted or len(within) == 1  # no group is as small as the share
