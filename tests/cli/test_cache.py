"""`lstm2d cache` on the command line."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstm2d.training.feature_cache import FeatureCache

KEYS = [f"{k:064x}" for k in range(3)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an own folder of caches."""
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def features(folder: Path) -> FeatureCache:
    """Return a cache of three arrays that a run has used."""
    cache = FeatureCache(folder / "features", "ab" * 32, "float32", 2**30)
    for key in KEYS:
        cache.get(key, lambda: np.zeros((1, 50), np.float32))
    cache.record_use(Path("/runs/first"), Path("/photos"))
    return cache


def test_nothing_is_cached(lstm2d: Callable, folder: Path) -> None:
    ran = lstm2d("cache")
    assert (ran.code, ran.out) == (0, f"nothing is cached ({folder})\n")
    assert lstm2d("cache", "clear", "--yes").out == "nothing to delete\n"


@pytest.mark.parametrize("words", [["cache"], ["cache", "list"]])
def test_list(lstm2d: Callable, features: FeatureCache, words: list[str]) -> None:
    ran = lstm2d(*words)
    assert ran.code == 0
    assert f"  folder    {features.folder}\n" in ran.out
    assert ", 3 files\n" in ran.out
    assert "  used by   /runs/first (data: /photos)\n" in ran.out
    (found,) = lstm2d(*words, "--json").json["caches"]
    size = sum(path.stat().st_size for path in features.folder.rglob("*") if path.is_file())
    assert (found["kind"], found["files"], found["bytes"]) == ("features", 3, size)
    assert found["runs"] == [{"run": "/runs/first", "data": "/photos"}]
    assert abs(found["last_use"] - time.time()) < 600


def test_clear_asks_for_yes(lstm2d: Callable, features: FeatureCache, folder: Path) -> None:
    ran = lstm2d("cache", "clear")
    assert ran.code == 0
    assert "4 files" in ran.out
    assert "can be deleted: add --yes" in ran.out
    assert KEYS[0] in features
    foreign = features.folder / "notes.txt"
    foreign.write_text("mine")
    ran = lstm2d("cache", "clear", "--yes", "--json")
    assert (ran.json["files"], ran.json["deleted"]) == (4, True)
    assert ran.json["others"] == [str(foreign)]
    assert "1 files are not by lstm2d and stay" in ran.err
    assert [path for path in folder.rglob("*") if path.is_file()] == [foreign]


def test_older_than(lstm2d: Callable, features: FeatureCache) -> None:
    old = features.folder / KEYS[1][:2] / f"{KEYS[1]}.npy"
    os.utime(old, (time.time() - 40 * 86400,) * 2)
    for text, count in (("50d", 0), ("30d", 1), ("959.9h", 1), ("961h", 0)):
        assert lstm2d("cache", "clear", "--older-than", text, "--json").json["files"] == count, text
    assert lstm2d("cache", "clear", "--older-than", "30d", "--yes").code == 0
    assert [key in features for key in KEYS] == [True, False, True]


@pytest.mark.parametrize("text", ["30", "0d", "d", "-3d", "3w", "1e3d"])
def test_wrong_ages(lstm2d: Callable, folder: Path, text: str) -> None:
    ran = lstm2d("cache", "clear", "--older-than", text)
    assert ran.code == 2
    assert "30d" in ran.err


def test_a_mistyped_command(lstm2d: Callable) -> None:
    ran = lstm2d("cache", "claer")
    assert ran.code == 2
    assert "Did you mean 'clear'?" in ran.err
