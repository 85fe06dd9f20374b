"""Runs under mpiexec: a rank that is killed, and one that goes on with another number of ranks."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lstm2d.training.loop import train
from tests.training.runs import Configure, digest, model_digest

MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
OPEN_MPI = {  # also as root, and on few cores
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
# a rank that writes its process number into a file
RANK = """
import os, sys
from pathlib import Path
rank = os.environ.get("PMI_RANK") or os.environ["OMPI_COMM_WORLD_RANK"]
Path(sys.argv.pop(1), rank).write_text(str(os.getpid()))
from lstm2d.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(MPIEXEC is None, reason="needs mpiexec")
def test_a_killed_rank_ends_all_and_others_resume_to_the_same_bits(
    dataset: Path,
    tmp_path: Path,
    configure: Configure,
) -> None:
    pytest.importorskip("mpi4py")
    config = configure("train.batch=4", "train.epochs=12")
    train(config, dataset, tmp_path / "one")
    shutil.copy(tmp_path / "one" / "config.toml", tmp_path / "config.toml")
    words = [sys.executable, "-c", RANK, str(tmp_path), "train", str(tmp_path / "config.toml"), "--json"]
    words += ["--data", str(dataset), "-o", str(tmp_path / "run"), "--threads", "1"]
    variables = os.environ | OPEN_MPI

    def start(count: int, *more: str) -> subprocess.Popen[str]:
        line = [str(MPIEXEC), "-n", str(count), *words, *more]
        return subprocess.Popen(
            line, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
        )

    killed = start(2)
    assert killed.stdout is not None
    while '"epoch"' not in (line := killed.stdout.readline()):
        assert line, killed.communicate()[1]
    os.kill(int((tmp_path / "1").read_text()), signal.SIGKILL)
    out, _ = killed.communicate(timeout=60)
    assert killed.returncode != 0
    assert '"model"' not in out  # the run has not ended
    ended = start(3, "--resume")
    out, err = ended.communicate(timeout=120)
    assert ended.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["steps"] == 24
    assert [json.loads(line).get("event") for line in out.splitlines()].count(
        "resume"
    ) == 1  # of rank 0 alone
    assert digest(tmp_path / "run") == digest(tmp_path / "one")
    assert model_digest(tmp_path / "run") == model_digest(tmp_path / "one")
