"""Processes started after the program has labelled an image give the same labels."""

import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 240  # a child that hangs fails the test

PREAMBLE = """
import multiprocessing, os, sys, threading
import numpy as np
import lstm2d

photo = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)

def label(name, threads, crf):
    lstm2d.set_num_threads(threads)
    return lstm2d.load(name, crf=crf).predict_proba(photo).tobytes()

def child(connection, *args):
    connection.send_bytes(label(*args))
"""

STARTED = """
if __name__ == "__main__":
    method, name, threads, inner, crf = sys.argv[1:4] + sys.argv[4:6]
    context = multiprocessing.get_context(method)
    expected = label(name, int(threads), crf or False)
    for _ in range(1 if method == "spawn" else 2):  # a spawned one imports everything again
        here, there = context.Pipe()
        process = context.Process(target=child, args=(there, name, int(inner), crf or False))
        process.start()
        there.close()
        assert here.recv_bytes() == expected
        process.join()
        assert process.exitcode == 0
        assert label(name, int(threads), crf or False) == expected
"""

NESTED = """
def generation(expected, left):
    assert label("outdoor", 2, False) == expected
    if left:
        pid = os.fork()
        if pid == 0:
            generation(expected, left - 1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert label("outdoor", 2, False) == expected

expected = label("outdoor", 2, False)
thread = threading.Thread(target=generation, args=(expected, 3))  # not the main thread forks
thread.start()
thread.join()
generation(expected, 2)
"""

BUSY = """
threads, crf, forks = int(sys.argv[1]), sys.argv[2] or False, int(sys.argv[3])
lstm2d.set_num_threads(threads)
model = lstm2d.load("outdoor", crf=crf)
if not crf:
    expected = model.predict_proba(photo[:60], size="native").tobytes()
stop = threading.Event()

def work():
    while not stop.is_set():
        model.predict_proba(photo[:60], size="native")

workers = [threading.Thread(target=work) for _ in range(3)]
for worker in workers:
    worker.start()
results = []
for _ in range(forks):  # with a CRF, the first ones while kernels are compiled
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(sink, model.predict(photo[:60], size="native").tobytes())
        os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as file:
        results.append(file.read())
    assert os.waitpid(pid, 0)[1] == 0
stop.set()
for worker in workers:
    worker.join()
assert set(results) == {model.predict(photo[:60], size="native").tobytes()}
"""


def check(tmp_path: Path, script: str, *args: object) -> None:
    path = tmp_path / "script.py"  # a file: "spawn" imports it
    path.write_text(PREAMBLE + script)
    words = [sys.executable, "-W", "ignore::DeprecationWarning", str(path), *map(str, args)]
    run = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("threads", [1, 2])
def test_fork(tmp_path: Path, threads: int) -> None:
    check(tmp_path, STARTED, "fork", "outdoor", threads, threads, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "name", "threads", "inner"),
    [
        *(("fork", "outdoor", *n) for n in ((1, 1), (1, 2), (2, 1), (2, 2), (2, 3))),
        *(("fork", "outdoor-renet", *n) for n in ((1, 2), (2, 2))),
        *(
            (method, name, 2, 2)
            for method in ("spawn", "forkserver")
            for name in ("outdoor", "outdoor-renet")
        ),
    ],
)
def test_every_way_to_start_a_process(
    tmp_path: Path, method: str, name: str, threads: int, inner: int
) -> None:
    check(tmp_path, STARTED, method, name, threads, inner, "")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_with_a_crf(tmp_path: Path, method: str) -> None:
    check(tmp_path, STARTED, method, "outdoor", 2, 2, "krahenbuehl")


@pytest.mark.slow
def test_forks_of_forks_and_of_other_threads(tmp_path: Path) -> None:
    check(tmp_path, NESTED)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("crf", ["", "krahenbuehl"])
def test_a_fork_while_other_threads_compute(
    tmp_path: Path, threads: int, crf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM2D_CACHE", str(tmp_path / "cache"))
    check(tmp_path, BUSY, threads, crf, 6)
