"""What is listed as a cache, and that nothing else is ever deleted."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from lstm2d.training.caches import COMPILED, DAY, FEATURES, Cache, caches, clear
from lstm2d.training.feature_cache import FeatureCache

DIGEST = "0123456789abcdef" * 4


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an own folder of caches."""
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def features(root: Path, count: int = 2, digest: str = DIGEST) -> FeatureCache:
    cache = FeatureCache(root / "features", digest, "float16", 2**30)
    for k in range(count):
        cache.get(f"{k:02x}" * 32, lambda: np.zeros(10, np.float16))
    return cache


def compiled(root: Path) -> Path:
    """Return a folder with the files of two functions, as Numba names them."""
    folder = root / "numba-0123456789abcdef" / ("_numba_" + "5" * 40)
    folder.mkdir(parents=True)
    for name in ("crf._blur-231.py311.nbi", "crf._blur-231.py311.1.nbc", "jit.f-1.py311.nbi"):
        (folder / name).write_bytes(b"12345")
    return folder


def aged(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def only(kind: str) -> Cache:
    (found,) = [cache for cache in caches() if cache.kind == kind]
    return found


def test_both_kinds(root: Path) -> None:
    folder, cache = compiled(root).parent, features(root)
    found = only(COMPILED)
    assert (found.folder, found.count, found.size, found.runs) == (folder, 3, 15, ())
    found = only(FEATURES)
    assert (found.folder, found.count, found.size) == (cache.folder, 2, cache.bytes_on_disk())
    assert abs(found.used - time.time()) < 600


def test_runs_are_recorded_once_each(root: Path, tmp_path: Path) -> None:
    cache = features(root)
    for run in ("b", "a", "b"):
        cache.record_use(tmp_path / run, tmp_path / "data")
    assert only(FEATURES).runs == tuple((str(tmp_path / run), str(tmp_path / "data")) for run in "ab")
    for path in cache.folder.glob("used-*.json"):
        path.write_text("[1]")
    assert only(FEATURES).runs == ()


def test_a_cache_without_files_is_not_recorded(root: Path) -> None:
    features(root, count=0).record_use(Path("run"), Path("data"))
    assert caches() == []


FOREIGN = [
    "notes.txt",
    "features/notes.npy",
    f"features/{DIGEST[:32]}-float16/notes.npy",
    f"features/{DIGEST[:32]}-float16/00/notes.npy",
    f"features/{DIGEST[:32]}-float16/00/{'0' * 63}.npy",
    f"features/{DIGEST[:32]}-float16/0g/{'0' * 64}.npy",
    f"features/{DIGEST[:32]}-float16/00/deep/{'0' * 64}.npy",
    f"features/{DIGEST[:32]}-float16/used-0123.json",
    f"features/{DIGEST[:32]}-float64/00/{'0' * 64}.npy",
    f"features/{DIGEST[:31]}-float16/00/{'0' * 64}.npy",
    f"numba-0123456789abcdef/_numba_{'5' * 40}/photo.png",
    "numba-0123456789abcdef/thesis.nbc",
    f"numba-0123456789abcde/_numba_{'5' * 40}/f-1.py311.nbi",
    f"other/_numba_{'5' * 40}/f-1.py311.nbi",
]


def test_nothing_else_is_deleted(root: Path, tmp_path: Path) -> None:
    features(root)
    compiled(root)
    for name in FOREIGN:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("mine")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / f"{'0' * 64}.npy").write_text("mine")
    folder = root / "features" / f"{DIGEST[:32]}-float16"
    (folder / "aa").symlink_to(outside)
    (folder / "00" / f"{'a' * 64}.npy").symlink_to(outside / f"{'0' * 64}.npy")
    (root / "features" / f"{'b' * 32}-float16").symlink_to(outside)
    for cache in caches():
        clear(cache.unused_for(0), cache.folder)
    assert all((root / name).read_text() == "mine" for name in FOREIGN)
    assert (outside / f"{'0' * 64}.npy").read_text() == "mine"
    assert not any(cache.count for cache in caches())


def test_empty_folders_go_too(root: Path) -> None:
    features(root).record_use(Path("run"), Path("data"))
    compiled(root)
    for cache in caches():
        deleted = clear(cache.unused_for(0), cache.folder)
        assert len(deleted) == 3
    assert [path.name for path in root.rglob("*")] == ["features"]


def test_features_are_kept_by_file_and_loops_together(root: Path) -> None:
    cache, folder = features(root), compiled(root)
    aged(cache.folder / "00" / f"{'00' * 32}.npy", 10 * DAY)
    for path in folder.iterdir():
        aged(path, 10 * DAY)
    assert [file.path.stem for file in only(FEATURES).unused_for(9 * DAY)] == ["00" * 32]
    assert only(FEATURES).unused_for(11 * DAY) == []
    assert len(only(COMPILED).unused_for(9 * DAY)) == 3
    aged(folder / "jit.f-1.py311.nbi", DAY)
    assert only(COMPILED).unused_for(9 * DAY) == []


def test_files_that_are_being_written_stay(root: Path) -> None:
    cache, folder = features(root), compiled(root)
    new = [cache.folder / "00" / f".lstm2d-{'a' * 16}.tmp", folder / "f-1.py311.nbi.tmp.123"]
    for path in new:
        path.write_text("half")
    for found in caches():
        clear(found.unused_for(0), found.folder)
    assert all(path.exists() for path in new)
    for path in new:
        aged(path, 2 * DAY)
    for found in caches():
        clear(found.unused_for(0), found.folder)
    assert not any(path.exists() for path in new)


def test_a_training_goes_on_without_its_files(root: Path) -> None:
    cache = features(root)
    for found in caches():
        clear(found.unused_for(0), found.folder)
    np.testing.assert_array_equal(cache.get("00" * 32, lambda: np.ones(3, np.float16)), [1, 1, 1])
    np.testing.assert_array_equal(features(root).get("00" * 32, lambda: np.zeros(3)), [1, 1, 1])
