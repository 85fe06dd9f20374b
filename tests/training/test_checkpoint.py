"""Checkpoints are exact and written completely, and damage is detected."""

import errno
import json
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from lstm2d.errors import DataError, OutputError
from lstm2d.training import checkpoint as checkpoints
from lstm2d.training.checkpoint import (
    Checkpoint,
    files,
    load_newest,
    newest_file,
    pack,
    save_checkpoint,
    unpack,
)


def example(rng: np.random.Generator, step: int = 0) -> Checkpoint:
    tensors = {
        "weight.a": rng.normal(size=(3, 4))
        .astype(np.float32)
        .T,  # transposed: safetensors alone would write it wrong
        "weight.empty": np.zeros((0, 2), np.float32),
        "velocity.a": rng.normal(size=5),
    }
    return Checkpoint(tensors, {"step": step, "loss": 0.1 + 0.2, "none": None, "text": 'ü "sha256":"'})


def assert_equal(a: Checkpoint, b: Checkpoint) -> None:
    assert a.state == b.state
    assert sorted(a.tensors) == sorted(b.tensors)
    for name, array in a.tensors.items():
        assert array.dtype == b.tensors[name].dtype
        assert array.shape == b.tensors[name].shape
        assert array.tobytes() == b.tensors[name].tobytes()


def test_what_is_unpacked_is_what_was_packed(rng: np.random.Generator) -> None:
    checkpoint = example(rng)
    assert_equal(checkpoint, unpack(pack(checkpoint)))


def test_it_is_a_safetensors_file(rng: np.random.Generator) -> None:
    from safetensors.numpy import load

    assert sorted(load(pack(example(rng)))) == ["velocity.a", "weight.a", "weight.empty"]


def test_every_flipped_byte_is_found(rng: np.random.Generator) -> None:
    data = pack(example(rng))
    for place in range(len(data)):
        bad = bytearray(data)
        bad[place] ^= 1 << (place % 8)
        with pytest.raises(DataError, match="damaged checkpoint"):
            unpack(bytes(bad))


def test_every_cut_is_found(rng: np.random.Generator) -> None:
    data = pack(example(rng))
    for length in range(len(data)):
        with pytest.raises(DataError, match="damaged checkpoint"):
            unpack(data[:length])
    with pytest.raises(DataError, match="damaged checkpoint"):
        unpack(data + b"\0")


def test_two_newest_are_kept_and_the_newest_is_loaded(tmp_path: Path, rng: np.random.Generator) -> None:
    for step in (9, 10, 100_000_000, 99):
        save_checkpoint(tmp_path, step, example(rng, step))
    assert [path.name for path in files(tmp_path)] == [
        "step-100000000.safetensors",
        "step-00000099.safetensors",
    ]
    loaded = load_newest(tmp_path, pytest.fail)
    assert loaded is not None
    assert loaded.state["step"] == 100_000_000


def test_no_checkpoint(tmp_path: Path) -> None:
    assert load_newest(tmp_path / "none", pytest.fail) is None
    (tmp_path / "step-1.safetensors").write_bytes(b"not ours")
    assert load_newest(tmp_path, pytest.fail) is None


def test_damaged_is_named_set_aside_and_the_older_one_used(tmp_path: Path, rng: np.random.Generator) -> None:
    save_checkpoint(tmp_path, 1, example(rng, 1))
    newest = save_checkpoint(tmp_path, 2, example(rng, 2))
    data = bytearray(newest.read_bytes())
    data[-1] ^= 255
    newest.write_bytes(data)
    assert newest_file(tmp_path) == tmp_path / "step-00000001.safetensors"
    notes: list[str] = []
    loaded = load_newest(tmp_path, notes.append)
    assert loaded is not None
    assert loaded.state["step"] == 1
    assert len(notes) == 1
    assert str(newest) in notes[0]
    assert "damaged" in notes[0]
    assert [path.name for path in files(tmp_path)] == ["step-00000001.safetensors"]
    assert newest.with_name(newest.name + ".damaged").read_bytes() == bytes(data)


def test_all_damaged_is_an_error_and_stays_one(tmp_path: Path, rng: np.random.Generator) -> None:
    save_checkpoint(tmp_path, 1, example(rng, 1)).write_bytes(b"")
    notes: list[str] = []
    for _ in range(2):
        with pytest.raises(DataError, match="no valid checkpoint is left"):
            load_newest(tmp_path, notes.append)
    assert len(notes) == 1


def unreadable(monkeypatch: pytest.MonkeyPatch, path: Path, code: int, name: str = "open") -> None:
    """Let opening or reading one file fail, as without permission or on a broken disk."""
    real = checkpoints.open_regular

    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(code, os.strerror(code))

    def shim(wanted: Path) -> object:
        if wanted != path:
            return real(wanted)
        if name == "read":
            return Broken()
        cause = OSError(code, os.strerror(code))
        raise DataError(f"cannot open the file ({cause.strerror})", where=path) from cause

    monkeypatch.setattr(checkpoints, "open_regular", shim)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("name", ["open", "read"])
