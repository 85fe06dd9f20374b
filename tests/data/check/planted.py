"""A dataset with one fault of each kind, each in a file of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (48, 64)  # rows and columns
TOML = "".join(
    f'[[classes]]\nname = "{name}"\ncolor = [{k}, {10 * k}, {100 + k}]\n'
    for k, name in enumerate(["sky", "tree", "road", "never", "rare"])
)
ORIENTATION = 274


def photo(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> Image.Image:
    """Return a smooth picture, different each time."""
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize(size[::-1], Image.Resampling.BICUBIC)


def mask(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return a mask with the classes 0, 1 and 2, and some ignored pixels."""
    labels = np.zeros(size, np.uint8)
    row, column = (rng.integers(2, side - 2) for side in size)
    labels[row:, :] = 1
    labels[:, :column] = 2
    labels[0, -2:] = 255
    return labels


class Planter:
    """Writes a dataset; `expected` lists kind and file of what should be found."""

    def __init__(self, root: Path, rng: np.random.Generator) -> None:
        self.root, self.rng = root, rng
        self.expected: list[tuple[str, str]] = []
        self.splits: dict[str, list[str]] = {"train": [], "test": []}
        for folder in ("images", "masks", "splits"):
            (root / folder).mkdir(parents=True)
        (root / "dataset.toml").write_text(TOML)

    def image(self, stem: str) -> Path:
        return self.root / "images" / f"{stem}.png"

    def mask(self, stem: str) -> Path:
        return self.root / "masks" / f"{stem}.png"

    def add(self, stem: str, split: str = "train", size: tuple[int, int] = SIZE) -> None:
        """Write a good image and mask."""
        photo(self.rng, size).save(self.image(stem))
        Image.fromarray(mask(self.rng, size)).save(self.mask(stem))
        if split:
            self.splits[split].append(stem)

    def expect(self, kind: str, file: str) -> None:
        self.expected.append((kind, file))

    def edit_mask(self, stem: str, kind: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
        """Write an image whose mask is changed, and expect that it is found."""
        self.add(stem)
        with Image.open(self.mask(stem)) as stored:
            labels = np.array(stored)
        Image.fromarray(change(labels)).save(self.mask(stem))
        self.expect(kind, f"masks/{stem}.png")

    def finish(self) -> None:
        """Write the splits."""
        for split, stems in self.splits.items():
            (self.root / "splits" / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in stems))


