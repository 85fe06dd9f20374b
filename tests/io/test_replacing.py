"""Named output files: which may be replaced."""

import os
from pathlib import Path

import pytest

from lstm2d.errors import ConfigError
from lstm2d.io.replacing import refuse_to_replace


def is_ours(path: Path) -> bool:
    return path.read_bytes().startswith(b"ours")


def refused(path: Path, *inputs: Path, overwrite: bool = False) -> bool:
    try:
        refuse_to_replace(path, is_ours=is_ours, inputs=inputs, overwrite=overwrite)
    except ConfigError:
        return True
    return False


def test_what_is_there(tmp_path: Path) -> None:
    assert not refused(tmp_path / "new")
    assert not refused(tmp_path / "no/folder")
    (tmp_path / "ours").write_bytes(b"ours, too")
    assert not refused(tmp_path / "ours")
    (tmp_path / "empty").touch()  # as `mktemp` makes it
    assert not refused(tmp_path / "empty")
    (tmp_path / "other").write_bytes(b"not ours")
    assert refused(tmp_path / "other")
    assert not refused(tmp_path / "other", overwrite=True)
    (tmp_path / "link").symlink_to("other")
    assert refused(tmp_path / "link")
    (tmp_path / "broken").symlink_to("nowhere")
    assert refused(tmp_path / "broken")


@pytest.mark.parametrize("overwrite", [False, True])
def test_no_input_is_replaced(tmp_path: Path, overwrite: bool) -> None:
    source = tmp_path / "in"
    source.write_bytes(b"ours as well")
    (tmp_path / "link").symlink_to("in")
    os.link(source, tmp_path / "hard")
    for name in ("in", "link", "hard", "../" + tmp_path.name + "/in"):
        assert refused(tmp_path / name, tmp_path / "other", source, overwrite=overwrite)
    with pytest.raises(ConfigError, match="an input file"):
        refuse_to_replace(source, is_ours=is_ours, inputs=[source], overwrite=overwrite)


def test_what_writing_refuses_itself(tmp_path: Path) -> None:
    assert not refused(tmp_path)
    assert not refused(Path(os.devnull))
