"""Dataset folders: what is read, and errors that name file and pixel."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.folder import DatasetFolder, Sample, hold_out
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.classes import ClassInfo
from lstm2d.io.photo import Reading

Maker = Callable[..., Path]
MASK = np.array([[0, 1, 2], [255, 2, 1]])


def stems(samples: list[Sample]) -> list[str]:
    return [s.stem for s in samples]


def test_reads_a_folder(make: Maker) -> None:
    root = make({"b": MASK, "a": MASK.T}, splits={"train": ["b", "a"], "test": ["a"]})
    dataset = DatasetFolder(root)
    assert dataset.name == "toy"
    assert dataset.classes == (
        ClassInfo("sky", (1, 2, 3)),
        ClassInfo("tree", (4, 5, 6)),
        ClassInfo("road", (7, 8, 9)),
    )
    assert dataset.ignore == 255
    assert dataset.guessed_toml is None
    assert dataset.splits == ("test", "train")
    assert stems(dataset.split("train")) == ["b", "a"]  # in the order of the file
    assert stems(dataset.samples) == ["a", "b"]
    image, labels = dataset.load(dataset.split("test")[0])
    np.testing.assert_array_equal(labels, MASK.T)
    assert labels.dtype == np.uint8
    with Image.open(root / "images" / "a.png") as stored:
        np.testing.assert_array_equal(image, np.array(stored))


def test_split_files_of_every_making(make: Maker) -> None:
    root = make({"a": MASK, "b": MASK, "c d": MASK})
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_bytes(b"\xef\xbb\xbfb\r\n\r\n  c d \r\na")
    assert stems(DatasetFolder(root).split("train")) == ["b", "c d", "a"]


def test_stems_with_dots_and_other_files(make: Maker) -> None:
    root = make({"a.b": MASK, "a.c": MASK})
    for name in (".hidden.png", "notes.txt", "Thumbs.db"):
        (root / "images" / name).touch()
    assert stems(DatasetFolder(root).samples) == ["a.b", "a.c"]


def test_names_that_are_no_utf8(make: Maker) -> None:
    stem = b"caf\xe9".decode("utf-8", "surrogateescape")
    root = make({stem: MASK})
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_bytes(b"caf\xe9\n")
    assert stems(DatasetFolder(root).split("train")) == [stem]


def test_missing_folders(tmp_path: Path, make: Maker) -> None:
    for path, message in [(tmp_path / "no", "folder not found"), (tmp_path / "file", "not a folder")]:
        (tmp_path / "file").touch()
        with pytest.raises(DataError, match=message) as e:
            DatasetFolder(path)
        assert str(path) in str(e.value)
    root = make({"a": MASK})
    (root / "masks" / "a.png").unlink()
    (root / "masks").rmdir()
    with pytest.raises(DataError, match=r"folder not found: .*masks"):
        _ = DatasetFolder(root).samples


def test_folder_without_images(make: Maker) -> None:
    with pytest.raises(DataError, match=r"without images: .*images"):
        _ = DatasetFolder(make({})).samples


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "an empty split"),
        (["", "  "], "an empty split"),
        (["a", "zebra"], "line 2: there is no image 'zebra'"),
        (["a.png"], "line 1: 'a.png' is not a stem"),
        (["../a"], "line 1: '../a' is not a stem"),
        (["/etc/passwd"], "line 1: '/etc/passwd' is not a stem"),
        (["a\0"], r"line 1: 'a\\x00' is not a stem"),
        (["a", "b", "a"], "'a' appears twice, in lines 1 and 3"),
    ],
)
def test_wrong_splits(make: Maker, lines: list[str], message: str) -> None:
    root = make({"a": MASK, "b": MASK}, splits={"train": lines})
    with pytest.raises(DataError, match=message) as e:
        DatasetFolder(root).split("train")
    assert "train.txt" in str(e.value)
    assert "\0" not in str(e.value)


def test_ending_in_a_split_is_explained(make: Maker) -> None:
    root = make({"a": MASK}, splits={"train": ["a.png"]})
    with pytest.raises(DataError, match="write 'a', without the extension"):
        DatasetFolder(root).split("train")


def test_no_such_split(make: Maker) -> None:
    root = make({"a": MASK}, splits={"train": ["a"], "test": ["a"]})
    for name in ("val", "../splits/train", ""):
        with pytest.raises(DataError, match="no split") as e:
            DatasetFolder(root).split(name)
        assert "test, train" in str(e.value)


def test_images_without_mask(make: Maker) -> None:
    root = make({"a": MASK, "b": None, "c": None}, splits={"good": ["a"]})
    assert stems(DatasetFolder(root).split("good")) == ["a"]
    with pytest.raises(DataError, match=r"2 of 3 images have no mask \(b, c\)"):
        _ = DatasetFolder(root).samples


def test_masks_of_another_name_are_shown(make: Maker) -> None:
    root = make({"a": MASK})
    (root / "masks" / "a.png").rename(root / "masks" / "a_mask.png")
    with pytest.raises(DataError, match=r"found for example a_mask\.png"):
        _ = DatasetFolder(root).samples


def test_two_files_of_one_stem(make: Maker) -> None:
    root = make({"a": MASK})
    (root / "images" / "a.JPG").touch()
    with pytest.raises(DataError, match=r"two images with the same stem: .*a\.(png|JPG) and a\.(png|JPG)"):
        _ = DatasetFolder(root).samples
    (root / "images" / "a.JPG").unlink()
    (root / "masks" / "a.tif").touch()
    with pytest.raises(DataError, match="two masks with the same stem"):
        _ = DatasetFolder(root).samples


def test_mask_of_another_size(make: Maker) -> None:
    root = make({"a": MASK})
    Image.fromarray(np.zeros((5, 3), np.uint8)).save(root / "masks" / "a.png")
    dataset = DatasetFolder(root)
    with pytest.raises(DataError, match="mask is 3x5 pixels, its image 3x2") as e:
        dataset.load(dataset.samples[0])
    assert "a.png" in str(e.value)
    assert "EXIF" not in str(e.value)


def test_transposed_mask_is_recognised(make: Maker) -> None:
    root = make({"a": MASK})
    Image.fromarray(MASK.T.astype(np.uint8)).save(root / "masks" / "a.png")
    dataset = DatasetFolder(root)
    with pytest.raises(DataError, match="rotate the mask"):
        dataset.load(dataset.samples[0])


def test_exif_turns_image_and_mask_alike(make: Maker) -> None:
    root = make({"a": MASK})
    upright = DatasetFolder(root).load(DatasetFolder(root).samples[0])
    for folder in ("images", "masks"):
        path = root / folder / "a.png"
        with Image.open(path) as image:
            exif = Image.Exif()
            exif[274] = 6
            image.load()
            image.save(path, exif=exif)
    image, labels = DatasetFolder(root).load(DatasetFolder(root).samples[0])
    np.testing.assert_array_equal(image, np.rot90(upright[0], -1))
    np.testing.assert_array_equal(labels, np.rot90(upright[1], -1))


def test_mask_value_out_of_range(make: Maker) -> None:
    root = make({"a": [[0, 1, 2], [2, 9, 9]]})
    dataset = DatasetFolder(root)
    with pytest.raises(DataError, match=r"mask value 9 at row 1, column 1 \(2 such pixels\)") as e:
        dataset.load(dataset.samples[0])
    assert "masks/a.png" in str(e.value)
    assert "0 to 2, or 255 to ignore" in str(e.value)


def test_how_images_are_read(make: Maker) -> None:
    root = make({"a": MASK})
    Image.fromarray(np.full((2, 3, 4), [9, 9, 9, 0], np.uint8)).save(root / "images" / "a.png")
    dataset = DatasetFolder(root, reading=Reading(background=(0, 100, 200)))
    image, _ = dataset.load(dataset.samples[0])
    assert (image == (0, 100, 200)).all()
    Image.fromarray(np.full((2, 3), 15, np.uint16)).save(root / "images" / "a.png")
    dataset = DatasetFolder(root, reading=Reading(bits=4, max_pixels=6))
    assert (dataset.load(dataset.samples[0])[0] == 255).all()
    dataset = DatasetFolder(root, reading=Reading(max_pixels=5))
    with pytest.raises(DataError, match="too large"):
        dataset.load(dataset.samples[0])


def test_mask_saved_as_jpeg(make: Maker) -> None:
    root = make({"a": None})
    Image.fromarray(MASK.astype(np.uint8)).save(root / "masks" / "a.jpg")
    dataset = DatasetFolder(root)
    with pytest.raises(DataError, match="does not keep class numbers"):
        dataset.load(dataset.samples[0])


def test_links_may_lead_outside(make: Maker, tmp_path: Path) -> None:
    root = make({"a": MASK})
    for folder in ("images", "masks"):
        (root / folder / "a.png").rename(tmp_path / f"{folder}.png")
        (root / folder / "b.png").symlink_to(tmp_path / f"{folder}.png")
        (root / folder / "c.png").symlink_to("b.png")
    dataset = DatasetFolder(root)
    assert stems(dataset.samples) == ["b", "c"]
    np.testing.assert_array_equal(dataset.load(dataset.samples[1])[1], MASK)


def test_broken_links(make: Maker) -> None:
    root = make({"a": MASK}, splits={"train": ["a"]})
    for folder in ("images", "masks"):
        link = root / folder / "b.png"
        for target in (link, root / "nothing"):  # a loop, nowhere
            link.symlink_to(target)
            with pytest.raises(DataError, match=r"this link is broken: .*b\.png"):
                _ = DatasetFolder(root).samples
            link.unlink()
    (root / "splits" / "val.txt").symlink_to("nothing.txt")
    with pytest.raises(DataError, match=r"not found: .*val\.txt"):
        DatasetFolder(root).split("val")
    (root / "masks").rename(root / "other")
    (root / "masks").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"this link is broken: .*masks"):
        _ = DatasetFolder(root).samples


def test_linked_folders_and_splits(make: Maker, tmp_path: Path) -> None:
    root = make({"a": MASK}, splits={"train": ["a"]})
    (root / "splits" / "train.txt").rename(tmp_path / "train.txt")
    (root / "splits" / "train.txt").symlink_to(tmp_path / "train.txt")
    (root / "masks").rename(tmp_path / "masks")
    (root / "masks").symlink_to(tmp_path / "masks")
    dataset = DatasetFolder(root)
    np.testing.assert_array_equal(dataset.load(dataset.split("train")[0])[1], MASK)


def test_the_dataset_itself_may_be_linked(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(make({"a": MASK}, splits={"train": ["a"]}))
    assert stems(DatasetFolder(tmp_path / "link").split("train")) == ["a"]


def test_scenes(make: Maker) -> None:
    root = make({"a b": MASK, "c": MASK})
    assert DatasetFolder(root).scenes == {}
    (root / "scenes.txt").write_text("a b coast\n\nc open_country\n")
    assert DatasetFolder(root).scenes == {"a b": "coast", "c": "open_country"}
    (root / "scenes.txt").write_text("a\n")
    with pytest.raises(DataError, match="line 1 names no scene"):
        _ = DatasetFolder(root).scenes


def test_validation_split_of_its_own(make: Maker) -> None:
    root = make(dict.fromkeys("abcd", MASK), splits={"train": ["a", "b"], "val": ["c"]})
    train, val = DatasetFolder(root).training_splits(fraction=0.5, seed=3)
    assert (stems(train), stems(val)) == (["a", "b"], ["c"])


def test_validation_split_that_shares_images(make: Maker) -> None:
    root = make(dict.fromkeys("abcd", MASK), splits={"train": ["a", "b"], "val": ["b", "c"]})
    with pytest.raises(DataError, match=r"1 images are in both train and val \(for example b\)"):
        DatasetFolder(root).training_splits()


@pytest.mark.parametrize("with_splits", [True, False])
def test_hold_out_without_validation_split(make: Maker, with_splits: bool) -> None:
    names = [f"i{n}" for n in range(20)]
    splits = {"train": names, "test": names} if with_splits else None
    dataset = DatasetFolder(make(dict.fromkeys(names, MASK), splits=splits))
    train, val = dataset.training_splits(fraction=0.25, seed=1)
    assert len(val) == 5
    assert sorted(stems(train) + stems(val)) == sorted(names)
    again = dataset.training_splits(fraction=0.25, seed=1)
    assert again == (train, val)
    assert dataset.training_splits(fraction=0.25, seed=2) != (train, val)
    assert dataset.training_splits(fraction=0) == (
        dataset.split("train") if with_splits else dataset.samples,
        [],
    )


def test_named_split_is_wanted_even_without_splits(make: Maker) -> None:
    with pytest.raises(DataError, match="no split 'fold1'"):
        DatasetFolder(make({"a": MASK, "b": MASK})).training_splits("fold1")


def test_hold_out_does_not_depend_on_the_order(make: Maker) -> None:
    samples = [Sample(f"s{i}", Path("i"), Path("m")) for i in range(30)]
    _, held = hold_out(samples, 0.2, 9)
    _, reversed_ = hold_out(samples[::-1], 0.2, 9)
    assert {s.stem for s in held} == {s.stem for s in reversed_}
    assert len(held) == 6


@pytest.mark.parametrize(
    ("count", "fraction", "held"), [(2, 0.01, 1), (2, 0.99, 1), (10, 0.1, 1), (572, 0.1, 57)]
)
def test_hold_out_sizes(count: int, fraction: float, held: int) -> None:
    samples = [Sample(str(i), Path("i"), Path("m")) for i in range(count)]
    train, val = hold_out(samples, fraction, 0)
    assert (len(train), len(val)) == (count - held, held)


def test_hold_out_of_nothing() -> None:
    one = [Sample("a", Path("i"), Path("m"))]
    assert hold_out(one, 0, 0) == (one, [])
    with pytest.raises(DataError, match="one image cannot be split"):
        hold_out(one, 0.1, 0)
    for fraction in (-0.1, 1.0, float("nan")):
        with pytest.raises(ConfigError, match="cannot hold out"):
            hold_out(one, fraction, 0)


def test_reading_changes_no_file(make: Maker) -> None:
    root = make({"a": MASK, "b": [[9]]}, splits={"train": ["a", "b"]}, toml=None)
    files = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    dataset = DatasetFolder(root)
    dataset.load(dataset.samples[0])
    assert {p: p.read_bytes() for p in root.rglob("*") if p.is_file()} == files


def test_labels_without_the_image(make: Maker) -> None:
    mask = [[0, 1, 255], [1, 1, 0]]
    root = make({"a": mask})
    (root / "images/a.png").write_bytes(b"no image")
    data = DatasetFolder(root)
    np.testing.assert_array_equal(data.load_labels(data.samples[0]), mask)
    with pytest.raises(DataError, match=r"images/a\.png"):
        data.load(data.samples[0])
