"""`lstm2d data import`: three shapes in which people get their data, and what it says."""

import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.data.folder import DatasetFolder

Save = Callable[..., None]
MASK = np.kron([[0, 1, 1], [1, 0, 1]], np.ones((8, 8), int))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return a function that writes an array or a text below ``tmp_path/src``."""

    def write(name: str, content: Any, **options: Any) -> None:
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        else:
            Image.fromarray(np.asarray(content, np.uint8)).save(path, **options)

    return write


def labels_of(root: Path) -> dict[str, np.ndarray]:
    dataset = DatasetFolder(root)
    return {s.stem: dataset.load_labels(s) for s in dataset.samples}


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the time of change and the contents of every file."""
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def test_horses_with_jpeg_masks_of_another_size(
    lstm2d: Callable, save: Save, tmp_path: Path, rng: np.random.Generator
) -> None:
    src, out = tmp_path / "src", tmp_path / "out"
    for k in range(1, 5):
        save(f"horse/horse{k:03}.jpg", rng.integers(0, 256, (32, 48, 3)))
        save(f"mask/horse{k:03}.jpg", np.roll(MASK, 8 * k, axis=1) * 255)
    before = state_of(src)
    ran = lstm2d("data", "import", "auto", src, "-o", out)
    assert ran.code == 3
    assert "recognised: weizmann" in ran.err
    named = re.search(r"do: add (.*)", ran.err)
    assert named is not None
    assert named[1] == "--jpeg-masks --threshold 128 --resize-masks"
    assert not out.exists()

    ran = lstm2d("data", "import", "auto", src, "-o", out, "--json", *named[1].split())
    assert ran.code == 0
    assert ran.json == {
        "kind": "weizmann",
        "images": 4,
        "classes": ["background", "horse"],
        "splits": {},
        "left_out": [],
        "out": str(out),
    }
    found = labels_of(out)
    assert sorted(found) == [f"horse{k:03}" for k in range(1, 5)]
    for k in range(1, 5):
        expected = np.roll(MASK, 8 * k, axis=1).repeat(2, axis=0).repeat(2, axis=1)
        np.testing.assert_array_equal(found[f"horse{k:03}"], expected)
    assert state_of(src) == before


def test_camvid_in_folders_with_lists_of_paths(
    lstm2d: Callable, save: Save, tmp_path: Path, rng: np.random.Generator
) -> None:
    src, out, masks = tmp_path / "src", tmp_path / "out", {}
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        lines = []
        for k in range(count):
            stem = f"0001TP_{split}{k}"
            masks[stem] = rng.integers(0, 12, (6, 8))
            save(f"{split}/{stem}.png", rng.integers(0, 256, (6, 8, 3)))
            save(f"{split}annot/{stem}.png", masks[stem])
            lines.append(f"/SegNet/CamVid/{split}/{stem}.png /SegNet/CamVid/{split}annot/{stem}.png\n")
        save(f"{split}.txt", "".join(lines))
    ran = lstm2d("data", "stats", src)
    assert ran.code == 3
    command = re.search(r"import it: lstm2d (data import segnet .* -o )DIR", ran.err)
    assert command is not None

    ran = lstm2d(*command[1].split(), out, "--json")
    assert ran.code == 0
    assert (ran.json["kind"], ran.json["images"]) == ("segnet", 6)
    assert ran.json["splits"] == {"train": 3, "val": 1, "test": 2}
    assert ran.json["classes"][::10] == ["sky", "bicyclist"]
    found = labels_of(out)
    assert sorted(found) == sorted(masks)
    for stem, mask in masks.items():
        np.testing.assert_array_equal(found[stem], np.where(mask == 11, 255, mask))
    assert lstm2d("data", "stats", out).code == 0


