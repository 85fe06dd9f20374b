"""Texts that blow up: small files must not take much time or memory, and messages stay short."""

import ast
import json
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lstm2d.config import load_toml, resolve
from lstm2d.config.lines import assigned, header, keyed
from lstm2d.config.show import commented_toml
from lstm2d.data.arrays import ArrayDataset
from lstm2d.data.colors import read_labelmap
from lstm2d.data.description import read_description
from lstm2d.data.importers.formats.color_file import read_color_file
from lstm2d.data.importers.formats.cvat_xml import open_xml
from lstm2d.data.importers.formats.data_yaml import read_data_yaml
from lstm2d.data.importers.formats.entries import read_json
from lstm2d.data.importers.kinds import coco, labelme
from lstm2d.data.importers.source import Options
from lstm2d.data.lists import split_lines
from lstm2d.errors import ConfigError, DataError
from lstm2d.hierarchy.file import load_hierarchy
from lstm2d.io import safe_open
from lstm2d.io.classes import MAX_NAME, ClassInfo, dataset_name, wrong_name
from lstm2d.io.model_file import load_model, save_model
from lstm2d.predict.held_out import read_record
from lstm2d.predict.settings_text import changed_keys
from lstm2d.training.recorder import Recorder

MIB = 2**20
LONG = "x" * 10_000


@contextmanager
def bounded(seconds: float = 5, mib: float = 40) -> Iterator[None]:
    """Fail if a block takes much CPU time, or memory at its peak."""
    start = time.process_time()
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < seconds
    assert peak < mib * MIB


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.toml"


@pytest.mark.parametrize("key", ["a." * 20_000 + "a", LONG, ".".join("ab" * 10)])
def test_long_keys_of_overrides(key: str) -> None:
    with bounded(), pytest.raises(ConfigError, match=r"\(--set\): a key of more than") as e:
        resolve("lstm2d-5x5", [(f"{key}=1", "--set")])
    assert len(str(e.value)) < 300


@pytest.mark.parametrize(
    "value", ["[" * 5000, "{a=" * 5000, "9" * 5000, "0x" + "f" * 5000, "a" * 50_000, "1\nb = 2", "'" * 5000]
)
def test_values_of_overrides(value: str) -> None:
    with bounded(), pytest.raises(ConfigError, match=r"train.epochs = .* \(--set\): expected") as e:
        resolve("lstm2d-5x5", [(f"train.epochs={value}", "--set")])
    assert len(str(e.value)) < 300


def test_many_unknown_keys(file: Path) -> None:
    keys = "".join(f"key{k} = 1\n" for k in range(4000))
    file.write_text(f'preset = "lstm2d-5x5"\n{keys}[train]\n{keys}')
    with bounded(), pytest.raises(ConfigError, match="8000 values of the configuration are wrong") as e:
        load_toml(file)
    lines = str(e.value).splitlines()
    assert lines[-1] == "  and 7990 more"
    assert lines[1].startswith(f"  key0: unknown key ({file}, line 2)")
    assert len(lines) == 12
    assert len(str(e.value)) < 8000
    file.write_text(keys)
    with bounded(), pytest.raises(DataError, match="and 3991 more") as data:
        read_description(file)
    assert len(str(data.value)) < 2000


@pytest.mark.parametrize(
    "unit", [" ", "\t", "a ", "[", "[ ", "]", "a.", '"', "'", "#", "= ", " =", "[a] ", "-"]
)
def test_line_numbers_take_linear_time(file: Path, unit: str) -> None:
    """They were found by patterns of cubic time: 4000 spaces took 17 seconds."""
    text = unit * 50_000
    with bounded(2):
        assert header(text) == ""
        assigned(text)
        list(keyed([text]))
    file.write_text(f'preset = "lstm2d-5x5"\n[train]\nepochs = 7 # {text}\nseed = "{text}')
    with bounded(), pytest.raises(ConfigError, match="not valid TOML"):
        load_toml(file)
    file.write_text(f'preset = "lstm2d-5x5"\n[train]\nepochs = 7 # {text}\n')
    with bounded():
        (line,) = [line for line in commented_toml(str(file)).splitlines() if line.startswith("epochs = 7 ")]
    assert text.strip().lstrip("#")[-20:] in line


def test_keys_of_lines() -> None:
    lines = [
        "preset = 1", " [ a.b ] # c", "c . 'd' = 2", '"e" = [', "  1, # f = 1", "] ", "[[ g ]]", "h=3",
        "[i] x", "# j = 1", "k l", "[", "]",
    ]  # fmt: skip
    assert [key for key, _ in keyed(lines)] == [
        "preset", "", "a.b.c.d", "a.b.e", "", "", "", "g.h", "", "", "", "", "",
    ]  # fmt: skip
    assert [header(line) for line in lines if header(line)] == ["a.b", "g"]


