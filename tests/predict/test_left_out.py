"""Files among the images that are not labelled: each kind is reported, other files are not."""

import os
import socket
from pathlib import Path

import pytest
from PIL import Image

from lstm2d.errors import DataError
from lstm2d.io.image_kinds import KINDS, has_ending, kind_not_read
from lstm2d.io.images import IMAGE_SUFFIXES, read_photo
from lstm2d.predict.inputs import plan
from lstm2d.predict.left_out import LeftOut

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0"
AVIF = b"\0\0\0\x1cftypavif\0\0\0\0"


def found(folder: object, out: Path) -> tuple[list[str], LeftOut]:
    left_out = LeftOut()
    return [task.source.name for task in plan([folder], out, left_out=left_out)], left_out


def fill(folder: Path, **contents: bytes) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in contents.items():
        (folder / name.replace("__", ".")).write_bytes(data)


def test_each_kind_is_one_line(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    fill(photos, a__png=b"", b__heic=b"", c__HEIC=b"", d__NEF=b"", e__svg=b"", f__mov=b"", g__txt=b"")
    Image.new("RGB", (2, 2)).save(photos / "noending", "JPEG")
    (photos / "gone").symlink_to("nowhere")
    os.mkfifo(photos / "pipe")
    names, left_out = found(photos, tmp_path / "out")
    assert names == ["a.png"]
    assert left_out.lines() == [
        f"2 HEIC files were not labelled ({photos}/b.heic, ...): save as JPEG or PNG",
        f"1 camera raw file was not labelled ({photos}/d.NEF): develop to JPEG, or to TIFF of 8 or 16 bits",
        f"1 SVG drawing was not labelled ({photos}/e.svg): export as PNG",
        f"1 broken link was not labelled ({photos}/gone): restore what it points to, or delete it",
        f"1 image without an ending was not labelled ({photos}/noending): "
        "give the file itself as an input, or add .jpg or .png to its name",
        f"1 special file was not labelled ({photos}/pipe): FIFOs, sockets and devices are not read",
    ]
    assert [(entry["kind"], entry["files"]) for entry in left_out.as_json()][:2] == [
        ("HEIC file", 2),
        ("camera raw file", 1),
    ]


def test_a_file_is_counted_once(tmp_path: Path) -> None:
    fill(tmp_path / "in", a__png=b"", b__heic=b"")
    left_out = LeftOut()
    plan([tmp_path / "in", f"{tmp_path}/in/*", f"{tmp_path}/*/*.heic"], tmp_path / "out", left_out=left_out)
    assert [len(paths) for paths in left_out.files.values()] == [1]


def test_nothing_but_what_is_not_read(tmp_path: Path) -> None:
    fill(tmp_path / "in", a__heic=b"", b__heic=b"")
    with pytest.raises(DataError, match="no image found") as caught:
        plan([tmp_path / "in"], tmp_path / "out")
    assert "2 HEIC files were not labelled" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("photo", b"\xff\xd8\xff\xe0", "image without an ending"),
        ("2024.07.01", b"\x89PNG\r\n\x1a\n", "image without an ending"),
        ("photo", b"RIFF\0\0\0\0WEBP", "image without an ending"),
        ("photo", HEIC, "HEIC file"),
        ("photo", AVIF, "AVIF file"),
        ("sound", b"RIFF\0\0\0\0WAVE", None),
        ("BMW", b"BMW is a brand, and this is text", None),
        ("P1", b"P1000 is a price", None),
        ("README", b"read me", None),
        ("empty", b"", None),
        ("notes.txt", b"\xff\xd8\xff\xe0", None),
    ],
)
def test_files_without_an_ending(tmp_path: Path, name: str, head: bytes, kind: str | None) -> None:
    fill(tmp_path / "in", a__png=b"")
    (tmp_path / "in" / name).write_bytes(head)
    names, left_out = found(tmp_path / "in", tmp_path / "out")
    assert names == ["a.png"]
    assert [found.name for found in left_out.files] == ([] if kind is None else [kind])


def test_a_socket_is_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "in", a__png=b"")
    monkeypatch.chdir(tmp_path / "in")  # the names of sockets are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        _, left_out = found(tmp_path / "in", tmp_path / "out")
    assert [kind.name for kind in left_out.files] == ["special file"]


def test_no_kind_is_one_that_is_read() -> None:
    endings = [ending for kind in KINDS for ending in kind.endings]
    assert len(set(endings)) == len(endings)
    assert not set(endings) & set(IMAGE_SUFFIXES)
    assert all(has_ending(f"a{ending}") or ending == ".3fr" for ending in endings)


@pytest.mark.parametrize(
    ("name", "head", "hint"),
    [
        ("a.heic", HEIC, "save as JPEG or PNG"),
        ("a.avif", AVIF, "save as JPEG or PNG"),
        ("a.jpg", HEIC, "save as JPEG or PNG"),
        ("a", HEIC, "save as JPEG or PNG"),
        ("a.nef", b"MM\0*", "develop to JPEG, or to TIFF of 8 or 16 bits"),
        ("a.dng", b"II*\0", "develop to JPEG, or to TIFF of 8 or 16 bits"),
        ("a.svg", b"<svg/>", "export as PNG"),
    ],
)
def test_a_file_named_directly_says_what_to_do(tmp_path: Path, name: str, head: bytes, hint: str) -> None:
    (tmp_path / name).write_bytes(head)
    with pytest.raises(DataError, match="files of this kind are not read") as caught:
        read_photo(tmp_path / name)
    assert caught.value.hint == hint


def test_what_is_read_by_its_content(tmp_path: Path) -> None:
    """Phones write JPEG files that end in .heic; a name without an ending says nothing."""
    for name in ("a.heic", "photo", "x.raw"):
        Image.new("RGB", (3, 2), (9, 9, 9)).save(tmp_path / name, "PNG")
        assert read_photo(tmp_path / name).pixels.tolist() == [[[9, 9, 9]] * 3] * 2
    assert kind_not_read("a.tif", b"II*\0", readable=True) is None