def test_flowers_with_masks_for_half_of_the_images(
    lstm2d: Callable, save: Save, tmp_path: Path, rng: np.random.Generator
) -> None:
    src, out, masks = tmp_path / "src", tmp_path / "out", {}
    for k in range(1, 11):
        save(f"jpg/image_{k:04}.jpg", rng.integers(0, 256, (16, 24, 3)))
        if k % 2:
            masks[f"image_{k:04}"] = np.roll(MASK, k, axis=0)
            save(f"trimaps/image_{k:04}.png", np.roll(MASK, k, axis=0))
    ran = lstm2d("data", "import", "auto", src, "-o", out, "--json", "--name", "flowers")
    assert ran.code == 0
    assert (ran.json["kind"], ran.json["images"], ran.json["classes"]) == ("pairs", 5, ["class_0", "class_1"])
    assert ran.json["left_out"][0].startswith("images without a mask: 5 (image_0002.jpg, ")
    found = labels_of(out)
    assert sorted(found) == sorted(masks)
    for stem, mask in masks.items():
        np.testing.assert_array_equal(found[stem], mask)
    assert DatasetFolder(out).name == "flowers"
    for stem in masks:
        assert (out / f"images/{stem}.jpg").read_bytes() == (src / f"jpg/{stem}.jpg").read_bytes()


def test_for_people(lstm2d: Callable, save: Save, tmp_path: Path) -> None:
    for name in "ab":
        save(f"train/images/{name}.png", MASK)
    save("train/masks/a.png", MASK)
    ran = lstm2d("data", "import", "auto", tmp_path / "src", "-o", tmp_path / "out")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [
        "recognised: pairs, by train/images/ and train/masks/: 1 of 2 images have a mask, by equal names",
        "  masks: class numbers 0 to 1; --colors FILE names the classes",
        "  left out: images without a mask: 1 (b.png)",
        f"1 images of 2 classes (train 1): {tmp_path / 'out'}",
    ]
    ran = lstm2d("data", "import", "auto", tmp_path / "src", "-o", tmp_path / "quiet", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_links(lstm2d: Callable, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save("images/a.png", MASK)
    save("masks/a.png", MASK)
    monkeypatch.chdir(tmp_path)
    assert lstm2d("data", "import", "pairs", "src", "-o", "out", "--link").code == 0
    link = tmp_path / "out/images/a.png"
    assert stat.S_ISLNK(link.lstat().st_mode)
    assert link.readlink() == tmp_path / "src/images/a.png"
    ran = lstm2d("data", "stats", "out", "--json")
    assert (ran.code, ran.json["images"]) == (0, 1)


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["auto", "SRC/none", "-o", "OUT"], 3, "file or folder not found"),
        (["auto", "SRC/images", "-o", "OUT"], 3, "no kind fits"),
        (["pair", "SRC", "-o", "OUT"], 2, "did you mean pairs?"),
        (["pairs", "SRC"], 2, "Missing option '--out'"),
        (["pairs", "SRC", "-o", "OUT", "--threshold", "0"], 2, "--threshold"),
        (["voc", "SRC", "-o", "OUT", "--threshold", "3"], 2, "--threshold has no effect on the kind voc"),
        (["voc", "SRC", "-o", "OUT"], 3, "not PASCAL VOC"),
        (["pairs", "SRC", "-o", "OUT", "--colors", "SRC/none"], 3, "file not found"),
        (["pairs", "SRC", "-o", "OUT"], 3, "add --threshold 128 if 255 is the object"),
        (["pairs", "SRC", "-o", "SRC", "--threshold", "9"], 5, "the folder is not empty"),
        (["pairs", "SRC", "-o", "SRC/images/a.png/x", "--threshold", "9"], 5, "cannot write"),
    ],
)
def test_errors(lstm2d: Callable, save: Save, tmp_path: Path, words: list[str], code: int, part: str) -> None:
    save("images/a.png", MASK)
    save("masks/a.png", MASK * 255)
    before = state_of(tmp_path)
    places = {"SRC": str(tmp_path / "src"), "OUT": str(tmp_path / "out")}
    ran = lstm2d(
        "data", "import", *(re.sub("SRC|OUT", lambda m: places[m[0]], word) for word in words), "--json"
    )
    assert ran.code == code
    assert part in ran.err
    assert state_of(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_training_names_the_import(lstm2d: Callable, save: Save, tmp_path: Path) -> None:
    save("img_dir/train/a.png", MASK)
    save("ann_dir/train/a.png", MASK)
    src = tmp_path / "src"
    command = f"import it: lstm2d data import pairs {src} -o DIR"
    for words in (
        ["train", "lstm2d-5x5", "--data", src, "-o", tmp_path / "run"],
        ["evaluate", "outdoor", src],
        ["data", "stats", src],
        ["hierarchy", "build", src, "--method", "sn", "-o", tmp_path / "h"],
    ):
        ran = lstm2d(*words)
        assert ran.code == 3
        assert command in ran.err
