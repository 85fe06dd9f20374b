"""Write run folders with a commit of this repository: ``make.py COMMIT NAME``.

NAME is the folder to write, next to this file. Run once for each version of the formats; the tests read the
folders.
"""

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parents[1] / "benchmarks")]

from drawn import EARLY, NETWORKS, dataset, imported, options  # noqa: E402
from trees import build, run  # noqa: E402

commit, name = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    work = Path(folder)
    os.environ["LSTM2D_DATA"] = str(work / "store")
    build(work / "tree", commit)
    data = dataset(work / "data")
    run(work / "tree", "weights", "import", str(imported(work / "conv1_1.npz")))
    for network in NETWORKS:
        out = HERE / name / network
        words = ["--data", str(data), "-o", str(out), "-q", "--set", f"train.steps={EARLY}"]
        run(work / "tree", "train", *options(network), *words)
        for path in out.rglob(
            "*"
        ):  # a test reads neither pictures nor logs, nor more than the last checkpoint
            if path.is_file() and path.suffix not in (".safetensors", ".toml", ".json", ".csv"):
                path.unlink()
        for path in sorted((out / "checkpoints").glob("*.safetensors"))[:-1]:
            path.unlink()
