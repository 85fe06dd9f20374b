"""Kind `pairs`: masks of every kind in two folders, and Weizmann's horses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm2d.data.importers.registry import choose_kind, kind_named
from lstm2d.data.importers.source import Options, Source
from lstm2d.data.importers.write import write_source
from lstm2d.errors import ConfigError, DataError
from lstm2d.io.classes import ClassInfo, default_color

Save = Callable[..., Path]
Photo = Callable[..., np.ndarray]
Labels = Callable[[Path], dict[str, np.ndarray]]
A, B = np.array([[0, 1, 2], [2, 1, 0]]), np.array([[1, 1, 255], [0, 2, 2]])


@pytest.fixture
def src(save: Save, photo: Photo, tmp_path: Path) -> Path:
    """Return a folder with two photographs of 3x2 pixels."""
    for name in "ab":
        save(f"images/{name}.png", photo(2, 3))
    return tmp_path / "src"


def opened(src: Path, **options: Any) -> Source:
    return kind_named("pairs").open_source(src, Options(**options))


def imported(src: Path, out: Path, labels_in: Labels, **options: Any) -> dict[str, np.ndarray]:
    write_source(opened(src, **options), out, resize_masks=options.get("resize_masks", False))
    return labels_in(out)


def assert_labels(found: dict[str, np.ndarray], a: Any, b: Any) -> None:
    assert sorted(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"], a)
    np.testing.assert_array_equal(found["b"], b)


def test_index_masks(src: Path, save: Save, tmp_path: Path, labels_in: Labels) -> None:
    save("masks/a.png", A)
    save("masks/b.png", B)
    made = opened(src)
    assert made.classes == tuple(ClassInfo(f"class_{k}", default_color(k)) for k in range(3))
    assert made.name == "src"
    assert made.found[0] == "images/ and masks/: 2 of 2 images have a mask, by equal names"
    assert "class numbers 0 to 2, 255 is unlabelled" in made.found[1]
    assert_labels(imported(src, tmp_path / "out", labels_in), A, B)


def test_palettes_give_the_colours(src: Path, save: Save, tmp_path: Path, labels_in: Labels) -> None:
    palette = [9, 9, 9, 8, 8, 8, 7, 7, 7, *[0] * 759]
    save("masks/a.png", A, palette=palette)
    save("masks/b.png", B, palette=palette)
    assert [c.color for c in opened(src).classes] == [(9, 9, 9), (8, 8, 8), (7, 7, 7)]
    assert_labels(imported(src, tmp_path / "out", labels_in), A, B)
    save("masks/b.png", B, palette=[1, 1, 1, *palette[3:]])  # another palette: default colours
    assert [c.color for c in opened(src).classes] == [default_color(k) for k in range(3)]


COLORS = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
TABLE = "200 0 0 roof\n0 200 0 tree\n0 0 200 water\n0 0 0 void\n"


def colored(labels: np.ndarray) -> np.ndarray:
    return np.where((labels == 255)[..., None], 0, COLORS[np.minimum(labels, 2)]).astype(np.uint8)


@pytest.mark.parametrize("where", ["../table.txt", "label_colors.txt"])
def test_colours(src: Path, save: Save, tmp_path: Path, labels_in: Labels, where: str) -> None:
    save("masks/a.png", colored(A))
    save("masks/b.png", colored(B))
    path = save(where, TABLE)
    options = {} if where == "label_colors.txt" else {"colors": path}
    assert [c.name for c in opened(src, **options).classes] == ["roof", "tree", "water"]
    assert_labels(imported(src, tmp_path / "out", labels_in, **options), A, B)


def test_colours_without_a_table_are_listed(src: Path, save: Save) -> None:
    save("masks/a.png", colored(A))
    save("masks/b.png", colored(B))
    with pytest.raises(DataError, match="masks of 4 colours, whose classes are not known") as error:
        opened(src)
    hint = str(error.value.hint)
    assert hint.startswith("add `colors=FILE`")
    # the most frequent first: four pixels of 1 and of 2, three of 0, one ignored
    assert hint.splitlines()[1:] == [
        "    NAME_0 0 0 200",
        "    NAME_1 0 200 0",
        "    NAME_2 200 0 0",
        "    NAME_3 0 0 0",
    ]


def test_the_listed_lines_are_a_table(src: Path, save: Save, tmp_path: Path, labels_in: Labels) -> None:
    save("masks/a.png", colored(A))
    save("masks/b.png", colored(A.T.reshape(2, 3)))
    with pytest.raises(DataError) as error:
        opened(src)
    path = save("../table.txt", "\n".join(str(error.value.hint).splitlines()[1:]))
    found = imported(src, tmp_path / "out", labels_in, colors=path)
    assert len(np.unique(found["a"])) == 3


def test_colours_that_are_not_in_the_table_are_all_named(src: Path, save: Save, tmp_path: Path) -> None:
    save("masks/a.png", colored(A) + np.uint8(1))
    save("masks/b.png", colored(B) + np.uint8(1))
    path = save("../table.txt", TABLE)
    with pytest.raises(DataError, match="2 of 2 images cannot be imported") as error:
        write_source(opened(src, colors=path), tmp_path / "out")
    assert "masks/a.png: colour (201, 1, 1) at row 0, column 0" in str(error.value)
    assert "masks/b.png: colour (1, 201, 1) at row 0, column 0" in str(error.value)


def test_palettes_are_read_by_colour_if_the_table_has_them(
    src: Path, save: Save, tmp_path: Path, labels_in: Labels
) -> None:
    path = save("../table.txt", TABLE)
    swapped = [0, 0, 200, 0, 200, 0, 200, 0, 0]  # number 0 is water, class 2
    save("masks/a.png", A, palette=swapped)
    save("masks/b.png", A, palette=swapped)
    assert_labels(imported(src, tmp_path / "out", labels_in, colors=path), 2 - A, 2 - A)


def test_numbers_with_a_table(src: Path, save: Save, tmp_path: Path, labels_in: Labels) -> None:
    path = save("../table.txt", TABLE)
    save("masks/a.png", A)
    save("masks/b.png", np.minimum(B, 3))  # the fourth line is void
    assert [c.name for c in opened(src, colors=path).classes] == ["roof", "tree", "water"]
    assert_labels(imported(src, tmp_path / "out", labels_in, colors=path), A, B)


def test_gray_levels_with_a_table(src: Path, save: Save, tmp_path: Path, labels_in: Labels) -> None:
    path = save("../table.txt", "roof 0 0 0\ntree 85 85 85\nwater 170 170 170\n")
    save("masks/a.png", A * 85)
    save("masks/b.png", A.T.reshape(2, 3) * 85)
    with pytest.raises(
        DataError, match=r"the mask values \(0, 85, 170\) do not look like class numbers"
    ) as error:
        opened(src)
    assert "NAME_1 85 85 85" in str(error.value.hint)
    assert_labels(imported(src, tmp_path / "out", labels_in, colors=path), A, A.T.reshape(2, 3))


def test_black_and_white(src: Path, save: Save, tmp_path: Path, labels_in: Labels) -> None:
    save("masks/a.png", (A > 0) * 255)
    save("masks/b.png", (A > 1) * 255)
    with pytest.raises(DataError, match="the masks hold only 0 and 255") as error:
        opened(src)
    assert error.value.hint == "add `threshold=128` if 255 is the object"
    assert [c.name for c in opened(src, threshold=128).classes] == ["background", "foreground"]
    assert_labels(imported(src, tmp_path / "out", labels_in, threshold=128), A > 0, A > 1)


@pytest.mark.parametrize(
    ("first", "second", "part"),
    [
        ([[0, 80, 0]] * 2, [[80, 80, 0]] * 2, "`threshold=40`"),
        ([[0, 1, 255]] * 2, [[0, 254, 130]] * 2, "`threshold=128`"),
        ([[3, 3, 3]] * 2, [[3, 3, 3]] * 2, "all labelled pixels hold the same value, 3"),
    ],
)
def test_values_that_are_no_class_numbers(src: Path, save: Save, first: Any, second: Any, part: str) -> None:
    save("masks/a.png", first)
    save("masks/b.png", second)
    with pytest.raises(DataError) as error:
        opened(src)
    assert part in str(error.value)


def jpeg_horses(save: Save, photo: Photo) -> dict[str, np.ndarray]:
    """Write photographs and JPEG masks of another size; return the labels at the size of the photographs."""
    expected = {}
    for k, name in enumerate(("horse001", "horse002", "horse003")):
        save(f"horse/{name}.jpg", photo(48, 64))
        mask = np.kron([[0, 1, 1], [k % 2, 0, 1]], np.ones((8, 8), int))  # 24x16 pixels
        save(f"mask/{name}.jpg", mask * 255, quality=90)
        rows, columns = (2 * np.arange(48) + 1) * 16 // 96, (2 * np.arange(64) + 1) * 24 // 128
        expected[name] = mask[rows[:, None], columns]
    return expected


def test_horses(save: Save, photo: Photo, tmp_path: Path, labels_in: Labels) -> None:
    expected, src = jpeg_horses(save, photo), tmp_path / "src"
    kind, reason = choose_kind(src)
    assert kind.name == "weizmann"
    assert reason.startswith("images named horse001")
    with pytest.raises(DataError) as error:
        kind.open_source(src, Options())
    assert "3 of 3 masks are JPEG files" in str(error.value)
    assert "3 of 3 masks have another size than their images (for example horse001.jpg 24x16" in str(
        error.value
    )
    assert error.value.hint == "add `jpeg_masks=True` `threshold=128` `resize_masks=True`"
    made = kind.open_source(src, Options(jpeg_masks=True, resize_masks=True))
    assert [c.name for c in made.classes] == ["background", "horse"]
    assert write_source(made, tmp_path / "out", resize_masks=True).resized == 3
    found = labels_in(tmp_path / "out")
    assert sorted(found) == sorted(expected)
    for stem, labels in expected.items():
        np.testing.assert_array_equal(found[stem], labels)


def test_the_same_as_pairs(save: Save, photo: Photo, tmp_path: Path, labels_in: Labels) -> None:
    expected, src = jpeg_horses(save, photo), tmp_path / "src"
    with pytest.raises(DataError) as error:
        opened(src)
    assert error.value.hint == "add `jpeg_masks=True` `threshold=128` `resize_masks=True`"
    found = imported(src, tmp_path / "out", labels_in, threshold=128, jpeg_masks=True, resize_masks=True)
    for stem, labels in expected.items():
        np.testing.assert_array_equal(found[stem], labels)
    with pytest.raises(DataError, match="masks of gray levels in a format that changes them") as error:
        opened(src, jpeg_masks=True, resize_masks=True)
    assert error.value.hint == "add `threshold=128`"


def test_horses_with_masks_of_0_and_1(save: Save, photo: Photo, tmp_path: Path, labels_in: Labels) -> None:
    for name in ("horse001", "horse002"):
        save(f"horse/{name}.png", photo(2, 3))
        save(f"mask/{name}.png", A > 1)
    made = kind_named("weizmann").open_source(tmp_path / "src", Options())
    assert [c.name for c in made.classes] == ["background", "horse"]
    write_source(made, tmp_path / "out")
    np.testing.assert_array_equal(labels_in(tmp_path / "out")["horse002"], A > 1)
    # a given threshold is used
    made = kind_named("weizmann").open_source(tmp_path / "src", Options(threshold=2))
    with pytest.raises(DataError, match="all labelled pixels are background"):
        write_source(made, tmp_path / "other")


def test_lossy_colours(src: Path, save: Save, photo: Photo, tmp_path: Path, labels_in: Labels) -> None:
    large = {name: np.kron(labels, np.ones((8, 8), int)) for name, labels in (("a", A), ("b", A[::-1]))}
    for name, labels in large.items():
        save(f"images/{name}.png", photo(*labels.shape))
        save(f"masks/{name}.jpg", colored(labels), quality=92, subsampling=0)
    with pytest.raises(DataError) as error:
        opened(src)
    assert str(error.value.hint).startswith("add `jpeg_masks=True` `colors=FILE`")
    path = save("../table.txt", TABLE)
    with pytest.raises(DataError, match="2 of 2 masks are JPEG") as error:
        opened(src, colors=path)
    assert error.value.hint == "add `jpeg_masks=True`"
    found = imported(src, tmp_path / "out", labels_in, colors=path, jpeg_masks=True)
    assert_labels(found, large["a"], large["b"])


def test_bad_files_are_all_listed(src: Path, save: Save) -> None:
    save("images/c.png", A)
    save("masks/c.png", A)
    (src / "masks/a.png").write_bytes(b"")
    (src / "masks/b.png").write_bytes((src / "masks/c.png").read_bytes()[:40])
    (src / "images/c.png").write_bytes(b"text")
    with pytest.raises(DataError, match="3 of 6 files cannot be read") as error:
        opened(src)
    for name in ("masks/a.png", "masks/b.png", "images/c.png"):
        assert str(src / name) in str(error.value)


def test_half_of_the_images_have_masks(save: Save, photo: Photo, tmp_path: Path, labels_in: Labels) -> None:
    palette = [0, 0, 0, 0, 0, 128, 128, 0, 0]
    for k in range(1, 9):
        save(f"jpg/image_{k:04}.jpg", photo(2, 3))
        if k % 2:
            save(f"trimaps/image_{k:04}.png", A if k % 4 == 1 else A[::-1], palette=palette)
    kind, reason = choose_kind(tmp_path / "src")
    assert (kind.name, reason) == ("pairs", "jpg/ and trimaps/: 4 of 8 images have a mask, by equal names")
    made = kind.open_source(tmp_path / "src", Options())
    assert made.left_out == (
        "images without a mask: 4 (image_0002.jpg, image_0004.jpg, image_0006.jpg, image_0008.jpg)",
    )
    write_source(made, tmp_path / "out")
    found = labels_in(tmp_path / "out")
    assert sorted(found) == ["image_0001", "image_0003", "image_0005", "image_0007"]
    for k, stem in enumerate(sorted(found)):
        np.testing.assert_array_equal(found[stem], A[::-1] if k % 2 else A)


def test_splits_from_lists(src: Path, save: Save) -> None:
    for name in "ab":
        save(f"masks/{name}.png", A)
    save("train.txt", "images/a.png masks/a.png\n")
    save("val.txt", "b\nz\n")
    made = opened(src)
    assert [(i.stem, i.split) for i in made.items] == [("a", "train"), ("b", "val")]
    assert made.found[-1] == "split val: 1 images, from val.txt; 1 of its names have no image with a mask: z"
    save("val.txt", "a\n")
    with pytest.raises(DataError, match="'a' is in the splits train and val"):
        opened(src)
    save("val.txt", "")
    assert opened(src).found[-1] == "1 images are in no list, and so in no split"


def test_equal_names_in_several_folders(save: Save, photo: Photo, tmp_path: Path) -> None:
    for split in ("train", "val"):
        save(f"{split}/images/a.png", photo(2, 3))
        save(f"{split}/masks/a.png", A)
    made = opened(tmp_path / "src")
    assert [(i.stem, i.split) for i in made.items] == [("train_a", "train"), ("val_a", "val")]


def test_a_file_with_a_usual_name_that_is_no_table(src: Path, save: Save) -> None:
    for name in "ab":
        save(f"masks/{name}.png", A)
    save("colors.txt", "sky 1 2 3\nand so on\n")
    assert "colors.txt is not used: line 2 is not a class: 'and so on'" in opened(src).found


def test_options_that_exclude_each_other(src: Path, save: Save) -> None:
    for name in "ab":
        save(f"masks/{name}.png", A)
    with pytest.raises(ConfigError, match="`threshold` together with `colors`"):
        opened(src, threshold=1, colors=save("../table.txt", TABLE))


def test_no_pairs(src: Path) -> None:
    with pytest.raises(DataError, match="no image with a mask was found"):
        opened(src)
