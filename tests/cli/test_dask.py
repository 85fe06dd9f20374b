"""`lstm2d predict --dask`: the files of one process, whatever happens to workers, scheduler and client."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.errors import ConfigError, Lstm2dError
from lstm2d.predict import Predictor, load, on_dask
from lstm2d.predict.inputs import plan
from lstm2d.predict.label_files import UNFINISHED, label_files
from lstm2d.predict.manifest import read_manifest
from lstm2d.predict.on_dask import OnDask
from lstm2d.predict.outcome import Options, Outcome

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
psutil = pytest.importorskip("psutil")  # comes with distributed

pytestmark = pytest.mark.slow  # starts processes

TIMES = {"seconds", "image file", "labels file", "overlay file", "probabilities file"}
DEADLY, FAULTY = "deadly.png", "faulty.png"
# runs in the workers: an image at which they die, and one at which the program fails
PRELOAD = f"""
import os
from lstm2d.predict import remote

def label_image(predictor, task, *args, work=remote.label_image):
    if task.source.name == {DEADLY!r}:
        os.kill(os.getpid(), 9)
    if task.source.name == {FAULTY!r}:
        raise IndexError("of this image")
    return work(predictor, task, *args)

remote.label_image = label_image
"""


@dataclass(frozen=True)
class Running:
    """A cluster."""

    cluster: Any

    @property
    def address(self) -> str:
        """The address of its scheduler."""
        return str(self.cluster.scheduler_address)

    def pid(self) -> int:
        """Return the process of a worker."""
        return next(nanny.pid for nanny in self.cluster.workers.values() if nanny.pid)

    def survive(self, deaths: int) -> None:
        """Set how many workers a task may lose before it fails."""
        self.cluster.scheduler.allowed_failures = deaths


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a cluster of two workers."""
    folder = tmp_path_factory.mktemp("workers")
    (folder / "preload.py").write_text(PRELOAD)
    environment = dict(os.environ)
    common = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "dashboard": False}
    worker = {"nthreads": 1, "preload": [str(folder / "preload.py")], "local_directory": str(folder)} | common
    with distributed.SpecCluster(
        workers={k: {"cls": distributed.Nanny, "options": worker} for k in range(2)},
        scheduler={"cls": distributed.Scheduler, "options": common},
        silence_logs=60,
    ) as running:
        yield Running(running)
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def cluster(two_workers: Running) -> Running:
    """Return the cluster, in which tasks survive three deaths."""
    two_workers.survive(3)
    return two_workers


@pytest.fixture
def predictor(brightness_model: Path) -> Predictor:
    return load(brightness_model)


@pytest.fixture
def many(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a folder of 24 images."""
    (tmp_path / "many").mkdir()
    for k in range(24):
        Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)).save(tmp_path / f"many/{k:02}.png")
    return tmp_path / "many"


def results(folder: Path) -> dict[str, Any]:
    """Return the files of a folder; of the records what does not depend on times."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        rows = read_manifest(path) if path.suffix == ".csv" else None
        same = rows and [{key: row[key] for key in row.keys() - TIMES} for row in rows]
        found[str(path.relative_to(folder))] = same or path.read_bytes()
    return found


def test_the_files_of_one_process(
    lstm2d: Callable, cluster: Running, brightness_model: Path, photos: Path, many: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (many / "03.png").write_bytes((many / "04.png").read_bytes()[:80])
    Image.fromarray(np.full((5, 4, 4), 127, np.uint8)).save(many / "05.png")  # transparent: a note
    (many / "06.png").unlink()
    (many / "06.png").symlink_to("gone.png")
    monkeypatch.chdir(tmp_path)  # relative names, which workers do not know
    line = ["predict", brightness_model, "photos", "many", "--legend", "--probabilities"]
    ran = {}
    for out, more in (("one", []), ("two", ["--dask", cluster.address])):
        ran[out] = lstm2d(*line, "-o", out, "--json", *more)
    assert [one.code for one in ran.values()] == [4, 4]
    assert results(tmp_path / "one") == results(tmp_path / "two")
    assert len(results(tmp_path / "two")) == 3 * 25 + 3
    differing = {key for key in ran["one"].json if ran["one"].json[key] != ran["two"].json[key]}
    assert differing == {"seconds", "out"}
    lines = [
        [re.sub(r"\d+\.\d s|one|two", "", line) for line in one.err.splitlines() if "images/s" not in line]
        for one in ran.values()
    ]
    assert lines[0] == lines[1]
    assert any("transparent" in line for line in lines[0])


def test_a_worker_that_is_killed(cluster: Running, predictor: Predictor, many: Path, tmp_path: Path) -> None:
    """Its images are labelled by another one."""

    def kill_once(outcome: Outcome) -> None:
        if outcome.done == 1:
            os.kill(cluster.pid(), signal.SIGKILL)

    outcome = label_files(
        predictor,
        plan([many], tmp_path / "out"),
        tmp_path / "out",
        way=OnDask(cluster.address),
        progress=kill_once,
    )
    assert (outcome.done, outcome.failed) == (24, [])
    label_files(predictor, plan([many], tmp_path / "one"), tmp_path / "one")
    assert results(tmp_path / "out") == results(tmp_path / "one")


def test_an_image_at_which_workers_die(
    lstm2d: Callable, cluster: Running, brightness_model: Path, many: Path, tmp_path: Path
) -> None:
    """It alone is reported, not those of its batch; an error of the program has its traceback."""
    cluster.survive(0)
    (many / "11.png").rename(many / DEADLY)
    (many / "17.png").rename(many / FAULTY)
    ran = lstm2d(
        "predict", brightness_model, many, "-o", tmp_path / "out", "--dask", cluster.address, "--json"
    )
    assert (ran.code, ran.json["images"]) == (4, 22)
    assert [failed["image"] for failed in ran.json["failed"]] == [str(many / DEADLY), str(many / FAULTY)]
    reasons = [failed["error"] for failed in ran.json["failed"]]
    assert reasons[0] == "the Dask workers that labelled it were lost, each time"
    assert reasons[1] == "unexpected ProgramFault: IndexError: of this image"
    assert 'raise IndexError("of this image")' in ran.err
    assert [row["labels"] for row in read_manifest(tmp_path / "out/predictions.csv")] == [
        *(f"{k:02}.png" for k in range(24) if k not in (11, 17)), DEADLY, FAULTY,
    ]  # fmt: skip


def test_an_interrupt_and_skip_done(
    cluster: Running, predictor: Predictor, many: Path, tmp_path: Path
) -> None:
    """What is written is recorded, the tasks are gone from the cluster, and the rest can be done later."""
    tasks, out = plan([many], tmp_path / "out"), tmp_path / "out"

    def interrupt(outcome: Outcome) -> None:
        if outcome.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label_files(predictor, tasks, out, way=OnDask(cluster.address), progress=interrupt)
    assert [row["error"] for row in read_manifest(out / "predictions.csv")] == [""] * 5
    with distributed.Client(cluster.address, set_as_default=False) as client:
        left = [1]
        for _ in range(50):
            left = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))
            if not left:
                break
            time.sleep(0.1)
        assert left == []
    outcome = label_files(predictor, tasks, out, options=Options(skip_done=True), way=OnDask(cluster.address))
    assert (outcome.done, outcome.skipped) == (19, 5)


