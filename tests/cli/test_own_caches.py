"""Libraries keep their caches in the cache folder of the program."""

import os
from pathlib import Path

import pytest

from lstm2d.cli import own_caches
from lstm2d.cli.own_caches import MATPLOTLIB, keep_caches_together
from lstm2d.errors import ConfigError


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove the variable, and restore it after the test."""
    monkeypatch.setenv(MATPLOTLIB, "")
    del os.environ[MATPLOTLIB]
    monkeypatch.setattr(own_caches, "cache_folder", lambda: tmp_path)


def test_matplotlib_gets_a_folder(tmp_path: Path) -> None:
    keep_caches_together()
    assert os.environ[MATPLOTLIB] == str(tmp_path / "matplotlib")


def test_the_folder_of_the_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MATPLOTLIB, "mine")
    keep_caches_together()
    assert os.environ[MATPLOTLIB] == "mine"


def test_without_a_home_folder_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise ConfigError("there is no home folder")

    monkeypatch.setattr(own_caches, "cache_folder", homeless)
    keep_caches_together()
    assert MATPLOTLIB not in os.environ
