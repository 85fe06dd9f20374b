"""Checkpoints: exact, never half written, damage found."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lstm2d.errors import DataError, OutputError
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
    said: list[str] = []
    loaded = load_newest(tmp_path, said.append)
    assert loaded is not None
    assert loaded.state["step"] == 1
    assert len(said) == 1
    assert str(newest) in said[0]
    assert "damaged" in said[0]
    assert [path.name for path in files(tmp_path)] == ["step-00000001.safetensors"]
    assert newest.with_name(newest.name + ".damaged").read_bytes() == bytes(data)


def test_all_damaged_is_an_error_and_stays_one(tmp_path: Path, rng: np.random.Generator) -> None:
    save_checkpoint(tmp_path, 1, example(rng, 1)).write_bytes(b"")
    said: list[str] = []
    for _ in range(2):
        with pytest.raises(DataError, match="no valid checkpoint is left"):
            load_newest(tmp_path, said.append)
    assert len(said) == 1


CALLS = ("open", "write", "fsync", "read", "replace")


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> None:
    """Let the call number `call` of os.`name` say that the disk is full."""
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
        # where only the last call of all fails, the new file is there already
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
