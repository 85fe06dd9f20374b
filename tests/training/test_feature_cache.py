"""Cached features equal computed ones, also if several processes fill the cache or files are damaged."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from lstm2d.io.locks import locked_folder
from lstm2d.training import feature_cache
from lstm2d.training.feature_cache import FeatureCache

DIGEST = "ab" * 32
KEYS = [f"{k:064x}" for k in range(20)]
GIB = 2**30


def never() -> NDArray[np.float32]:
    raise AssertionError("it should have been in the cache")


def cache(folder: Path, **changes: object) -> FeatureCache:
    given: dict[str, object] = {"folder": folder, "digest": DIGEST, "dtype": "float32", "limit": GIB}
    return FeatureCache(**(given | changes))  # type: ignore[arg-type]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def values(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the values to cache."""
    return rng.standard_normal((1, 5, 7, 3)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_computed_once(tmp_path: Path, values: NDArray[np.float32], dtype: str) -> None:
    first = cache(tmp_path, dtype=dtype)
    assert KEYS[0] not in first
    kept = first.get(KEYS[0], lambda: values)
    np.testing.assert_array_equal(kept, values.astype(dtype), strict=True)
    for reader in (first, cache(tmp_path, dtype=dtype)):
        assert KEYS[0] in reader
        found = reader.get(KEYS[0], never)
        np.testing.assert_array_equal(found, values.astype(dtype), strict=True)
        assert not found.flags.writeable
    assert len(files(tmp_path)) == 1


def test_the_files_are_numpys(tmp_path: Path, values: NDArray[np.float32]) -> None:
    cache(tmp_path).get(KEYS[0], lambda: values)
    (path,) = files(tmp_path)
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), values)


def test_large_values_are_not_lost_in_half_precision(tmp_path: Path) -> None:
    values = np.array([1.0001, 70000.0], np.float32)
    for _ in range(2):
        found = cache(tmp_path, dtype="float16").get(KEYS[0], lambda: values)
        np.testing.assert_array_equal(found, values, strict=True)


@settings(max_examples=30)
@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64]),
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        elements=st.floats(-(2.0**99), 2.0**99, width=32),
    ),
    st.sampled_from(["float16", "float32"]),
)
def test_the_first_time_is_as_the_second(
    tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.float32], dtype: str
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    first = cache(folder, dtype=dtype).get(KEYS[0], lambda: values)
    second = cache(folder, dtype=dtype).get(KEYS[0], never)
    assert (first.dtype, first.shape, first.tobytes()) == (second.dtype, second.shape, second.tobytes())
    assert cache(folder, dtype=dtype, limit=0).get(KEYS[1], lambda: values).tobytes() == first.tobytes()


def test_other_weights_have_other_files(tmp_path: Path, values: NDArray[np.float32]) -> None:
    cache(tmp_path).get(KEYS[0], lambda: values)
    for changes in ({"digest": "cd" * 32}, {"dtype": "float16"}):
        other = cache(tmp_path, **changes)
        assert KEYS[0] not in other
        other.get(KEYS[0], lambda: values + 1)
    np.testing.assert_array_equal(cache(tmp_path).get(KEYS[0], never), values)


def test_a_file_under_another_name_is_not_believed(tmp_path: Path, values: NDArray[np.float32]) -> None:
    first = cache(tmp_path)
    first.get(KEYS[0], lambda: values)
    (path,) = files(tmp_path)
    path.rename(path.with_name(f"{KEYS[1]}.npy"))
    np.testing.assert_array_equal(cache(tmp_path).get(KEYS[1], lambda: values + 1), values + 1)


@pytest.mark.parametrize("name", ["", "../" * 22, "A" * 64, "0" * 63, "/" * 64])
def test_names_are_digests(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        cache(tmp_path).get(name, never)


def cut(data: bytes) -> bytes:
    return data[:-1]


def header(data: bytes) -> bytes:
    return data.replace(b"<f4", b"<f8")


def shape(data: bytes) -> bytes:
    return data.replace(b"(1, 5, 7, 3)", b"(9, 5, 7, 3)")


def swapped(data: bytes) -> bytes:
    return data.replace(b"(1, 5, 7, 3)", b"(1, 7, 5, 3)")


def number(data: bytes) -> bytes:
    return data[:200] + bytes([data[200] ^ 1]) + data[201:]


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", cut, lambda data: data[:50], header, shape, swapped, number, lambda data: bytes(500)],
)
def test_damaged_files_are_computed_again(
    tmp_path: Path, values: NDArray[np.float32], damage: Callable[[bytes], bytes]
) -> None:
    cache(tmp_path).get(KEYS[0], lambda: values)
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    warnings: list[str] = []
    second = cache(tmp_path, warn=warnings.append)
    np.testing.assert_array_equal(second.get(KEYS[0], lambda: values), values)
    assert path.read_bytes() == whole
    assert len(warnings) == 1
    assert str(path) in warnings[0]
    np.testing.assert_array_equal(second.get(KEYS[0], never), values)


