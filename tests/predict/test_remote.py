"""Images that are labelled in another process: what is sent and what returns, without a cluster."""

import pickle
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lstm2d.errors import ConfigError, DataError
from lstm2d.io.model_file import model_digest, model_from_bytes, model_to_bytes
from lstm2d.notes import Notes
from lstm2d.predict import Predictor, dask_packages, load, on_dask
from lstm2d.predict.inputs import Task
from lstm2d.predict.on_dask import OnDask
from lstm2d.predict.outcome import Options
from lstm2d.predict.remote import (
    Batch,
    ProgramFault,
    SentModel,
    absolute,
    difference,
    environment,
    job_of,
    label_batch,
    refuse_other_version,
)
from tests.callers import kernel_threads


@pytest.fixture
def photo(tmp_path: Path, rng: np.random.Generator) -> Path:
    path = tmp_path / "photos" / "a.png"
    path.parent.mkdir()
    Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    return path


def settings_of(predictor: Predictor) -> list[object]:
    return [
        predictor.crf, predictor.resolution, predictor.instances, predictor.name, predictor.classes,
        predictor.preprocessing, predictor.reading, predictor.max_memory, model_digest(predictor.model),
    ]  # fmt: skip


def test_a_model_is_built_again_as_it_was() -> None:
    """With its CRF, size, reading and instances; its network is not sent, and is built once."""
    ours = load("outdoor-rcnn", crf="krahenbuehl", resolution="1/2", instances="1,2")
    ours.max_memory = 10**9
    ours.reading = replace(ours.reading, bits=12, max_memory=10**9)
    sent = SentModel.of(ours, 10**9)
    found = sent.predictor(1, None)
    there = pickle.loads(pickle.dumps(sent))
    assert len(pickle.dumps(there)) < 1.1 * len(model_to_bytes(ours.model))
    for one in (found, there.predictor(1, None)):
        assert settings_of(one) == settings_of(ours)
    assert sent.predictor(1, None) is found
    plain = load("outdoor")
    assert settings_of(SentModel.of(plain, 5).predictor(1, None))[:4] == settings_of(plain)[:4]