def test_other_versions(
    cluster: Running, predictor: Predictor, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version of lstm2d is refused; another instruction set is reported once."""
    tasks, remarks = plan([photos], tmp_path / "out"), []
    way = OnDask(cluster.address, remark=remarks.append)
    ours = on_dask.environment()
    monkeypatch.setattr(on_dask, "environment", lambda: ours | {"lstm2d": "9.9"})
    with pytest.raises(ConfigError, match=r"a worker has lstm2d .*, this program is 9\.9"):
        label_files(predictor, tasks, tmp_path / "out", way=way)
    monkeypatch.setattr(on_dask, "environment", lambda: ours | {"instruction set": "none"})
    assert label_files(predictor, tasks, tmp_path / "out", way=way).done == 3
    assert len(remarks) == 1
    assert "instead of none" in remarks[0]


def test_no_worker_and_no_scheduler(
    predictor: Predictor, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_dask, "POLL", 0.1)
    tasks = plan([photos], tmp_path / "out")
    common = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "dashboard": False}
    scheduler = {"cls": distributed.Scheduler, "options": common}
    with distributed.SpecCluster(scheduler=scheduler, silence_logs=60) as empty:
        way = OnDask(empty.scheduler_address)
        with monkeypatch.context() as patch:
            patch.setattr(on_dask, "WITHOUT_WORKERS", 0.2)
            with pytest.raises(ConfigError, match=r"has had no worker for 0 s"):
                label_files(predictor, tasks, tmp_path / "out", way=way)
        ask = on_dask._Batches._ask

        def close_it(self: Any) -> None:
            ask(self)
            if self._under_way:
                empty.close()

        monkeypatch.setattr(on_dask._Batches, "_ask", close_it)
        with pytest.raises(Lstm2dError, match="the Dask scheduler was lost"):
            label_files(predictor, tasks, tmp_path / "out", way=way)
    os.environ.pop("DASK_SCHEDULER_ADDRESS", None)


@pytest.mark.parametrize("answers", [False, True])
def test_nobody_answers(
    lstm2d: Callable, brightness_model: Path, photos: Path, tmp_path: Path, answers: bool
) -> None:
    """Neither a closed port nor a program that does not answer makes the command wait for long."""
    with socket.socket() as server, dask.config.set({"distributed.comm.timeouts.connect": "0.5s"}):
        server.bind(("127.0.0.1", 0))
        if answers:
            server.listen()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        ran = lstm2d("predict", brightness_model, photos, "-o", tmp_path / "out", "--dask", address)
    assert ran.code == 2
    assert "no Dask scheduler can be reached" in ran.err
    assert address in ran.err
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs groups of processes")
def test_ctrl_c_in_a_local_cluster(brightness_model: Path, many: Path, tmp_path: Path) -> None:
    """All processes get it from the terminal, one line is written, and nothing is left."""
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    work.mkdir()
    temporary.mkdir()
    for path in many.iterdir():  # take longer
        Image.open(path).resize((300, 200)).save(path)
    command = [sys.executable, "-m", "lstm2d", "predict", brightness_model, many, "-o", tmp_path / "out"]
    with subprocess.Popen(
        [*command, "--dask", "local:1", "--quiet"],
        cwd=work,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        while process.poll() is None and not (tmp_path / "out/03.png").is_file():
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGSTOP)  # while it is looked at
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children(recursive=True)]
        listening = [c.laddr.ip for p in family for c in p.net_connections() if c.status == "LISTEN"]
        os.killpg(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGCONT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "Interrupted.\n")
    assert set(listening) == {"127.0.0.1"}
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert (list(work.iterdir()), list(temporary.iterdir())) == ([], [])
    done = [row["error"] for row in read_manifest(tmp_path / "out/predictions.csv")]
    assert 3 < len(done) < 24
    assert set(done[:-1]) == {""}
    assert done[-1] in ("", UNFINISHED)