def plant(root: Path, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Write the dataset; return kind and file of each fault, sorted."""
    planter = Planter(root, rng)
    for number in range(12):
        planter.add(f"good{number:02d}", "train" if number < 8 else "test")
    _damaged_files(planter)
    _wrong_masks(planter)
    _odd_images(planter)
    _wrong_names(planter)
    _wrong_splits(planter)
    planter.finish()
    (root / "splits" / "val.txt").write_text("\n\n")
    planter.expect("empty-split", "splits/val.txt")
    return sorted(planter.expected)


def _damaged_files(planter: Planter) -> None:
    planter.add("cut_image")
    planter.image("cut_image").unlink()
    path = planter.root / "images" / "cut_image.jpg"
    photo(planter.rng).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    planter.expect("unreadable-image", "images/cut_image.jpg")
    planter.add("text")
    planter.image("text").write_text("not found")
    planter.expect("unreadable-image", "images/text.png")
    planter.add("cut_mask")
    whole = planter.mask("cut_mask").read_bytes()
    planter.mask("cut_mask").write_bytes(whole[: len(whole) // 2])
    planter.expect("unreadable-mask", "masks/cut_mask.png")
    planter.add("empty_image")
    planter.image("empty_image").write_bytes(b"")
    planter.expect("empty-file", "images/empty_image.png")
    planter.add("empty_mask")
    planter.mask("empty_mask").write_bytes(b"")
    planter.expect("empty-file", "masks/empty_mask.png")
    planter.add("gone")
    planter.image("gone").unlink()
    planter.image("gone").symlink_to("nowhere.png")
    planter.expect("broken-link", "images/gone.png")


def _wrong_masks(planter: Planter) -> None:
    def with_nine(labels: np.ndarray) -> np.ndarray:
        labels[30, 40:42] = 9
        return labels

    def in_colours(labels: np.ndarray) -> np.ndarray:
        colours = np.array([[0, 0, 100], [1, 10, 101], [2, 20, 102]], np.uint8)[np.minimum(labels, 2)]
        colours[20, 10] = (250, 0, 0)
        return colours

    planter.edit_mask("small_mask", "mask-size", lambda labels: labels[::2, ::2])
    planter.edit_mask("value", "mask-value", with_nine)
    planter.edit_mask("colour", "mask-colour", in_colours)
    planter.edit_mask("nothing", "ignored-mask", lambda labels: np.full_like(labels, 255))
    planter.edit_mask("flat", "one-class-mask", lambda labels: np.full_like(labels, 1))
    planter.edit_mask("see_through", "mask-value", lambda labels: np.stack([labels, labels], axis=-1))
    planter.add("lossy")
    with Image.open(planter.mask("lossy")) as stored:
        stored.save(planter.root / "masks" / "lossy.jpg")
    planter.mask("lossy").unlink()
    planter.expect("jpeg-mask", "masks/lossy.jpg")


def _odd_images(planter: Planter) -> None:
    for stem, orientation, kind, file in (
        ("turned", 6, "mask-size", "masks/turned.png"),
        ("upside_down", 3, "exif-rotation", "images/upside_down.png"),
    ):
        planter.add(stem)
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        photo(planter.rng).save(planter.image(stem), exif=exif)
        planter.expect(kind, file)
    planter.add("black")
    Image.new("RGB", SIZE[::-1]).save(planter.image("black"))
    planter.expect("one-colour", "images/black.png")
    planter.add("tiny", size=(9, 12))
    planter.expect("tiny-image", "images/tiny.png")
    planter.add("huge", size=(240, 320))
    planter.expect("unusual-size", "images/huge.png")
    for stem, other, split, kind in (
        ("same_in_test", "good00", "test", "equal-across-splits"),
        ("same_in_train", "good01", "train", "equal-images"),
    ):
        planter.add(stem, split)
        with Image.open(planter.image(other)) as stored:
            stored.save(planter.image(stem), optimize=True)
        planter.expect(kind, f"images/{stem}.png")
    planter.add("recompressed", "test")
    planter.image("recompressed").unlink()
    with Image.open(planter.image("good02")) as stored:
        stored.save(planter.root / "images" / "recompressed.jpg", quality=100, subsampling=0)
    planter.expect("nearly-equal-images", "images/recompressed.jpg")
    (planter.root / "images" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    planter.expect("not-read", "images/phone.HEIC")


def _wrong_names(planter: Planter) -> None:
    planter.add("no_mask")
    planter.mask("no_mask").unlink()
    planter.expect("missing-mask", "images/no_mask.png")
    planter.add("not_used", "")
    planter.mask("not_used").unlink()
    planter.expect("unlabelled-image", "images/not_used.png")
    planter.add("no_image", "")
    planter.image("no_image").unlink()
    planter.expect("missing-image", "masks/no_image.png")
    planter.add("twice")
    photo(planter.rng).save(planter.root / "images" / "twice.tif")
    planter.expect("same-stem", "images/twice.tif")
    planter.add("Letters")
    planter.mask("Letters").rename(planter.mask("letters"))
    planter.expect("letter-case", "images/Letters.png")


def _wrong_splits(planter: Planter) -> None:
    planter.add("shared")
    planter.splits["test"].append("shared")
    planter.expect("shared-image", "images/shared.png")
    planter.splits["train"] += ["zebra", "good03"]
    planter.expect("split-entry", "splits/train.txt")
    planter.expect("split-entry", "splits/train.txt")
    planter.expect("unused-class", "dataset.toml")
    planter.edit_mask("rare", "class-in-one-split", lambda labels: np.where(labels == 2, np.uint8(4), labels))
    planter.expected[-1] = ("class-in-one-split", "dataset.toml")