def test_the_memory_of_a_worker(brightness_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default half of what there is, or of its limit, shared by its threads."""
    monkeypatch.setattr("lstm2d.predict.remote.available", lambda: 1000)
    for at_a_time, limit, expected in ((1, None, 500), (5, None, 100), (2, 400, 100), (1, 9000, 500)):
        sent = SentModel.of(load(brightness_model), None)
        assert sent.predictor(at_a_time, limit).reading.max_memory == expected


def test_the_bytes_of_a_model(brightness_model: Path) -> None:
    model = load(brightness_model).model
    data = model_to_bytes(model)
    assert model_digest(model_from_bytes(data, "m")) == model_digest(model)
    with pytest.raises(DataError, match="m"):
        model_from_bytes(data[:-1], "m")


def test_the_files_come_back(brightness_model: Path, photo: Path, tmp_path: Path) -> None:
    """Only the process that asks writes; a failure has the name that the user gave."""
    tasks = [Task(photo, PurePath("a.png")), Task(photo.with_name("b.png"), PurePath("b.png"))]
    batch = Batch(tuple(map(absolute, tasks)), Options(overlay=True, probabilities=True), 3, environment())
    before = sorted(tmp_path.rglob("*"))
    with kernel_threads():
        reply = pickle.loads(pickle.dumps(label_batch(SentModel.of(load(brightness_model), 10**9), batch)))
    assert sorted(tmp_path.rglob("*")) == before
    jobs = [job_of(task, answer) for task, answer in zip(tasks, reply.answers, strict=True)]
    labelled = jobs[0].write(tmp_path, Notes(), print)
    assert labelled.size == (40, 50)
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "a.png", "a_overlay.png", "a.npz"}
    labels = np.array(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(labels, np.array(Image.open(photo))[:, :, 0] > 127)
    with pytest.raises(DataError, match=r"b\.png"):
        jobs[1].write(tmp_path, Notes(), print)
    assert jobs[0].seconds > 0


def test_a_failure_is_named_as_the_user_did(
    brightness_model: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    task = Task(Path("photos/gone.png"), PurePath("gone.png"))
    batch = Batch((absolute(task),), Options(), 1, environment())
    monkeypatch.chdir(photo.parent)
    with kernel_threads():
        (answer,) = label_batch(SentModel.of(load(brightness_model), 10**9), batch).answers
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as raised:
        job_of(task, answer).write(tmp_path, Notes(), print)
    assert raised.value.where == Path("photos/gone.png")


def test_a_fault_travels_with_its_place() -> None:
    fault = pickle.loads(pickle.dumps(ProgramFault("IndexError: x", "IndexError, a.py:3", "the trace")))
    assert (str(fault), fault.place, fault.trace) == ("IndexError: x", "IndexError, a.py:3", "the trace")


def test_environments() -> None:
    ours = environment()
    assert difference(ours, dict(ours)) == ""
    assert difference(ours, ours | {"numpy": "0.1"}) == f"numpy 0.1 instead of {ours['numpy']}"
    refuse_other_version(ours, ours | {"numpy": "0.1"})
    with pytest.raises(ConfigError, match=r"a worker has lstm2d 9\.9, this program is"):
        refuse_other_version(ours, ours | {"lstm2d": "9.9"})


GOOD = ("local:1", "local:64", "tcp://10.0.0.5:8786", "tls://node-1.cluster:1", "tcp://[fe80::1%eth0]:65535")
BAD = (
    "", "local", "local:", "local:0", "local:-1", "local:2.5", "local:99999", "LOCAL:2", "tcp://", "tcp://host",
    "tcp://host:", "tcp://host:0", "tcp://host:65536", "tcp://host:8786/x", "tcp://:8786", "udp://host:8786",
    "inproc://1/2/3", "host:8786", "tcp://a b:1", "tcp://host:8786\n", "tcp://h:\u0661", "local:\u0661",
    "cluster.json",
)  # fmt: skip


@pytest.mark.parametrize("address", GOOD)
def test_addresses(address: str) -> None:
    assert OnDask(address).address == address


@pytest.mark.parametrize("address", BAD)
def test_no_addresses(address: str) -> None:
    with pytest.raises(ConfigError, match="`dask` is no cluster"):
        OnDask(address)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        OnDask(text)
    except ConfigError:
        return
    assert text.startswith(("local:", "tcp://", "tls://"))


def test_without_the_package(
    brightness_model: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ImportError("No module named 'distributed'")

    monkeypatch.setitem(dask_packages._MODULES, "distributed", missing)
    way = OnDask("local:2")
    with (
        pytest.raises(ConfigError, match=r"pip install 'lstm2d\[dask\]'"),
        way(load(brightness_model), [Task(photo, PurePath("a.png"))], Options()),
    ):
        pass
    with way(load(brightness_model), [], Options()) as jobs:  # nothing to do
        assert list(jobs) == []


class Threads:
    """As much of a client as batches need."""

    def nthreads(self) -> dict[str, int]:
        return {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("count", "size", "probabilities", "expected"),
    [
        (100, 10, False, 8),
        (16, 10, False, 2),
        (3, 10, False, 1),
        (100, 10, True, 1),
        (100, 3 << 20, False, 2),
    ],
)
def test_batches(tmp_path: Path, count: int, size: int, probabilities: bool, expected: int) -> None:
    """Few images if they are large, if there are few, or if their results are large."""
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(size)
    work = object.__new__(on_dask._Batches)
    work._client, work._options = Threads(), Options(probabilities=probabilities)
    work._asked_at, work._had_workers = float("-inf"), False
    tasks = [Task(path, PurePath(f"{k}.png")) for k in range(count)]
    batches = list(work._batches(tasks))
    assert [task for batch in batches for task in batch] == tasks
    assert {len(batch) for batch in batches[:-1]} == {expected}