def test_long_names_of_classes(tmp_path: Path, brightness_model: Path) -> None:
    """Plots take minutes to draw them."""
    toml, labelmap, colors = (tmp_path / name for name in ("dataset.toml", "labelmap.txt", "colors.txt"))
    toml.write_text(f'[[classes]]\nname = "a"\n[[classes]]\nname = "{LONG}"\n')
    labelmap.write_text(f"a:1,2,3::\n{LONG}:4,5,6::\n")
    colors.write_text(f"a 1 2 3\n{LONG[:300]} 4 5 6\n")
    for read, path in ((read_description, toml), (read_labelmap, labelmap), (read_color_file, colors)):
        with bounded(), pytest.raises(DataError, match="at most 200 characters are expected") as e:
            read(path)
        assert len(str(e.value)) < 400
    colors.write_text(f"a 1 2 3\n{'b ' * 200_000} 4 5 6\n")
    with bounded(), pytest.raises(DataError, match="line 2 has 400005 characters"):
        read_color_file(colors)
    with pytest.raises(ConfigError, match="`classes`: at most 200 characters"):
        ArrayDataset([[[0, 1]]], [[[0, 1]]], classes=["a", LONG])
    model = load_model(brightness_model)
    hostile = replace(model, classes=(ClassInfo(LONG, (1, 2, 3)), *model.classes[1:]))
    with pytest.raises(Exception, match="'classes'"):
        save_model(tmp_path / "m.safetensors", hostile)


def test_names_that_are_valid() -> None:
    assert wrong_name("x" * MAX_NAME) is None
    assert wrong_name("x" * (MAX_NAME + 1)) == "at most 200 characters are expected, these are 201"
    assert wrong_name("a\tb") == "printable text is expected, not the character '\\t'"
    assert wrong_name("") == wrong_name(3) == "a non-empty string is expected"
    assert dataset_name("a\nb") == "a\\nb"
    assert dataset_name("") == "dataset"
    assert wrong_name(dataset_name("\x1b" * 500)) is None


def test_lists_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train.txt"
    path.write_text("\n" * 20_000)
    assert split_lines(path) == []
    monkeypatch.setattr(safe_open, "MAX_LINES", 10_000)
    with pytest.raises(DataError, match="too many lines"):
        split_lines(path)
    path.write_text("a:1,2,3::\n" * 2**17)
    with pytest.raises(DataError, match="text file too large"):
        read_labelmap(path)


def test_deep_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": ' * 900 + "1" + "}" * 900)
    with bounded(), pytest.raises(DataError, match="nested more than 64 deep"):
        read_json(path)
    with bounded(), pytest.raises(DataError, match="not valid JSON"):
        load_hierarchy(path)
    with bounded():
        assert read_record(path) == {}
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.json").write_text('{"shapes": ' + "[" * 5000)
    for kind in (coco, labelme):
        with bounded(), pytest.raises(DataError):
            kind.open_source(tmp_path / "src", Options())


def test_deep_xml(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text("<annotations>" + "<meta>" * 5000 + "</meta>" * 5000 + "</annotations>")
    with bounded(), pytest.raises(DataError, match="XML nested more than 64 deep"):
        open_xml(path, "background", "")


@pytest.mark.parametrize("unit", ["[", "{", ",", '"', "a, ", "- ", "\\", ": "])
def test_yaml_takes_linear_time(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "data.yaml"
    path.write_text(f"names: [a{unit * 50_000}\n")
    with bounded(mib=100), pytest.raises(DataError, match="more of YAML"):
        read_data_yaml(path)


def test_a_log_keeps_what_is_no_deep_json(tmp_path: Path) -> None:
    good = json.dumps({"event": "step", "step": 3}) + "\n"
    (tmp_path / "log.jsonl").write_text(
        good + '{"step": ' + "[" * 50_000 + "\n" + '{"step": 1' + "0" * 5000 + "}\n"
    )
    with bounded():
        Recorder(tmp_path).rewind(5, 1)
    assert (tmp_path / "log.jsonl").read_text() == good


@pytest.mark.parametrize("unit", ["a", "a=", "a ", 'a="', '"', "\\", 'a="\\" '])
def test_settings_take_linear_time(unit: str) -> None:
    with bounded():
        changed_keys(unit * 50_000, "a=1 b=2")
    assert changed_keys('a="x \\" y" b=2', 'a="x \\" z" b=2 c=1') == ["a", "c"]


def test_texts_are_parsed_in_one_place(checkout: Path) -> None:
    """`lstm2d.io.parse` checks limits; other calls get texts of the package, or a single string."""
    allowed = {
        "lstm2d/io/parse.py",
        "lstm2d/config/load.py",  # presets
        "lstm2d/data/importers/kinds/voc.py",  # a convention of the package
        "lstm2d/data/importers/formats/data_yaml.py",  # one string
        "lstm2d/predict/packed.py",  # what it has written
        "lstm2d/training/follow.py",  # what rank 0 has sent
        "lstm2d/training/mpi.py",  # what another rank has sent
    }
    found = set()
    for top in ("lstm2d", "cli"):
        for path in (checkout / top).rglob("*.py"):
            name = path.relative_to(checkout).as_posix()
            if name.startswith(("lstm2d/kernels", "lstm2d/cli", "lstm2d/reliability")):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Attribute(value=ast.Name(id="json" | "tomllib"), attr="load" | "loads"):
                        found.add(name)
    assert found == allowed
