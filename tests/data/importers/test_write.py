"""Dataset folders are written completely or not at all."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lstm2d.data.folder import DatasetFolder
from lstm2d.data.importers import write
from lstm2d.data.importers.source import Item, Source
from lstm2d.data.importers.write import nearest_resized, write_source
from lstm2d.errors import DataError, OutputError
from lstm2d.io.classes import ClassInfo

Save = Callable[..., Path]
Photo = Callable[..., np.ndarray]
CLASSES = (ClassInfo("sky", (1, 2, 3)), ClassInfo("road", (4, 5, 6)), ClassInfo("car", (7, 8, 9)))
MASK = np.array([[0, 1, 2, 255], [2, 2, 0, 1]], np.uint8)


def source(items: Sequence[Item], **changes: Any) -> Source:
    return replace(Source("toy", "toys", CLASSES, tuple(items), ()), **changes)


@pytest.fixture
def item(save: Save, photo: Photo) -> Callable[..., Item]:
    """Return a function that makes an item with a photograph as large as its mask."""

    def make(stem: str, mask: np.ndarray = MASK, size: tuple[int, int] | None = None, **more: Any) -> Item:
        name = f"photos/{stem}.png" if "/" not in stem else "photos/other.png"
        return Item(stem, save(name, photo(*(size or mask.shape))), lambda: mask, **more)

    return make


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_is_written(item: Callable[..., Item], tmp_path: Path) -> None:
    items = [
        item("b", split="train", scene="a street"),
        item("a", MASK.T, split="train", scene="coast"),
        item("c d", MASK[:, :3], split="test"),
        item("e"),
    ]
    seen: list[tuple[int, int]] = []
    written = write_source(source(items), tmp_path / "out" / "new", progress=lambda *n: seen.append(n))
    assert (written.images, written.splits, written.resized, written.left_out) == (
        4,
        {"train": 2, "test": 1},
        0,
        (),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    out = tmp_path / "out" / "new"
    assert sorted(p.name for p in out.iterdir()) == [
        "dataset.toml",
        "images",
        "masks",
        "scenes.txt",
        "splits",
    ]
    dataset = DatasetFolder(out)
    assert (dataset.name, dataset.classes, dataset.guessed) == ("toys", CLASSES, False)
    assert [s.stem for s in dataset.split("train")] == ["b", "a"]
    assert [s.stem for s in dataset.split("test")] == ["c d"]
    assert dataset.scenes == {"b": "a_street", "a": "coast"}
    assert [s.stem for s in dataset.samples] == ["a", "b", "c d", "e"]
    for sample, mask in zip(dataset.samples, [MASK.T, MASK, MASK[:, :3], MASK], strict=True):
        np.testing.assert_array_equal(dataset.load(sample)[1], mask)
    for one in items:  # byte by byte
        assert (out / "images" / f"{one.stem}.png").read_bytes() == one.image.read_bytes()
        assert not (out / "images" / f"{one.stem}.png").is_symlink()
    with Image.open(out / "masks" / "b.png") as mask_file:
        assert mask_file.mode == "P"
        assert mask_file.getpalette()[:9] == [1, 2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_do_not_change_the_files(item: Callable[..., Item], tmp_path: Path, threads: int) -> None:
    made = source([item(f"i{k}", np.roll(MASK, k)) for k in range(9)])
    write_source(made, tmp_path / "one", threads=1)
    write_source(made, tmp_path / "several", threads=threads)
    assert everything(tmp_path / "one") == everything(tmp_path / "several")


def test_links(item: Callable[..., Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = item("a")
    relative = replace(one, image=one.image.relative_to(tmp_path))
    write_source(source([relative]), tmp_path / "out", link=True, name="linked")
    link = tmp_path / "out" / "images" / "a.png"
    assert os.readlink(link) == str(one.image)
    dataset = DatasetFolder(tmp_path / "out")
    assert dataset.name == "linked"
    image, labels = dataset.load(dataset.samples[0])
    np.testing.assert_array_equal(labels, MASK)
    with Image.open(one.image) as stored:
        np.testing.assert_array_equal(image, np.array(stored))


def test_an_empty_folder_is_filled_and_another_refused(item: Callable[..., Item], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write_source(source([item("a")]), out)
    before = everything(out)
    with pytest.raises(OutputError, match="the folder is not empty"):
        write_source(source([item("b")]), out)
    assert everything(out) == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="file"):
        write_source(source([item("b")]), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("name", ["write_bytes", "write_labels", "write_text"])
@pytest.mark.parametrize("k", [0, 1])
def test_a_failing_write_leaves_nothing(
    item: Callable[..., Item],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    k: int,
    existing: bool,
) -> None:
    original, calls = getattr(write, name), []

    def fail(*args: Any, **kwargs: Any) -> None:
        calls.append(args)
        if len(calls) > k:
            raise OutputError("cannot write (disk full)")
        original(*args, **kwargs)

    monkeypatch.setattr(write, name, fail)
    out = tmp_path / "deep" / "out"
    if existing:
        out.mkdir(parents=True)
    items = [item(s, split="train") for s in "abc"]
    with pytest.raises(OutputError, match="disk full"):
        write_source(source(items), out)
    assert out.is_dir() == existing
    assert not existing or list(out.iterdir()) == []
    assert (tmp_path / "deep").is_dir() == existing


@pytest.mark.parametrize("k", range(4))
def test_a_failing_move_leaves_nothing(
    item: Callable[..., Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, k: int
) -> None:
    made, rename, calls = source([item("a", split="train")]), os.rename, []

    def fail(*args: Any) -> None:
        calls.append(args)
        if len(calls) == k + 1:
            raise OSError(28, "No space left on device")
        rename(*args)

    monkeypatch.setattr("lstm2d.io.new_folder.os.rename", fail)
    with pytest.raises(OutputError, match="No space left"):
        write_source(made, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ctrl_c_leaves_nothing(item: Callable[..., Item], tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    made = source([item(f"i{k}") for k in range(9)])
    with pytest.raises(KeyboardInterrupt):
        write_source(made, tmp_path / "out", progress=interrupt)
    assert not (tmp_path / "out").exists()


def test_all_bad_files_are_listed(item: Callable[..., Item], tmp_path: Path) -> None:
    def broken() -> np.ndarray:
        raise DataError("a torn mask", where="m.png", hint="mend it")

    bad = replace(item("b"), labels=broken)
    items = [item("a"), bad, item("c", size=(3, 4)), item("d", np.array([[3, 7]], np.uint8)), item("e")]
    items[-1].image.write_bytes(b"no image")
    with pytest.raises(DataError) as error:
        write_source(source(items), tmp_path / "out")
    text = str(error.value)
    assert "4 of 5 images cannot be imported" in text
    assert "m.png: a torn mask" in text
    assert f"{items[2].image}: its mask is 4x2 pixels, the image 4x3 (width x height)" in text
    assert f"{items[3].image}: its mask holds class 3, and there are 3 classes" in text
    assert f"{items[4].image}: this is no image" in text
    assert "mend it" in text
    assert "`resize_masks=True`" in text
    assert not (tmp_path / "out").exists()


def test_masks_are_resized(item: Callable[..., Item], tmp_path: Path) -> None:
    small = np.array([[0, 1], [2, 255]], np.uint8)
    made = source([item("a", small, size=(4, 6)), item("b")])
    written = write_source(made, tmp_path / "out", resize_masks=True)
    assert written.resized == 1
    dataset = DatasetFolder(tmp_path / "out")
    expected = [[0, 0, 0, 1, 1, 1]] * 2 + [[2, 2, 2, 255, 255, 255]] * 2
    np.testing.assert_array_equal(dataset.load(dataset.samples[0])[1], expected)


def test_turned_masks_are_not_resized(item: Callable[..., Item], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2x4 pixels, the image 4x2") as error:
        write_source(source([item("a", MASK.T, size=(2, 4))]), tmp_path / "out", resize_masks=True)
    assert "rotate the mask" in str(error.value.hint)


@given(
    before=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    after=st.tuples(st.integers(1, 20), st.integers(1, 20)),
)
def test_nearest_neighbours(before: tuple[int, int], after: tuple[int, int]) -> None:
    labels = np.arange(before[0] * before[1], dtype=np.uint8).reshape(before)
    found = nearest_resized(labels, after)
    assert found.shape == after
    for (row, column), value in np.ndenumerate(found):
        # the pixel of the source in which the centre of the new pixel lies
        y, x = (row + 0.5) * before[0] / after[0], (column + 0.5) * before[1] / after[1]
        y, x = (round(v) if abs(v - round(v)) < 1e-9 else v for v in (y, x))
        assert value == labels[int(y), int(x)]


@pytest.mark.parametrize(
    "stem",
    ["../a", "/a", "a/b", "a\\b", "..", ".", "", ".hidden", "a\0", "a\nb", " a", "a ", "a\x7f"],
)
def test_names_that_lead_outside_are_refused(item: Callable[..., Item], tmp_path: Path, stem: str) -> None:
    made = replace(item("x"), stem=stem)
    with pytest.raises(DataError, match="cannot be the name of an image"):
        write_source(source([made]), tmp_path / "out" / "in")
    with pytest.raises(DataError, match="cannot be the name of a split"):
        write_source(source([replace(made, stem="x", split=stem or "..")]), tmp_path / "out" / "in")
    assert not (tmp_path / "out").exists()


def test_names_that_occur_twice(item: Callable[..., Item], tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for first, second in (("a", "a"), (composed, decomposed)):
        with pytest.raises(DataError, match="is also that of"):
            write_source(source([item(first), item(second)]), tmp_path / "out")


def test_other_files_are_no_images(item: Callable[..., Item], tmp_path: Path) -> None:
    made = replace(item("a"), image=tmp_path / "a.txt")
    with pytest.raises(DataError, match="not the name of an image"):
        write_source(source([made]), tmp_path / "out")


def test_nothing_to_import(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images to import"):
        write_source(source([]), tmp_path / "out")


def test_images_without_labels_are_left_out(item: Callable[..., Item], tmp_path: Path) -> None:
    empty = np.full((2, 2), 255, np.uint8)
    items = [item("a", split="train"), item("b", empty, split="train"), item("c", empty, split="test")]
    written = write_source(source(items, left_out=("other things",)), tmp_path / "out")
    assert (written.images, written.splits) == (1, {"train": 1})
    assert written.left_out == ("other things", "images without a labelled pixel: 2 (b.png, c.png)")
    assert [s.stem for s in DatasetFolder(tmp_path / "out").samples] == ["a"]
    assert DatasetFolder(tmp_path / "out").splits == ("train",)


@pytest.mark.parametrize(
    ("value", "part"), [(1, "all labelled pixels are road"), (255, "no pixel has a label")]
)
def test_one_class_is_no_dataset(item: Callable[..., Item], tmp_path: Path, value: int, part: str) -> None:
    with pytest.raises(DataError, match=part):
        write_source(source([item("a", np.full((2, 2), value, np.uint8))]), tmp_path / "out")
    assert not (tmp_path / "out").exists()
