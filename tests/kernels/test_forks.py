"""Several threads that fork at the same time take each other no lock away."""

import subprocess
import sys

import pytest

SECONDS = 120  # a process that hangs fails the test

SCRIPT = """
import os, sys, threading
import numpy as np
from lstm2d import Tensor, ops

x, weight = Tensor(np.ones((1, 9, 9, 4), np.float32)), Tensor(np.ones((3, 3, 4, 4), np.float32))

def work():
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            os._exit(int(ops.conv2d(x, weight).data[0, 0, 0, 0]))
        status = os.waitpid(pid, 0)[1]
        assert os.waitstatus_to_exitcode(status) == 36, status

def threads(function, n):
    started = [threading.Thread(target=function) for _ in range(n)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()

ops.conv2d(x, weight)
sys.setswitchinterval(1e-6)
threads(work, 6)
threads(lambda: ops.conv2d(x, weight), 2)  # no lock is left
"""


@pytest.mark.slow
def test_forks_of_several_threads_at_once() -> None:
    words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT]
    run = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS)
    assert (run.returncode, run.stderr) == (0, "")
