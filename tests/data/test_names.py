"""Names match in any Unicode form; text files are read in every encoding with a byte order mark."""

import codecs
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lstm2d.data.folder import DatasetFolder
from lstm2d.data.layout import composed
from lstm2d.errors import DataError
from lstm2d.io.safe_open import read_text

Maker = Callable[..., Path]
MASK = np.array([[0, 1, 2], [255, 2, 1]])
NFC, NFD = (unicodedata.normalize(form, "Stra\u00dfe \u00e9") for form in ("NFC", "NFD"))
ENCODINGS: Mapping[str, tuple[bytes, str]] = {
    "UTF-8": (b"", "utf-8"),
    "UTF-8 with BOM": (codecs.BOM_UTF8, "utf-8"),
    "UTF-16 LE": (codecs.BOM_UTF16_LE, "utf-16-le"),
    "UTF-16 BE": (codecs.BOM_UTF16_BE, "utf-16-be"),
}


def encoded(name: str, text: str) -> bytes:
    mark, encoding = ENCODINGS[name]
    return mark + text.encode(encoding)


@pytest.mark.parametrize("disk", [NFC, NFD])
@pytest.mark.parametrize("listed", [NFC, NFD])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_stems_match_in_any_form_and_encoding(make: Maker, disk: str, listed: str, encoding: str) -> None:
    assert NFC != NFD
    root = make({disk: MASK, "b": MASK})
    (root / "masks" / f"{disk}.png").rename(root / "masks" / f"{NFC if disk == NFD else NFD}.png")
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_bytes(encoded(encoding, f"b\r\n{listed}\r\n"))
    (root / "scenes.txt").write_bytes(encoded(encoding, f"{listed} coast\nb road\n"))
    dataset = DatasetFolder(root)
    samples = dataset.split("train")
    assert [s.stem for s in samples] == ["b", NFC]
    assert samples[1].image_path.name == f"{disk}.png"  # as on the disk: the file opens
    assert [dataset.scenes[s.stem] for s in samples] == ["road", "coast"]
    np.testing.assert_array_equal(dataset.load(samples[1])[1], MASK)


@pytest.mark.parametrize("disk", [NFC, NFD])
@pytest.mark.parametrize("asked", [NFC, NFD])
def test_names_of_splits_and_folders(make: Maker, disk: str, asked: str) -> None:
    toml = f'images = "{asked}"\n[[classes]]\nname = "a"\n[[classes]]\nname = "b"\n[[classes]]\nname = "c"\n'
    root = make({"a": MASK}, toml=toml, folders=(disk, "masks"), splits={disk: ["a"]})
    dataset = DatasetFolder(root)
    assert dataset.splits == (NFC,)
    assert [s.stem for s in dataset.split(asked)] == ["a"]


@pytest.mark.parametrize("folder", ["images", "masks", "splits"])
def test_two_names_that_look_the_same(make: Maker, folder: str) -> None:
    root = make({NFC: MASK}, splits={NFC: [NFC]})
    suffix = "txt" if folder == "splits" else "png"
    (root / folder / f"{NFD}.{suffix}").write_bytes((root / folder / f"{NFC}.{suffix}").read_bytes())
    with pytest.raises(DataError, match="differ only in the Unicode form of their letters"):
        DatasetFolder(root).split(NFC)


def test_a_stem_in_two_forms_stands_twice(make: Maker) -> None:
    root = make({NFC: MASK}, splits={"train": [NFC, NFD]})
    with pytest.raises(DataError, match="appears twice, in lines 1 and 2"):
        DatasetFolder(root).split("train")


@given(st.text())
def test_composed_names(name: str) -> None:
    assert composed(unicodedata.normalize("NFD", name)) == composed(name)
    assert composed(composed(name)) == composed(name)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_dataset_toml_in_any_encoding(make: Maker, encoding: str) -> None:
    root = make({"a": MASK})
    text = (root / "dataset.toml").read_text().replace("sky", "Himmel über uns").replace("\n", "\r\n")
    (root / "dataset.toml").write_bytes(encoded(encoding, text))
    assert DatasetFolder(root).classes[0].name == "Himmel über uns"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(list(ENCODINGS)))
def test_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str, encoding: str) -> None:
    path = tmp_path_factory.getbasetemp() / "text.txt"
    text = text.lstrip("\ufeff")
    path.write_bytes(encoded(encoding, text))
    assert read_text(path) == text


def test_damaged_utf_16(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF16_LE + b"a\0b")
    with pytest.raises(DataError, match=r"damaged UTF-16.*a\.txt"):
        read_text(tmp_path / "a.txt")


def lonely(root: Path, *names: str) -> None:
    for name in names:
        Image.fromarray(MASK.astype(np.uint8)).save(root / "masks" / f"{name}.png")


def test_masks_without_image_are_noted_once(make: Maker) -> None:
    root = make({"a": MASK, "b": MASK}, splits={"train": ["a"], "val": ["b"]})
    lonely(root, *"uvwxyz")
    dataset = DatasetFolder(root)
    lines: list[str] = []
    dataset.notes.listener = lines.append
    _ = dataset.samples, dataset.split("train"), dataset.split("val")
    text = "6 of 8 masks have no image and are left out (u.png, v.png, w.png, x.png, y.png and 1 more)"
    assert lines == [f"{root / 'masks'}: {text}"]


def test_notes_name_the_first_file_and_count_each_once(make: Maker) -> None:
    stems = ["a", "b", "c"]
    root = make(dict.fromkeys(stems, MASK))
    for stem in stems[1:]:
        Image.fromarray(np.full((2, 3, 4), 100, np.uint8)).save(root / "images" / f"{stem}.png")
    dataset = DatasetFolder(root)
    lines: list[Any] = []
    dataset.notes.listener = lines.append
    for sample in dataset.samples * 2:
        dataset.load(sample)
    text = "transparent pixels are composited on white"
    assert lines == [f"{root / 'images' / 'b.png'}: {text}"]
    assert dataset.notes.counts() == {text: 2}
    assert dataset.notes.summary() == [f"2 images: {text}"]
