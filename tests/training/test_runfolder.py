"""Run folders: never overwritten, used by one process; full disks."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lstm2d.errors import ConfigError, OutputError
from lstm2d.training.events import Event
from lstm2d.training.loop import train
from lstm2d.training.runfolder import RunFolder
from tests.training.runs import Configure, digest, model_digest, rows


def test_a_used_folder_is_not_touched(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    train(configure("train.steps=1"), dataset, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="not empty") as caught:
        train(configure(), dataset, run)
    assert "`resume=True`" in str(caught.value)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        train(configure(), dataset, tmp_path / "file")
    (tmp_path / "empty").mkdir()
    train(configure("train.steps=1"), dataset, tmp_path / "empty")


def test_two_processes_in_one_folder(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    with RunFolder(run).lock(), pytest.raises(ConfigError, match="another process trains in this folder"):
        train(configure(), dataset, run)
    train(configure("train.steps=1"), dataset, run)


@pytest.mark.parametrize("error", [BrokenPipeError, OSError(errno.ENOSPC, "No space left on device")])
def test_when_nobody_can_read_the_reports_the_run_goes_on(
    dataset: Path, tmp_path: Path, configure: Configure, error: OSError
) -> None:
    kinds = []

    def full(event: Event) -> None:
        kinds.append(event.kind)
        raise error

    result = train(configure("train.steps=7"), dataset, tmp_path / "run", report=full)
    assert (result.steps, result.model.is_file()) == (7, True)
    assert (kinds[0], kinds.count("step"), kinds[-1]) == ("start", 7, "stop")


def test_a_mistake_in_a_listener_is_not_hidden(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    def wrong(event: Event) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(configure(), dataset, tmp_path / "run", report=wrong)


def test_files_of_a_killed_process_are_swept(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / ".lstm2d-0123.tmp").write_text("half")  # killed while writing config.toml
    train(configure("train.steps=1"), dataset, run)
    (run / "checkpoints" / ".lstm2d-4567.tmp").write_text("half")
    train(RunFolder(run).reopen(""), dataset, run, resume=True)
    assert not list(run.rglob(".*"))


@pytest.mark.parametrize("name", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("call", range(1, 14, 3))
def test_full_disk(
    dataset: Path,
    tmp_path: Path,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
    output_error: Callable[[Callable[[], object]], OutputError | None],
    name: str,
    call: int,
) -> None:
    """Whichever system call fails, the run reports it, and can be resumed to the same bits."""
    straight, run = tmp_path / "straight", tmp_path / "run"
    train(configure(), dataset, straight)
    real = getattr(os, name)
    count = 0

    def shim(*args: object, **kwargs: object) -> object:
        nonlocal count
        if any(str(run) in str(arg) for arg in args) or name in ("write", "fsync"):
            count += 1
            if count == call:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, shim)
        error = output_error(lambda: train(configure(), dataset, run))
    assert (error is not None) == (count >= call)
    if error is not None:
        assert error.exit_code == 5
        assert "No space left" in str(error)
    if not (run / "config.toml").exists():
        train(configure(), dataset, run)
    else:
        train(RunFolder(run).reopen(""), dataset, run, resume=True)
    assert digest(run) == digest(straight)
    assert model_digest(run) == model_digest(straight)
    assert rows(run) == rows(straight)


def test_run_folder_deleted_meanwhile(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = tmp_path / "run"

    def delete(event: Event) -> None:
        if event.kind == "step" and event.values["step"] == 3:
            for path in sorted(run.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            run.rmdir()

    with pytest.raises(OutputError):
        train(configure(), dataset, run, report=delete)
