"""The kinds, what `auto` chooses, and the command that errors of dataset folders name."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from lstm2d.data.folder import DatasetFolder
from lstm2d.data.importers import registry
from lstm2d.data.importers.registry import KINDS, Kind, choose_kind, import_command, kind_named
from lstm2d.errors import ConfigError, DataError

Save = Callable[..., Path]
MASK = np.array([[0, 1, 2]])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_complete(kind: Kind) -> None:
    module = import_module(f"lstm2d.data.importers.kinds.{kind.module}")
    assert kind.name == module.KIND
    assert callable(module.recognise)
    assert callable(module.open_source)
    assert len(kind.expects) <= 60


def test_names_are_unique() -> None:
    assert len({kind.name for kind in KINDS} | {"auto"}) == len(KINDS) + 1


def test_an_unknown_kind() -> None:
    with pytest.raises(ConfigError, match="no such kind: cityscape") as error:
        kind_named("cityscape")
    assert error.value.hint == "did you mean cityscapes?"
    assert all(kind.name in str(error.value.expected) for kind in KINDS)


def test_nothing_fits(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no kind fits") as error:
        choose_kind(tmp_path)
    for kind in KINDS:
        assert f"    {kind.name} " in str(error.value)
        assert kind.expects in str(error.value)
    assert f"lstm2d data import KIND {tmp_path} -o DIR" in str(error.value.hint)
    with pytest.raises(DataError, match="file or folder not found"):
        choose_kind(tmp_path / "none")


def test_several_fit(save: Save, tmp_path: Path) -> None:
    for folder in ("leftImg8bit", "gtFine", "701_StillsRaw_full", "LabeledApproved_full"):
        save(f"{folder}/a b.png", MASK)
    with pytest.raises(DataError, match="2 kinds fit") as error:
        choose_kind(tmp_path / "src")
    text = str(error.value)
    assert "camvid: 701_StillsRaw_full/ and LabeledApproved_full/" in text
    assert "cityscapes: leftImg8bit/ and gtFine/" in text
    assert f"lstm2d data import camvid {tmp_path}/src -o DIR" in text
    assert f"lstm2d data import cityscapes {tmp_path}/src -o DIR" in text
    assert import_command(tmp_path / "src") is None


def test_a_general_kind_is_asked_last(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save("images/a.png", MASK)
    save("masks/a.png", MASK)
    assert [kind.name for kind, _ in registry.recognised(tmp_path / "src")] == ["pairs"]
    monkeypatch.setattr(registry, "KINDS", tuple(reversed(KINDS)))
    assert [kind.name for kind, _ in registry.recognised(tmp_path / "src")] == ["pairs"]
    save("leftImg8bit/a.png", MASK)
    save("gtFine/a.png", MASK)
    assert [kind.name for kind, _ in registry.recognised(tmp_path / "src")] == ["cityscapes"]


def test_commands_are_quoted(save: Save, tmp_path: Path) -> None:
    save("my data/images/a.png", MASK)
    save("my data/masks/a.png", MASK)
    src = tmp_path / "src" / "my data"
    assert import_command(src) == f"lstm2d data import pairs '{src}' -o DIR"


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("train/a.png", "trainannot/a.png"),  # other folders
        ("images/a.png", "masks/a_mask.png"),  # other names
        ("images/a.png", "masks/a.jpg"),  # lossy masks
        ("a.jpg", "a.png"),  # no folders
    ],
)
def test_errors_name_the_import(save: Save, tmp_path: Path, image: str, mask: str) -> None:
    save(image, MASK)
    save(mask, MASK)
    with pytest.raises(DataError) as error:
        _ = DatasetFolder(tmp_path / "src").samples
    assert str(error.value.hint).startswith(f"import it: lstm2d data import pairs {tmp_path}/src -o DIR")


def test_missing_masks_and_other_sizes_name_the_import(save: Save, tmp_path: Path) -> None:
    command = f"lstm2d data import pairs {tmp_path}/src -o DIR"
    for name in "ab":
        save(f"images/{name}.png", MASK)
    save("masks/a.png", MASK)
    with pytest.raises(DataError, match="1 of 2 images have no mask") as error:
        _ = DatasetFolder(tmp_path / "src").samples
    assert command in str(error.value.hint)
    save("masks/b.png", MASK.T)
    dataset = DatasetFolder(tmp_path / "src")
    with pytest.raises(DataError, match="the mask is 1x3 pixels") as error:
        dataset.load(dataset.samples[1])
    assert command in str(error.value.hint)


def test_other_errors_do_not_name_it(save: Save, tmp_path: Path) -> None:
    save("images/a.png", MASK)
    mask = save("masks/a.png", MASK)
    mask.write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty") as error:
        DatasetFolder(tmp_path / "src")
    assert "import" not in str(error.value)
    save("masks/a.png", MASK.T)
    toml = '[[classes]]\nname = "a"\n[[classes]]\nname = "b"\n[[classes]]\nname = "c"\n'
    (tmp_path / "src" / "dataset.toml").write_text(toml)  # a described folder has its own layout
    dataset = DatasetFolder(tmp_path / "src")
    with pytest.raises(DataError, match="the mask is 1x3 pixels") as error:
        dataset.load(dataset.samples[0])
    assert "import" not in str(error.value)
    with pytest.raises(DataError, match="folder not found") as error:
        DatasetFolder(tmp_path / "none")
    assert "import" not in str(error.value)