def test_what_cannot_be_read_is_not_renamed(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, code: int, name: str
) -> None:
    """It may be good, so it is not reported as damaged, and no older one is used."""
    save_checkpoint(tmp_path, 1, example(rng, 1))
    newest = save_checkpoint(tmp_path, 2, example(rng, 2))
    before = sorted(path.name for path in tmp_path.iterdir())
    with monkeypatch.context() as patch:
        unreadable(patch, newest, code, name)
        with pytest.raises(DataError, match="cannot be read") as caught:
            load_newest(tmp_path, pytest.fail)
    assert os.strerror(code) in str(caught.value)
    assert str(newest) in str(caught.value)
    assert "new run" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    loaded = load_newest(tmp_path, pytest.fail)
    assert loaded is not None
    assert loaded.state["step"] == 2


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_without_permission(tmp_path: Path, rng: np.random.Generator) -> None:
    newest = save_checkpoint(tmp_path, 2, example(rng, 2))
    newest.chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        load_newest(tmp_path, pytest.fail)
    tmp_path.chmod(0)
    try:
        with pytest.raises(DataError, match="cannot be"):
            load_newest(tmp_path, pytest.fail)
        assert newest_file(tmp_path) is None
    finally:
        tmp_path.chmod(0o700)


def test_without_a_free_descriptor(tmp_path: Path, rng: np.random.Generator) -> None:
    import resource

    newest = save_checkpoint(tmp_path, 2, example(rng, 2))
    assert load_newest(tmp_path, pytest.fail)  # imports at the first call need descriptors too
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
        with pytest.raises(DataError, match="cannot be listed") as caught:
            load_newest(tmp_path, pytest.fail)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert "ulimit -n" in str(caught.value)
    assert newest.exists()


@pytest.mark.parametrize("kind", ["folder", "fifo", "link to nowhere"])
def test_what_is_no_file_is_not_renamed(tmp_path: Path, rng: np.random.Generator, kind: str) -> None:
    save_checkpoint(tmp_path, 1, example(rng, 1))
    odd = tmp_path / "step-00000002.safetensors"
    make = {
        "folder": odd.mkdir,
        "fifo": lambda: os.mkfifo(odd),
        "link to nowhere": lambda: odd.symlink_to("x"),
    }
    make[kind]()
    with pytest.raises(DataError, match="cannot be read") as caught:
        load_newest(tmp_path, pytest.fail)
    assert str(odd) in str(caught.value)
    assert [path.name for path in files(tmp_path)] == [odd.name, "step-00000001.safetensors"]
    assert newest_file(tmp_path) == tmp_path / "step-00000001.safetensors"


def test_one_that_goes_between_listing_and_reading(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process saves two newer ones and deletes what was listed: the newest of all is loaded."""
    save_checkpoint(tmp_path, 1, example(rng, 1))
    save_checkpoint(tmp_path, 2, example(rng, 2))
    real = checkpoints.open_regular

    def shim(path: Path) -> object:
        if path.name == "step-00000002.safetensors":
            for step in (3, 4):
                save_checkpoint(tmp_path, step, example(rng, step))
        return real(path)

    monkeypatch.setattr(checkpoints, "open_regular", shim)
    loaded = load_newest(tmp_path, pytest.fail)
    assert loaded is not None
    assert loaded.state["step"] == 4


CALLS = ("open", "write", "fsync", "read", "replace")


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> None:
    """Let call number `call` of os.`name` fail as on a full disk."""
    real: Callable[..., object] = getattr(os, name)
    count = 0

    def shim(*args: object, **kwargs: object) -> object:
        nonlocal count
        count += 1
        if count == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, shim)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("call", [1, 2, 3])
def test_full_disk_at_any_call(
    tmp_path: Path,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    output_error: Callable[[Callable[[], object]], OutputError | None],
    name: str,
    call: int,
) -> None:
    good = save_checkpoint(tmp_path, 1, example(rng, 1))
    before = good.read_bytes()
    with monkeypatch.context() as patch:
        fail_at(patch, name, call)
        error = output_error(lambda: save_checkpoint(tmp_path, 2, example(rng, 2)))
    if error is not None:
        assert error.exit_code == 5
        assert "No space left" in str(error)
        # if only the very last call fails, the new file exists already
        assert str(newest_file(tmp_path)) in str(error)
    else:
        assert call > 1
    assert good.read_bytes() == before
    loaded = load_newest(tmp_path, pytest.fail)
    assert loaded is not None
    assert loaded.state["step"] in (1, 2)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


def test_folder_that_cannot_be_made(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="checkpoint not saved"):
        save_checkpoint(tmp_path / "file", 1, example(rng))


def test_the_state_is_json(rng: np.random.Generator) -> None:
    data = pack(example(rng))
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert json.loads(header["__metadata__"]["state"])["loss"] == 0.1 + 0.2
