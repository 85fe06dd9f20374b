"""Nothing needs Linux: what other systems lack is used where it is there."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lstm2d.reliability.inputs.case import SMALL
from tests.unix_names import MISSING, MODULES

IMAGE = "data/images/scene_0000.png"
HIDDEN = Path(__file__).with_name("hidden.py")
TRAINING = ["--data", "data", "--val-split", "test", "-o", "run", "--quiet"]
LINES = [
    ["data", "synth", "-o", "data", "--count", "10", "--width", "32", "--height", "24"],
    ["data", "check", "data", "--json"],
    [
        "train",
        "lstm2d-1x1",
        *TRAINING,
        *(w for one in SMALL for w in ("--set", one)),
        "--epochs",
        "2",
        "--json",
    ],
    ["train", "lstm2d-1x1", *TRAINING, "--resume", "--epochs", "3", "--json"],
    ["predict", "run", "data/images", "-o", "own"],
    ["predict", "outdoor", "data/images", "-o", "labels", "--overlay"],
    ["predict", "outdoor", "data/images", "-o", "labels", "--overlay", "--skip-done", "--json"],
    ["evaluate", "run", "data", "--split", "test", "-o", "report", "--json"],
]
MORE = [["label", IMAGE], ["doctor", "--json"]]


def ran(folder: Path, hidden: bool, lines: list[list[str]]) -> list[dict[str, Any]]:
    """Return what came of command lines in a process of their own."""
    folder.mkdir()
    given = {"names": MISSING if hidden else {}, "modules": MODULES, "lines": lines}
    process = subprocess.run(
        [sys.executable, "-P", HIDDEN],
        input=json.dumps(given),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return [json.loads(line) for line in process.stdout.splitlines()]


@pytest.mark.slow
def test_commands_without_what_windows_lacks(tmp_path: Path) -> None:
    """They run, and all that they write is the same, except for times."""
    usual, without = tmp_path / "usual", tmp_path / "without"
    expected, found = ran(usual, False, LINES), ran(without, True, [*LINES, *MORE])
    assert {one["code"] for one in (*expected, *found)} == {0}, found
    contents = {path.relative_to(usual) for path in usual.rglob("*")}
    assert contents == {path.relative_to(without) for path in without.rglob("*")}  # nor is a lock file left
    same = [path for path in contents if path.suffix in (".png", ".safetensors", ".toml", ".txt")]
    same = [path for path in same if path.parts[:2] not in (("run", "checkpoints"), ("run", "plots"))]
    assert sum(path.parts[0] == "labels" for path in same) >= 20
    assert Path("run/model.safetensors") in same
    assert [path for path in same if (usual / path).read_bytes() != (without / path).read_bytes()] == []
    results = dict(zip((" ".join(line[:2]) for line in (*LINES, *MORE)), found, strict=True))
    assert json.loads(results["predict outdoor"]["out"])["skipped"] == 10
    assert '"event": "resume", "step": 14' in results["train lstm2d-1x1"]["out"]
    confusion = json.loads(results["evaluate run"]["out"])["confusion"]
    assert confusion == json.loads(expected[-1]["out"])["confusion"]
    with Image.open(usual / "labels" / "scene_0000.png") as labels:
        digest = hashlib.sha256(np.asarray(labels).tobytes()).hexdigest()
    assert results[f"label {IMAGE}"]["digests"] == [digest]
    facts = json.loads(results["doctor --json"]["out"])
    assert facts["selftest"]["passed"]
    assert facts["cpu"]["cores"] == os.cpu_count()  # not those of the process