def test_a_file_that_is_cut_later_is_seen(tmp_path: Path, values: NDArray[np.float32]) -> None:
    first = cache(tmp_path)
    first.get(KEYS[0], lambda: values)
    first.get(KEYS[0], never)
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    np.testing.assert_array_equal(first.get(KEYS[0], lambda: values), values)


# room


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path, values: NDArray[np.float32]) -> None:
    first = cache(tmp_path)
    for key in KEYS[:4]:
        first.get(key, lambda: values)
    size = files(tmp_path)[0].stat().st_size
    for seconds, path in zip((100, 400, 200, 300), files(tmp_path), strict=True):
        age(path, seconds)
    warnings: list[str] = []
    second = cache(tmp_path, limit=4 * size, warn=warnings.append, digest="cd" * 32)
    used = cache(tmp_path, limit=4 * size)
    used.get(KEYS[3], never)  # 300 seconds old, and used again
    second.get(KEYS[5], lambda: values)
    left = [key for key in KEYS[:4] if key in used]
    assert left == [KEYS[0], KEYS[2], KEYS[3]]
    second.get(KEYS[6], lambda: values)
    assert [key for key in KEYS[:4] if key in used] == [KEYS[0], KEYS[3]]
    assert KEYS[5] in second
    assert warnings == []


def test_what_this_run_uses_stays(tmp_path: Path, values: NDArray[np.float32]) -> None:
    warnings: list[str] = []
    size = 4 * values.size + 160
    first = cache(tmp_path, limit=2 * size, warn=warnings.append)
    for key in KEYS[:4]:
        np.testing.assert_array_equal(first.get(key, lambda: values), values)
    assert [key for key in KEYS[:4] if key in first] == KEYS[:2]
    assert len(warnings) == 1
    assert "feature_cache_gib" in warnings[0]
    assert "training goes on" in warnings[0]


def test_a_part_of_the_disk_is_left_to_others(
    tmp_path: Path, values: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    cache(tmp_path).get(KEYS[0], lambda: values)
    age(files(tmp_path)[0], 100)
    monkeypatch.setattr(feature_cache, "_free", lambda folder: feature_cache.RESERVE + 10)
    first = cache(tmp_path, warn=warnings.append)
    np.testing.assert_array_equal(first.get(KEYS[1], lambda: values), values)
    assert KEYS[1] not in first
    assert "would be left" in warnings[0]


@contextmanager
def no_large_files() -> Iterator[None]:
    """Limit files to 300 bytes. Not around a whole test: the report of the tests may be a file, too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk(tmp_path: Path, values: NDArray[np.float32]) -> None:
    warnings: list[str] = []
    with no_large_files():
        first = cache(tmp_path, warn=warnings.append)
        first.get(KEYS[0], lambda: values[:, :1, :2])  # fits
        kept = [first.get(KEYS[1], lambda: values) for _ in range(2)]
    np.testing.assert_array_equal(kept[0], values)
    np.testing.assert_array_equal(kept[1], values)
    np.testing.assert_array_equal(first.get(KEYS[0], never), values[:, :1, :2])
    assert len(warnings) == 1
    assert "cannot write" in warnings[0]
    assert len(files(tmp_path)) == 1  # nothing half written


def test_a_folder_that_cannot_be_made(tmp_path: Path, values: NDArray[np.float32]) -> None:
    warnings: list[str] = []
    (tmp_path / "file").write_bytes(b"")
    first = cache(tmp_path / "file", warn=warnings.append)
    np.testing.assert_array_equal(first.get(KEYS[0], lambda: values), values)
    assert len(warnings) == 1


def test_leftovers_of_killed_processes_are_removed(tmp_path: Path, values: NDArray[np.float32]) -> None:
    old, new = tmp_path / "a" / ".lstm2d-1.tmp", tmp_path / "a" / ".lstm2d-2.tmp"
    old.parent.mkdir()
    for path in (old, new):
        path.write_bytes(b"x")
    age(old, 2 * 86400)
    with locked_folder(new, "a living process writes it"):
        cache(tmp_path).get(KEYS[0], lambda: values)
    assert not old.exists()
    assert new.exists()


FILL = """
import sys
import numpy as np
from contextlib import contextmanager
from pathlib import Path
from lstm2d.training.feature_cache import FeatureCache
cache = FeatureCache(Path(sys.argv[1]), "ab" * 32, "float16", 2**30)
sys.stdin.readline()
for k in list(range(40)) * 2:
    found = cache.get(f"{k:064x}", lambda: np.full((50, 100), k, np.float32))
    assert (found == k).all() and found.dtype == np.float16
"""


def test_two_processes_fill_one_cache(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILL, str(tmp_path)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for process in processes:  # both have imported everything: now
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
    assert len(files(tmp_path)) == 40
    last = cache(tmp_path, dtype="float16")
    assert all((last.get(f"{k:064x}", never) == k).all() for k in range(40))
