"""Every planted fault is found, in its file, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.check import KINDS, Finding, Report, check
from lstm2d.data.folder import DatasetFolder
from lstm2d.errors import DataError
from lstm2d.kernels.threads import set_num_threads
from tests.callers import kernel_threads
from tests.data.check.planted import ORIENTATION, TOML, Planter, mask, photo, plant

Maker = Callable[..., Path]


def found(report: Report) -> list[tuple[str, str]]:
    return sorted((one.kind, one.file) for one in report.findings)


def only(report: Report) -> Finding:
    assert len(report.findings) == 1, report.findings
    return report.findings[0]


@pytest.fixture
def planter(tmp_path: Path, rng: np.random.Generator) -> Planter:
    """Return a writer of a dataset; six images are good."""
    planter = Planter(tmp_path / "data", rng)
    for number in range(6):
        planter.add(f"good{number}", "train" if number < 4 else "test")
    (planter.root / "dataset.toml").write_text(TOML.partition('[[classes]]\nname = "never"')[0])
    return planter


def report_of(planter: Planter, **options: object) -> Report:
    planter.finish()
    return check(planter.root, **options)  # type: ignore[arg-type]


def test_every_planted_fault_is_found_in_its_file(tmp_path: Path, rng: np.random.Generator) -> None:
    expected = plant(tmp_path / "data", rng)
    assert len(expected) >= 25
    files = {p: (p.lstat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in tmp_path.rglob("*")}
    report = check(tmp_path / "data")
    assert found(report) == expected
    kinds = {kind for kind, _ in expected}
    assert kinds | {"dataset"} == set(KINDS)
    assert list(report.kinds) == [kind for kind in KINDS if kind in kinds]
    assert sum(report.kinds.values()) == len(expected)
    assert report.faults == sum(KINDS[kind].fault for kind, _ in expected)
    assert report.images == len([*(tmp_path / "data" / "images").iterdir()]) - 2  # a HEIC file, a stem twice
    after = {p: (p.lstat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in tmp_path.rglob("*")}
    assert after == files


def test_threads_find_the_same(tmp_path: Path, rng: np.random.Generator) -> None:
    plant(tmp_path / "data", rng)
    with kernel_threads():
        set_num_threads(1)
        one = check(tmp_path / "data")
        set_num_threads(3)
        assert check(tmp_path / "data") == one


def test_what_the_findings_say(tmp_path: Path, rng: np.random.Generator) -> None:
    plant(tmp_path / "data", rng)
    by_file: dict[str, list[Finding]] = {}
    for one in check(tmp_path / "data").findings:
        by_file.setdefault(one.file, []).append(one)

    def said(file: str) -> str:
        (one,) = by_file[file]
        return one.message

    assert "truncated" in said("images/cut_image.jpg")
    assert said("masks/small_mask.png") == "the mask is 32x24 pixels, its image 64x48 (width x height)"
    assert "transposed, EXIF turns the image (orientation 6)" in said("masks/turned.png")
    assert said("images/upside_down.png") == "EXIF orientation 3"
    assert "mask value 9 at row 30, column 40 (2 such pixels)" in said("masks/value.png")
    assert by_file["masks/value.png"][0].place == {"row": 30, "column": 40}
    assert "(250, 0, 0) at row 20, column 10" in said("masks/colour.png")
    assert by_file["masks/colour.png"][0].place == {"row": 20, "column": 10}
    assert said("images/black.png") == "all pixels are black"
    assert said("images/same_in_test.png") == (
        "equals images/good00.png, which is in train, this in test; their masks differ"
    )
    assert by_file["images/same_in_test.png"][0].others == ("images/good00.png",)
    assert (
        said("images/recompressed.jpg") == "nearly equals images/good02.png, which is in train, this in test"
    )
    assert said("images/shared.png") == "in test and train"
    assert said("images/huge.png") == "320x240 pixels: sides 5.0 times larger than the median of all images"
    lines = {one.place["line"]: one.message for one in by_file["splits/train.txt"] if one.place}
    (zebra, zebra_text), (again, again_text) = sorted(lines.items())
    assert zebra_text == "there is no image 'zebra'"
    assert again_text == "'good03' again, first in line 4"
    train = (tmp_path / "data/splits/train.txt").read_text().splitlines()
    assert (train[zebra - 1], train[again - 1]) == ("zebra", "good03")
    classes = sorted(one.message for one in by_file["dataset.toml"])
    assert classes[0].startswith("class 3, 'never', is in none of ")
    assert classes[1] == "class 4, 'rare': in train (1 mask), not in test"


def test_a_good_dataset(planter: Planter) -> None:
    report = report_of(planter)
    assert report.findings == ()
    assert (report.images, report.faults, report.kinds) == (6, 0, {})
    assert report_of(planter, quick=True).findings == ()


def test_the_quick_form(tmp_path: Path, rng: np.random.Generator) -> None:
    expected = plant(tmp_path / "data", rng)
    report = check(tmp_path / "data", quick=True)
    assert report.quick
    assert set(found(report)) <= set(expected)
    left = sorted({kind for kind, _ in expected} - set(report.kinds))
    assert left == [  # needs pixels, or all masks
        "class-in-one-split",
        "equal-across-splits",
        "equal-images",
        "ignored-mask",
        "mask-colour",
        "mask-value",
        "nearly-equal-images",
        "one-class-mask",
        "one-colour",
        "unreadable-mask",
        "unused-class",
    ]


def test_the_quick_form_reads_the_first_masks(planter: Planter) -> None:
    planter.edit_mask("value", "mask-value", lambda labels: np.where(labels == 2, np.uint8(7), labels))
    assert found(report_of(planter, quick=True)) == planter.expected


def test_one_split_alone(planter: Planter) -> None:
    for split in ("train", "test"):
        planter.add(f"black_{split}", split)
        Image.new("RGB", (64, 48)).save(planter.image(f"black_{split}"))
    planter.add("unlisted", "")
    planter.mask("unlisted").unlink()
    assert len(report_of(planter).findings) == 3
    report = report_of(planter, splits=["test"])
    assert (only(report).file, report.images) == ("images/black_test.png", 3)
    planter.splits["train"].append("zebra")
    assert report_of(planter, splits=["test"]) == report
    assert len(report_of(planter, splits=["test", "train"]).findings) == 3
    (planter.root / "splits" / "empty.txt").touch()
    assert only(report_of(planter, splits=["empty"])).file == "splits/empty.txt"
    with pytest.raises(DataError, match="no split 'val'") as e:
        report_of(planter, splits=["val"])
    assert "test, train" in str(e.value)


def test_folders_that_do_not_exist(tmp_path: Path, planter: Planter) -> None:
    for name, message in (("nowhere", "folder not found"), ("data/dataset.toml", "not a folder")):
        with pytest.raises(DataError, match=message):
            check(tmp_path / name)
    for path in (planter.root / "masks").iterdir():
        path.unlink()
    (planter.root / "masks").rmdir()
    report = report_of(planter)
    assert report.kinds == {"dataset": 1, "missing-mask": 6}
    assert report.of_kind("dataset")[0] == Finding("dataset", "masks", "folder not found")


def test_a_wrong_description_hides_no_file(planter: Planter) -> None:
    planter.add("cut")
    planter.image("cut").write_bytes(planter.image("cut").read_bytes()[:-50])
    (planter.root / "dataset.toml").write_text("nam = 3\n[[classes]]\nname = 'a'\nvalue = 999\n")
    report = report_of(planter)
    assert found(report) == [("dataset", "dataset.toml"), ("unreadable-image", "images/cut.png")]
    assert "nam" in report.findings[0].message
    assert "999" not in report.findings[0].message
    assert "class 0: value" in report.findings[0].message


def test_guessed_classes(planter: Planter) -> None:
    (planter.root / "dataset.toml").unlink()
    assert report_of(planter).findings == ()
    for path in (planter.root / "masks").iterdir():
        Image.fromarray(np.where(mask(planter.rng) == 1, 255, 0).astype(np.uint8)).save(path)
    finding = only(report_of(planter))
    assert (finding.kind, finding.file) == ("dataset", "masks")
    assert "only 0 and 255" in finding.message


def test_guessed_classes_of_which_one_is_not_used(planter: Planter) -> None:
    (planter.root / "dataset.toml").unlink()
    for path in (planter.root / "masks").iterdir():
        Image.fromarray(np.where(mask(planter.rng) == 1, 3, 0).astype(np.uint8)).save(path)
    assert [one.message.partition(",")[0] for one in report_of(planter).findings] == ["class 1", "class 2"]


def test_folders_per_split(tmp_path: Path, rng: np.random.Generator) -> None:
    picture = photo(rng)
    for split in ("train", "test"):
        for folder in (split, f"{split}annot"):
            (tmp_path / folder).mkdir()
        for stem in ("a", "b"):
            Image.fromarray(mask(rng)).save(tmp_path / f"{split}annot" / f"{stem}.png")
            (picture if stem == "a" else photo(rng)).save(tmp_path / split / f"{stem}.png")
    toml = "".join(f'[folders.{s}]\nimages = "{s}"\nmasks = "{s}annot"\n' for s in ("train", "test"))
    (tmp_path / "dataset.toml").write_text(toml)
    finding = only(check(tmp_path))
    assert (finding.kind, finding.file) == ("equal-across-splits", "train/a.png")
    assert finding.message.startswith("equals test/a.png, which is in test, this in train")


def test_linked_files_outside(planter: Planter, tmp_path: Path) -> None:
    planter.add("linked")
    planter.mask("linked").rename(tmp_path / "linked.png")
    planter.mask("linked").symlink_to(tmp_path / "linked.png")
    assert report_of(planter).findings == ()
    other = tmp_path / "photos"
    (planter.root / "images").rename(other)
    (planter.root / "dataset.toml").write_text(f'images = "{other}"\n')
    Image.new("RGB", (64, 48)).save(other / "linked.png")
    assert only(report_of(planter)).file == str(other / "linked.png")


def test_names_that_never_match(planter: Planter) -> None:
    for path in (planter.root / "masks").iterdir():
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    finding = only(report_of(planter))
    assert (finding.kind, finding.file) == ("dataset", "masks")
    assert "good0.png and good0_mask.png" in finding.message


def test_names_in_other_letters(planter: Planter) -> None:
    planter.add("GOOD0")
    planter.splits["train"].append("Good1")
    report = report_of(planter)
    assert found(report) == [("letter-case", "images/good0.png"), ("split-entry", "splits/train.txt")]
    assert "there is 'good1'" in report.of_kind("split-entry")[0].message


def test_a_note_that_is_true_of_most_images(planter: Planter) -> None:
    for number in range(9):
        planter.edit_mask(f"flat{number}", "", np.ones_like)
    finding = only(report_of(planter))
    assert (finding.kind, finding.file) == ("one-class-mask", "masks")
    assert finding.message == "9 of 15, for example flat0.png: all pixels are class 1"
    assert len(finding.others) == 9
    assert not finding.fault


def test_exif_that_turns_the_mask_too(planter: Planter) -> None:
    planter.add("turned")
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    for path in (planter.image("turned"), planter.mask("turned")):
        with Image.open(path) as stored:
            stored.load()
            stored.save(path, exif=exif)
    assert report_of(planter).findings == ()
    assert report_of(planter, quick=True).findings == ()


def test_a_mask_with_two_faults(planter: Planter) -> None:
    planter.edit_mask("both", "", lambda labels: np.full_like(labels[:20], 9))
    assert [one.kind for one in report_of(planter).findings] == ["mask-size", "mask-value"]


def test_masks_that_cannot_be_one_class(planter: Planter) -> None:
    """A wrong value is one finding: the rest of the mask is not judged, but its labels count."""
    planter.edit_mask("wrong", "", lambda labels: np.where(labels == 2, np.uint8(9), np.uint8(1)))
    assert only(report_of(planter)).kind == "mask-value"


@pytest.mark.parametrize("faults", [["a"], ["../b"], ["a.png", "c\0"]])
def test_lines_of_splits_name_no_files_outside(planter: Planter, faults: list[str]) -> None:
    planter.splits["train"] += faults
    report = report_of(planter)
    assert report.kinds == {"split-entry": len(faults)}
    assert "\0" not in str(report.as_json())


def test_splits_that_are_no_text(planter: Planter) -> None:
    planter.finish()
    (planter.root / "splits" / "val.txt").mkdir()
    (planter.root / "splits" / "other.txt").touch()
    report = check(planter.root)
    assert found(report) == [("dataset", "splits/val.txt"), ("empty-file", "splits/other.txt")]


def test_a_report_as_json(planter: Planter) -> None:
    planter.edit_mask("value", "", lambda labels: np.where(labels == 2, np.uint8(7), labels))
    planter.add("black")
    Image.new("RGB", (64, 48)).save(planter.image("black"))
    values = report_of(planter).as_json()
    message = values["findings"][0].pop("message")
    assert "mask value 7" in message
    assert values == {
        "data": str(planter.root),
        "images": 8,
        "quick": False,
        "faults": 1,
        "notes": 1,
        "kinds": {"mask-value": 1, "one-colour": 1},
        "findings": [
            {
                "kind": "mask-value",
                "fault": True,
                "file": "masks/value.png",
                "place": {"row": 0, "column": 0},
            },
            {
                "kind": "one-colour",
                "fault": False,
                "file": "images/black.png",
                "message": "all pixels are black",
            },
        ],
    }


def test_the_check_reads_what_training_reads(planter: Planter) -> None:
    """Without faults every image loads."""
    assert report_of(planter).faults == 0
    dataset = DatasetFolder(planter.root)
    for sample in dataset.samples:
        dataset.load(sample)


def test_files_that_are_no_images(planter: Planter) -> None:
    for stem in ("pipe", "folder", "enormous"):
        planter.add(stem)
        planter.image(stem).unlink()
    os.mkfifo(planter.image("pipe"))
    planter.image("folder").mkdir()
    Image.new("1", (20_000, 6_000)).save(planter.image("enormous"))
    for quick in (False, True):
        report = report_of(planter, quick=quick)
        assert report.kinds == {"unreadable-image": 3}
        said = {one.file: one.message for one in report.findings}
        assert "FIFO" in said["images/pipe.png"]
        assert "folder" in said["images/folder.png"]
        assert "too large" in said["images/enormous.png"]


def test_masks_that_are_renumbered(planter: Planter) -> None:
    planter.add("animated")
    with Image.open(planter.mask("animated")) as stored:
        stored.save(planter.root / "masks" / "animated.gif")
    planter.mask("animated").unlink()
    finding = only(report_of(planter))
    assert (finding.kind, finding.message) == ("jpeg-mask", "a renumbered GIF file")
