"""Libraries keep their caches in the cache folder of the program."""

from pathlib import Path

import pytest

from lstm2d.cli import own_caches
from lstm2d.cli.own_caches import MATPLOTLIB, keep_caches_together
from lstm2d.errors import ConfigError


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Return an environment without folders of libraries."""
    found: dict[str, str] = {}
    monkeypatch.setattr(own_caches.os, "environ", found)
    monkeypatch.setattr(own_caches, "cache_folder", lambda: tmp_path)
    return found


def test_matplotlib_gets_a_folder(environment: dict[str, str], tmp_path: Path) -> None:
    keep_caches_together()
    assert environment == {MATPLOTLIB: str(tmp_path / "matplotlib")}


def test_the_folder_of_the_user_stays(environment: dict[str, str]) -> None:
    environment[MATPLOTLIB] = "mine"
    keep_caches_together()
    assert environment == {MATPLOTLIB: "mine"}


def test_without_a_home_folder_nothing_is_set(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise ConfigError("there is no home folder")

    monkeypatch.setattr(own_caches, "cache_folder", homeless)
    keep_caches_together()
    assert environment == {}
