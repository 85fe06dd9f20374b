"""Helpers for tests of runs: a listener that stops them, and digests of their files."""

import csv
import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from lstm2d.config import RunConfig
from lstm2d.io.model_file import load_model
from lstm2d.training.checkpoint import Checkpoint, files, newest_file, pack, unpack
from lstm2d.training.events import Event

Configure = Callable[..., RunConfig]

STRAIGHT = (
    "train.epochs=3",
    "train.scale_jitter=0.2",
    "train.brightness_jitter=0.2",
    "train.class_weights=median_frequency",
)


class Stopper:
    """Reports events, and sends a signal to this process after a step."""

    def __init__(
        self, step: int = -1, times: int = 1, kind: str = "step", number: int = signal.SIGINT
    ) -> None:
        self.step, self.times, self.kind, self.number = step, times, kind, number
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if event.kind == self.kind and event.values["step"] == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


class Camera(Stopper):
    """Copies the run folder at every event, as if the process were killed then."""

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.run = run
        self.copies: list[Path] = []

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        self.copies.append(self.run.with_name(f"{self.run.name}-{len(self.events)}"))
        shutil.copytree(self.run, self.copies[-1])

    def at(self, kind: type[Event]) -> Path:
        """Return the folder at the only event of a kind."""
        (found,) = [copy for event, copy in zip(self.events, self.copies, strict=True) if type(event) is kind]
        return found


def newest(run: Path) -> Checkpoint:
    path = newest_file(run / "checkpoints")
    assert path is not None
    return unpack(path.read_bytes())


def digest(run: Path) -> str:
    """Return the digest of the last checkpoint, without times and names."""
    checkpoint = newest(run)
    checkpoint.state["progress"] |= {"seconds": 0, "stage_began": 0, "busy": 0}
    for name in ("run", "settings", "model"):
        del checkpoint.state[name]
    parts = [
        f"{name}{a.dtype}{a.shape}".encode() + a.tobytes()
        for name, a in sorted(checkpoint.tensors.items())
        if name != "data.identity"
    ]
    return hashlib.sha256(b"".join(parts) + json.dumps(checkpoint.state, sort_keys=True).encode()).hexdigest()


def model_digest(run: Path) -> str:
    """Return the digest of the saved model's weights."""
    state = load_model(run / "model.safetensors").state
    return hashlib.sha256(b"".join(a.tobytes() for _, a in sorted(state.items()))).hexdigest()


def rows(run: Path) -> list[dict[str, str]]:
    """Return results.csv without the columns that are times."""
    with (run / "results.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in found]


def rewrite(run: Path, change: Callable[[Checkpoint], Checkpoint]) -> None:
    """Replace every checkpoint of a run."""
    for path in files(run / "checkpoints"):
        path.write_bytes(pack(change(unpack(path.read_bytes()))))


def make_old(run: Path) -> None:
    """Turn a run folder into one that version 0.1.0 wrote: nothing in it identifies its data and run."""

    def old(checkpoint: Checkpoint) -> Checkpoint:
        tensors = {k: a for k, a in checkpoint.tensors.items() if not k.startswith(("data.", "best."))}
        state = {"progress": checkpoint.state["progress"], "data": dict(checkpoint.state["data"])}
        del state["data"]["meaning"]
        return Checkpoint(tensors, state, version=0)

    rewrite(run, old)
    (run / "run.json").unlink()
