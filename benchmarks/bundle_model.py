"""Make a bundled model from a training run: add test results, training data and terms of use.

    python benchmarks/bundle_model.py RUN --data DIR --terms TEXT -o lstm2d/zoo/NAME.safetensors [--half]

Labels the test split of DIR once, with the run's best weights, and stores the results in the file.
With --half the weights are rounded to half precision first; the results are those of the stored weights.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from lstm2d.data.folder import DatasetFolder
from lstm2d.io.model_file import half_precision, load_model, save_model
from lstm2d.predict import find_model
from lstm2d.predict.evaluate import choose_samples, evaluate
from lstm2d.predict.predictor import Predictor

FIGURES = ("images", "pixel_accuracy", "class_accuracy", "mean_iou")


def main() -> None:
    """Evaluate the model, add the metadata and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder, or a model file")
    parser.add_argument("--data", type=Path, required=True, help="dataset folder with a test split")
    parser.add_argument("--split", default="test", help="the split to evaluate on")
    parser.add_argument("--terms", required=True, help="terms of use of the images and of the model")
    parser.add_argument("--half", action="store_true", help="store the weights in half precision")
    parser.add_argument("-o", "--out", type=Path, required=True, help="file to write")
    args = parser.parse_args()
    model = load_model(find_model(str(args.run)))
    if args.half:
        model = half_precision(model)
    dataset = DatasetFolder(args.data)
    predictor = Predictor(model, source=args.run)
    _, samples = choose_samples(dataset, args.split)
    found = evaluate(predictor, dataset, samples).figures
    figures = {name: found[name] for name in FIGURES}
    figures["per_class"] = {name: row["accuracy"] for name, row in found["per_class"].items()}
    metrics = {**model.metrics, "test": figures}
    save_model(args.out, dataclasses.replace(model, metrics=metrics, terms=args.terms), half=args.half)
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
