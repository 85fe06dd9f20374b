"""Readers of dataset.toml, splits, scenes, colours and configurations."""

from __future__ import annotations

from pathlib import Path

from lstm2d.config.load import load_toml, preset_text, resolve
from lstm2d.config.show import commented_toml
from lstm2d.data.colors import read_labelmap
from lstm2d.data.description import describe_labelmap, parse, read_description
from lstm2d.data.folder import DatasetFolder
from lstm2d.data.importers.formats.color_file import read_color_file
from lstm2d.data.lists import read_scenes, read_split, split_lines
from lstm2d.io.class_files import ClassTable, read_class_files, write_class_files
from lstm2d.io.classes import ClassInfo
from lstm2d.io.safe_open import read_text
from tests.reliability.fuzz.forms import json_form
from tests.reliability.fuzz.made import bytes_of, encoded, photo
from tests.reliability.fuzz.target import Target

_TOML = (
    b"[[classes]]\n", b"[", b"]", b"[a.b]\n", b'"""', b"'''", b"1979-05-27T07:32:00Z", b"07:32:00", b"inf",
    b"-nan", b"0xff", b"0b1", b"1_000", b'name = "a"\n', b"color = [1, 2, 3]\n", b"ignore = 255\n",
    b"value = 1\n", b'"\\uD800"', b'"\\u0000"', b'scale = "native"\n', b'images = "../x"\n', b"[splits]\n",
    b"[map]\n", b"a.a.a.a.a.a=1\n", b"{a={b={}}}", b"= ", b'""=1\n',
)  # fmt: skip
_CLASSES = b'[[classes]]\nname = "sky"\ncolor = [1, 2, 3]\n\n[[classes]]\nname = "tree"\ncolor = [4, 5, 6]\n'


def _descriptions() -> list[bytes]:
    return [
        b'name = "reds"\nignore = 255\n' + _CLASSES,
        b'name = "x"\nscale = "native"\nimages = "photos"\nmasks = "labels"\n'
        + _CLASSES.replace(b"color", b"value = 7\ncolor", 1),
        b'images = "a"\nmasks = "b"\n',
        b'name = "m"\n' + _CLASSES + b'[map]\n0 = "sky"\n7 = "tree"\nothers = "ignore"\n',
    ]


def _describe(path: Path) -> None:
    found = read_description(path)
    if found.classes:
        import tomllib

        again = parse(tomllib.loads(found.to_toml()), path).classes
        assert [(_writable(info.name), info.color) for info in found.classes] == [
            (info.name, info.color) for info in again
        ]


def _writable(name: str) -> str:
    """Return a name as TOML can hold it: bytes that are not UTF-8 are replaced."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _folder(folder: Path) -> None:
    for name in ("images", "masks", "splits"):
        (folder / name).mkdir()
    for stem in ("a", "b c", "d"):
        (folder / f"images/{stem}.png").write_bytes(encoded(photo(), "PNG"))
        (folder / f"masks/{stem}.png").write_bytes(encoded(photo(channels=1) % 2, "PNG"))
    (folder / "dataset.toml").write_bytes(_CLASSES)


def _read_split(path: Path) -> None:
    split_lines(path)
    images = {stem: path for stem in ("a", "b c", "d")}
    read_split(path, images)
    DatasetFolder(path.parents[1]).split("train")


def _read_scenes(path: Path) -> None:
    read_scenes(path)
    dataset = DatasetFolder(path.parent)
    dataset.scenes_of(dataset.samples)


def _read_labelmap(path: Path) -> None:
    read_labelmap(path)
    describe_labelmap(path, read_description_of_folders(path.parent))


def read_description_of_folders(folder: Path) -> object:
    """Return a description that names folders alone."""
    (folder / "folders.toml").write_bytes(b'images = "a"\nmasks = "b"\n')
    return read_description(folder / "folders.toml")


def _presets() -> list[bytes]:
    own = b'preset = "lstm2d-5x5"\n[train]\nepochs = 3\nlearning_rate = 1e-3\n[data]\n'
    own += b"[model]\nunits = [1, 2, 3]\n"
    return [preset_text(name).encode() for name in ("lstm2d-5x5", "rcnn1", "reseg")] + [own]


def _load_config(path: Path) -> None:
    load_toml(path)
    commented_toml(str(path))


def _overrides() -> list[bytes]:
    return [
        b"train.epochs=3\nmodel.units=[1, 2, 3]\ntrain.optimizer=sgd",
        b"crf.iterations=3\ndata.val = 0.1\npreset=x",
    ]


def _override(path: Path) -> None:
    items = read_text(path).split("\n")
    resolve("lstm2d-5x5", [(item, "--set") for item in items])


def _class_files() -> list[bytes]:
    table = ClassTable("outdoor", (ClassInfo("sky", (1, 2, 3)), ClassInfo("a", (4, 5, 6))), 255)
    return [bytes_of(lambda path: write_class_files(path.parent, table), "classes.json")]


_SPLITS = (b"a\nb c\nd\n", b"\xef\xbb\xbfa\r\nd\r\n", b"a\n\nd\n")
_SCENES = (b"a coast\nb c street\nd coast\n", b"a,coast\nd,forest\n")
_LABELMAPS = (b"# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:250,50,83::\n", b"a:1,2,3::\nb:::\n")
_COLORS = (
    b"name,r,g,b\nsky,1,2,3\ntree,4,5,6\n",
    b"1 2 3 sky\n4 5 6\tgreen tree\n",
    b"0 sky 1 2 3\n1 tree 4 5 6\n",
)

TARGETS = (
    Target("dataset.toml", _descriptions, _describe, file="dataset.toml", words=_TOML),
    Target("split", lambda: _SPLITS, _read_split, file="splits/train.txt", around=_folder),
    Target("scenes", lambda: _SCENES[:1], _read_scenes, file="scenes.txt", around=_folder),
    Target("labelmap", lambda: _LABELMAPS, _read_labelmap, file="labelmap.txt"),
    Target("colours", lambda: _COLORS, read_color_file, file="colors.txt"),
    Target("config", _presets, _load_config, file="run.toml", words=_TOML),
    Target("overrides", _overrides, _override, words=(b"train.", b"model.", b"data.", b"crf.", b"=", *_TOML)),
    Target(
        "classes.json",
        _class_files,
        lambda path: read_class_files(path.parent),
        file="classes.json",
        forms=(json_form,),
    ),
)
