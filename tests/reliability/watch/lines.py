"""A command line for every command of the program, with small inputs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lstm2d.reliability.inputs.case import SMALL
from lstm2d.reliability.inputs.drawn import STEMS, write_base

GIVEN, OUT, CACHE, STORED = "given", "out", "cache", "stored"
FOLDERS = (GIVEN, OUT, CACHE, STORED, "home", "here", "tmp")


@dataclass(frozen=True)
class Line:
    """A command line.

    Parameters
    ----------
    words : str
        The words after the command, separated by spaces; {data}, {model}, {out} and others are paths.
    writes : tuple of str
        Folders in which it may change something, besides that of caches.
    is_long : bool
        Whether it takes over five seconds.
    needs : str
        An optional package without which it is not run.
    """

    words: str
    writes: tuple[str, ...] = ()
    is_long: bool = False
    needs: str = ""


SETTINGS = " ".join(f"--set {item}" for item in SMALL)
LINES = {
    "demo": Line("-o {out}/demo --seconds 1 --scenes 10", (OUT,)),
    "train": Line(f"lstm2d-1x1 --data {{data}} -o {{out}}/run {SETTINGS}", (OUT,)),
    "predict": Line("{model} {data}/images -o {out}/labels --overlay --legend --probabilities", (OUT,)),
    "evaluate": Line("{model} {data} --split train -o {out}/report --edge 2", (OUT,)),
    "features": Line("{model} {data}/images/a.png -o {out}/maps --npy", (OUT,)),
    "models": Line(""),
    "inspect": Line("{model}"),
    "export": Line("{model} -o {out}/model.onnx", (OUT,), needs="onnxruntime"),
    "hierarchy build": Line("{data} --method lc -o {out}/h.json", (OUT,)),
    "hierarchy show": Line("{out}/h.json --data {data} -o {out}/subclasses", (OUT,)),
    "weights import": Line("{given}/vgg16.npz -o {out}/vgg16.safetensors", (OUT, STORED)),
    "weights list": Line(""),
    "config show": Line("{out}/run"),
    "config diff": Line("lstm2d-1x1 {out}/run"),
    "config schema": Line(""),
    "cache list": Line(""),
    "cache clear": Line("--yes"),
    "doctor": Line(""),
    "selftest crash": Line("--kills 1", is_long=True),
    "selftest determinism": Line("--steps 1 --images 1 --model lstm2d-1x1", is_long=True),
    "selftest inputs": Line("1x1"),
    "selftest gradients": Line("", is_long=True),
    "data check": Line("{data} -o {out}/check", (OUT,)),
    "data stats": Line("{data}"),
    "data import": Line("pairs {data} -o {out}/imported --colors {data}/dataset.toml", (OUT,)),
    "data split": Line("{given}/photos -o {out}/splits", (OUT,)),
    "data synth": Line("-o {out}/scenes --count 3 --width 32 --height 24", (OUT,)),
    "data labels": Line("voc -o {out}/voc.toml", (OUT,)),
}


def make_inputs(root: Path) -> None:
    """Write the folders and inputs of the command lines."""
    for name in FOLDERS:
        if name != GIVEN:
            (root / name).mkdir(parents=True)
    write_base(root / GIVEN)
    data = root / GIVEN / "data"
    (data / "scenes.txt").write_text("".join(f"{stem} coast\n" for stem in STEMS))
    photos = root / GIVEN / "photos"
    for folder in ("images", "masks"):
        (photos / folder).mkdir(parents=True)
    for number in range(10):
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(photos / f"images/{number}.png")
        Image.fromarray(rng.integers(0, 2, (16, 16), np.uint8)).save(photos / f"masks/{number}.png")
    weights = {"conv1_1_W": np.zeros((3, 3, 3, 64), np.float32), "conv1_1_b": np.zeros(64, np.float32)}
    np.savez(root / GIVEN / "vgg16.npz", **weights)


def command_lines(root: Path, *, long: bool) -> dict[str, list[str]]:
    """Return the words of each command line, also of those that take long if `long` is set."""
    paths = {"given": root / GIVEN, "data": root / GIVEN / "data", "out": root / OUT}
    paths["model"] = root / GIVEN / "model.safetensors"
    chosen = {name: line for name, line in LINES.items() if long or not line.is_long}
    return {name: [*name.split(), *line.words.format(**paths).split()] for name, line in chosen.items()}
