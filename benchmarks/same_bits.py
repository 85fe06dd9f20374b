"""Compare two versions of the library bit by bit: predictions of every bundled model, and short trainings.

    python benchmarks/same_bits.py COMMIT [--data DIR]

builds COMMIT and the working tree in temporary folders with this interpreter. Both label the same six images
with the bundled models and train presets for 20 steps; class probabilities and weights are compared.
Models and presets that COMMIT does not have are left out. The exit code is 1 if any differ. Bits depend on
the machine and on BLAS: compare results of one machine only.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file
from trees import build, run

PRESETS = ("lstm2d-3x3", "n-renet", "reseg", "rcnn2")
MODELS = ("outdoor", "outdoor-renet", "outdoor-rcnn", "street")
CRF = ("outdoor", "--crf", "outdoor")
STEPS = 20
SIZES = ((240, 320), (213, 320), (97, 131), (320, 240), (40, 56), (480, 640))  # rows, columns


def draw(folder: Path, count: int, seed: int) -> None:
    """Write images and masks of smooth random colours, which depend on NumPy and Pillow only."""
    rng = np.random.default_rng(seed)
    for sub in ("images", "masks"):
        (folder / sub).mkdir(parents=True)
    for k in range(count):
        rows, columns = SIZES[k % len(SIZES)]
        small = rng.integers(0, 256, (rows // 16 + 2, columns // 16 + 2, 3), np.uint8)
        image = Image.fromarray(small).resize((columns, rows), Image.Resampling.BICUBIC)
        image.save(folder / "images" / f"{k:02d}.png")
        labels = np.asarray(image)[:, :, 0] // 86  # classes 0 to 2
        Image.fromarray(labels.astype(np.uint8)).save(folder / "masks" / f"{k:02d}.png")


def digest(arrays: dict[str, np.ndarray]) -> str:
    """Return a digest of arrays with their names, types and shapes."""
    found = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        found.update(f"{name} {values.dtype.str} {values.shape}".encode())
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()[:16]


def results(tree: Path, out: Path, photos: Path, data: Path) -> dict[str, str]:
    """Return the digests of one version's results, of the models and presets that it has."""
    found = {}
    models = [name for name in MODELS if (tree / "lstm2d" / "zoo" / f"{name}.safetensors").exists()]
    presets = [name for name in PRESETS if (tree / "lstm2d" / "presets" / f"{name}.toml").exists()]
    for model, *options in [*((name, "--no-crf") for name in models), CRF]:
        folder = out / "-".join([model, *options])
        run(tree, "predict", model, str(photos), "-o", str(folder), "--probabilities", "-q", *options)
        arrays = {}
        for path in sorted(folder.glob("*.npz")):
            with np.load(path) as stored:
                arrays |= {f"{path.stem}.{key}": stored[key] for key in stored.files}
        assert len(arrays) >= len(SIZES), f"{folder}: {len(arrays)} arrays"
        found[f"predict {model} {' '.join(options)}"] = digest(arrays)
    for preset in presets:
        folder = out / f"run-{preset}"
        steps = ["--set", f"train.steps={STEPS}", "--set", "train.epochs=1000", "--val", "0"]
        run(tree, "train", preset, "--data", str(data), "-o", str(folder), "-q", "--seed", "1", *steps)
        found[f"train {preset}, {STEPS} steps"] = digest(load_file(folder / "model.safetensors"))
    return found


def main() -> None:
    """Build both versions, compare them and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("commit", help="the commit to compare the working tree with")
    parser.add_argument("--data", type=Path, help="dataset to train on (default: drawn)")
    parser.add_argument("--images", type=Path, help="folder of images to label (default: drawn)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="same-bits-") as name:
        work = Path(name)
        draw(work / "drawn", len(SIZES), seed=0)
        photos = options.images or work / "drawn" / "images"
        digests = []
        for label, commit in (("before", options.commit), ("after", None)):
            build(work / label, commit)
            digests.append(
                results(work / label, work / f"{label}-out", photos, options.data or work / "drawn")
            )
    before, after = digests
    for key, value in before.items():
        verdict = "equal" if value == after[key] else "DIFFERENT"
        print(f"{key:34} {value}  {after[key]}  {verdict}")
    sys.exit(0 if all(after[key] == value for key, value in before.items()) else 1)


if __name__ == "__main__":
    main()
